"""Running a command of `smos` as a process of its own: arguments as a list, nothing on stdin, an end in any case."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from smos.project import Project

LARGEST_ANSWER = 4_000_000  # bytes; ten thousand tenants are two million
GRACE_S = 60.0  # a run that is stopped records that and gives back its locks
TICK_S = 2.0
TOGETHER = 4
# They would change what Python, the shell or the linker do in a command
_NOT_PASSED = ("LD_PRELOAD", "LD_AUDIT", "BASH_ENV", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT", "SMOS_LANG")

Tick = Callable[[float], Awaitable[None]]


class NoAnswer(Exception):
    """The command gave no document; the message says why."""


@dataclass(frozen=True)
class Commands:
    """Runs commands in one environment. ``hidden`` are variables that no command gets: the tokens of clients."""

    project: Project
    env: str
    hidden: frozenset[str]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    slots: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(TOGETHER))

    def line(self, words: Sequence[str]) -> list[str]:
        """The whole command line."""
        return [sys.executable, "-P", "-m", "smos", "--json", "--quiet", f"--env={self.env}", *words]

    def variables(self) -> dict[str, str]:
        """The environment of a command."""
        kept = {name: value for name, value in self.environ.items() if name not in (*_NOT_PASSED, *self.hidden)}
        places = {"SMOS_STATE_DIR": str(self.project.state_dir), "SMOS_SPECS_REPO": str(self.project.specs_dir)}
        path = [path for path in sys.path if path]  # what this process finds its code by
        return {**kept, **places, "PYTHONPATH": os.pathsep.join(path), "SMOS_LANG": "en", "NO_COLOR": "1"}

    async def run(self, words: Sequence[str], limit_s: float, tick: Tick) -> tuple[int, dict[str, Any]]:
        """(exit code, document). ``tick`` is told the seconds while it runs. Raises NoAnswer."""
        async with self.slots:
            process = await anyio.open_process(
                self.line(words), stdin=-3, stdout=-1, stderr=-3, env=self.variables(), start_new_session=True
            )
            try:
                with anyio.fail_after(limit_s):
                    out = await _read(process, tick)
                    code = await process.wait()
            except TimeoutError:
                raise NoAnswer(
                    f"the command took longer than {limit_s:.0f} s and was stopped; `history` tells"
                ) from None
            finally:
                await _end(process)
        try:
            document = json.loads(out)
        except ValueError:
            raise NoAnswer(f"the command ended with {code} and gave no JSON") from None
        if not isinstance(document, dict):
            raise NoAnswer(f"the command ended with {code} and gave no document")
        return code, document


async def _read(process: Process, tick: Tick) -> bytes:
    """All of stdout; says every now and then that it goes on."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    out = b""

    async def say() -> None:
        started = anyio.current_time()
        while True:
            await anyio.sleep(TICK_S)
            await tick(anyio.current_time() - started)

    async with anyio.create_task_group() as group:
        group.start_soon(say)
        async for part in BufferedByteReceiveStream(process.stdout):
            out += part
            if len(out) > LARGEST_ANSWER:
                raise NoAnswer(f"the answer is larger than {LARGEST_ANSWER} bytes; ask for less")
        group.cancel_scope.cancel()
    return out


async def _end(process: Process) -> None:
    """Have it end as by Ctrl-C, else for good; also where the caller gave up."""
    if process.returncode is not None:
        return
    with anyio.CancelScope(shield=True):
        with anyio.move_on_after(GRACE_S):
            _signal(process, signal.SIGINT)
            await process.wait()
        if process.returncode is None:
            _signal(process, signal.SIGKILL)
            await process.wait()


def _signal(process: Process, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
