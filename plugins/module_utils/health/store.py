# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The database of the collector: makes what is missing there, and writes passes."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Sequence

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import rows, schema
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.rows import Rows

ANSWER_S = 60.0
AT_ONCE = 200  # parts of what is sent in one step: some hours of 1,000 tenants
_VERSION = "SELECT version FROM health.meta;"
_THERE = "SELECT to_regclass('health.v_availability') IS NOT NULL;"


class Store:
    """Schema ``health`` of one database. Methods raise PostgresError and EngineError."""

    def __init__(self, server: Server, database: str) -> None:
        self._server = server
        self._database = database

    def ready(self) -> None:
        """Make what is missing."""
        try:
            found = self._server.rows(_VERSION, self._database, ANSWER_S)
        except PostgresError as exc:
            if "health.meta" not in exc.message:
                raise
            found = []
        if found != [str(schema.VERSION)]:
            self._server.rows(schema.made(), self._database, ANSWER_S)

    def write(self, parts: Sequence[Rows]) -> None:
        """Write these parts, the oldest first."""
        for first in range(0, len(parts), AT_ONCE):
            together = rows.together(parts[first : first + AT_ONCE])
            self._server.rows(schema.written(together), self._database, ANSWER_S)

    def clean(self, now: int) -> None:
        """Take away what is too old."""
        self._server.rows(schema.cleaned(now), self._database, ANSWER_S)

    def history(self, days: int, zone: str) -> dict[str, t.Any]:
        """Availability and incidents of the last days of a time zone, today's with them; nothing before the first look."""
        if self._server.rows(_THERE, self._database, ANSWER_S) != ["t"]:
            return {"days": days, "subjects": [], "incidents": []}
        found = self._server.rows(schema.history(days, zone), self._database, ANSWER_S)
        answer: dict[str, t.Any] = json.loads(found[0])
        return answer
