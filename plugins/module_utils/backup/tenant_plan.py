# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which rows are one tenant's, decided from descriptions and from what a database says of its tables. Nothing here asks one."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restore_plan, tenant_data
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import ID
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql_sql import name, text
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_data import Description, Rows

TENANT = "tenant"  # in the name of a scratch database
ORDINARY, CASCADE = "r", "c"  # as PostgreSQL files tables and rules of references
_TABLE = re.compile(r"\[(\w+)\]")
_PLACE = re.compile(r"\[(\w+)\]|\{(\w+)\}")
_SCRATCH = re.compile(r"_tenant_(\d{8}-\d{6})\Z")

Json = dict[str, t.Any]


@dataclass(frozen=True)
class Tenant:
    """Whose data are brought back. ``refs``: what the registry knows of the tenant in each service."""

    id: str  # canonical RUT
    slug: str
    refs: t.Mapping[str, t.Mapping[str, t.Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """A foreign key. ``rule``: what becomes of the row when the one that it refers to goes."""

    name: str
    table: str
    columns: t.Sequence[str]
    parent: str
    keys: t.Sequence[str]
    rule: str


@dataclass(frozen=True)
class Table:
    """A table as the database tells it. ``columns``: name, type, whether it must have a value; generated ones are not in it."""

    name: str
    kind: str
    owner: str
    columns: t.Sequence[tuple[str, str, bool]]
    generated: t.Sequence[str] = ()
    keys: t.Sequence[str] = ()
    sequences: t.Mapping[str, str] = field(default_factory=dict)  # by column
    references: t.Sequence[Reference] = ()

    @property
    def names(self) -> list[str]:
        """Of the columns that can be written."""
        return [each[0] for each in self.columns]


@dataclass(frozen=True)
class Part:
    """The tenant's rows of one table."""

    table: Table
    where: str
    add: bool = False


@dataclass(frozen=True)
class Choice:
    """The services of which the tenant's rows are brought back, and what is said of the others."""

    services: t.Mapping[str, t.Mapping[str, t.Sequence[str]]]  # by service: the tenant's values
    notes: t.Sequence[str] = ()


def choose(tenant: Tenant, here: t.Collection[str], wanted: t.Sequence[str], backup: str) -> Choice:
    """The services, of those that are on this machine. Raises Refused where one that was named cannot be, or none is left."""
    apart = {
        each: f"{each}: one tenant's data cannot be brought back without the others': {why}"
        for each, why in tenant_data.APART.items()
        if each in here
    }
    for each in wanted:
        if each in apart:
            raise Refused(apart[each], restore_plan.INVALID, _instead(each, backup))
        if each not in tenant_data.TOGETHER:
            why = f"{each} keeps nothing by tenant"
            raise Refused(why, restore_plan.INVALID, f"Choose from {', '.join(tenant_data.TOGETHER)}")
        if each not in here:
            raise Refused(
                f"{each} is not installed on this machine", restore_plan.UNUSABLE, "Deploy it: smos deploy backend"
            )
    notes = [] if wanted else [f"{why}; {_instead(each, backup, '')}" for each, why in apart.items()]
    found: dict[str, t.Mapping[str, t.Sequence[str]]] = {}
    for each in tenant_data.TOGETHER:
        if each not in here or (wanted and each not in wanted):
            continue
        values = tenant_data.values(each, tenant.id, tenant.refs.get(each) or {})
        if values is None:
            notes.append(f"{each}: the registry knows nothing of {tenant.slug} there")
        else:
            found[each] = values
    if not found:
        why = f"no service of this machine gives back what {tenant.slug} has alone"
        raise Refused("; ".join([why, *notes]), restore_plan.INVALID, "Restore whole services: smos restore --help")
    return Choice(found, notes)


def tables_of(told: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, Table]:
    """The tables in what a database says (see `tenant_sql.TABLES`), by name."""
    return {each["name"]: _table(each) for each in told}


def parts_of(
    described: Description, tables: t.Mapping[str, Table], values: t.Mapping[str, t.Sequence[str]]
) -> dict[str, Part]:
    """The tenant's rows, by table: what is described, and what goes when one of those rows goes. Raises Refused."""
    return _Finder(described, tables, values).find()


def same_tables(database: str, backup: str, then: t.Mapping[str, Part], now: t.Mapping[str, Part]) -> None:
    """Refuse where the tenant's tables are others in the backup than here. Raises Refused."""
    following = (
        "Deploy the release of the backup first, or choose a backup that was taken since the last deploy (smos backups)"
    )
    for table in sorted({*then, *now}):
        if table not in then or table not in now:
            where = "here" if table in now else f"in backup {backup}"
            raise Refused(f"table {table} of {database} is only {where}", restore_plan.UNUSABLE, following)
        old, new = (_shape(each[table].table) for each in (then, now))
        if old != new:
            told = ", ".join(sorted({each[0] for each in set(old) ^ set(new)}))
            why = f"table {table} of {database} has other columns in backup {backup} than here: {told}"
            raise Refused(why, restore_plan.UNUSABLE, following)


def rendered(condition: str, values: t.Mapping[str, t.Sequence[str]], wheres: t.Mapping[str, str]) -> str:
    """A condition with the tenant's values, and with the conditions of the tables that it names."""

    def told(found: re.Match[str]) -> str:
        table, value = found[1], found[2]
        if value:
            return _listed(values[value])
        return f"(SELECT * FROM {name(table)} WHERE {wheres[table]}) {name(table)}"  # noqa: S608 - quoted by `name`

    return _PLACE.sub(told, condition)  # at once: a value may look like a place


def scratch(database: str, backup: str) -> str:
    """The database that a backup is filled into."""
    return restore_plan.sibling(database, TENANT, backup)


def leftovers(database: str, there: t.Iterable[str]) -> list[str]:
    """The scratch databases of runs that died."""
    found = [(each, _SCRATCH.search(each)) for each in there]
    return sorted(each for each, end in found if end and ID.match(end[1]) and scratch(database, end[1]) == each)


def references(parts: t.Mapping[str, Part], tables: t.Mapping[str, Table]) -> list[Reference]:
    """The foreign keys that an exchange of these rows may break: of them, and to them."""
    return [
        each
        for table in tables.values()
        for each in table.references
        if each.parent in tables and (table.name in parts or each.parent in parts)
    ]


class _Finder:
    def __init__(
        self, described: Description, tables: t.Mapping[str, Table], values: t.Mapping[str, t.Sequence[str]]
    ) -> None:
        self._described = described
        self._tables = tables
        self._values = values
        self._rules: dict[str, list[str]] = {}
        self._add: set[str] = set()
        self._wheres: dict[str, str] = {}

    def find(self) -> dict[str, Part]:
        self._gather()
        for table in self._rules:
            self._where(table)
        self._descend()
        for table in self._wheres:
            if self._tables[table].kind != ORDINARY:
                why = f"table {table} of {self._described.database} is partitioned"
                raise Refused(why, restore_plan.UNUSABLE, "Restore the whole service")
        return {
            each: Part(self._tables[each], where, each in self._add) for each, where in sorted(self._wheres.items())
        }

    def _gather(self) -> None:
        """The rules for the tables that are there, each with the tables that it names."""
        every = [
            Rows(table.name, f"{name(column)} IN ({values})")
            for column, values in self._described.columns.items()
            for table in self._tables.values()
            if column in table.names
        ]
        left = [*every, *(each for each in self._described.rows if each.table in self._tables)]
        while True:  # a rule that is passed over takes those along that name its table
            known = {each.table for each in left}
            kept = [each for each in left if set(_TABLE.findall(each.where)) <= known]
            if len(kept) == len(left):
                break
            left = kept
        for each in left:
            self._rules.setdefault(each.table, []).append(each.where)
            if each.add:
                self._add.add(each.table)

    def _where(self, table: str) -> str:
        if table not in self._wheres:
            rules = self._rules[table]
            named = sorted({found for each in rules for found in _TABLE.findall(each)})
            wheres = {each: self._where(each) for each in named}
            self._wheres[table] = " OR ".join(f"({rendered(each, self._values, wheres)})" for each in rules)
        return self._wheres[table]

    def _descend(self) -> None:
        """What goes with a row belongs to it. Rows that others share take nothing along."""
        while True:
            new: dict[str, list[str]] = {}
            for table in self._tables.values():
                for each in () if table.name in self._wheres else table.references:
                    if each.rule == CASCADE and each.parent in self._wheres and each.parent not in self._add:
                        new.setdefault(table.name, []).append(self._of_parent(each))
            if not new:
                return
            self._wheres.update({table: " OR ".join(rules) for table, rules in new.items()})

    def _of_parent(self, each: Reference) -> str:
        mine, theirs = (", ".join(map(name, names)) for names in (each.columns, each.keys))
        # Named by its table, so that a column of the child is never taken for one of the parent
        return f"(({mine}) IN (SELECT {theirs} FROM {name(each.parent)} WHERE {self._wheres[each.parent]}))"  # noqa: S608 - quoted by `name`


def _table(told: t.Mapping[str, t.Any]) -> Table:
    columns = [each for each in told["columns"] or () if not each["generated"]]
    return Table(
        name=told["name"],
        kind=told["kind"],
        owner=told["owner"],
        columns=tuple((each["name"], each["type"], bool(each["needed"])) for each in columns),
        generated=tuple(each["name"] for each in told["columns"] or () if each["generated"]),
        keys=tuple(told["keys"] or ()),
        sequences={each["name"]: each["sequence"] for each in columns if each["sequence"]},
        references=tuple(
            Reference(each["name"], told["name"], each["columns"], each["parent"], each["keys"], each["rule"])
            for each in told["references"] or ()
        ),
    )


def _shape(table: Table) -> set[tuple[str, str, bool]]:
    return {*table.columns, *((each, "generated", False) for each in table.generated)}


def _listed(values: t.Sequence[str]) -> str:
    """Literals for IN; where there are none, nothing is in it."""
    return ", ".join(text(each) for each in values) or "NULL"


def _instead(service: str, backup: str, beginning: str = "I") -> str:
    told = tenant_data.INSTEAD.format(service=service, backup=backup)
    return told[0].upper() + told[1:] if beginning else f"instead, {told}"
