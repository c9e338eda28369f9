"""Run records: one JSON file per run in the state directory, without secrets."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smos.redact import Redactor

BEHALF = "SMOS_BEHALF"  # for whom a program runs commands; told beside the account that runs them
PANEL = "panel "  # what the commands of `smos panel` begin with
_LONGEST_BEHALF = 60  # characters


def new_id(now: datetime | None = None) -> str:
    """A run id: `YYYYMMDD-HHMMSS-xxxx`, local time."""
    return f"{now or datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class Records:
    """The records of one state directory."""

    state_dir: Path
    redactor: Redactor

    @property
    def folder(self) -> Path:
        """Where the records lie."""
        return self.state_dir / "runs"

    def begin(self, run: str, command: str, env: str, arguments: list[str], behalf: str = "") -> None:
        """Write the record of a run that starts; it says `running` until it is ended. ``behalf``: whom it is for."""
        self._write(
            run,
            {
                "run": run,
                "command": command,
                "env": env,
                "arguments": self.redactor.arguments(arguments),
                "who": _who(behalf or os.environ.get(BEHALF, "")),
                "pid": os.getpid(),
                "started_at": _now(),
                "state": "running",
            },
        )

    def end(self, run: str, document: Mapping[str, Any], changes: list[dict[str, Any]], state: str) -> None:
        """Complete the record with what the run came to."""
        record = {**self.read(run), "ended_at": _now(), "state": state, "changes": changes}
        record.update({key: document[key] for key in ("ok", "changed", "duration_s", "result", "errors")})
        self._write(run, self.redactor.data(record))

    def read(self, run: str) -> dict[str, Any]:
        """One record. Raises FileNotFoundError."""
        record: dict[str, Any] = json.loads((self.folder / f"{run}.json").read_text(encoding="utf-8"))
        if record.get("state") == "running" and not _running(record):
            record["state"] = "died"
        return record

    def all(self, limit: int) -> Iterator[dict[str, Any]]:
        """The newest records first, at most ``limit``."""
        names = sorted((path.stem for path in self.folder.glob("*.json")), reverse=True) if self.folder.is_dir() else []
        for name in names[:limit]:
            yield self.read(name)

    def _write(self, run: str, record: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.folder / f".{run}.part"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(record, file, ensure_ascii=False, indent=1)
        part.replace(self.folder / f"{run}.json")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _who(behalf: str) -> str:
    account = f"{_user()}@{socket.gethostname()}"
    return f"{account} for {behalf}" if behalf.isprintable() and 0 < len(behalf) <= _LONGEST_BEHALF else account


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _running(record: Mapping[str, Any]) -> bool:
    try:
        os.kill(int(record["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
