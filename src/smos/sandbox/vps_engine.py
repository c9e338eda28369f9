"""This machine's Docker Engine, through its own command line: no library, no service of ours.

Everything that is made carries two labels, the owner and the state folder, and nothing without both is ever touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OWNER = "cl.smarteros.owner"
STATE = "cl.smarteros.state"
WITHOUT = (
    "Without it the rest of the sandbox works as before: all providers, and with them tenants, tokens and messages; "
    "only what needs a machine of its own (deploy) does not"
)
LOCAL = ("unix://", "npipe://", "fd://")


class VpsError(Exception):
    """The sandbox's VPS cannot be had, or not as asked; ``next`` says what to do about it."""

    def __init__(self, what: str, next: str = "") -> None:  # noqa: A002 - the word of every error row
        super().__init__(what)
        self.what = what
        self.next = next


@dataclass(frozen=True)
class Engine:
    """The engine that ``docker`` reaches, for the things of one state folder."""

    state: Path

    @classmethod
    def found(cls, state: Path) -> Engine:
        """The engine, after it answered; raises :class:`VpsError` where there is none to be used."""
        start = f"Install and start Docker (Debian, Ubuntu: apt-get install docker.io), then try again. {WITHOUT}"
        if shutil.which("docker") is None:
            raise VpsError("a VPS needs Docker, and the command `docker` is not installed", start)
        host = os.environ.get("DOCKER_HOST", "")
        if host and not host.startswith(LOCAL):
            raise VpsError(
                f"DOCKER_HOST is {host}: the sandbox's VPS is reached on this machine's loopback only",
                f"Unset DOCKER_HOST, so that this machine's engine is used. {WITHOUT}",
            )
        engine = cls(state)
        try:
            engine.run("version", "--format", "{{.Server.Version}}", seconds=20)
        except VpsError as exc:
            raise VpsError(f"a VPS needs Docker, and no engine answers: {exc}", start) from exc
        return engine

    def run(self, *words: str, seconds: float = 60, content: bytes | None = None) -> str:
        """What ``docker <words>`` prints; raises :class:`VpsError` with the engine's own message."""
        try:
            done = subprocess.run(["docker", *words], input=content, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as exc:
            raise VpsError(f"docker {words[0]} did not end within {seconds:g} s") from exc
        except OSError as exc:
            raise VpsError(f"docker cannot be run: {exc}") from exc
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise VpsError(f"docker {words[0]}: {said.splitlines()[-1].removeprefix('Error response from daemon: ')}")
        return done.stdout.decode(errors="replace").strip()

    def labels(self) -> list[str]:
        """The options that mark a new thing as ours."""
        return ["--label", f"{OWNER}=smarteros", "--label", f"{STATE}={self.state}"]

    def ours(self, kind: str) -> list[str]:
        """Names of our containers, volumes or networks (``kind`` in the singular), stopped ones too."""
        listed = ["ps", "--all"] if kind == "container" else [kind, "ls"]
        shape = "{{.Names}}" if kind == "container" else "{{.Name}}"
        marks = ["--filter", f"label={OWNER}=smarteros", "--filter", f"label={STATE}={self.state}"]
        return sorted(self.run(*listed, *marks, "--format", shape).split())

    def containers(self) -> dict[str, dict[str, Any]]:
        """Our containers by name, as ``docker inspect`` describes them."""
        names = self.ours("container")
        rows: list[dict[str, Any]] = json.loads(self.run("inspect", *names)) if names else []
        return {str(row["Name"]).removeprefix("/"): row for row in rows}

    def inspect(self, kind: str, name: str) -> dict[str, Any] | None:
        """One thing as the engine describes it; ``None`` where it is not there."""
        try:
            found: list[dict[str, Any]] = json.loads(self.run(kind, "inspect", name))
        except VpsError as exc:
            if "no such" in str(exc).lower() or "not found" in str(exc).lower():
                return None
            raise
        return found[0]

    def has_image(self, name: str) -> bool:
        """Whether the engine has the image already."""
        return self.inspect("image", name) is not None

    def volume(self, name: str) -> None:
        """Have a volume of ours; one that is there stays as it is."""
        self.run("volume", "create", *self.labels(), name)

    def remove(self, containers: Iterable[str] = (), volumes: Iterable[str] = (), networks: Iterable[str] = ()) -> None:
        """Remove those that are there, and ours: a name alone is no reason."""
        for kind, names, words in (
            ("container", containers, ["rm", "--force", "--volumes"]),
            ("volume", volumes, ["volume", "rm", "--force"]),
            ("network", networks, ["network", "rm"]),
        ):
            wanted = set(names)
            present = [name for name in self.ours(kind) if name in wanted] if wanted else []
            if present:
                self.run(*words, *present, seconds=120)


def published(row: dict[str, Any], port: int) -> int:
    """The loopback port of this machine that leads to a container's port; 0 while it does not run."""
    bound: Sequence[dict[str, str]] = (row["NetworkSettings"]["Ports"] or {}).get(f"{port}/tcp") or []
    return int(bound[0]["HostPort"]) if bound else 0
