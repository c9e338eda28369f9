# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The rows of tenants in Supabase: what is wished against what the tables hold, and how the difference is closed.

Ours are a tenant's row, its settings but for those that begin with ``app.``, and all its services. Members and audit
events are the application's: they go with the tenant's row (events stay, without a name), and are never written here.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    REACHED,
    SUSPENDED,
    Change,
    Result,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase import NAMES, Row, Supabase, among
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_http import MISSING_TABLE
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

TENANTS, SETTINGS, SERVICES = "tenants", "tenant_settings", "tenant_services"
KEYS: t.Mapping[str, tuple[str, ...]] = {
    TENANTS: ("id",),
    SETTINGS: ("tenant_id", "key"),
    SERVICES: ("tenant_id", "service"),
}
COLUMNS = (
    "slug",
    "name",
    "domain",
    "custom_domain",
    "plan",
    "template",
    "industry",
    "owner_name",
    "owner_email",
    "owner_phone",
)
BUCKETS = "tenant-"  # what the names of the tenants' buckets begin with
BATCH = 500  # rows per request: about 150 kB
_STATES = {**REACHED, "deleted": SUSPENDED}
_STATUS = {"present": "active", "suspended": "suspended", "deleted": "deleted"}


@dataclass(frozen=True)
class Wish:
    """What one tenant shall have. ``state``: present, suspended, deleted, absent or disabled (nothing is looked at)."""

    tenant: str
    state: str = "present"
    row: t.Mapping[str, t.Any] = field(default_factory=dict)
    settings: t.Mapping[str, t.Any] = field(default_factory=dict)
    services: t.Mapping[str, str] = field(default_factory=dict)
    message: str = ""


@dataclass
class Seen:
    """What the tables hold of the tenants in question."""

    rows: dict[str, Row] = field(default_factory=dict)  # by tenant
    settings: dict[str, dict[str, t.Any]] = field(default_factory=dict)  # tenant -> key -> value
    services: dict[str, dict[str, str]] = field(default_factory=dict)  # tenant -> service -> state
    files: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # tenant to remove -> bucket -> paths


