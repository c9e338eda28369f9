"""What a VPS's image is made from, and how this machine's way to packages gets into it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smos.sandbox import vps_engine, vps_image, vps_recipe
from smos.sandbox.vps_engine import Engine, VpsError
from unit.sandbox.driver_vps import FakeDocker

OURS = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
THEIRS = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of ours: nothing set, root, debootstrap, an empty /etc/apt, a cache folder of its own."""
    for name in (
        *vps_image.NAMED,
        *vps_recipe._BUNDLES,
        "DOCKER_HOST",
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMOS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(vps_image.os, "geteuid", lambda: 0)
    monkeypatch.setattr(vps_image.shutil, "which", lambda name: f"/usr/sbin/{name}")
    apt = tmp_path / "apt"
    (apt / "sources.list.d").mkdir(parents=True)
    monkeypatch.setattr(vps_recipe, "_APT", apt)
    monkeypatch.setattr(vps_recipe, "_KNOWN", tmp_path / "known")
    monkeypatch.setattr(vps_recipe, "_USUAL_BUNDLE", tmp_path / "bundle.crt")
    monkeypatch.setattr(vps_recipe, "_settings", lambda: "")
    return apt


def sources_file(apt: Path, mirror: str = "http://mirror.example.com/debian", security: str = "") -> None:
    text = f"Types: deb\n# a note\nURIs: {mirror}\nSuites: bookworm bookworm-updates\nComponents: main\n"
    security = security or mirror + "-security"
    text += f"\nTypes: deb\nURIs: {security}\nSuites: bookworm-security\nComponents: main\n"
    (apt / "sources.list.d" / "debian.sources").write_text(text)


def test_a_machine_that_can_bootstrap_does() -> None:
    assert vps_image.source("trixie", real_images=False) == vps_image.Source("trixie")


def test_a_person_may_name_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLECULE_IMAGE", "mine:2")
    assert vps_image.source("bookworm", real_images=True).image == "mine:2"
    monkeypatch.setenv("SMOS_VPS_IMAGE", "mine:1")
    assert vps_image.source("bookworm", real_images=False).image == "mine:1"


def test_images_of_registries_are_taken_only_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert vps_image.source("noble", real_images=True).image == "ubuntu:24.04"
    monkeypatch.setattr(vps_image.shutil, "which", lambda _name: None)
    with pytest.raises(VpsError, match="has no debootstrap") as refused:
        vps_image.source("bookworm", real_images=False)
    for part in ("apt-get install debootstrap", "--real-images", "SMOS_VPS_IMAGE", "tenants"):
        assert part in refused.value.next


def test_somebody_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vps_image.os, "geteuid", lambda: 1000)
    with pytest.raises(VpsError, match="is not root"):
        vps_image.source("bookworm", real_images=False)


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(VpsError, match="sarge") as refused:
        vps_image.source("sarge", real_images=False)
    assert "bookworm, trixie, noble" in refused.value.next


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"SMOS_CACHE_DIR": "/c"}, "/c"),
        ({"SMOS_CACHE_DIR": "", "XDG_CACHE_HOME": "/x"}, "/x/smarteros"),
        ({"SMOS_CACHE_DIR": "", "XDG_CACHE_HOME": "relative", "HOME": "/h"}, "/h/.cache/smarteros"),
    ],
)
def test_the_cache_is_where_the_user_wants_it(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, str], expected: str
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert vps_image.cache_dir() == Path(expected)


def test_the_sources_of_this_machine_go_into_the_image(machine: Path) -> None:
    sources_file(machine)
    text = vps_recipe.files("trixie", bootstrapped=True)["etc/apt/sources.list"]
    assert text.splitlines() == [
        "deb http://mirror.example.com/debian trixie main",
        "deb http://mirror.example.com/debian trixie-updates main",
        "deb http://mirror.example.com/debian-security trixie-security main",
    ]
    assert "etc/apt/sources.list" not in vps_recipe.files("trixie", bootstrapped=False)


def test_the_old_notation_is_read_and_third_parties_are_not(machine: Path) -> None:
    lines = "deb [arch=amd64 signed-by=/x.gpg] http://m.example.com/ubuntu/ noble main\n"
    lines += "deb http://tools.example.com/apt noble main\n# deb http://old.example.com/ubuntu noble main\n"
    (machine / "sources.list").write_text(lines)
    (machine / "sources.list.d" / "off.sources").write_text(
        "Types: deb\nEnabled: no\nURIs: http://off.example.com/debian\nSuites: bookworm\n"
    )
    assert vps_recipe.sources() == {"main": "http://m.example.com/ubuntu/"}


