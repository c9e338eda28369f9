# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What tenants have in Metabase (collection, group, connection, access, dashboards) against what they should have. Pure
but for :func:`observe`; carried out by ``metabase_apply``.

The free edition shows the data of a saved question to whoever may open its collection, from any connection. So a tenant
has a connection of its own with its own read-only role, nobody but administrators may write queries, and a collection
is open to the tenant's group only.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, derive, errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import metabase as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.metabase import (
    ALL_USERS,
    CLOSED,
    NONE,
    READ,
    ROOT,
    Collection,
    Database,
    Group,
    Metabase,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase_dashboards as content
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.metabase_dashboards import (
    Content,
    DashboardSpec,
)

PRESENT, ABSENT, SUSPENDED, DISABLED = "present", "absent", "suspended", "disabled"
FEW = 10  # tenants of a call that are looked at closely: a request for each of their groups and dashboards
_DETAILS = ("host", "port", "dbname", "user", "ssl", "schema-filters-type", "schema-filters-patterns")


@dataclass(frozen=True)
class Wish:
    """What a tenant wants of Metabase, or the installation itself (``owner.SYSTEM``): it is one holder among the others."""

    tenant: str
    name: str = ""
    slug: str = ""
    state: str = PRESENT
    reason: str = ""

    @property
    def collection(self) -> str:
        """The name that people see."""
        return f"{self.name} ({self.tenant})"

    @property
    def marked(self) -> str:
        """The name of what has no description: it bears our mark in it, and administrators alone see it."""
        return f"{self.name} ({owner.mark(self.tenant)})"


