"""The audit: one JSON line for each call, in `audit.jsonl` of a folder of the state directory, for its owner only."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smos.redact import Redactor

LONGEST = 200  # characters of a text; what is cut off is counted
MOST = 30  # keys or items
_turning = threading.Lock()


@dataclass(frozen=True)
class Audit:
    """Where lines go. Who cannot be written down is not served: writing raises OSError.

    With ``largest`` a file of so many bytes becomes `audit.jsonl.1`, in place of the one before.
    """

    state_dir: Path
    redactor: Redactor
    folder: str = "mcp"
    largest: int | None = None

    @property
    def file(self) -> Path:
        """The file of the audit."""
        return self.state_dir / self.folder / "audit.jsonl"

    def tell(self, event: str, client: str, what: str, arguments: Any = None, **more: Any) -> None:
        """Write one line: ``event`` is started, done, failed or refused."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        row = {"at": now, "event": event, "client": client, "what": cut(what), **more}
        if arguments is not None:
            row["arguments"] = cut(self.redactor.data(arguments))
        line = json.dumps(row, ensure_ascii=True, default=str) + "\n"  # one line, whatever a text holds
        self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._turn_over()
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def _turn_over(self) -> None:
        if self.largest is None:
            return
        with _turning:
            if self.file.exists() and self.file.stat().st_size >= self.largest:
                self.file.replace(self.file.with_suffix(".jsonl.1"))


def cut(value: Any, depth: int = 4) -> Any:
    """A JSON-like value of a size that a line of the audit can hold."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST else f"{value[:LONGEST]}… ({len(value)} characters)"
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {cut(str(key)): cut(item, depth - 1) for key, item in list(value.items())[:MOST]}
    if isinstance(value, (list, tuple)):
        return [cut(item, depth - 1) for item in value[:MOST]]
    return value
