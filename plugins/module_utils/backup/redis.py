# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The data of a Redis that holds queues: streamed out of the running server as one file, and given back in the form that a
server with an append-only file starts from.
"""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine

DATA = "/data"  # in the container
FILE = "dump.rdb"  # the stream's name in the repository
AOF = "appendonlydir"
BASE = "appendonly.aof.1.base.rdb"
MANIFEST = "appendonly.aof.manifest"
# The password is read inside the container, into an environment that is the command's alone
ASK = (
    'REDISCLI_AUTH="$(cat "${REDIS_PASSWORD_FILE:-/run/secrets/redis_password}")"; export REDISCLI_AUTH; '
    'exec redis-cli --no-auth-warning "$@"'
)
# A server that sends without writing a file of its own ends with a mark of 40 characters, which redis-cli passes on
MARK = re.compile(rb"\A[0-9a-f]{40}\Z")
MARK_BYTES, CHECKSUM_BYTES, END = 40, 8, 0xFF


class RedisError(Exception):
    """The server or its file is not as it has to be."""


class Redis:
    """The server of a Swarm service. Methods raise RedisError and EngineError."""

    def __init__(self, engine: Engine, service: str, place: Place | None = None) -> None:
        self.service = service
        self._engine = engine
        self._place = place

    @property
    def present(self) -> bool:
        """Whether it runs on this machine."""
        return self._place is not None or self._engine.container_of(self.service) is not None

    @property
    def place(self) -> Place:
        """Where its programs run."""
        if self._place is None:
            container = self._engine.container_of(self.service)
            if container is None:
                raise RedisError(f"no running container of {self.service} is on this machine")
            self._place = Place.in_container(self._engine, container)
        return self._place

    @property
    def env(self) -> dict[str, str]:
        """The environment for the commands that the methods ``…_argv`` give."""
        return self.place.env

    def dump_argv(self) -> list[str]:
        """Writes all data as they are at one moment."""
        return self._argv("--rdb", "-")

    def count(self) -> int:
        """How many keys it holds."""
        return sum(int(each) for each in re.findall(r"keys=(\d+)", self._ask("INFO", "keyspace")))

    def version(self) -> str:
        """Its version."""
        found = re.search(r"redis_version:(\S+)", self._ask("INFO", "server"))
        return found[1] if found else ""

    def volume(self) -> str:
        """The volume that its data are in; asked of the service, so it may be stopped."""
        spec = self._engine.get(f"/services/{self.service}")["Spec"]["TaskTemplate"]["ContainerSpec"]
        for mount in spec.get("Mounts") or ():
            if mount.get("Type") == "volume" and mount.get("Target") == DATA:
                return str(mount["Source"])
        raise RedisError(f"{self.service} has no volume at {DATA}")

    def _argv(self, *words: str) -> list[str]:
        return self.place.argv("sh", "-c", ASK, "sh", *words)

    def _ask(self, *words: str) -> str:
        done = self.place.run(["sh", "-c", ASK, "sh", *words], timeout_s=60)
        if done.code != 0 or done.stdout.startswith(("NOAUTH", "ERR")):
            raise RedisError((done.stderr or done.stdout).strip() or f"redis-cli ended with {done.code}")
        return done.stdout


def settle(folder: Path, root: t.Mapping[str, int] | None = None) -> None:
    """Make of the restored stream in a folder what a server starts from; ``root`` tells whose the files shall be."""
    dump, below = folder / FILE, folder / AOF
    _cut(dump)
    below.mkdir(mode=0o755, exist_ok=True)
    dump.rename(below / BASE)
    (below / MANIFEST).write_text(f"file {BASE} seq 1 type b\n", encoding="ascii")
    if root:
        for each in (below, below / BASE, below / MANIFEST):
            os.chown(each, root["uid"], root["gid"])


def _cut(dump: Path) -> None:
    """Take off the mark behind the end of the data: as the base of an append-only file it would be read as a command."""
    with dump.open("r+b") as file:
        length = file.seek(0, os.SEEK_END)
        if length < MARK_BYTES + CHECKSUM_BYTES + 1:
            return
        file.seek(length - MARK_BYTES - CHECKSUM_BYTES - 1)
        tail = file.read()
        if tail[0] == END and MARK.match(tail[-MARK_BYTES:]):
            file.truncate(length - MARK_BYTES)


def check(folder: Path) -> None:
    """Whether the stream in a folder is the data of a Redis at all. Raises RedisError."""
    with (folder / FILE).open("rb") as file:
        if file.read(5) != b"REDIS":
            raise RedisError(f"{FILE} is not the data of a Redis")
