"""Makes the virtual environments of a checkout, with the standard library only; the launcher `./smos` calls it.

    python bootstrap.py ROOT STATE WISH [NAME LOCK]

`ROOT` is the checkout, `STATE` the state directory, `WISH` the value of SMOS_PYTHON (may be empty). The environment is
`STATE/NAME`, made from `ROOT/LOCK`: `venv` from `requirements.lock` unless told otherwise (`make test` has a `dev` one).
It is built in a folder of its own under `STATE/venvs`, and `STATE/NAME` is switched to it when it is complete: a start
that is interrupted leaves nothing that a later one could take for finished, and a command that runs meanwhile keeps the
environment it was started with. Exit codes: 0 ready, 3 not possible (why and what next is on stderr), 130 interrupted.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

EXIT_UNUSABLE = 3
EXIT_INTERRUPTED = 130
LOG_LINES_SHOWN = 15


class SetupFailed(RuntimeError):
    """The environment cannot be made; the message is for the person at the terminal."""


@dataclass(frozen=True)
class Environment:
    """One virtual environment: whose it is, where it goes and what it is made from."""

    root: Path
    state: Path
    wish: str = ""
    name: str = "venv"
    lock_name: str = "requirements.lock"

    @property
    def link(self) -> Path:
        """Where programs find it."""
        return self.state / self.name

    @property
    def lock(self) -> Path:
        """The pinned packages, each with its hashes."""
        return self.root / self.lock_name

    @property
    def log(self) -> Path:
        """What venv and pip said."""
        return self.state / ("setup.log" if self.name == "venv" else f"setup-{self.name}.log")

    def is_ready(self) -> bool:
        """Whether it was finished for this checkout, lock file and wish (the launcher asks the same in sh)."""
        try:
            for_root, for_wish = (self.link / "made-for").read_text(encoding="utf-8").splitlines()[:2]
            same_lock = (self.link / self.lock_name).read_bytes() == self.lock.read_bytes()
        except (OSError, ValueError):
            return False
        same_wish = (self.wish or for_wish) == for_wish
        return same_lock and same_wish and for_root == str(self.root) and (self.link / "bin/python").exists()


def main(arguments: list[str]) -> int:
    """Make the environment unless another start just did; see the module's text for arguments and exit codes."""
    root, state, *rest = arguments
    environment = Environment(Path(root), Path(state), *rest)
    progress = Progress(sys.stderr)
    try:
        with _only_one(environment.state, progress):
            if not environment.is_ready():
                _make(environment, progress)
    except SetupFailed as failure:
        progress.step(str(failure))
        return EXIT_UNUSABLE
    except OSError as failure:
        progress.step(f"cannot write the environment under {state}: {failure.strerror or failure}")
        progress.step("Free some space or fix the permissions, or choose another place with SMOS_STATE_DIR=/path.")
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        progress.step("interrupted; the same command starts over where it has to")
        return EXIT_INTERRUPTED
    return 0


class Progress:
    """Step lines for everyone, and on a terminal one live line that is overwritten in place."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._shown = ""

    def step(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(f"smos: {text}", file=self._stream, flush=True)

    def live(self, text: str) -> None:
        """What is being done right now; shown on a terminal only."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            self._shown = f"smos: {text}"[:width]
            print(f"\r\033[K{self._shown}", end="", file=self._stream, flush=True)

    def _clear(self) -> None:
        if self._shown:
            print("\r\033[K", end="", file=self._stream)
            self._shown = ""


