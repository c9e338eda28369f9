"""A Docker Engine that is none: it keeps what it is told to make, and gives out ports as the real one does."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smos.sandbox.vps_engine import OWNER, STATE, VpsError


@dataclass
class FakeDocker:
    """Stands for the command `docker`; patched over `Engine.run`."""

    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: dict[str, dict[str, str]] = field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, dict[str, tarfile.TarInfo]] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    answers: bool = True
    _numbers: Any = field(default_factory=lambda: itertools.count(40000))

    def run(self, *words: str, seconds: float = 60, content: bytes | None = None) -> str:
        """What the command would print."""
        self.calls.append(words)
        if not self.answers:
            raise VpsError("docker version: Cannot connect to the Docker daemon")
        verb = words[0] if words[0] not in ("network", "volume", "image", "container") else f"{words[0]}_{words[1]}"
        return getattr(self, f"_{verb}")(list(words), content) or ""

    def made(self) -> list[tuple[str, ...]]:
        """The calls that made or removed something."""
        return [call for call in self.calls if call[0] in ("create", "rm") or call[1:2] == ("create",)]

    def _version(self, _words: list[str], _content: bytes | None) -> str:
        return "20.10.24"

    def _ps(self, words: list[str], _content: bytes | None) -> str:
        return _filtered(words, {name: row["Config"]["Labels"] for name, row in self.containers.items()})

    def _volume_ls(self, words: list[str], _content: bytes | None) -> str:
        return _filtered(words, self.volumes)

    def _network_ls(self, words: list[str], _content: bytes | None) -> str:
        return _filtered(words, {name: row["Labels"] for name, row in self.networks.items()})

    def _inspect(self, words: list[str], _content: bytes | None) -> str:
        return json.dumps([self.containers[name] for name in words[1:]])

    def _container_inspect(self, words: list[str], _content: bytes | None) -> str:
        return _one(self.containers, words[2])

    def _network_inspect(self, words: list[str], _content: bytes | None) -> str:
        return _one(self.networks, words[2])

    def _image_inspect(self, words: list[str], _content: bytes | None) -> str:
        return _one(self.images, words[2])

    def _import(self, words: list[str], _content: bytes | None) -> None:
        assert Path(words[1]).is_file()
        self.images[words[2]] = {"Id": "base"}

    def _volume_create(self, words: list[str], _content: bytes | None) -> None:
        self.volumes[words[-1]] = _labels(words)

    def _network_create(self, words: list[str], _content: bytes | None) -> None:
        subnet = words[words.index("--subnet") + 1] if "--subnet" in words else "172.31.0.0/16"
        self.networks[words[-1]] = {"Labels": _labels(words), "IPAM": {"Config": [{"Subnet": subnet}]}}

    def _create(self, words: list[str], _content: bytes | None) -> None:
        name = words[words.index("--name") + 1]
        wanted = [words[n + 1] for n, word in enumerate(words) if word == "--publish"]
        self.containers[name] = {
            "Id": f"id-{next(self._numbers)}",
            "Name": f"/{name}",
            "Config": {"Labels": _labels(words)},
            "State": {"Running": False, "Status": "created"},
            "NetworkSettings": {"Ports": {}},
            "wanted": [int(each.rpartition(":")[2]) for each in wanted],
        }

    def _cp(self, words: list[str], content: bytes | None) -> None:
        with tarfile.open(fileobj=io.BytesIO(content or b"")) as tar:
            self.files[words[-1].removesuffix(":/")] = {row.name: row for row in tar.getmembers()}

    def _start(self, words: list[str], _content: bytes | None) -> None:
        row = self.containers[words[1]]
        if not row["State"]["Running"]:
            row["State"] = {"Running": True, "Status": "running"}
            row["NetworkSettings"]["Ports"] = {
                f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(next(self._numbers))}] for port in row["wanted"]
            }

    def _stop(self, words: list[str], _content: bytes | None) -> None:
        for name in words[3:]:
            self.containers[name]["State"] = {"Running": False, "Status": "exited"}
            self.containers[name]["NetworkSettings"]["Ports"] = {}

    def _rm(self, words: list[str], _content: bytes | None) -> None:
        for name in words[3:]:
            del self.containers[name]

    def _volume_rm(self, words: list[str], _content: bytes | None) -> None:
        for name in words[3:]:
            del self.volumes[name]

    def _network_rm(self, words: list[str], _content: bytes | None) -> None:
        for name in words[2:]:
            del self.networks[name]


def marks(state: Path) -> dict[str, str]:
    """The labels of what belongs to a state folder."""
    return {OWNER: "smarteros", STATE: str(state)}


def _labels(words: list[str]) -> dict[str, str]:
    pairs = [words[n + 1] for n, word in enumerate(words) if word == "--label"]
    return dict(pair.split("=", 1) for pair in pairs)


def _filtered(words: list[str], things: dict[str, dict[str, str]]) -> str:
    wanted = [words[n + 1].removeprefix("label=").split("=", 1) for n, word in enumerate(words) if word == "--filter"]
    assert {name for name, _ in wanted} == {OWNER, STATE}, "a list that is not only ours"
    return "\n".join(name for name, labels in things.items() if all(labels.get(k) == v for k, v in wanted))


def _one(things: dict[str, Any], name: str) -> str:
    if name not in things:
        raise VpsError(f"docker inspect: No such object: {name}")
    return json.dumps([things[name]])
