"""The real restic, and an S3 storage on loopback for it: rclone's, which knows keys and refuses those that do not fit."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository
from real.installs import Unavailable, packaged_binary
from real.processes import free_port, running, wait_until
from real.restic_key import make_cheap

RCLONE = "1.75.2"
KEY, SECRET = "a-key-of-the-tests", "a-secret-of-the-tests"
PASSWORD = "a password of the tests"
MIB = 1 << 20


def tool() -> str:
    """The machine's restic."""
    found = shutil.which("restic")
    if not found:
        raise Unavailable("restic is needed (Debian and Ubuntu: apt install restic)")
    return found


def rclone() -> Path:
    """rclone's own binary, from its package."""
    return packaged_binary("rclone", RCLONE, 10 * MIB)


@dataclass(frozen=True)
class Storage:
    """A running one. ``folder`` is where its buckets are on disk."""

    port: int
    folder: Path
    pid: int

    def at(self, bucket: str) -> str:
        """The address of a repository in a bucket."""
        (self.folder / bucket).mkdir(exist_ok=True)
        return f"s3:http://127.0.0.1:{self.port}/{bucket}/backups"

    def on_disk(self, bucket: str) -> Path:
        """Where that repository is."""
        return self.folder / bucket / "backups"


def keys(secret: str = SECRET) -> dict[str, str]:
    """The credentials as restic takes them."""
    return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def storage(folder: Path, port: int = 0) -> Iterator[Storage]:
    """A storage that serves a folder for as long as the block runs. It looks at the folder each time it is asked."""
    port = port or free_port()
    data = folder / "buckets"
    data.mkdir(exist_ok=True)
    command = [str(rclone()), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    command += ["--config", os.devnull, "--dir-cache-time", "1ms", str(data)]

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with running(command, log=folder / "log", cwd=folder) as process:
        wait_until(answers, "rclone", process=process, log=folder / "log", seconds=60)
        yield Storage(port, data, process.pid)


def repository(folder: Path, location: str = "", environment: Mapping[str, str] | None = None) -> Repository:
    """A repository below a folder, or elsewhere with the password and the cache of that folder."""
    tool()
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    return Repository(
        location or str(folder / "backups"), str(password), environment or {}, folder / "cache" / "restic"
    )


@dataclass(frozen=True)
class Templates:
    """Two empty repositories that are copied into each test's folder: to make one costs seconds, and so does each look
    at one whose key is not cheap. ``there`` cuts files at the same places as ``here``.
    """

    here: Path
    there: Path

    @classmethod
    def made(cls, folder: Path) -> Templates:
        """Both of them, by restic itself."""
        here = repository(folder)
        here.init()
        make_cheap(Path(here.location), PASSWORD)
        there = replace(here, location=str(folder / "there"))
        there.init(like=here)
        make_cheap(Path(there.location), PASSWORD)
        return cls(Path(here.location), Path(there.location))

    def plant(self, folder: Path) -> Repository:
        """A copy below a folder, as `repository` would be."""
        planted = repository(folder)
        shutil.copytree(self.here, planted.location, dirs_exist_ok=True)
        return planted

    def plant_there(self, location: Path) -> None:
        """A copy of the other one, at that very place."""
        shutil.copytree(self.there, location)


def ask(wanted: Repository, *words: str) -> subprocess.CompletedProcess[str]:
    """Ask restic itself, past our code."""
    env = {**os.environ, **wanted.environment, "RESTIC_REPOSITORY": wanted.location, "RESTIC_PROGRESS_FPS": "0.1"}
    argv = [tool(), "--password-file", wanted.password_file, "--no-cache", *words]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def sound(wanted: Repository) -> bool:
    """Whether every byte of it can be read, by restic's own word."""
    done = ask(wanted, "check", "--read-data")
    return done.returncode == 0 and "no errors were found" in done.stdout


def listed(wanted: Repository) -> list[dict[str, object]]:
    """All snapshots, by restic's own word."""
    found: list[dict[str, object]] = json.loads(ask(wanted, "snapshots", "--json", "--no-lock").stdout) or []
    return found


def fill(folder: Path, count: int = 20, size: int = 200_000, seed: str = "") -> Path:
    """Files that no compression makes smaller."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{seed}{number}.bin").write_bytes(os.urandom(size))
    return folder


def until(holds: Callable[[], object], what: str, seconds: float = 300) -> None:
    """Return once it holds. The time only ends what would wait for ever."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.005)


def until_nobody_uses(wanted: Repository) -> None:
    """Wait for the end of every process that was given this repository's password: who was killed needs a moment to go."""
    word = os.fsencode(wanted.password_file)

    def used() -> bool:
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if word in each.read_bytes():
                    return True
        return False

    until(lambda: not used(), f"the end of all that use {wanted.location}")
