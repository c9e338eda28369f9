# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Read-only database roles of tenants: what is wished against the roles that there are, and the SQL that closes it.

A role's comment bears the owner mark and a fingerprint that is derived as its password is, so that a run can tell what is
ours and whether the password is the wished one without trying it. Only the password's SCRAM verifier is ever sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import derive, errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    REACHED,
    Change,
    Result,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_sql import (
    Row,
    Sql,
    literal,
    locked,
    name,
    read_if_there,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import mark, owner_of

GROUP = "tenant_reader_group"
MAPPING = "smarteros.tenant_readers"
PURPOSE = "reader"  # of the derived password; Metabase derives the same
SETTINGS: t.Mapping[str, str] = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "60s",
    "search_path": "public",
}
BATCH = 25  # tenants per statement
_ITERATIONS = 4096  # PostgreSQL's own; the password has 256 bits, so it needs no stretching
_ROLE = re.compile(r"tenant_[a-z0-9_]{1,55}_reader")
_FINGERPRINT = re.compile(r"\bpassword:([0-9a-f]{16})\b")
# Names are schema-qualified for the read-only endpoint. A role that may more than its group is not sound.
SEEN = f"""select r.rolname::text as role, r.rolcanlogin as login, r.rolconnlimit as connections,
    coalesce(array_to_string(r.rolconfig, chr(10)), '') as settings,
    coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid'), '') as comment,
    not (r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls) and r.rolinherit
        and coalesce((select array_agg(g.rolname::text) from pg_catalog.pg_auth_members m
            join pg_catalog.pg_roles g on g.oid = m.roleid where m.member = r.oid), '{{}}') = '{{{GROUP}}}' as sound,
    coalesce((select t.tenant_id from {MAPPING} t where t.role_name = r.rolname), '') as tenant
from pg_catalog.pg_roles r where r.rolname like 'tenant\\_%\\_reader' order by 1"""  # noqa: S608  # constants


@dataclass(frozen=True)
class Reader:
    """A role as it is, or shall be. ``tenant``: whose rows it sees, empty for none; ``owner``: the RUT in our mark."""

    role: str
    owner: str | None
    tenant: str
    login: bool
    connections: int
    fingerprint: str = field(repr=False)
    settings: tuple[str, ...] = tuple(f"{key}={value}" for key, value in sorted(SETTINGS.items()))
    sound: bool = True


@dataclass(frozen=True)
class Wish:
    """What shall become of one tenant's reader: ``state`` present, suspended, absent or disabled."""

    tenant: str
    role: str
    state: str = "present"
    connections: int = 5
    reason: str = ""


@dataclass
class Todo:
    """What one tenant needs; with an ``error`` nothing of it is touched. ``sql``: PL/pgSQL statements."""

    wish: Wish
    sql: list[str] = field(default_factory=list, repr=False)
    changes: list[Change] = field(default_factory=list)
    fresh: bool = False
    error: ApiError | None = None


def role_of(slug: str) -> str:
    """The name of a tenant's reader."""
    return "tenant_{}_reader".format(slug.replace("-", "_"))


def verifier(master: str, tenant: str) -> str:
    """The SCRAM-SHA-256 verifier of a tenant's reader password (RFC 5802, in PostgreSQL's spelling).

    The salt is derived as well, so the verifier is the same in every run. Raises ValueError for a short master secret.
    """
    password = derive.secret(master, PURPOSE, tenant).encode()
    salt = hashlib.sha256(derive.secret(master, f"{PURPOSE} salt", tenant).encode()).digest()[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.new(salted, b"Client Key", hashlib.sha256).digest()).digest()
    server = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    spelled = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{spelled[0]}${spelled[1]}:{spelled[2]}"


def observe(sql: Sql) -> dict[str, Reader] | None:
    """The roles that are named as readers, by name; None where the migrations were not applied yet."""
    rows = read_if_there(sql, MAPPING, SEEN)
    return None if rows is None else {each.role: each for each in map(_reader, rows)}


