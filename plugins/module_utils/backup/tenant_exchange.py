# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One tenant's rows of one database exchanged for those of a scratch database, in a transaction that is ended by whoever has
seen that all is well. Until then, and wherever this process ends before, the database is as it was.
"""

from __future__ import annotations

import json
import types
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import tenant_plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import tenant_sql as sql
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check, equal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server, Session
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_data import Description
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_plan import Part, Table

Sum = tuple[int, str]  # rows, and a sum of what is in them
NOTHING: Sum = (0, "0")


class Held:
    """What a scratch database holds of the tenant. Methods raise PostgresError."""

    def __init__(self, server: Server, database: str) -> None:
        self.database = database
        self._server = server

    def tables(self) -> dict[str, Table]:
        """Its tables."""
        return tables(self._server, self.database)

    def measure(self, parts: t.Sequence[Part]) -> list[Sum]:
        """The tenant's rows by table, in this order; from here on they are known by short names."""
        self._server.rows(sql.views(parts), self.database)
        found = dict(_sum(each) for each in self._server.rows(sql.measure_views(len(parts)), self.database))
        return [found[at] for at in range(len(parts))]

    def lacking(self, described: Description, parts: t.Mapping[str, Part]) -> list[int]:
        """How many rows refer to nothing in the backup itself, for each need that is described."""
        return [
            int(self._server.rows(sql.speak() + sql.needed(parts[table], *rest), self.database)[0])
            for table, *rest in _needs(described, parts, self.tables())
        ]

    def rows(self, query: str) -> list[str]:
        """What a query says."""
        return self._server.rows(f"{sql.speak()}{query};", self.database)


class Exchange:
    """The exchange in one database, as a context: left without `commit`, nothing has happened."""

    def __init__(
        self,
        server: Server,
        described: Description,
        parts: t.Mapping[str, Part],
        known: t.Mapping[str, Table],
        values: t.Mapping[str, t.Sequence[str]],
    ) -> None:
        self._server = server
        self._described = described
        self._parts = list(parts.values())
        self._by_name = parts
        self._tables = known
        self._values = values
        self._references = tenant_plan.references(parts, known)
        self._session: Session | None = None

    def __enter__(self) -> Exchange:
        self._session = self._server.session(self._described.database)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._session is not None:
            self._session.close()

    def make(self, scratch: str, sums: t.Sequence[Sum], lacking: t.Sequence[int]) -> list[Check]:
        """Do it; gives what was looked at afterwards. ``sums`` and ``lacking`` are what the backup holds."""
        needed = {each[2] for each in _needs(self._described, self._by_name, self._tables)}
        touched = {name for each in self._references for name in (each.table, each.parent)} | needed
        self._ask(sql.begin(self._parts, sorted(touched - set(self._by_name))))
        before = {at: (every, mine) for at, every, mine in map(json.loads, self._ask(sql.totals(self._parts)))}
        self._ask(sql.exchange(self._parts, scratch, self._server.superuser))
        self._raise_sequences()
        return [*self._rows(before, sums), *self._refer(lacking)]

    def commit(self) -> None:
        """From here on it has happened."""
        self._ask("COMMIT;")

    def _ask(self, script: str) -> list[str]:
        return t.cast(Session, self._session).rows(script)

    def _raise_sequences(self) -> None:
        for part in self._parts:
            for column, sequence in part.table.sequences.items():
                self._ask(sql.raise_sequence(sequence, part.table.name, column))
        for each in self._described.counters:
            if each.table in self._by_name:
                sequence = each.name.format(**{key: found[0] for key, found in self._values.items()})
                self._ask(sql.own_sequence(sequence, self._by_name[each.table], each.column))

    def _rows(self, before: t.Mapping[int, tuple[int, int]], sums: t.Sequence[Sum]) -> list[Check]:
        """The tenant's rows are those of the backup, and of everybody else's none came and none went."""
        after = dict(map(json.loads, self._ask(sql.counted(self._parts))))
        mine = dict(_sum(each) for each in self._ask(sql.measured(self._parts)))
        checks = []
        for at, part in enumerate(self._parts):
            what = f"{self._described.database}.{part.table.name}"
            every, gone = before[at]
            if part.add:
                checks.append(equal(f"rows of {what} that the tenant's rows need and that are missing", 0, mine[at][0]))
                continue
            if (gone, sums[at]) == (0, NOTHING) and mine[at] == NOTHING and after[at] == every:
                continue  # nothing of the tenant, before and after
            checks.append(equal(f"rows of the tenant in {what}", sums[at][0], mine[at][0]))
            checks.append(Check(f"content of these rows in {what}", sums[at] == mine[at], sums[at][1], mine[at][1]))
            checks.append(equal(f"rows of others in {what}", every - gone, after[at] - mine[at][0]))
        return checks

    def _refer(self, lacking: t.Sequence[int]) -> list[Check]:
        """No row refers to one that is not there, of the tenant's or anybody's."""
        checks = []
        for each in self._references:
            what = f"rows of {self._described.database}.{each.table} that refer to a row of {each.parent} that is not there"
            checks.append(equal(f"{what} ({each.name})", 0, int(self._ask(sql.dangling(each))[0])))
        for (table, *rest), told in zip(_needs(self._described, self._by_name, self._tables), lacking):
            found = int(self._ask(sql.needed(self._by_name[table], *rest))[0])
            what = f"rows of {self._described.database}.{table} whose {rest[0]} is in {rest[1]} no more"
            checks.append(Check(what, found <= told, told, found))
        return checks


def tables(server: Server, database: str) -> dict[str, Table]:
    """The tables of a database. Raises PostgresError."""
    return tenant_plan.tables_of(json.loads(each) for each in server.rows(sql.speak() + sql.TABLES, database))


def _needs(
    described: Description, parts: t.Mapping[str, Part], known: t.Mapping[str, Table]
) -> list[tuple[str, str, str, str]]:
    """The needs whose tables are there: table, column, parent, key."""
    return [
        (each.table, each.column, each.parent, each.key)
        for each in described.needs
        if each.table in parts and each.parent in known
    ]


def _sum(told: str) -> tuple[int, Sum]:
    at, rows, total = json.loads(told)
    return int(at), (int(rows), str(total))
