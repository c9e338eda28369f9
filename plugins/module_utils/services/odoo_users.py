# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Users in Odoo: a person per login, who may work for several tenants, as a pure plan, and how it is carried out.

A login belongs to the tenant of its default company. That tenant keeps name, address and activity; any other tenant
only adds its company and the groups it needs, so that two tenants never undo each other.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo as client_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import OdooClient, User
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import odoo as service_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.odoo import ABSENT, PRESENT

INTERNAL = "base.group_user"
# Who runs a shop: contacts, sales and the website, as far as these modules are installed
DEFAULT_GROUPS = (
    INTERNAL,
    "base.group_partner_manager",
    "sales_team.group_sale_manager",
    "website.group_website_designer",
)


@dataclass(frozen=True)
class UserWish:
    """What a tenant wants of a login. ``groups`` are external ids; None: the default ones that this Odoo knows."""

    tenant: str
    login: str
    name: str
    email: str
    groups: tuple[str, ...] | None = None
    lang: str = "es_CL"
    tz: str = "America/Santiago"
    state: str = PRESENT


@dataclass(frozen=True)
class Observed:
    """What Odoo has: company ids by tenant, users by login, group ids by external id, languages, and our own user's id."""

    companies: t.Mapping[str, int]
    archived: frozenset[str]  # tenants whose company is archived
    users: t.Mapping[str, User]
    groups: t.Mapping[str, int]
    languages: frozenset[str]
    uid: int


@dataclass(frozen=True)
class Task:
    """What is to be done for one wish: ``action`` is create, update, archive, remove, or empty for nothing."""

    wish: UserWish
    action: str = ""
    found: User | None = None
    wanted: User | None = None
    lang: str = ""
    changes: tuple[bulk.Change, ...] = ()
    error: ApiError | None = None


@dataclass
class _Done:
    id: int = 0
    message: str = ""
    error: ApiError | None = None
    started: bool = field(default=False)


def observe(client: OdooClient, wishes: t.Sequence[UserWish]) -> Observed:
    """Read what planning needs: about five requests, and one per thousand companies or logins."""
    uid = client.sign_in()
    logins = sorted({wish.login for wish in wishes})
    pages = [logins[start : start + client_odoo.PAGE] for start in range(0, len(logins), client_odoo.PAGE)]
    users = {user.login: user for page in pages for user in client.users(page)}
    companies = client.companies(charts=False)
    wanted = {group for wish in wishes for group in (DEFAULT_GROUPS if wish.groups is None else wish.groups)}
    news = any(wish.state == PRESENT and wish.login not in users for wish in wishes)
    return Observed(
        companies={company.tenant: company.id for company in companies},
        archived=frozenset(company.tenant for company in companies if not company.active),
        users=users,
        groups=client.groups(wanted) if wanted else {},
        languages=client.languages() if news else frozenset(),
        uid=uid,
    )


def plan(wishes: t.Sequence[UserWish], seen: Observed, foretell: bool = False) -> list[Task]:
    """What to do for each wish, in their order; touches nothing and knows no client.

    ``foretell``: a company that is not there yet counts as there, because the step before this one would make it.
    """
    if foretell:
        unmade = [wish.tenant for wish in wishes if wish.tenant not in seen.companies and wish.state == PRESENT]
        stand_ins = {tenant: -number for number, tenant in enumerate(unmade, start=1)}
        seen = replace(seen, companies={**stand_ins, **seen.companies}, archived=frozenset())
    users = dict(seen.users)
    tasks = []
    for wish in wishes:
        task = _task(wish, replace(seen, users=users))
        if task.wanted is not None and task.error is None:
            users[wish.login] = task.wanted  # the next tenant with this login meets it as it will be
        tasks.append(task)
    return tasks


def predicted(task: Task) -> bulk.Result:
    """The result that carrying out the task will have, as far as it can be known before.

    ``created`` stays false: that is told by the company, without which there is no user.
    """
    wish = task.wish
    result = bulk.Result(wish.tenant, service_odoo.STATES[wish.state])
    result.changes = list(task.changes)
    if task.error is not None:
        result.fail(what(wish), task.error)
    elif task.found is not None and task.found.id > 0 and wish.state != ABSENT:
        result.ref = {"user_id": task.found.id}
    return result


