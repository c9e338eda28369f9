# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The digests of past days, a file each, and what of them was sent. Only the owner of the files may read them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.messages_outbox import Outbox
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import FAILED, Stop

KEPT_DAYS = 400


class History:
    """The folder of one environment: ``<date>.json``, and ``sent.jsonl`` with every message before and after it went."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def outbox(self) -> Outbox:
        """What was sent. One that may have been sent counts as sent."""
        return Outbox(self.folder / "sent.jsonl")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else sends meanwhile; waits for who does. Raises Stop where the folder cannot be written."""
        with self._usable():
            self._make()
            handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def keep(self, day: date, digest: dict[str, Any]) -> Path:
        """Write the digest of a day, whole or not at all, and forget those that are too old. Raises Stop."""
        path = self.folder / f"{day.isoformat()}.json"
        with self._usable():
            self._make()
            part = self.folder / f".{path.name}.{os.getpid()}.part"
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(digest, file, ensure_ascii=False, indent=1)
            part.replace(path)
            for old in self._days():
                if day - old > timedelta(days=KEPT_DAYS):
                    (self.folder / f"{old.isoformat()}.json").unlink(missing_ok=True)
        return path

    def _days(self) -> Iterator[date]:
        for path in self.folder.glob("????-??-??.json"):
            try:
                yield date.fromisoformat(path.stem)
            except ValueError:
                continue

    def _make(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            following = "Make the folder writable for this user, then run it again: nothing was sent"
            raise Stop(FAILED, [row("the history", str(exc.strerror), str(self.folder), following)]) from None