def test_only_certificates_that_the_distribution_lacks_are_added(tmp_path: Path) -> None:
    (tmp_path / "bundle.crt").write_text(f"{OURS}\n{THEIRS}\n")
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "theirs.crt").write_text(THEIRS.replace("BBBB", "BB\nBB"))
    assert vps_recipe.own_certificates() == [OURS + "\n"]
    given = vps_recipe.files("bookworm", bootstrapped=True)
    assert given["usr/local/share/ca-certificates/machine-1.crt"] == OURS + "\n"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What is run besides docker; a `tar` writes its file."""
    ran: list[list[str]] = []

    def run(command: list[str], _log: Path) -> None:
        ran.append(command)
        if command[0] == "tar":
            Path(command[command.index("-cf") + 1]).write_bytes(b"a base")

    monkeypatch.setattr(vps_image, "_do", run)
    return ran


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Engine, FakeDocker]:
    fake = FakeDocker()
    monkeypatch.setattr(Engine, "run", fake.run)
    return Engine(tmp_path), fake


def test_an_image_is_bootstrapped_once_and_the_base_is_kept(
    machine: Path, engine: tuple[Engine, FakeDocker], done: list[list[str]]
) -> None:
    sources_file(machine)
    name = vps_image.have(engine[0], vps_image.Source("bookworm"), lambda _text: None)
    assert [command[0] for command in done] == ["debootstrap", "tar", "docker"]
    assert done[0][-1] == "http://mirror.example.com/debian"
    assert "BASE=smos-vps-base:bookworm" in done[2]
    engine[1].images[name] = {"Id": "x"}
    assert vps_image.have(engine[0], vps_image.Source("bookworm"), lambda _text: None) == name
    assert len(done) == 3, "found by its name"
    engine[1].images.clear()
    vps_image.have(engine[0], vps_image.Source("bookworm"), lambda _text: None)
    assert [command[0] for command in done[3:]] == ["docker"], "the base comes from the cache folder"


def test_another_mirror_makes_another_image(
    machine: Path, engine: tuple[Engine, FakeDocker], done: list[list[str]]
) -> None:
    def name() -> str:
        return vps_image.have(engine[0], vps_image.Source("bookworm"), lambda _text: None)

    sources_file(machine)
    first = name()
    sources_file(machine, "http://other.example.com/debian")
    assert name() != first
    assert first.startswith("smos-vps:bookworm-")


def test_a_finished_image_is_taken_as_it_is(engine: tuple[Engine, FakeDocker], done: list[list[str]]) -> None:
    engine[1].images["mine:1"] = {"Id": "m", "Config": {"Labels": {vps_image.READY: "1"}}}
    origin = vps_image.Source("bookworm", "mine:1")
    assert vps_image.have(engine[0], origin, lambda _text: None) == "mine:1"
    engine[1].images["mine:1"]["Config"]["Labels"] = None
    assert vps_image.have(engine[0], origin, lambda _text: None).startswith("smos-vps:bookworm-")
    assert "BASE=mine:1" in done[-1]


def test_a_failed_step_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(VpsError, match=r"(?s)sh -c failed; .*no such mirror") as failed:
        vps_image._do(["sh", "-c", "echo no such mirror; exit 1"], tmp_path / "log")
    assert "deploy" in failed.value.next


def test_the_recipe_is_a_shell_script_without_mistakes() -> None:
    done = subprocess.run(["sh", "-n"], input=vps_recipe.RECIPE, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


# --- the engine ------------------------------------------------------------------------------------------------------


def answering(code: int, out: str = "", err: str = "") -> Callable[..., Any]:
    return lambda *_words, **_more: subprocess.CompletedProcess([], code, out.encode(), err.encode())


def test_no_docker_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vps_engine.shutil, "which", lambda _name: None)
    with pytest.raises(VpsError, match="`docker` is not installed") as refused:
        Engine.found(tmp_path)
    assert "docker.io" in refused.value.next
    assert "tenants" in refused.value.next, "what still works"


def test_no_answer_is_told_in_the_engines_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vps_engine.subprocess, "run", answering(1, err="x\npermission denied: docker.sock\n"))
    with pytest.raises(VpsError, match=r"permission denied: docker\.sock"):
        Engine.found(tmp_path)


def test_an_engine_elsewhere_is_of_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://203.0.113.7:2376")
    with pytest.raises(VpsError, match="loopback"):
        Engine.found(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/user/1000/docker.sock")
    monkeypatch.setattr(vps_engine.subprocess, "run", answering(0, "26.1"))
    assert Engine.found(tmp_path) == Engine(tmp_path)


def test_something_that_is_not_there_is_no_error_but_a_refusal_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vps_engine.subprocess, "run", answering(1, err="Error: No such image: x"))
    assert Engine(tmp_path).inspect("image", "x") is None
    monkeypatch.setattr(vps_engine.subprocess, "run", answering(1, err="Error response from daemon: tired"))
    with pytest.raises(VpsError, match=r"docker image: tired$"):
        Engine(tmp_path).inspect("image", "x")