def carry_out(client: OdooClient, tasks: t.Sequence[Task], concurrency: int) -> list[bulk.Result]:
    """Do what the plan says. First all new logins, then the rest, one login's tasks after another."""
    done = [_Done(task.found.id if task.found else 0) for task in tasks]
    _create(client, tasks, done, concurrency)
    of_login: dict[str, list[int]] = {}
    for number, task in enumerate(tasks):
        if task.error is None:
            of_login.setdefault(task.wish.login, []).append(number)

    def chain(numbers: t.Sequence[int]) -> int:
        for number in numbers:
            if tasks[number].action in _JOBS:
                _carry_out_one(client, tasks[number], done[number], [done[each] for each in numbers])
        return len(numbers)

    busy = {
        login: numbers
        for login, numbers in of_login.items()
        if any(tasks[number].action in _JOBS for number in numbers)
    }
    run_all({login: partial(chain, numbers) for login, numbers in busy.items()}, concurrency)
    return [_result(task, done[number]) for number, task in enumerate(tasks)]


def what(wish: UserWish) -> str:
    """How a login is named in results: it may stand there once per tenant."""
    return f"user {wish.login} of {wish.tenant}"


# --- planning


def _task(wish: UserWish, seen: Observed) -> Task:
    found = seen.users.get(wish.login)
    company = seen.companies.get(wish.tenant, 0)
    if wish.state != PRESENT:
        return _retirement(wish, found, company, seen)
    if not company or wish.tenant in seen.archived:
        return Task(wish, found=found, error=ApiError("the tenant has no active company in Odoo", errors.MISSING))
    trouble = _foreign(found, company, seen) or _unknown_groups(wish, seen)
    if trouble is not None:
        return Task(wish, found=found, error=trouble)
    groups = frozenset(seen.groups[name] for name in _groups(wish, seen))
    if found is None:
        wanted = User(wish.login, wish.name, wish.email, company, frozenset([company]), groups)
        lang = wish.lang if wish.lang in seen.languages else ""
        after = {
            "name": wish.name,
            "login": wish.login,
            "email": wish.email,
            "groups": _groups(wish, seen),
            "active": True,
        }
        return Task(wish, "create", None, wanted, lang, (bulk.Change("create", what(wish), None, after),))
    return _adjustment(wish, found, company, groups, seen)


def _adjustment(wish: UserWish, found: User, company: int, groups: frozenset[int], seen: Observed) -> Task:
    wanted = replace(found, companies=found.companies | {company}, groups=found.groups | groups)
    if found.company == company:
        wanted = replace(wanted, name=wish.name, email=wish.email, active=True)
    elif not found.active:
        # It was archived with the tenant that it belonged to; the one that asks for it now takes it over
        wanted = replace(wanted, active=True, company=company)
    if wanted == found:
        return Task(wish, "", found, wanted)
    before, after = _shown(found, wanted, wish, seen)
    return Task(wish, "update", found, wanted, "", (bulk.Change("update", what(wish), before, after),))


def _retirement(wish: UserWish, found: User | None, company: int, seen: Observed) -> Task:
    if found is None or not company or company not in found.companies or found.id == seen.uid:
        return Task(wish, "", None)
    others = found.companies & (set(seen.companies.values()) - {company})
    if others:
        wanted = replace(found, companies=found.companies - {company})
        if found.company == company:
            wanted = replace(wanted, company=min(others))
        change = bulk.Change("update", what(wish), {"member": True}, {"member": False})
        return Task(wish, "update", found, wanted, "", (change,))
    if found.company != company or (wish.state != ABSENT and not found.active):
        return Task(wish, "", found)
    if wish.state == ABSENT:
        if not found.active:
            return Task(wish, "", found)
        before = {"name": found.name, "login": found.login, "email": found.email}
        return Task(wish, "remove", found, None, "", (bulk.Change("delete", what(wish), before, None),))
    change = bulk.Change("update", what(wish), {"active": True}, {"active": False})
    return Task(wish, "archive", found, None, "", (change,))


def _foreign(found: User | None, company: int, seen: Observed) -> ApiError | None:
    """A login counts as ours by its default company: Odoo puts whoever makes a company among its users."""
    if found is None or found.company == company or found.company in seen.companies.values():
        return None
    return ApiError(client_odoo.not_ours(f"the login {found.login}", found.id), errors.CONFLICT)


def _groups(wish: UserWish, seen: Observed) -> list[str]:
    return [name for name in (DEFAULT_GROUPS if wish.groups is None else wish.groups) if name in seen.groups]


def _unknown_groups(wish: UserWish, seen: Observed) -> ApiError | None:
    required = (INTERNAL,) if wish.groups is None else wish.groups
    unknown = [name for name in required if name not in seen.groups]
    return ApiError(f"Odoo knows no group {', '.join(unknown)}", errors.INVALID) if unknown else None