@dataclass
class Todo:
    """What one tenant needs; what is empty needs nothing."""

    wish: Wish
    fresh: bool = False  # it has no row yet
    upsert: Row = field(default_factory=dict)  # its row, whole
    status: Row = field(default_factory=dict)  # only these columns of its row
    settings: dict[str, t.Any] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)  # services that nobody wishes
    delete: bool = False
    files: dict[str, list[str]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


def wish_of(item: t.Mapping[str, t.Any]) -> Wish:
    """A module's item as a wish."""
    given = item.get("row") or {}
    row = {name: given.get(name) or (None if name == "custom_domain" else "") for name in COLUMNS}
    status = {"status": _STATUS.get(item["state"], "active"), "deleted_at": None}
    if item["state"] == "deleted":
        status["deleted_at"] = moment(item.get("deleted_at") or "1970-01-01T00:00:00Z")
    return Wish(
        item["tenant"],
        item["state"],
        {**row, **status},
        dict(item.get("settings") or {}),
        dict(item.get("services") or {}),
        item.get("reason") or "",
    )


def observe(client: Supabase, wishes: t.Sequence[Wish], foretell: bool) -> Seen:
    """Read what there is of the tenants. ``foretell``: tables that are not there yet count as empty."""
    tenants = [wish.tenant for wish in wishes if wish.state != "disabled"]
    if not tenants:
        return Seen()
    try:
        return _read(client, tenants, wishes)
    except ApiError as exc:
        if exc.code not in MISSING_TABLE:
            raise
    if foretell:
        return Seen()
    for table in (TENANTS, SETTINGS, SERVICES):
        client.wait_for(table)
    return _read(client, tenants, wishes)


def plan(wishes: t.Sequence[Wish], seen: Seen) -> dict[str, Todo]:
    """What every tenant needs, by tenant, in the order of the wishes. Pure."""
    todos: dict[str, Todo] = {}
    for wish in wishes:
        todo = todos[wish.tenant] = Todo(wish, fresh=wish.tenant not in seen.rows)
        if wish.state == "present":
            _plan_row(todo, seen.rows.get(wish.tenant))
            _plan_settings(todo, seen.settings.get(wish.tenant, {}))
            _plan_services(todo, seen.services.get(wish.tenant, {}))
        elif wish.state in ("suspended", "deleted"):
            _plan_status(todo, seen.rows.get(wish.tenant))
        elif wish.state == "absent":
            _plan_absent(todo, seen)
    return todos


def foretold(todos: t.Mapping[str, Todo]) -> list[Result]:
    """The results of a check mode run."""
    return [_result(todo, todo.changes) for todo in todos.values()]


def apply(client: Supabase, todos: t.Mapping[str, Todo], concurrency: int) -> list[Result]:
    """Carry out the plan in few requests; a tenant whose rows are refused fails alone."""
    failed: dict[str, ApiError] = {}
    failed.update(_remove_files(client, todos, concurrency))
    gone = [tenant for tenant, todo in todos.items() if todo.delete and tenant not in failed]
    failed.update(_by_name(gone, lambda where: client.delete(TENANTS, where), concurrency))
    for values, tenants in _same_status(todos):
        failed.update(_by_name(tenants, _changing(client, values), concurrency))
    for table in (TENANTS, SETTINGS, SERVICES):  # the row first: the others refer to it
        groups = {tenant: _wire_rows(todo, table) for tenant, todo in todos.items() if tenant not in failed}
        failed.update(_upsert(client, table, groups, concurrency))
    failed.update(_drop_services(client, {k: v for k, v in todos.items() if k not in failed}, concurrency))
    results = []
    for tenant, todo in todos.items():
        result = _result(todo, todo.changes if tenant not in failed else [])
        if tenant in failed:
            result.created = False
            result.fail("rows", failed[tenant])
        results.append(result)
    return results


def moment(value: t.Any) -> str | None:
    """A time in one spelling, ISO 8601 in UTC with seconds; None for none. What is no time stays as it is."""
    if not value:
        return None
    try:
        when = datetime.fromisoformat(str(value).replace("Z", "+00:00").replace(" ", "T"))
    except ValueError:
        return str(value)
    when = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(client: Supabase, tenants: t.Sequence[str], wishes: t.Sequence[Wish]) -> Seen:
    work: dict[str, t.Callable[[], t.Any]] = {
        table: _reading(client, table, "id" if table == TENANTS else "tenant_id", tenants) for table in KEYS
    }
    going = [wish.tenant for wish in wishes if wish.state == "absent"]
    if going:
        work["files"] = lambda: _files_of(client, going)
    found: dict[str, t.Any] = dict(reconcile.run_all(work, concurrency=len(work)))
    for answer in found.values():
        if isinstance(answer, ApiError):
            raise answer
    seen = Seen({str(row["id"]): row for row in found[TENANTS]}, files=found.get("files", {}))
    for row in found[SETTINGS]:
        seen.settings.setdefault(str(row.get("tenant_id")), {})[str(row.get("key"))] = row.get("value")
    for row in found[SERVICES]:
        seen.services.setdefault(str(row.get("tenant_id")), {})[str(row.get("service"))] = str(row.get("state"))
    return seen


def _reading(client: Supabase, table: str, column: str, tenants: t.Sequence[str]) -> t.Callable[[], list[Row]]:
    return lambda: client.rows_of(table, KEYS[table], column, tenants)


def _files_of(client: Supabase, tenants: t.Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """The files of tenants that shall be removed, by bucket."""
    found: dict[str, dict[str, list[str]]] = {}
    for bucket in client.buckets():
        if not bucket.startswith(BUCKETS):
            continue
        for tenant in tenants:
            paths = client.files(bucket, tenant)
            if paths:
                found.setdefault(tenant, {})[bucket] = paths
    return found


# --- planning --------------------------------------------------------------------------------------------------------


def _plan_row(todo: Todo, row: Row | None) -> None:
    wish, what = todo.wish, f"tenant row {todo.wish.tenant}"
    if row is None:
        todo.upsert = {"id": wish.tenant, **wish.row}
        todo.changes.append(Change("create", what, None, dict(wish.row)))
        return
    was = {name: _shown(name, row.get(name)) for name in wish.row}
    differing = [name for name, value in wish.row.items() if was[name] != value]
    if differing:
        todo.upsert = {"id": wish.tenant, **wish.row}
        before, after = {name: was[name] for name in differing}, {name: wish.row[name] for name in differing}
        todo.changes.append(Change("update", what, before, after))


def _plan_settings(todo: Todo, was: t.Mapping[str, t.Any]) -> None:
    todo.settings = {key: value for key, value in todo.wish.settings.items() if key not in was or was[key] != value}
    if todo.settings:
        before = {key: was[key] for key in todo.settings if key in was}
        action = "update" if before else "create"
        todo.changes.append(Change(action, f"settings of {todo.wish.tenant}", before or None, dict(todo.settings)))


def _plan_services(todo: Todo, was: t.Mapping[str, str]) -> None:
    wished = todo.wish.services
    todo.services = {name: state for name, state in wished.items() if was.get(name) != state}
    todo.extra = sorted(set(was) - set(wished)) if wished else []
    if todo.services or todo.extra:
        before = {name: was[name] for name in [*todo.services, *todo.extra] if name in was}
        action = "update" if before else "create"
        todo.changes.append(Change(action, f"services of {todo.wish.tenant}", before or None, dict(todo.services)))


def _plan_status(todo: Todo, row: Row | None) -> None:
    """Close a tenant's logins: its row says so, and every policy asks it. Where there is no row there is no login."""
    if row is None:
        return
    wanted = {name: todo.wish.row[name] for name in ("status", "deleted_at")}
    was = {name: _shown(name, row.get(name)) for name in wanted}
    if was != wanted:
        todo.status = wanted
        # The moment of a deletion that is new is left out: a prediction cannot know it
        told = ["status"] if was["status"] != wanted["status"] else ["deleted_at"]
        before, after = {name: was[name] for name in told}, {name: wanted[name] for name in told}
        todo.changes.append(Change("update", f"tenant row {todo.wish.tenant}", before, after))


def _plan_absent(todo: Todo, seen: Seen) -> None:
    tenant = todo.wish.tenant
    todo.files = seen.files.get(tenant, {})
    for bucket, paths in sorted(todo.files.items()):
        todo.changes.append(Change("delete", f"files of {tenant} in {bucket}", {"files": len(paths)}))
    if tenant in seen.rows:
        todo.delete = True
        row = seen.rows[tenant]
        todo.changes.append(Change("delete", f"tenant row {tenant}", {name: row.get(name) for name in COLUMNS}))


def _shown(name: str, value: t.Any) -> t.Any:
    return moment(value) if name == "deleted_at" else value


def _result(todo: Todo, changes: t.Sequence[Change]) -> Result:
    wish = todo.wish
    created = todo.fresh and wish.state == "present" and bool(changes)
    return Result(wish.tenant, _STATES[wish.state], created=created, message=wish.message, changes=list(changes))


# --- sending ---------------------------------------------------------------------------------------------------------


def _wire_rows(todo: Todo, table: str) -> list[Row]:
    tenant = todo.wish.tenant
    if table == TENANTS:
        return [todo.upsert] if todo.upsert else []
    if table == SETTINGS:
        return [{"tenant_id": tenant, "key": key, "value": value} for key, value in todo.settings.items()]
    return [{"tenant_id": tenant, "service": name, "state": state} for name, state in todo.services.items()]


def _upsert(client: Supabase, table: str, groups: t.Mapping[str, list[Row]], concurrency: int) -> dict[str, ApiError]:
    """Send every tenant's rows in batches; gives the errors by tenant."""
    chunks: list[dict[str, list[Row]]] = []
    room = 0
    for tenant, rows in groups.items():
        if not rows:
            continue
        if len(rows) > room:
            chunks.append({})
            room = BATCH
        chunks[-1][tenant] = rows
        room -= len(rows)
    work = {str(number): _sending(client, table, chunk) for number, chunk in enumerate(chunks)}
    failed: dict[str, ApiError] = {}
    for answer in reconcile.run_all(work, concurrency).values():
        failed.update(t.cast("dict[str, ApiError]", answer))  # a job keeps its errors
    return failed


def _sending(client: Supabase, table: str, chunk: dict[str, list[Row]]) -> t.Callable[[], dict[str, ApiError]]:
    def send(part: dict[str, list[Row]]) -> dict[str, ApiError]:
        try:
            client.upsert(table, [row for rows in part.values() for row in rows], KEYS[table])
        except ApiError as exc:
            tenants = list(part)
            # One row that is refused refuses its whole request: halve until the culprit stands alone
            if exc.kind not in (errors.INVALID, errors.CONFLICT) or len(tenants) == 1:
                return dict.fromkeys(tenants, exc)
            middle = len(tenants) // 2
            halves = tenants[:middle], tenants[middle:]
            return {k: v for half in halves for k, v in send({tenant: part[tenant] for tenant in half}).items()}
        return {}

    return lambda: send(chunk)


def _same_status(todos: t.Mapping[str, Todo]) -> list[tuple[Row, list[str]]]:
    """The tenants whose rows get the same status, together."""
    groups: dict[str, tuple[Row, list[str]]] = {}
    for tenant, todo in todos.items():
        if todo.status:
            groups.setdefault(str(sorted(todo.status.items(), key=str)), (todo.status, []))[1].append(tenant)
    return list(groups.values())


def _changing(client: Supabase, values: Row) -> t.Callable[[t.Mapping[str, str]], None]:
    return lambda where: client.change(TENANTS, where, values)


def _by_name(
    tenants: t.Sequence[str], send: t.Callable[[t.Mapping[str, str]], None], concurrency: int
) -> dict[str, ApiError]:
    """Send something about tenants by their ids, some at once; gives the errors by tenant."""
    chunks = [tenants[start : start + NAMES] for start in range(0, len(tenants), NAMES)]
    work = {str(number): _naming(send, chunk) for number, chunk in enumerate(chunks)}
    failed: dict[str, ApiError] = {}
    for chunk, answer in zip(chunks, reconcile.run_all(work, concurrency).values()):
        if isinstance(answer, ApiError):
            failed.update(dict.fromkeys(chunk, answer))
    return failed


def _naming(send: t.Callable[[t.Mapping[str, str]], None], chunk: t.Sequence[str]) -> t.Callable[[], None]:
    return lambda: send({"id": among(chunk)})


def _drop_services(client: Supabase, todos: t.Mapping[str, Todo], concurrency: int) -> dict[str, ApiError]:
    work = {tenant: _dropping(client, tenant, todo.extra) for tenant, todo in todos.items() if todo.extra}
    answers = reconcile.run_all(work, concurrency)
    return {tenant: answer for tenant, answer in answers.items() if isinstance(answer, ApiError)}


def _dropping(client: Supabase, tenant: str, services: t.Sequence[str]) -> t.Callable[[], None]:
    return lambda: client.delete(SERVICES, {"tenant_id": f"eq.{tenant}", "service": among(services)})


def _remove_files(client: Supabase, todos: t.Mapping[str, Todo], concurrency: int) -> dict[str, ApiError]:
    """Files go before the row: while there is a row, a later run knows whose they are."""
    work = {tenant: _removing(client, todo.files) for tenant, todo in todos.items() if todo.files}
    answers = reconcile.run_all(work, concurrency)
    return {tenant: answer for tenant, answer in answers.items() if isinstance(answer, ApiError)}


def _removing(client: Supabase, files: t.Mapping[str, t.Sequence[str]]) -> t.Callable[[], None]:
    def remove() -> None:
        for bucket, paths in files.items():
            client.remove_files(bucket, paths)

    return remove