@dataclass(frozen=True)
class Reader:
    """Where tenants' connections lead. ``master`` is the secret that their passwords are derived from."""

    host: str
    port: int
    database: str
    schema: str
    ssl: bool
    master: str = field(repr=False)
    user: str = ""
    own_password: str = field(default="", repr=False)
    """Of the installation's one role, which no tenant has; a tenant's are derived."""

    def details(self, wish: Wish) -> dict[str, t.Any]:
        """The connection of a tenant, without its password."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.user or role_of(wish.slug),
            "ssl": self.ssl,
            "schema-filters-type": "inclusion",
            "schema-filters-patterns": self.schema,
        }

    def password(self, tenant: str) -> str:
        """The password of the read-only role."""
        return self.own_password or derive.secret(self.master, "reader", tenant)

    def note(self, tenant: str) -> str:
        """What a connection's caveats say: our mark, and which password it has.

        The second is derived from the same secret for another purpose: it tells that the secret changed, and
        nothing about the password.
        """
        secret = self.own_password or self.master
        return f"{owner.mark(tenant)} password {derive.secret(secret, 'reader fingerprint', tenant)[:12]}"


@dataclass
class Part:
    """What bears the mark of one tenant."""

    collections: list[Collection] = field(default_factory=list)
    trash: list[Collection] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    connections: list[Database] = field(default_factory=list)


def _put(found: dict[str, Part], tenant: str | None, kind: str, each: t.Any) -> None:
    if tenant:
        getattr(found.setdefault(tenant, Part()), kind).append(each)


@dataclass(frozen=True)
class Observed:
    """What Metabase has. ``own_queries``: data permissions of groups that were looked at closely."""

    me: int
    groups: t.Sequence[Group]
    collections: t.Sequence[Collection]
    trash: t.Sequence[Collection]
    databases: t.Sequence[Database]
    revision: int
    access: api.Access
    queries: api.DataGraph
    own_queries: t.Mapping[int, api.DataGraph]
    content: t.Mapping[int, Content]

    @cached_property
    def everybody(self) -> int:
        """The id of the group that everybody is in. Raises ApiError where there is none."""
        return everybody(self.groups)

    @cached_property
    def ours(self) -> t.Mapping[str, Part]:
        """What bears our mark, by tenant; looked up for each of thousands of tenants."""
        found: dict[str, Part] = {}
        for kind, rows in (("collections", self.collections), ("trash", self.trash)):
            for each in rows:
                _put(found, owner.holder_of(each.description), kind, each)
        for kind, named in (("groups", self.groups), ("connections", self.databases)):
            for one in named:
                _put(found, owner.holder_of(one.name), kind, one)
        return found

    @cached_property
    def below(self) -> t.Mapping[int, t.Sequence[int]]:
        """The collections right below each collection."""
        found: dict[int, list[int]] = {}
        for each in self.collections:
            found.setdefault(each.parent, []).append(each.id)
        return found

    @cached_property
    def openers(self) -> t.Mapping[str, t.Sequence[tuple[int, str]]]:
        """By place: the groups of tenants that may open it, each with its tenant."""
        found: dict[str, list[tuple[int, str]]] = {}
        for tenant, part in self.ours.items():
            for group in part.groups:
                for place, level in self.access.get(group.id, {}).items():
                    if level != NONE:
                        found.setdefault(place, []).append((group.id, tenant))
        return found


@dataclass(frozen=True)
class Task:
    """What is to be done for one tenant; what is None is not there, and made where the wish is ``present``.

    ``tree``: ids of the collection and of all below it. ``close``: what groups must no longer open (group id ->
    collections). ``databases_open``: connections that the tenant's group may write queries for.
    """

    wish: Wish
    collection: Collection | None = None
    trashed: bool = False
    group: Group | None = None
    database: Database | None = None
    tree: frozenset[int] = frozenset()
    levels: t.Mapping[int, t.Mapping[str, str]] = field(default_factory=dict)
    databases_open: tuple[int, ...] = ()
    connect: bool = False  # the connection is to be made or written
    dashboards: content.Plan = field(default_factory=content.Plan)
    changes: tuple[bulk.Change, ...] = ()
    message: str = ""
    error: ApiError | None = None


def everybody(groups: t.Iterable[Group]) -> int:
    """The id of the group that everybody is in. Raises ApiError where there is none."""
    found = next((group.id for group in groups if group.magic == ALL_USERS), 0)
    if not found:
        raise ApiError("Metabase has no group All Users", errors.INVALID)
    return found


def role_of(slug: str) -> str:
    """The PostgreSQL role that reads a tenant's rows, and nothing else."""
    return f"tenant_{slug.replace('-', '_')}_reader"


# --- reading


def observe(client: Metabase, wishes: t.Sequence[Wish], concurrency: int) -> Observed:
    """Read what planning needs: eight requests however many tenants there are, one more when a collection is not there.

    A call for at most ten tenants also looks at what their groups may do and at the layout of their dashboards, a
    larger one at the layout of those that somebody else edited last. Raises ApiError.
    """
    seen = _together(
        {
            "me": client.me,
            "groups": client.groups,
            "collections": client.collections,
            "databases": client.databases,
            "access": client.access,
            "cards": client.cards,
            "dashboards": client.dashboards,
        },
        concurrency,
    )
    groups: list[Group] = seen["groups"]
    collections: list[Collection] = seen["collections"]
    there = {owner.holder_of(each.description): each.id for each in collections}
    lost = [wish for wish in wishes if wish.tenant not in there]
    mine = {there[wish.tenant] for wish in wishes if wish.tenant in there}
    queries: dict[str, t.Callable[[], t.Any]] = {"": partial(client.queries, everybody(groups))}
    if len(wishes) <= FEW:
        ruts = {wish.tenant for wish in wishes}
        queries.update(
            {str(each.id): partial(client.queries, each.id) for each in groups if owner.holder_of(each.name) in ruts}
        )
    graphs = _together(queries, concurrency)
    contents = _contents(client, seen, mine, len(wishes) <= FEW, concurrency)
    return Observed(
        me=seen["me"],
        groups=groups,
        collections=collections,
        trash=client.archived_collections() if lost else (),
        databases=seen["databases"],
        revision=seen["access"][0],
        access=seen["access"][1],
        queries=graphs.pop(""),
        own_queries={int(number): graph for number, graph in graphs.items()},
        content=contents,
    )