@contextmanager
def _only_one(state: Path, progress: Progress) -> Iterator[None]:
    """Let one start at a time build; the kernel drops the lock of a process that died, however it died."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.step("another start is making the environment; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(environment: Environment, progress: Progress) -> None:
    """Build in a fresh folder, then switch; whatever goes wrong before the switch leaves things as they were."""
    began = time.monotonic()
    version = ".".join(map(str, sys.version_info[:3]))
    what = "updating" if environment.link.exists() else "first start: making"
    progress.step(f"{what} the {environment.name} environment with Python {version}".replace(" venv ", " "))
    if sys.version_info < (3, 12):
        progress.step(
            "notice: Python 3.11 gets ansible-core 2.19, the last for it; Python 3.12 or newer gets the current one"
        )
    builds = environment.state / "venvs"
    builds.mkdir(exist_ok=True)
    build = builds / f"{environment.name}-{version}-{secrets.token_hex(4)}"
    try:
        build.mkdir(mode=0o700)
        with environment.log.open("w", encoding="utf-8") as log:
            _create(build, log, progress)
            _install(build, environment.lock, log, progress)
        _add_import_paths(build, environment.root)
        shutil.copyfile(environment.lock, build / environment.lock_name)
        (build / "made-for").write_text(f"{environment.root}\n{environment.wish}\n", encoding="utf-8")
        _switch(environment, build)
    except subprocess.CalledProcessError as failure:
        raise SetupFailed(_explain(failure, environment.log)) from None
    finally:
        if not environment.is_ready():
            shutil.rmtree(build, ignore_errors=True)
    progress.step(f"ready after {time.monotonic() - began:.0f} s")


def _create(build: Path, log: IO[str], progress: Progress) -> None:
    """An empty environment on the real interpreter, not on a shim or a link that a later upgrade would redirect."""
    progress.live("making an empty environment")
    # Asked from outside any environment: sys.executable may itself be a virtual environment's link.
    base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    _logged([base, "-m", "venv", str(build)], log)


def _install(build: Path, lock: Path, log: IO[str], progress: Progress) -> None:
    """Install exactly what the lock file names, each file checked against its hash."""
    total = len(re.findall(r"^[A-Za-z0-9].*==", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))
    progress.step(f"installing about {total} pinned packages (log: {log.name})")
    pip = [str(build / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command = [*pip, "install", "--progress-bar", "off", "--require-hashes", "--no-deps", "-r", str(lock)]
    seen = 0
    with closing(_lines(command, log)) as lines:
        for line in lines:
            collecting = re.match(r"Collecting ([A-Za-z0-9._-]+)", line)
            if collecting:
                seen += 1
                progress.live(f"fetching {seen} of about {total}: {collecting[1]}")
            elif line.startswith("Installing collected packages"):
                progress.live(f"installing {seen} packages")


def _logged(command: list[str], log: IO[str]) -> None:
    with closing(_lines(command, log)) as lines:
        for _ in lines:
            pass


def _lines(command: list[str], log: IO[str]) -> Generator[str, None, None]:
    """Run a command, copy its output to the log and give it line by line; raises CalledProcessError when it fails.

    Where nobody listens any more, an interrupt included, it is ended, and what it started is waited for: nothing writes
    on behind a clean-up.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.write(line)
                log.flush()
                yield line
        except BaseException:
            process.kill()
            process.stdout.read()  # ends when the last of them is gone
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _explain(failure: subprocess.CalledProcessError, log: Path) -> str:
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    lines = "\n".join(f"  {line}" for line in tail)
    return (
        f"setting up failed (exit code {failure.returncode}); the last lines of {log}:\n{lines}\n"
        "smos: Check that this machine reaches its Python package index (proxy, certificates, disk space), "
        "then run the same command again."
    )


def _add_import_paths(build: Path, root: Path) -> None:
    """Let every program of the environment import the command and the collection from the checkout."""
    site = next((build / "lib").glob("python3.*/site-packages"))
    (site / "smarteros.pth").write_text(f"{root / 'src'}\n{root / 'collections'}\n", encoding="utf-8")


def _switch(environment: Environment, build: Path) -> None:
    """Point the link at the new environment in one step; keep the one before it, which a running command may still use."""
    link = environment.link
    before = link.readlink().name if link.is_symlink() else None
    fresh = environment.state / f"{environment.name}.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("venvs") / build.name)
    fresh.replace(link)
    for other in build.parent.glob(f"{environment.name}-*"):
        if other.name not in (build.name, before):
            shutil.rmtree(other, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
