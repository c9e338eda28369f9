"""`smos logs`: what services write, read over SSH; several at once get a coloured prefix each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from smos import exitcodes, remote, vps_ready, work
from smos.outcome import Outcome, Speaker, failure
from smos.settings import Settings

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
# Every container of a service's stack; `sh` looks them up on the machine, so that one login is enough. An old Engine may never
# end the log of a service that was deployed often, hence the limit. Following ends on the machine when our end of stdin is gone,
# however we end: sshd tells a command without a terminal nothing.
SCRIPT = """set -eu
found=$(docker service ls --quiet --filter label=cl.smarteros.service="$1" --format '{{.Name}}')
[ -n "$found" ] || { exit 9; }
limit="timeout 30"
[ -z "$3" ] || limit=
trap 'kill 0' EXIT INT TERM HUP
exec 3<&0
[ -z "$3" ] || { cat <&3 >/dev/null; kill 0; } &
for each in $found; do $limit docker service logs --raw --tail "$2" $3 "$each" 2>&1 & done
wait
trap - EXIT
"""
NOT_DEPLOYED = 9


def carry_out(services: Sequence[str], lines: int, follow: bool, settings: Settings) -> int:
    """Show the last lines of these services, and with ``follow`` every further one until Ctrl-C; gives the exit code."""
    vps_ready.ready(settings, images=False)
    project = work.project_for(settings)
    _check(services, project.specs_dir)
    machine = remote.machine(project, settings)
    speaker = Speaker("logs", settings.env, settings.as_json)
    commands = {name: machine.ssh(_command(name, lines, follow)) for name in services}
    try:
        running = {name: _start(words) for name, words in commands.items()}
    except FileNotFoundError as exc:
        raise failure(
            exitcodes.UNUSABLE, "ssh", "it is not installed", "this machine", "Install an OpenSSH client"
        ) from exc
    kept = _Printer(list(services), settings)
    readers = [
        threading.Thread(target=kept.take, args=(name, each.stdout), daemon=True) for name, each in running.items()
    ]
    for reader in readers:
        reader.start()
    with _ending(list(running.values())) as stopped:
        codes = {name: each.wait() for name, each in running.items()}
    for reader in readers:
        reader.join()
    if stopped:
        return exitcodes.DONE if follow else exitcodes.INTERRUPTED
    errors = tuple(_error(name, code, machine.host, kept.last[name]) for name, code in codes.items() if code != 0)
    outcome = Outcome({"logs": kept.lines}, errors, code=exitcodes.UNUSABLE if errors else exitcodes.DONE)
    return speaker.finish(outcome)


@contextmanager
def _ending(running: Sequence[subprocess.Popen[str]]) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM end the logins, and by that the wait for them; the signals that came are told."""
    came: list[int] = []

    def end(number: int, _frame: object) -> None:
        came.append(number)
        for each in running:
            os.killpg(each.pid, signal.SIGTERM)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _command(service: str, lines: int, follow: bool) -> list[str]:
    return ["sh", "-c", SCRIPT, "logs", service, str(lines), "--follow" if follow else ""]


def _start(words: Sequence[str]) -> subprocess.Popen[str]:
    # Of its own session, so that Ctrl-C is for us alone; and away from our stderr, which ssh would make non-blocking
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


class _Printer:
    """Prints lines as they come, or keeps them for a JSON document."""

    def __init__(self, services: Sequence[str], settings: Settings) -> None:
        from rich.console import Console

        self.lines: dict[str, list[str]] = {name: [] for name in services}
        self.last = dict.fromkeys(services, "")
        self._console = Console(highlight=False, soft_wrap=True)
        self._keep = settings.as_json
        self._width = max(map(len, services))
        self._lock = threading.Lock()

    def take(self, service: str, stream: IO[str] | None) -> None:
        """Read a service's lines to the end."""
        colour = COLOURS[list(self.lines).index(service) % len(COLOURS)]
        for line in stream or ():
            text = self.last[service] = line.rstrip()
            with self._lock:
                if self._keep:
                    self.lines[service].append(text)
                elif len(self.lines) == 1:
                    print(text, flush=True)
                else:
                    self._console.print(f"{service:<{self._width}} | ", style=colour, end="")
                    self._console.print(text, markup=False)
                    sys.stdout.flush()


def _check(services: Sequence[str], specs_dir: Path) -> None:
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs

    known = [entry["id"] for entry in specs.load(specs_dir).machine_services]
    for name in services:
        if name not in known:
            following = f"Choose from {', '.join(sorted(known))}"
            raise failure(exitcodes.INVALID, name, "no service of the machine has this id", "", following)


def _error(service: str, code: int, host: str, last: str) -> dict[str, str]:
    if code == NOT_DEPLOYED:
        return {
            "what": service,
            "where": host,
            "why": "it is not deployed",
            "next": f"smos deploy backend --service {service}",
        }
    why = f"reading its log over SSH ended with {code}: {last}"
    return {"what": service, "where": host, "why": why, "next": "See `smos doctor`"}