def content_of(client: Metabase, collections: t.AbstractSet[int]) -> dict[int, Content]:
    """What these collections hold now, and a request for the layout of each of their dashboards."""
    seen = {"cards": client.cards(), "dashboards": client.dashboards(), "me": 0}
    return _contents(client, seen, collections, closely=True, concurrency=1)


def _contents(
    client: Metabase, seen: t.Mapping[str, t.Any], mine: t.AbstractSet[int], closely: bool, concurrency: int
) -> dict[int, Content]:
    cards: dict[int, list[t.Any]] = {}
    dashboards: dict[int, list[t.Any]] = {}
    for card in seen["cards"]:
        if card.collection in mine:
            cards.setdefault(card.collection, []).append(card)
    for dashboard in seen["dashboards"]:
        if dashboard.collection in mine:
            dashboards.setdefault(dashboard.collection, []).append(dashboard)
    # In a large call only those that somebody else is known to have edited last
    doubtful = [
        each.id
        for rows in dashboards.values()
        for each in rows
        if (closely or each.editor not in (0, seen["me"])) and owner.holder_of(each.description)
    ]
    places = _together({str(number): partial(client.places, number) for number in doubtful}, concurrency)
    by_id = {int(number): rows for number, rows in places.items()}
    return {number: Content(cards.get(number, ()), dashboards.get(number, ()), by_id) for number in mine}


def _together(work: t.Mapping[str, t.Callable[[], t.Any]], concurrency: int) -> dict[str, t.Any]:
    """Do all of it at the same time; the first ApiError ends it."""
    found = run_all(work, concurrency)
    for outcome in found.values():
        if isinstance(outcome, ApiError):
            raise outcome
    return found


# --- planning


def plan(
    wishes: t.Sequence[Wish], seen: Observed, specs: t.Sequence[DashboardSpec], reader: Reader | None
) -> dict[str, Task]:
    """What to do for each tenant; touches nothing and knows no client."""
    tasks = {wish.tenant: _task(wish, seen, specs, reader) for wish in wishes}
    return _with_root(tasks, seen)


def predicted(task: Task) -> bulk.Result:
    """The result that carrying out the task will have, as far as it can be known before."""
    wish = task.wish
    result = bulk.Result(wish.tenant, bulk.REACHED[wish.state], message=task.message)
    result.changes = list(task.changes)
    if task.error is not None:
        result.fail(f"reports of {wish.collection}", task.error)
        return result
    result.created = wish.state == PRESENT and task.collection is None
    if wish.state == SUSPENDED and task.collection is None:
        result.state = bulk.ABSENT
    if result.state != bulk.ABSENT:
        result.ref = ref_of(
            task.collection.id if task.collection else 0,
            task.group.id if task.group else 0,
            task.database.id if task.database else 0,
        )
    return result


def left_alone(wish: Wish) -> bulk.Result:
    """The result of a tenant that is not looked at."""
    return bulk.Result(wish.tenant, bulk.DISABLED, message=wish.reason)


def ref_of(collection: int, group: int, database: int) -> dict[str, int]:
    """What is written down of a tenant's part in Metabase; ids that are not known are left out."""
    known = {"collection_id": collection, "group_id": group, "database_id": database}
    return {name: number for name, number in known.items() if number}


