# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos update cli` where pip installed smos: a real pip, an environment of its own, and packages made by hand."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from smos import exitcodes, records, update_git, update_pip, update_steps
from smos.outcome import Failure, Speaker
from smos.project import Project
from smos.redact import Redactor
from smos.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = Settings("sandbox", None, False, False, True, False, 0, True, None, None, (), None)
MAIN = "import sys\nif '--version' in sys.argv: print('smos {says}')\nsys.exit({code})\n"


def wheel(folder: Path, name: str, version: str, files: dict[str, str], needs: str = "") -> Path:
    """A package that pip installs, without a build."""
    info = f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}")
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return made


def smos_wheel(folder: Path, version: str, *, code: int = 0) -> Path:
    program = MAIN.format(says=version, code=code)
    only = f"smos/only_{version.replace('.', '_')}.py"  # a file that the other version does not have
    return wheel(folder, "smarteros", version, {"smos/__init__.py": "", "smos/__main__.py": program, only: ""}, "leaf")


class World:
    """An environment with smarteros 0.1.0 and a package that it needs, and a folder in place of an index."""

    def __init__(self, folder: Path) -> None:
        self.index = folder / "index"
        self.index.mkdir()
        self.venv = folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.venv)], check=True)
        self.python = str(self.venv / "bin" / "python")
        self.pip = [sys.executable, "-m", "pip", "--python", self.python]
        self.site = next((self.venv / "lib").glob("python3.*/site-packages"))
        self.state = folder / "state"
        self.project = Project(ROOT, ROOT / "collections", self.state, ROOT / "specs", is_checkout=False)
        wheel(self.index, "leaf", "1.0", {"leaf.py": "version = 1\n"})
        smos_wheel(self.index, "0.1.0")

    def install(self, what: str) -> None:
        subprocess.run([*self.pip, "install", "--quiet", what], check=True)

    def update(self, to: str | None = None, check: bool = False) -> int:
        settings = Settings(**{**vars(SETTINGS), "check": check})
        way = update_pip.PipWay(self.project, to, settings, python=self.python, pip=self.pip, site=[str(self.site)])
        speaker = Speaker("update cli", "sandbox", as_json=True)
        return update_steps.carry_out(way, settings, speaker, self.project)

    def files(self) -> dict[str, bytes]:
        """Everything installed, but for compiled files."""
        found = (path for path in self.site.rglob("*") if path.is_file() and path.suffix != ".pyc")
        return {str(path.relative_to(self.site)): path.read_bytes() for path in found}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(made.index)), ("PIP_CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(name, value)
    return made


def told(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capfd.readouterr().out)
    return document


def test_the_newest_is_installed_and_one_that_does_not_run_is_put_back(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    world.install("smarteros")
    assert world.update() == exitcodes.DONE
    assert told(capfd)["changed"] is False

    smos_wheel(world.index, "0.2.0")
    assert world.update(check=True) == exitcodes.DONE
    assert [(each["before"], each["after"]) for each in told(capfd)["result"]["changes"]] == [("0.1.0", "0.2.0")]
    assert world.update() == exitcodes.DONE
    document = told(capfd)
    assert [check["ok"] for check in document["result"]["checks"]] == [True, True, True]
    assert document["result"]["how"] == "pip, from index"
    assert (world.site / "smos/only_0_2_0.py").exists()
    assert records.Records(world.state, Redactor({})).read(document["run"])["state"] == "done"

    before = world.files()
    smos_wheel(world.index, "0.3.0", code=1)
    assert world.update() == exitcodes.FAILED
    document = told(capfd)
    assert document["result"]["went_back"]
    assert "smarteros 0.2.0 was put back" in document["errors"][0]["next"]
    assert world.files() == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (update_pip.INDEX, "")),
        (
            '{"url": "https://example.com/smos.git", "vcs_info": {"vcs": "git", "commit_id": "ab"}}',
            (update_pip.GIT, "https://example.com/smos.git"),
        ),
        ('{"url": "file:///srv/a%20b", "dir_info": {}}', (update_pip.FOLDER, "/srv/a b")),
        ('{"url": "https://example.com/x.whl", "archive_info": {}}', (update_pip.FILE, "https://example.com/x.whl")),
    ],
)
def test_where_a_package_came_from(text: str | None, expected: tuple[str, str]) -> None:
    assert update_pip.source(text) == expected


class Fake:
    """Stands for what is kept: an installed package that came from somewhere."""

    def __init__(self, origin: Any) -> None:
        self.version = "0.1.0"
        self._origin = json.dumps(origin) if origin else None

    def distribution(self, _name: str) -> Any:
        return self

    def read_text(self, _name: str) -> str | None:
        return self._origin


def looked(origin: Any, to: str | None, report: Any, monkeypatch: pytest.MonkeyPatch, state: Path) -> Any:
    """(what pip was asked for, the offer) for a package of that origin."""
    project = Project(ROOT, ROOT / "collections", state, ROOT / "specs", is_checkout=False)
    way = update_pip.PipWay(project, to, SETTINGS)
    asked: list[tuple[str, ...]] = []

    def call(*words: str) -> update_steps.Ended:
        asked.append(words)
        return update_steps.Ended(int(report is None), json.dumps({"install": report}), "No matching distribution")

    monkeypatch.setattr(way, "_kept", Fake(origin))
    monkeypatch.setattr(way, "_call", call)
    return way.look(), asked[0][-1]


def test_from_git_the_newest_tag_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = {"v0.1.0": "a", "v0.10.0": "b", "v0.9.0": "c"}
    monkeypatch.setattr(update_git, "releases", lambda _folder, _remote: tags)
    origin = {"url": "https://example.com/smos.git", "vcs_info": {"vcs": "git", "commit_id": "ab"}}
    report = [{"metadata": {"name": "smarteros", "version": "0.10.0"}}]
    offer, asked = looked(origin, None, report, monkeypatch, tmp_path)
    assert asked == "smarteros @ git+https://example.com/smos.git@v0.10.0"
    assert (offer.present, offer.newest, offer.due) == ("0.1.0", "0.10.0", True)


def test_from_a_folder_comes_what_is_in_it_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = {"url": "file:///srv/smos", "dir_info": {}}
    report = [{"metadata": {"name": "smarteros", "version": "0.1.0"}}]
    offer, asked = looked(origin, None, report, monkeypatch, tmp_path)
    assert (asked, offer.due) == ("/srv/smos", False)
    with pytest.raises(Failure, match="which has one version"):
        looked(origin, "v0.2.0", report, monkeypatch, tmp_path)


def test_what_came_from_a_file_has_nowhere_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A package of that name in an index may be somebody else's.
    origin = {"url": "file:///srv/smarteros-0.1.0-py3-none-any.whl", "archive_info": {}}
    with pytest.raises(Failure, match="nothing says where newer ones are") as raised:
        looked(origin, None, [], monkeypatch, tmp_path)
    assert raised.value.outcome.code == exitcodes.UNUSABLE


def test_a_pip_that_finds_nothing_is_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Failure, match="No matching distribution") as raised:
        looked(None, "v9.9.9", None, monkeypatch, tmp_path)
    assert raised.value.outcome.code == exitcodes.UNUSABLE
