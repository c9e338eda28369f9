# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Domains of tenants on a Vercel project: what is wished against what the project has, and how the difference is closed.

A domain on Vercel has no room for an owner mark. A tenant's are those that its specs name, and those that its status
says we added for it; no other one is ever touched.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    FAILED,
    REACHED,
    Change,
    Result,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel import (
    TEMPORARY,
    Dns,
    Domain,
    Vercel,
    normal_name,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

# What a tenant's status says of each of its domains
OK, NO_DNS, UNVERIFIED = "ok", "dns", "unverified"


@dataclass(frozen=True)
class Wish:
    """What a tenant shall have: its domains (its own first), and those that its status remembers, with their state.

    ``late`` are domains whose DNS record is made later in the same run.
    """

    tenant: str
    names: tuple[str, ...]
    state: str = "present"  # present | suspended | absent | disabled
    known: t.Mapping[str, str] = field(default_factory=dict)
    late: frozenset[str] = frozenset()
    message: str = ""


@dataclass
class Todo:
    """What one tenant needs; with an ``error`` nothing of it is touched."""

    wish: Wish
    add: list[Domain] = field(default_factory=list)
    change: list[tuple[Domain, Domain]] = field(default_factory=list)  # (before, after)
    remove: list[Domain] = field(default_factory=list)
    keep: list[Domain] = field(default_factory=list)
    error: ApiError | None = None
    fresh: bool = False  # the project had no domain of the tenant's

    @property
    def size(self) -> int:
        """How many changes it takes."""
        return len(self.add) + len(self.change) + len(self.remove)


@dataclass
class Done:
    """What was done for one tenant, and how its domains stand after it."""

    domains: dict[str, Domain] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: ApiError | None = None


def wishes_of(items: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[list[Wish], dict[str, ApiError]]:
    """The module's items as wishes, and by tenant why it cannot have what it wishes."""
    wishes: list[Wish] = []
    bad: dict[str, ApiError] = {}
    for item in items:
        names, late = [], []
        for given in item.get("domains") or []:
            try:
                names.append(normal_name(given))
            except ApiError as exc:
                bad.setdefault(item["tenant"], exc)
        for given in item.get("late") or []:
            late += [each for each in names if each == given.strip().rstrip(".").lower()]
        known = {str(name): str(state) for name, state in (item.get("known") or {}).items()}
        state = item.get("state") or "present"
        message = item.get("reason") or ""
        wishes.append(
            Wish(item["tenant"], tuple(dict.fromkeys(names)), state, known, frozenset(late), message),
        )
    return wishes, {**_rivals(wishes), **bad}


def read(client: Vercel, wishes: t.Sequence[Wish], concurrency: int) -> dict[str, Domain]:
    """The project's domains by name.

    One that we once added and that the list does not show gets a look of its own: Vercel pages by the moment of
    creation, so two made in the same millisecond can fall between two pages.
    """
    domains = client.domains()
    known = {name for wish in wishes for name in wish.known}
    wanted = [name for wish in wishes if wish.state in ("present", "suspended") for name in wish.names]
    looks = {name: _look(client, name) for name in wanted if name in known and name not in domains}
    for name, found in reconcile.run_all(looks, concurrency).items():
        if isinstance(found, ApiError):
            raise found
        domains.update({} if found is None else {name: found})
    return domains


def _look(client: Vercel, name: str) -> t.Callable[[], Domain | None]:
    return lambda: client.domain(name)


def plan(
    wishes: t.Sequence[Wish], domains: t.Mapping[str, Domain], suspension_host: str, bad: t.Mapping[str, ApiError]
) -> dict[str, Todo]:
    """What every tenant needs, by tenant, in the order of the wishes. Pure."""
    wanted = {name for wish in wishes if wish.state in ("present", "suspended") for name in wish.names}
    todos: dict[str, Todo] = {}
    for wish in wishes:
        todo = todos[wish.tenant] = Todo(wish, error=bad.get(wish.tenant))
        if suspension_host in wish.names and todo.error is None:
            todo.error = ApiError(
                f"{suspension_host} shows the suspension page and can be no tenant's", errors.CONFLICT
            )
        todo.fresh = not any(name in domains for name in {*wish.names, *wish.known})
        if todo.error is None and wish.state != "disabled":
            _compare(todo, domains, suspension_host, wanted)
    return todos


def changes(todo: Todo) -> list[Change]:
    """The tenant's differences as they are reported."""
    rows = [_removed(each) for each in todo.remove]
    rows += [_changed(was, now) for was, now in todo.change]
    return rows + [_added(each) for each in todo.add]


def apply(client: Vercel, todos: t.Mapping[str, Todo], concurrency: int) -> dict[str, Done]:
    """Close the differences, then look at ownership and DNS of what is not known to be well; by tenant."""
    work = {tenant: _job(client, todo) for tenant, todo in todos.items() if _has_work(todo)}
    done: dict[str, Done] = {}
    for tenant, answer in reconcile.run_all(work, concurrency).items():
        done[tenant] = Done(error=answer) if isinstance(answer, ApiError) else answer
    return done


def results(todos: t.Mapping[str, Todo], done: t.Mapping[str, Done] | None, project: str) -> list[Result]:
    """A result per tenant. Without ``done`` (check mode) everything is foretold to succeed."""
    return [_result(todo, None if done is None else done.get(tenant), project) for tenant, todo in todos.items()]


def needed(domain: Domain, dns: Dns) -> str:
    """The DNS record that leads a domain to Vercel, as Vercel recommends it first."""
    for kind in ("A", "CNAME") if domain.apex else ("CNAME", "A"):
        for each, value in dns.wanted:
            if each == kind:
                return f"{kind} {domain.name} -> {value}"
    return f"a record for {domain.name} as Vercel's dashboard shows it"


def _rivals(wishes: t.Sequence[Wish]) -> dict[str, ApiError]:
    """Tenants that wish for the domain of another one."""
    first: dict[str, str] = {}
    bad: dict[str, ApiError] = {}
    for wish in wishes:
        for name in wish.names if wish.state in ("present", "suspended") else ():
            other = first.setdefault(name, wish.tenant)
            if other != wish.tenant:
                for one, two in ((wish.tenant, other), (other, wish.tenant)):
                    bad.setdefault(one, ApiError(f"{name} is wished by tenant {two} as well", errors.CONFLICT))
    return bad


def _compare(todo: Todo, domains: t.Mapping[str, Domain], host: str, wanted: t.Collection[str]) -> None:
    wish = todo.wish
    stays = wish.names if wish.state != "absent" else ()
    for name in stays:
        there = domains.get(name)
        leads = Domain(name, host, TEMPORARY) if wish.state == "suspended" else Domain(name)
        if there is None:
            # What does not exist cannot be reached: a suspended tenant gets no new domain
            todo.add += [leads] if wish.state == "present" else []
        elif (there.redirect, there.status, there.branch) == (leads.redirect, leads.status, leads.branch):
            todo.keep.append(there)
        else:
            todo.change.append((there, replace(leads, verified=there.verified, challenges=there.challenges)))
    for name in dict.fromkeys((*wish.names, *wish.known)):
        # A domain that went to another tenant of this call is that tenant's now
        if name in domains and name not in stays and name not in wanted:
            todo.remove.append(domains[name])


def _has_work(todo: Todo) -> bool:
    if todo.error is not None or todo.wish.state == "disabled":
        return False
    return bool(todo.size) or (todo.wish.state == "present" and any(not _well(todo, each) for each in todo.keep))


def _well(todo: Todo, domain: Domain) -> bool:
    return domain.verified and todo.wish.known.get(domain.name) == OK


def _job(client: Vercel, todo: Todo) -> t.Callable[[], Done]:
    return lambda: _carry_out(client, todo)


def _carry_out(client: Vercel, todo: Todo) -> Done:
    """One tenant's changes, one after the other; after a failure the rest of them is left."""
    done = Done({each.name: each for each in todo.keep})
    try:
        for each in todo.remove:
            client.remove(each.name)
            done.changes.append(_removed(each))
        for was, now in todo.change:
            done.domains[now.name] = was
            done.domains[now.name] = client.change(now)
            done.changes.append(_changed(was, now))
        for each in todo.add:
            made = client.add(each)
            done.changes.append(_added(each))
            done.domains[each.name] = made
            if (made.redirect, made.branch) != (
                each.redirect,
                each.branch,
            ):  # it was there all the time, as something else
                done.domains[each.name] = client.change(each)
    except ApiError as exc:
        done.error = exc
    if todo.wish.state == "present":
        fresh = {each.name for each in todo.add}
        for name, domain in list(done.domains.items()):
            _observe(client, todo, domain, done, name in fresh)
    return done


def _observe(client: Vercel, todo: Todo, domain: Domain, done: Done, fresh: bool) -> None:
    """See whether a domain is verified and whether its DNS leads to Vercel, and note what is missing."""
    name = domain.name
    if _well(todo, domain) and not fresh:
        done.states[name] = OK
        return
    try:
        if not domain.verified:
            domain = done.domains[name] = client.verify(name) or domain
        dns = client.dns(name)
    except ApiError as exc:  # it does not keep the tenant from being ready
        done.states[name] = NO_DNS if domain.verified else UNVERIFIED
        done.notes.append(f"the state of {name} cannot be read: {exc.message}")
        return
    done.states[name] = UNVERIFIED if not domain.verified else OK if dns.right else NO_DNS
    lacking = [str(each) for each in domain.challenges] if not domain.verified else []
    # A record that a later service of this very run makes is not missing
    lacking += [needed(domain, dns)] if not dns.right and not (fresh and name in todo.wish.late) else []
    if lacking:
        state = "not verified" if not domain.verified else "verified, but its DNS does not lead to Vercel"
        done.notes.append(f"{name} is {state}; missing in DNS: {'; '.join(lacking)}")
    elif not domain.verified:
        done.notes.append(f"{name} is not verified, and Vercel does not say which record would prove whose it is")


def _result(todo: Todo, done: Done | None, project: str) -> Result:
    wish = todo.wish
    row = Result(wish.tenant, state=_state(wish.state), message=wish.message)
    if wish.state == "disabled":
        return row
    if todo.error is not None:
        row.fail("Vercel domains", todo.error)
        return row
    acted = done if done is not None else Done({each.name: each for each in todo.keep}, changes(todo))
    row.changes = acted.changes
    row.created = todo.fresh and any(each.action == "create" for each in row.changes)
    if wish.names and wish.state != "absent":
        row.url = f"https://{wish.names[0]}"
    if wish.state != "absent" or acted.error is not None:
        row.ref = {"project": project, "domains": _remembered(todo, acted)}
    row.message = "; ".join(acted.notes) or _open(todo, done)
    if acted.error is not None:
        row.fail("Vercel domains", acted.error)
    return row


def _open(todo: Todo, done: Done | None) -> str:
    """What check mode, which asks nothing of single domains, knows to be open."""
    if done is not None or todo.wish.state != "present":
        return ""
    return "; ".join(f"{each.name} is not verified" for each in todo.keep if not each.verified)


def _remembered(todo: Todo, acted: Done) -> dict[str, str]:
    """The tenant's domains on the project with their state, as its status shall remember them."""
    gone = {change.what for change in acted.changes if change.action == "delete"}
    left = {name: state for name, state in todo.wish.known.items() if _what(name) not in gone}
    present = {*acted.domains, *(each.name for each in todo.remove if _what(each.name) not in gone)}
    states = {name: acted.states.get(name) or left.get(name, NO_DNS) for name in present}
    return dict(sorted(states.items()))


def _state(wished: str) -> str:
    return REACHED.get(wished, FAILED)


def _what(name: str) -> str:
    return f"Vercel domain {name}"


def _added(domain: Domain) -> Change:
    return Change("create", _what(domain.name), after=_shown(domain))


def _removed(domain: Domain) -> Change:
    return Change("delete", _what(domain.name), before=_shown(domain))


def _changed(was: Domain, now: Domain) -> Change:
    return Change("update", _what(now.name), _shown(was), _shown(now))


def _shown(domain: Domain) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {"redirect": f"{domain.redirect} ({domain.status})" if domain.redirect else "none"}
    if domain.branch:
        shown["branch"] = domain.branch
    return shown
