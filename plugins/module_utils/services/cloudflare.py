# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""DNS records of tenants: what is wished against what the zone holds, and how the difference is closed."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import ABSENT, SUSPENDED, Change, Result
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.cloudflare import (
    AUTOMATIC,
    EXCLUSIVE,
    PROXIABLE,
    STALE,
    Cloudflare,
    Record,
    in_the_way,
    named,
    normal_content,
    normal_name,
    whose,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

BATCH = 200  # changes per transaction: what Cloudflare's smallest plan allows
ROUNDS = 3  # how often we look again when the zone turned out to be not as listed

Ids = dict[str, str]  # record key -> id
Sent = dict[str, t.Union[Ids, ApiError]]  # by tenant


@dataclass(frozen=True)
class Wish:
    """What a tenant wants of one name and type; ``present`` False: no record of the tenant's there.

    ``suspended`` is only told on: the record of a suspended tenant is as present as any, it leads elsewhere.
    """

    tenant: str
    record: Record
    present: bool = True
    suspended: bool = False


@dataclass
class Todo:
    """What one tenant needs; with an ``error`` nothing of it is touched."""

    tenant: str
    post: list[Record] = field(default_factory=list)
    patch: list[tuple[Record, Record]] = field(default_factory=list)  # (before, after)
    delete: list[Record] = field(default_factory=list)
    keep: list[Record] = field(default_factory=list)
    error: ApiError | None = None
    fresh: bool = False  # the tenant had no record of ours in the zone
    present: bool = False  # at least one record is wished
    suspended: bool = False  # and those that are belong to a suspended tenant

    @property
    def size(self) -> int:
        """How many changes it takes."""
        return len(self.post) + len(self.patch) + len(self.delete)


def wishes_of(items: t.Iterable[t.Mapping[str, t.Any]], zone: str) -> tuple[list[Wish], dict[str, ApiError]]:
    """The module's items as wishes, and by tenant why an item cannot be one."""
    wishes: list[Wish] = []
    bad: dict[str, ApiError] = {}
    apex = normal_name(zone, "")
    for item in items:
        try:
            wishes.append(_wish(item, apex))
        except ApiError as exc:
            bad.setdefault(item["tenant"], exc)
    return wishes, {**_rivals(wishes), **bad}


def plan(
    wishes: t.Sequence[Wish], records: t.Sequence[Record], bad: t.Mapping[str, ApiError], prune: bool = False
) -> dict[str, Todo]:
    """What every tenant of the wishes needs, by tenant, in the order of the wishes. Pure.

    A tenant in ``bad``, or with a record of others in its way, gets an error and nothing to do. ``prune`` also
    deletes what bears a listed tenant's mark and is not wished; records of unlisted tenants are never touched.
    """
    todos = {tenant: Todo(tenant, error=bad.get(tenant)) for tenant in [*(wish.tenant for wish in wishes), *bad]}
    owners = {record.owner for record in records}
    by_name = named(records)
    for wish in wishes:
        todo = todos[wish.tenant]
        todo.present = todo.present or wish.present
        todo.suspended = todo.suspended or wish.suspended
        todo.fresh = wish.tenant not in owners
        taken = in_the_way(wish.tenant, wish.record, by_name) if wish.present else []
        if taken and todo.error is None:
            todo.error = ApiError(whose(taken[0]), errors.CONFLICT)
    sound = [wish for wish in wishes if todos[wish.tenant].error is None]
    _compare(todos, sound, records, prune)
    return todos


def changes(todo: Todo) -> list[Change]:
    """The tenant's differences as they are reported."""
    rows = [Change("delete", f"DNS {each.key}", before=_shown(each)) for each in todo.delete]
    rows += [Change("update", f"DNS {now.key}", _shown(was), _shown(now)) for was, now in todo.patch]
    rows += [Change("create", f"DNS {each.key}", after=_shown(each)) for each in todo.post]
    return rows


def apply(
    client: Cloudflare, wishes: t.Sequence[Wish], todos: t.Mapping[str, Todo], prune: bool, concurrency: int
) -> Sent:
    """Carry out the plan in transactions of `BATCH`; gives the ids, or the error, of every tenant that had work.

    A transaction that the provider refuses is halved until the culprit stands alone. When the zone proves to be
    not as listed, or an answer is missing, it is listed again and only what still differs is sent.
    """
    done: Sent = {}
    waiting = {tenant: todo for tenant, todo in todos.items() if todo.size and todo.error is None}
    for attempt in range(ROUNDS):
        sent = _send_all(client, list(waiting.values()), concurrency, split_stale=attempt > 0)
        done.update(sent)
        stale = {tenant for tenant, answer in sent.items() if isinstance(answer, ApiError) and _is_stale(answer)}
        if not stale or attempt + 1 == ROUNDS:
            return done
        try:
            records = client.records()
        except ApiError as exc:
            return {**done, **dict.fromkeys(stale, exc)}
        fresh = plan([wish for wish in wishes if wish.tenant in stale], records, {}, prune)
        waiting = {}
        for tenant, todo in fresh.items():
            if todo.error is not None:
                done[tenant] = todo.error
            elif todo.size:
                waiting[tenant] = todo
            else:
                done[tenant] = ids_of(todo)
    return done


def results(todos: t.Mapping[str, Todo], sent: Sent) -> list[Result]:
    """A result per tenant. Without ``sent`` (check mode) everything is foretold to succeed."""
    rows = []
    for tenant, todo in todos.items():
        row = Result(tenant, created=todo.fresh and bool(todo.post), changes=changes(todo))
        if not todo.present:
            row.state = ABSENT
        elif todo.suspended:
            row.state = SUSPENDED
        answer = todo.error or sent.get(tenant, {})
        if isinstance(answer, ApiError):
            # A tenant's changes share a transaction: none of them happened
            row.changes, row.created = [], False
            row.fail("DNS records", answer)
        else:
            row.ref = {**ids_of(todo), **answer}
            names = [each.name for each in [*todo.keep, *todo.post, *(now for _was, now in todo.patch)]]
            row.url = f"https://{names[0]}" if names else ""
        rows.append(row)
    return rows


def ids_of(todo: Todo) -> Ids:
    """The ids that are known without sending anything."""
    known = [*todo.keep, *(now for _was, now in todo.patch)]
    return {record.key: record.id for record in known}


def _wish(item: t.Mapping[str, t.Any], apex: str) -> Wish:
    kind, state = item["type"], item.get("state", "present")
    name = normal_name(item["name"], apex)
    if name != apex and not name.endswith(f".{apex}"):
        raise ApiError(f"{item['name']!r} is not a name in the zone {apex} (give the full name, or @)")
    record = Record(name, kind, "", owner=item["tenant"])
    if state == "absent":
        return Wish(item["tenant"], record, present=False)
    content = normal_content(kind, item.get("content") or "", apex)
    ttl = item.get("ttl") or AUTOMATIC
    if not content or (kind == "CNAME" and content == name):
        raise ApiError(f"{record.key}: the content is empty or the name itself")
    if ttl != AUTOMATIC and not 30 <= ttl <= 86400:
        raise ApiError(f"{record.key}: ttl {ttl} is neither 1 (automatic) nor 30 to 86400 seconds")
    proxied = bool(item.get("proxied")) and kind in PROXIABLE
    # Cloudflare reports every proxied record as automatic
    record = replace(record, content=content, proxied=proxied, ttl=AUTOMATIC if proxied else ttl)
    return Wish(item["tenant"], record, suspended=state == "suspended")


def _rivals(wishes: t.Sequence[Wish]) -> dict[str, ApiError]:
    """Tenants whose wishes exclude each other, or those of another tenant."""
    bad: dict[str, ApiError] = {}
    at_name: dict[str, list[Wish]] = {}
    for wish in wishes:
        for other in at_name.setdefault(wish.record.name, []):
            if _clash(wish, other):
                for one, two in ((wish, other), (other, wish)):
                    why = f"{one.record.key} is wished here, and {two.record.key} otherwise by tenant {two.tenant}"
                    bad.setdefault(one.tenant, ApiError(why, errors.CONFLICT))
        at_name[wish.record.name].append(wish)
    return bad


def _clash(one: Wish, two: Wish) -> bool:
    if one == two:
        return False
    if one.present and two.present:
        # Where a name leads is one tenant's business, also where the types could stand side by side
        shared = one.tenant != two.tenant and {one.record.type, two.record.type} <= EXCLUSIVE
        return shared or one.record.key == two.record.key or _exclude(one.record.type, two.record.type)
    # "Gone" only speaks of the tenant's own record, so it contradicts nobody else
    return one.tenant == two.tenant and one.record.key == two.record.key


def _compare(todos: t.Mapping[str, Todo], wishes: t.Sequence[Wish], records: t.Sequence[Record], prune: bool) -> None:
    """Sort the differences of the sound tenants into their todos."""
    desired = {wish.record.key: wish.record for wish in wishes if wish.present}
    unwished = {wish.record.key: wish.tenant for wish in wishes if not wish.present}
    listed = {wish.tenant for wish in wishes}
    leads = {wish.record.name: wish for wish in wishes if wish.present and wish.record.type in EXCLUSIVE}
    actual, spare = _singled(desired, [record for record in records if record.owner in listed])

    def ours(record: Record) -> bool:
        """Whether a record of a listed tenant may be changed, or (not being desired) deleted."""
        if record.key in desired:
            return record.owner == desired[record.key].owner
        lead = leads.get(record.name)
        rival = lead is not None and lead.tenant == record.owner and _exclude(lead.record.type, record.type)
        return prune or rival or unwished.get(record.key) == record.owner

    found = reconcile.plan(desired, actual, _same, ours, purge=True)
    for record in found.create.values():
        todos[record.owner or ""].post.append(record)
    for was, now in found.update.values():
        todos[was.owner or ""].patch.append((was, replace(now, id=was.id)))
    for record in [*found.delete.values(), *(each for each in spare if ours(each))]:
        todos[record.owner or ""].delete.append(record)
    for record in found.keep.values():
        todos[record.owner or ""].keep.append(record)


def _singled(desired: t.Mapping[str, Record], records: t.Sequence[Record]) -> tuple[dict[str, Record], list[Record]]:
    """One record per key (the one nearest to the wish), and the duplicates beside it."""
    actual: dict[str, Record] = {}
    spare: list[Record] = []
    for record in sorted(records, key=lambda each: each.id):
        chosen = actual.setdefault(record.key, record)
        if chosen is not record:
            wish = desired.get(record.key)
            if wish is not None and _same(record, wish) and not _same(chosen, wish):
                actual[record.key], record = record, chosen
            spare.append(record)
    return actual, spare


def _same(record: Record, wish: Record) -> bool:
    if (record.content, record.proxied) != (wish.content, wish.proxied):
        return False
    return wish.proxied or record.ttl == wish.ttl


def _exclude(one: str, other: str) -> bool:
    """Whether two types cannot stand beside each other at one name."""
    if one == other or not {one, other} <= EXCLUSIVE:
        return False
    return {one, other} != {"A", "AAAA"}


def _send_all(client: Cloudflare, todos: t.Sequence[Todo], concurrency: int, split_stale: bool) -> Sent:
    chunks: list[list[Todo]] = []
    room = 0
    for todo in todos:  # a tenant's changes stay in one transaction
        if todo.size > room:
            chunks.append([])
            room = BATCH
        chunks[-1].append(todo)
        room -= todo.size
    work = {str(n): _job(client, chunk, split_stale) for n, chunk in enumerate(chunks)}
    sent: Sent = {}
    for answer in reconcile.run_all(work, concurrency).values():
        if isinstance(answer, ApiError):
            raise answer  # cannot be: a job keeps its errors
        sent.update(answer)
    return sent


def _job(client: Cloudflare, chunk: t.Sequence[Todo], split_stale: bool) -> t.Callable[[], Sent]:
    return lambda: _send(client, chunk, split_stale)


def _send(client: Cloudflare, chunk: t.Sequence[Todo], split_stale: bool) -> Sent:
    """Send some tenants' changes as one transaction; halve it when what it holds is refused."""
    try:
        ids = client.batch(
            [each for todo in chunk for each in todo.delete],
            [now for todo in chunk for _was, now in todo.patch],
            [each for todo in chunk for each in todo.post],
        )
    except ApiError as exc:
        content = exc.kind in (errors.INVALID, errors.CONFLICT) and (split_stale or exc.code not in STALE)
        if not content or len(chunk) == 1:
            return {todo.tenant: exc for todo in chunk}
        middle = len(chunk) // 2
        return {**_send(client, chunk[:middle], split_stale), **_send(client, chunk[middle:], split_stale)}
    sent: Sent = {}
    for todo in chunk:
        wanted = {*ids_of(todo), *(each.key for each in todo.post)}
        sent[todo.tenant] = {**ids_of(todo), **{key: ids[key] for key in wanted if key in ids}}
    return sent


def _is_stale(exc: ApiError) -> bool:
    return exc.kind == errors.UNANSWERED or exc.code in STALE


def _shown(record: Record) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {"content": record.content, "owner": record.owner}
    if record.type in PROXIABLE:
        shown["proxied"] = record.proxied
    if not record.proxied:
        shown["ttl"] = "automatic" if record.ttl == AUTOMATIC else record.ttl
    return shown