def plan(wishes: t.Sequence[Wish], seen: t.Mapping[str, Reader], master: str) -> dict[str, Todo]:
    """What every tenant needs, by tenant, in the order of the wishes. Pure."""
    owned: dict[str, list[Reader]] = {}
    for reader in seen.values():
        if reader.owner:
            owned.setdefault(reader.owner, []).append(reader)
    todos = {}
    for wish in wishes:
        todo = todos[wish.tenant] = Todo(wish)
        if wish.state == "disabled":
            continue
        own = {each.role: each for each in owned.get(wish.tenant, [])}
        try:
            _plan_one(todo, own, seen.get(wish.role), master)
        except ApiError as exc:
            todo.error = exc
    return todos


def foretold(todos: t.Mapping[str, Todo]) -> list[Result]:
    """The results of a check mode run."""
    return [_result(todo, todo.error) for todo in todos.values()]


def apply(sql: Sql, todos: t.Mapping[str, Todo]) -> list[Result]:
    """Carry out the plan, some tenants in one statement; what is refused is halved until the culprit stands alone."""
    busy = [todo for todo in todos.values() if todo.sql and todo.error is None]
    failed: dict[str, ApiError] = {}
    for start in range(0, len(busy), BATCH):
        failed.update(_send(sql, busy[start : start + BATCH]))
    return [_result(todo, todo.error or failed.get(tenant)) for tenant, todo in todos.items()]


# --- planning --------------------------------------------------------------------------------------------------------


def _plan_one(todo: Todo, own: t.Mapping[str, Reader], named: Reader | None, master: str) -> None:
    wish = todo.wish
    todo.fresh = not own
    if wish.state == "absent":
        for reader in own.values():
            _drop(todo, reader)
        return
    if not _ROLE.fullmatch(wish.role):
        raise ApiError(f"{wish.role!r} is not the name of a reader (tenant_<slug>_reader)")
    if wish.state == "suspended":
        for reader in own.values():
            _close(todo, reader)
        return
    if named is not None and named.owner != wish.tenant:
        owner = f"belongs to tenant {named.owner}" if named.owner else "does not bear our mark"
        raise ApiError(f"the role {wish.role} exists and {owner}", errors.CONFLICT)
    desired = Reader(wish.role, wish.tenant, wish.tenant, True, wish.connections, fingerprint(master, wish.tenant))
    for reader in own.values():  # of an earlier slug
        if reader.role != wish.role:
            _drop(todo, reader)
    if named is None or not named.sound:
        if named is not None:
            _drop(todo, named)
        _create(todo, desired, master)
    elif named != desired:
        _update(todo, named, desired, master)


def fingerprint(master: str, tenant: str) -> str:
    """What a role's comment says of its password: enough to compare, and of no use for finding it. Costs no stretching."""
    return hashlib.sha256(derive.secret(master, f"{PURPOSE} fingerprint", tenant).encode()).hexdigest()[:16]


def _create(todo: Todo, reader: Reader, master: str) -> None:
    password = literal(verifier(master, reader.tenant))
    role, text = name(reader.role), literal(reader.role)
    comment = f"pg_catalog.shobj_description({text}::regrole, 'pg_authid')"
    todo.sql += [
        # Sent twice it does no harm, and what somebody else made meanwhile is not taken for ours
        f"if not exists (select from pg_catalog.pg_roles where rolname = {text}) then",
        f"create role {role} login inherit connection limit {reader.connections} password {password};",
        f"elsif {comment} is distinct from {literal(_marked(reader))} then",
        f"raise exception 'the role {reader.role} was made by somebody else meanwhile';",
        "end if;",
        *_settings(role),
        f"grant {GROUP} to {role};",
        _comment(reader),
        _mapping(reader),
    ]
    todo.changes.append(Change("create", f"database role {reader.role}", None, _shown(reader)))