def _shown(found: User, wanted: User, wish: UserWish, seen: Observed) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Before and after of what differs, in words instead of ids."""
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    for name in ("name", "email", "active"):
        if getattr(found, name) != getattr(wanted, name):
            before[name], after[name] = getattr(found, name), getattr(wanted, name)
    if found.companies != wanted.companies:
        before["member"], after["member"] = False, True
    if found.groups != wanted.groups:
        names = _groups(wish, seen)
        before["groups"] = [name for name in names if seen.groups[name] in found.groups]
        after["groups"] = names
    return before, after


# --- carrying out


def _create(client: OdooClient, tasks: t.Sequence[Task], done: list[_Done], concurrency: int) -> None:
    new = {
        task.wish.login: number for number, task in enumerate(tasks) if task.action == "create" and task.error is None
    }
    if not new:
        return
    try:
        field_of_groups = client.group_field()
    except ApiError as exc:
        for number in new.values():
            done[number].error = exc
        return
    rows = {login: _row(tasks[number], field_of_groups) for login, number in new.items()}
    for login, outcome in service_odoo.in_batches(rows, client.create_users, concurrency).items():
        number = new[login]
        if isinstance(outcome, ApiError):
            outcome = _adopted(client, t.cast(User, tasks[number].wanted), outcome)
        if isinstance(outcome, ApiError):
            done[number].error = outcome
        else:
            done[number].id = outcome
            done[number].started = True


def _adopted(client: OdooClient, wanted: User, refusal: ApiError) -> int | ApiError:
    """A login that became taken between reading and creating may be our own doing: the request before this one."""
    if refusal.kind != errors.CONFLICT:
        return refusal
    try:
        found = client.users([wanted.login])
    except ApiError as exc:
        return exc
    return found[0].id if found and found[0].company == wanted.company else refusal


def _row(task: Task, field_of_groups: str) -> dict[str, t.Any]:
    wanted, wish = t.cast(User, task.wanted), task.wish
    row: dict[str, t.Any] = {
        "name": wish.name,
        "login": wish.login,
        "email": wish.email,
        "company_id": wanted.company,
        "company_ids": [[6, 0, sorted(wanted.companies)]],
        field_of_groups: [[6, 0, sorted(wanted.groups)]],
        "tz": wish.tz,
        "ref": owner.mark(wish.tenant),  # lands on the partner, where people see whose contact it is
    }
    if task.lang:
        row["lang"] = task.lang
    return row


def _carry_out_one(client: OdooClient, task: Task, done: _Done, same_login: t.Sequence[_Done]) -> None:
    """Do one task; its login may have been made a moment ago, by the first task of the same login."""
    try:
        done.id = next((each.id for each in same_login if each.id > 0), 0)
        if not done.id:
            raise next((each.error for each in same_login if each.error), None) or ApiError(
                "the login is not there", errors.MISSING
            )
        done.message = _JOBS[task.action](client, task, done.id)
        done.started = True
    except ApiError as exc:
        done.error = exc


def _update(client: OdooClient, task: Task, number: int) -> str:
    found, wanted = t.cast(User, task.found), t.cast(User, task.wanted)
    names = [name for name in ("name", "email", "active") if getattr(found, name) != getattr(wanted, name)]
    values: dict[str, t.Any] = {name: getattr(wanted, name) for name in names}
    if found.companies != wanted.companies:
        values["company_ids"] = [[6, 0, sorted(wanted.companies)]]
    if found.company != wanted.company:
        values["company_id"] = wanted.company
    if found.groups != wanted.groups:
        values[client.group_field()] = [[6, 0, sorted(wanted.groups)]]
    client.change_user(number, values)
    return ""


def _archive(client: OdooClient, _task: Task, number: int) -> str:
    client.change_user(number, {"active": False})
    return ""


def _remove(client: OdooClient, task: Task, number: int) -> str:
    """Delete who never logged in; whoever did is the author of records, and is archived."""
    if not client.ever_logged_in(number):
        try:
            client.delete("res.users", number)
        except ApiError as exc:
            if exc.kind not in service_odoo.DIVISIBLE:
                raise
        else:
            service_odoo.tidy(client, t.cast(User, task.found).partner)
            return ""
    client.change_user(number, {"active": False})
    return "archived, not deleted: the login has been used"


_JOBS: t.Mapping[str, t.Callable[[OdooClient, Task, int], str]] = {
    "update": _update,
    "archive": _archive,
    "remove": _remove,
}


def _result(task: Task, done: _Done) -> bulk.Result:
    result = predicted(task)
    if result.error is not None:
        return result
    result.message = done.message
    if done.id > 0 and task.wish.state != ABSENT:
        result.ref = {"user_id": done.id}
    if done.error is not None:
        if not done.started:
            result.changes = []
        result.fail(what(task.wish), done.error)
    return result
