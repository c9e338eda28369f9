# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Programs that run for long: to their end, for as long as they get on, and never without whoever started them.

No byte of a stream passes through Python: two programs are joined by a pipe of the system.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
import typing as t
from dataclasses import dataclass, field

TAIL_BYTES = 8192  # of what a program says
LOOK_S = 0.5  # how often a program that may take only so long is looked at
STILL_BYTES = 32768  # who moves less than this is waiting: for an answer, or to try again
GRACE_S = 0.5  # for a reader to end by itself when its writer fails: then the reader was the reason
BROKEN_S = 5.0  # for a writer to notice that its reader is gone


class Missing(Exception):
    """The program is not installed."""


class Expired(Exception):
    """The program took too long and was killed; the text says how long."""


@dataclass(frozen=True)
class Limits:
    """How long a program may take at all, and how long without moving data; 0: as long as it likes."""

    total_s: float = 0.0
    still_s: float = 0.0


@dataclass(frozen=True)
class Command:
    """What is run, and with which environment (the whole of it)."""

    argv: t.Sequence[str]
    env: t.Mapping[str, str] = field(repr=False)
    cwd: str | None = None
    limits: Limits = Limits()


@dataclass(frozen=True)
class Done:
    """What a program came to. ``killed``: by us, because the other one had failed."""

    code: int
    stdout: bytes
    stderr: str
    killed: bool = False


def run(command: Command, stdin: int | None = None) -> Done:
    """Run it to its end. Raises Missing and Expired."""
    with _running(command, subprocess.DEVNULL if stdin is None else stdin, subprocess.PIPE) as program:
        program.wait(command.limits)
        return program.done()


def lines(command: Command) -> t.Generator[bytes, None, Done]:
    """What it writes, line by line; how it ended is the value of the generator. Raises Missing and Expired."""
    with _running(command, subprocess.DEVNULL, subprocess.PIPE, gather=False) as program:
        watch = _Watch(program, command.limits)
        yield from t.cast("t.IO[bytes]", program.process.stdout)
        watch.join()
        if watch.expired:
            raise watch.expired
        return program.done()


def pour(source: Command, sink: Command) -> tuple[Done, Done]:
    """Let one program read what the other writes; gives how the writer and the reader ended.

    A reader cannot tell a writer that died from one that has finished: both just stop. So the write end of the pipe is
    held here as well, and let go only when the writer has ended with 0; else the reader is killed and sees no end at all.
    Raises Missing, and Expired for the reader.
    """
    read_end, write_end = os.pipe()
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(_Descriptor(write_end))
        with _Descriptor(read_end):  # must not stay open here: a writer whose reader died is to learn of it
            reader = stack.enter_context(_running(sink, read_end, subprocess.PIPE, keep=TAIL_BYTES))
        writer = stack.enter_context(_running(source, subprocess.DEVNULL, held.number))
        threading.Thread(target=_end_after, args=(reader, writer), daemon=True).start()
        writer.wait(source.limits)
        killed = False
        if writer.process.returncode == 0:
            held.close()
            reader.wait(sink.limits)
        elif not reader.ended_within(GRACE_S):
            reader.kill()
            killed = True
        return writer.done(), reader.done(killed=killed)


def _end_after(reader: _Program, writer: _Program) -> None:
    """A writer that has nothing to write just now does not notice that its reader is gone."""
    reader.process.wait()
    if not writer.ended_within(BROKEN_S):
        writer.kill()


class _Descriptor:
    """An open file of the system, closed once."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._open = True

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self.number)

    def __enter__(self) -> _Descriptor:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()


class _Gathered(threading.Thread):
    """What comes out of a pipe: all of it, or its end."""

    def __init__(self, pipe: t.IO[bytes], keep: int = 0) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._keep = keep
        self._data = bytearray()
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while chunk := os.read(self._pipe.fileno(), 65536):
                self._data += chunk
                if self._keep:
                    del self._data[: -self._keep]

    def text(self) -> bytes:
        self.join(5)  # a child that lives on may hold the pipe open
        return bytes(self._data)


class _Program:
    """A program that runs in a process group of its own, with no terminal that anything could ask a question on."""

    def __init__(self, process: subprocess.Popen[bytes], gather: bool, keep: int) -> None:
        self.process = process
        self._out = _Gathered(process.stdout, keep) if process.stdout and gather else None
        self._err = _Gathered(t.cast("t.IO[bytes]", process.stderr), TAIL_BYTES)

    def wait(self, limits: Limits) -> None:
        """Wait for its end. Raises Expired after having killed it."""
        if not limits.total_s and not limits.still_s:
            self.process.wait()
            return
        began = seen_at = time.monotonic()
        seen = 0
        while not self.ended_within(LOOK_S):
            now = time.monotonic()
            if limits.total_s and now - began > limits.total_s:
                self._expire(f"did not end within {limits.total_s:.0f} s")
            moved = _moved(self.process.pid)
            if moved is None or moved - seen > STILL_BYTES:
                seen, seen_at = moved or 0, now
            elif limits.still_s and now - seen_at > limits.still_s:
                self._expire(f"moved no data for {limits.still_s:.0f} s")

    def ended_within(self, seconds: float) -> bool:
        """Whether it ends by itself in that time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it and what it started."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End it where it still runs, and leave nothing open."""
        self.kill()
        for gathered, pipe in ((self._out, self.process.stdout), (self._err, self.process.stderr)):
            if gathered:
                gathered.text()
            if pipe:
                pipe.close()

    def done(self, *, killed: bool = False) -> Done:
        """How it ended."""
        out = self._out.text() if self._out else b""
        return Done(self.process.returncode, out, self._err.text().decode(errors="replace"), killed)

    def _expire(self, why: str) -> None:
        self.kill()
        said = self._err.text().decode(errors="replace").strip()
        raise Expired(f"{why}{f' ({said.splitlines()[-1][-300:]})' if said else ''}")


class _Watch(threading.Thread):
    """Waits for a program's end, and ends it when it takes too long."""

    def __init__(self, program: _Program, limits: Limits) -> None:
        super().__init__(daemon=True)
        self.expired: Expired | None = None
        self._program = program
        self._limits = limits
        self.start()

    def run(self) -> None:
        try:
            self._program.wait(self._limits)
        except Expired as exc:
            self.expired = exc


@contextlib.contextmanager
def _running(command: Command, stdin: int, stdout: int, *, gather: bool = True, keep: int = 0) -> t.Iterator[_Program]:
    """Killed at the end of the block where it still runs, whatever ended the block."""
    argv = list(command.argv)
    path = command.env.get("PATH")
    if not shutil.which(argv[0], path=path):
        raise Missing(f"the command {argv[0]} is not installed")
    try:
        # No AnsibleModule here: this also runs from a timer, and programs are joined by pipes
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            [*_bound(path), *argv],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=dict(command.env),
            cwd=command.cwd,
            start_new_session=True,
        )
    except FileNotFoundError as exc:
        raise Missing(f"{exc.filename} is not there") from None
    program = _Program(process, gather, keep)
    try:
        yield program
    finally:
        program.close()


def _bound(path: str | None) -> list[str]:
    """Words before a command by which the kernel ends it when we die, however we die: nobody would hold its lock any more."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv", path=path) else []


def _moved(pid: int) -> int | None:
    """Bytes that a process has read and written, over the network too; None where that cannot be known."""
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            found = dict(line.split(": ") for line in file.read().splitlines())
        return int(found["rchar"]) + int(found["wchar"])
    except (OSError, ValueError, KeyError):
        return None