def _task(wish: Wish, seen: Observed, specs: t.Sequence[DashboardSpec], reader: Reader | None) -> Task:
    part = seen.ours.get(wish.tenant) or Part()
    for kind, rows in (
        ("collections", part.collections),
        ("groups", part.groups),
        ("connections", part.connections),
    ):
        if len(rows) > 1:
            ids = ", ".join(str(each.id) for each in rows)
            why = f"several {kind} bear the mark {owner.mark(wish.tenant)}: {ids}"
            return Task(wish, error=ApiError(why, errors.CONFLICT))
    collection = next(iter(part.collections or part.trash), None)
    task = Task(
        wish,
        collection,
        trashed=not part.collections and bool(part.trash),
        group=next(iter(part.groups), None),
        database=next(iter(part.connections), None),
        tree=frozenset() if collection is None else _tree(collection.id, seen.below),
    )
    if wish.state == ABSENT:
        return _removal(task)
    if wish.state == SUSPENDED and collection is None:
        return task
    return _present(task, seen, specs, reader)


def _tree(top: int, below: t.Mapping[int, t.Sequence[int]]) -> frozenset[int]:
    """A collection and all below it."""
    found, waiting = {top}, [top]
    while waiting:
        fresh = set(below.get(waiting.pop(), ())) - found
        found |= fresh
        waiting += fresh
    return frozenset(found)


def _removal(task: Task) -> Task:
    wish = task.wish
    changes = [
        bulk.Change("delete", what, {"name": each.name})
        for what, each in (
            (f"collection {wish.collection}", task.collection),
            (f"group {wish.marked}", task.group),
            (f"connection {wish.marked}", task.database),
        )
        if each is not None
    ]
    return _changed(task, changes)


def _present(task: Task, seen: Observed, specs: t.Sequence[DashboardSpec], reader: Reader | None) -> Task:
    """A tenant that shall have its part, open (``present``) or closed (``suspended``)."""
    wish = task.wish
    changes = [*_names(task), *_connection(task, reader)] if wish.state == PRESENT else []
    connects = any(change.what.startswith("connection ") for change in changes)
    levels, closing = _levels(task, seen)
    opened, opening = _open_databases(task, seen)
    changes += [*closing, *opening]
    message, dashboards = "", content.Plan()
    if wish.state == PRESENT and reader is None:
        message = "no connection and no dashboards: metabase_reader_host is not set"
    elif wish.state == PRESENT and not task.trashed:
        has = seen.content.get(task.collection.id, Content()) if task.collection else Content()
        number = task.database.id if task.database else 0
        dashboards = content.plan(specs, wish.tenant, wish.collection, number, has)
        changes += dashboards.changes
    if dashboards.in_the_way:
        return _changed(task, (), error=ApiError(dashboards.in_the_way, errors.CONFLICT))
    return _changed(
        task,
        changes,
        levels=levels,
        databases_open=opened,
        connect=connects,
        dashboards=dashboards,
        message=message,
    )


def _changed(task: Task, changes: t.Iterable[bulk.Change], **more: t.Any) -> Task:
    return replace(task, changes=tuple(changes), **more)


def _names(task: Task) -> t.Iterator[bulk.Change]:
    """Collection and group: made, renamed, brought back from the trash."""
    wish = task.wish
    if task.collection is None:
        yield bulk.Change(
            "create", f"collection {wish.collection}", None, {"name": wish.collection, "open to": wish.marked}
        )
    else:
        before = {"name": task.collection.name, "archived": task.trashed}
        yield from _difference(f"collection {wish.collection}", before, {"name": wish.collection, "archived": False})
    if task.group is None:
        yield bulk.Change("create", f"group {wish.marked}", None, {"name": wish.marked})
    else:
        yield from _difference(f"group {wish.marked}", {"name": task.group.name}, {"name": wish.marked})