def _update(todo: Todo, was: Reader, now: Reader, master: str) -> None:
    role = name(now.role)
    renewed = was.fingerprint != now.fingerprint
    secret = f" password {literal(verifier(master, now.tenant))}" if renewed else ""
    todo.sql.append(f"alter role {role} login connection limit {now.connections}{secret};")
    if was.settings != now.settings:
        todo.sql += [f"alter role {role} reset all;", *_settings(role)]
    todo.sql += [_comment(now), _mapping(now)]
    before, after = _shown(was), _shown(now)
    differing = [key for key in after if before[key] != after[key]]
    if secret:
        before, after = {**before, "password": "another"}, {**after, "password": "derived"}
        differing.append("password")
    shown = {key: before[key] for key in differing}, {key: after[key] for key in differing}
    todo.changes.append(Change("update", f"database role {now.role}", *shown))


def _close(todo: Todo, was: Reader) -> None:
    """No login; and without the mapping, sessions that are open see nothing from now on."""
    now = replace(was, login=False, tenant="")
    if was == now:
        return
    todo.sql += [
        f"alter role {name(was.role)} nologin;",
        _unmapping(was),
    ]
    shown = _shown(was), _shown(now)
    differing = [key for key in shown[1] if shown[0][key] != shown[1][key]]
    before, after = ({key: each[key] for key in differing} for each in shown)
    todo.changes.append(Change("update", f"database role {was.role}", before, after))


def _drop(todo: Todo, reader: Reader) -> None:
    todo.sql += [
        _unmapping(reader),
        f"drop role if exists {name(reader.role)};",
    ]
    # Not whose rows it sees: that goes with the tenant's row, which may have gone a moment ago
    before = {"login": reader.login, "connections": reader.connections}
    todo.changes.append(Change("delete", f"database role {reader.role}", before))


def _settings(role: str) -> list[str]:
    return [f"alter role {role} set {key} = {literal(value)};" for key, value in sorted(SETTINGS.items())]


def _marked(reader: Reader) -> str:
    return f"{mark(reader.owner or '')} password:{reader.fingerprint}"


def _comment(reader: Reader) -> str:
    return f"comment on role {name(reader.role)} is {literal(_marked(reader))};"


def _mapping(reader: Reader) -> str:
    columns, values = "role_name, tenant_id", f"{literal(reader.role)}, {literal(reader.tenant)}"
    again = "on conflict (role_name) do update set tenant_id = excluded.tenant_id"
    return f"insert into {MAPPING} ({columns}) values ({values}) {again};"  # noqa: S608  # quoted by literal()


def _unmapping(reader: Reader) -> str:
    role = literal(reader.role)
    return f"delete from {MAPPING} where role_name = {role};"  # noqa: S608  # a constant and a quoted text


def _shown(reader: Reader) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {
        "login": reader.login,
        "connections": reader.connections,
        "sees": reader.tenant,
        "settings": ", ".join(reader.settings),
    }
    return shown if reader.sound else {**shown, "rights": "more than a reader's"}


def _reader(row: Row) -> Reader:
    comment = str(row.get("comment") or "")
    found = _FINGERPRINT.search(comment)
    connections = row.get("connections")
    return Reader(
        role=str(row.get("role")),
        owner=owner_of(comment),
        tenant=str(row.get("tenant") or ""),
        login=row.get("login") is True,
        connections=connections if isinstance(connections, int) else -1,
        fingerprint=found.group(1) if found else "",
        settings=tuple(sorted(str(row.get("settings") or "").splitlines())),
        sound=row.get("sound") is True,
    )


# --- sending ---------------------------------------------------------------------------------------------------------


def _send(sql: Sql, todos: t.Sequence[Todo]) -> dict[str, ApiError]:
    statements = "\n".join(each for todo in todos for each in todo.sql)
    try:
        sql.change(locked(statements, "readers"))
    except ApiError as exc:
        if exc.kind not in (errors.INVALID, errors.CONFLICT) or len(todos) == 1:
            return {todo.wish.tenant: exc for todo in todos}
        middle = len(todos) // 2
        return {**_send(sql, todos[:middle]), **_send(sql, todos[middle:])}
    return {}


def _result(todo: Todo, error: ApiError | None) -> Result:
    wish = todo.wish
    result = Result(wish.tenant, REACHED[wish.state], message=wish.reason, changes=list(todo.changes))
    if error is not None:
        result.changes = []
        result.fail("database role", error)
    elif wish.state == "present":
        result.ref = {"reader": wish.role}
    return result