def _difference(what: str, before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> t.Iterator[bulk.Change]:
    names = [name for name in after if before[name] != after[name]]
    if names:
        yield bulk.Change("update", what, {n: before[n] for n in names}, {n: after[n] for n in names})


def _connection(task: Task, reader: Reader | None) -> t.Iterator[bulk.Change]:
    if reader is None:
        return
    wish, wanted = task.wish, reader.details(task.wish)
    what = f"connection {wish.marked}"
    if task.database is None:
        yield bulk.Change("create", what, None, {"name": wish.marked, **wanted})
        return
    has = task.database.details
    before = {"name": task.database.name, **{name: has.get(name) for name in _DETAILS}}
    noted = task.database.note == reader.note(wish.tenant)
    before["password"] = "as derived" if noted else "another, or not known"
    yield from _difference(what, before, {"name": wish.marked, **wanted, "password": "as derived"})


def _levels(task: Task, seen: Observed) -> tuple[dict[int, dict[str, str]], list[bulk.Change]]:
    """Who must be let in or kept out of what, as a part of the collection graph; and the same in words.

    Of a collection or group that is still to be made nothing is told here: that it is closed is part of making it.
    """
    if task.collection is None or task.trashed:
        return {}, []
    wanted: dict[tuple[int, str], str] = {}
    tree = {str(number) for number in task.tree}
    wanted.update({(seen.everybody, place): NONE for place in tree})
    if task.group is not None:
        for place in seen.access.get(task.group.id, {}):
            wanted[task.group.id, place] = NONE
        level = READ if task.wish.state == PRESENT else NONE
        wanted.update({(task.group.id, place): level for place in tree})
    for place in tree:
        foreign = (number for number, tenant in seen.openers.get(place, ()) if tenant != task.wish.tenant)
        wanted.update({(number, place): NONE for number in foreign})
    graph: dict[int, dict[str, str]] = {}
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    for (group_id, place), level in sorted(wanted.items()):
        now = seen.access.get(group_id, {}).get(place, NONE)
        if now != level:
            graph.setdefault(group_id, {})[place] = level
            label = f"{_name_of(group_id, seen.groups)} in {_place_name(place, seen.collections)}"
            before[label], after[label] = now, level
    changes = [bulk.Change("update", f"access to {task.wish.collection}", before, after)] if graph else []
    return graph, changes


def _name_of(number: int, rows: t.Iterable[t.Any]) -> str:
    return next((str(each.name) for each in rows if each.id == number), "something unnamed")


def _place_name(place: str, collections: t.Iterable[Collection]) -> str:
    return "the top collection" if place == ROOT else _name_of(int(place) if place.isdigit() else 0, collections)


def _open_databases(task: Task, seen: Observed) -> tuple[tuple[int, ...], list[bulk.Change]]:
    """Connections for which the tenant's group, or for its own one everybody, may write queries."""
    before: dict[str, t.Any] = {}
    if task.database is not None and seen.queries.queries.get(task.database.id, CLOSED) != CLOSED:
        before[f"All Users on {task.database.name}"] = _level(seen.queries.queries[task.database.id])
    graph = seen.own_queries.get(task.group.id) if task.group else None
    opened = {number: level for number, level in (graph.queries if graph else {}).items() if level != CLOSED}
    for number, level in sorted(opened.items()):
        before[f"{task.group.name if task.group else ''} on {_name_of(number, seen.databases)}"] = _level(level)
    if not before:
        return (), []
    change = bulk.Change("update", f"queries of {task.wish.marked}", before, dict.fromkeys(before, CLOSED))
    return tuple(sorted(opened)), [change]


def _level(level: t.Any) -> str:
    return level if isinstance(level, str) else "some tables"


def _with_root(tasks: dict[str, Task], seen: Observed) -> dict[str, Task]:
    """New collections get the access of the top one: everybody must be kept out of it first. Told with the first tenant."""
    level = seen.access.get(seen.everybody, {}).get(ROOT, NONE) if seen.groups else NONE
    first = next((task for task in tasks.values() if task.wish.state == PRESENT and task.error is None), None)
    if level == NONE or first is None:
        return tasks
    change = bulk.Change("update", "access of All Users to the top collection", {"level": level}, {"level": NONE})
    return {**tasks, first.wish.tenant: _changed(first, (change, *first.changes))}
