# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Users in Odoo: a person per login, who may work for several tenants, as a pure plan, and how it is carried out.

A login belongs to the tenant of its default company. That tenant keeps name, address and activity; any other tenant
only adds its company and the groups it needs, so that two tenants never undo each other.

Suspending closes the logins of all who work in the company, also of those who were added by hand, and resuming opens
those that were closed by it. Who also works for another tenant keeps his login.

A tenant that gets another owner first gets the new login; then the one that was recorded before is closed for good.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo as client_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo_people
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import OdooClient, User
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import odoo as service_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.odoo import ABSENT, PRESENT, SUSPENDED

INTERNAL = "base.group_user"
TENANTS_A_WRITE = 100  # whose logins are closed or opened in one write
# Who runs a shop: contacts, sales and the website, as far as these modules are installed
DEFAULT_GROUPS = (
    INTERNAL,
    "base.group_partner_manager",
    "sales_team.group_sale_manager",
    "website.group_website_designer",
)


@dataclass(frozen=True)
class UserWish:
    """What a tenant wants of a login. ``groups`` are external ids; None: the default ones that this Odoo knows.

    ``limit`` is how many people the tenant's plan allows; None: as many as they like. ``known_user`` is the id of the
    user that was last recorded for the tenant; 0: none.
    """

    tenant: str
    login: str
    name: str
    email: str
    groups: tuple[str, ...] | None = None
    lang: str = "es_CL"
    tz: str = "America/Santiago"
    limit: int | None = None
    known_user: int = 0
    state: str = PRESENT


@dataclass(frozen=True)
class Observed:
    """What Odoo has: company ids by tenant, users by login, group ids by external id, languages, and our own user's id.

    ``people`` are the internal users of the wishes' companies, by company and archived ones too, without our own user;
    ``tag`` is what closed logins bear, 0 when there is no such tag yet.
    """

    companies: t.Mapping[str, int]
    archived: frozenset[str]  # tenants whose company is archived
    users: t.Mapping[str, User]
    groups: t.Mapping[str, int]
    languages: frozenset[str]
    uid: int
    people: t.Mapping[int, t.Sequence[User]] = field(default_factory=dict)
    tag: int = 0
    closing: frozenset[int] = frozenset()  # companies that are suspended together in this call

    def at_work(self, company: int) -> list[User]:
        """Who counts for a plan's limit: whose login is open, or was closed with the tenant."""
        return [user for user in self.people.get(company, ()) if user.active or self.was_closed(user)]

    def was_closed(self, user: User) -> bool:
        """Whether a login is one that we closed."""
        return bool(self.tag) and self.tag in user.tags and not user.active


@dataclass(frozen=True)
class Farewell:
    """How a former owner goes: he is at home in the company ``home`` from now on; 0: his login is closed for good."""

    change: bulk.Change
    home: int = 0


@dataclass(frozen=True)
class Task:
    """What is to be done for one wish: ``action`` is create, update, remove, or empty for nothing.

    ``close`` and ``reopen`` are the logins of the company that are closed or opened with the tenant; ``used`` is how
    many people work there afterwards, None where that is not known. ``former`` is the recorded owner before the wished one,
    as long as he is not closed, which ``farewell`` does.
    """

    wish: UserWish
    action: str = ""
    found: User | None = None
    wanted: User | None = None
    lang: str = ""
    changes: tuple[bulk.Change, ...] = ()
    close: tuple[int, ...] = ()
    reopen: tuple[int, ...] = ()
    company: int = 0
    used: int | None = None
    tag: int = 0
    former: User | None = None
    farewell: Farewell | None = None
    error: ApiError | None = None

    @property
    def all_changes(self) -> list[bulk.Change]:
        """What is told of it, in the order in which it is done."""
        return [*self.changes, *([self.farewell.change] if self.farewell else [])]


@dataclass
class _Done:
    id: int = 0
    failed: str = ""  # what failed, where it is not the wished login
    message: str = ""
    error: ApiError | None = None
    started: bool = field(default=False)


def observe(client: OdooClient, wishes: t.Sequence[UserWish]) -> Observed:
    """Read what planning needs: about seven requests, and one per thousand companies or logins."""
    uid = client.sign_in()
    logins = sorted({wish.login for wish in wishes})
    pages = [logins[start : start + client_odoo.PAGE] for start in range(0, len(logins), client_odoo.PAGE)]
    users = {user.login: user for page in pages for user in client.users(page)}
    companies = client.companies(charts=False)
    ids = {company.tenant: company.id for company in companies}
    asked = sorted({ids[wish.tenant] for wish in wishes if wish.tenant in ids})
    people: dict[int, list[User]] = {}
    for user in odoo_people.people(client, asked) if asked else ():
        for number in user.companies if user.id != uid else ():
            people.setdefault(number, []).append(user)
    wanted = {group for wish in wishes for group in (DEFAULT_GROUPS if wish.groups is None else wish.groups)}
    news = any(wish.state == PRESENT and wish.login not in users for wish in wishes)
    return Observed(
        companies=ids,
        archived=frozenset(company.tenant for company in companies if not company.active),
        users=users,
        groups=client.groups(wanted) if wanted else {},
        languages=client.languages() if news else frozenset(),
        uid=uid,
        people=people,
        tag=odoo_people.closing_tag(client) if asked else 0,
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
    suspended = {
        seen.companies[wish.tenant] for wish in wishes if wish.state == SUSPENDED and wish.tenant in seen.companies
    }
    seen = replace(seen, closing=frozenset(suspended))
    tasks = []
    for wish in wishes:
        task = _task(wish, replace(seen, users=users))
        if task.wanted is not None and task.error is None:
            users[wish.login] = task.wanted  # the next tenant with this login meets it as it will be
        tasks.append(task)
    return _with_farewells(tasks, seen)


def predicted(task: Task) -> bulk.Result:
    """The result that carrying out the task will have, as far as it can be known before.

    ``created`` stays false: that is told by the company, without which there is no user.
    """
    wish = task.wish
    result = bulk.Result(wish.tenant, bulk.REACHED[wish.state])
    result.changes = task.all_changes
    if wish.state == SUSPENDED and not task.company:
        result.state = bulk.ABSENT
    if task.used is not None:
        result.usage = {"users": task.used}
    if task.error is not None:
        result.fail(what(wish), task.error)
    elif task.found is not None and task.found.id > 0 and wish.state != ABSENT and task.former is None:
        result.ref = {"user_id": task.found.id}
    return result


def carry_out(client: OdooClient, tasks: t.Sequence[Task], concurrency: int) -> list[bulk.Result]:
    """Do what the plan says: first all new logins, then the rest, one login's tasks after another, then former owners."""
    done = [_Done(task.found.id if task.found else 0) for task in tasks]
    _close_and_reopen(client, tasks, done)
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
    _see_off(client, tasks, done, concurrency)
    return [_result(task, done[number]) for number, task in enumerate(tasks)]


def what(wish: UserWish) -> str:
    """How a login is named in results: it may stand there once per tenant."""
    return f"user {wish.login} of {wish.tenant}"


# --- planning


def _task(wish: UserWish, seen: Observed) -> Task:
    found = seen.users.get(wish.login)
    company = seen.companies.get(wish.tenant, 0)
    if wish.state == SUSPENDED:
        return _suspension(wish, found, company, seen)
    if wish.state == ABSENT:
        return _removal(wish, found, company, seen)
    if not company or wish.tenant in seen.archived:
        return Task(wish, found=found, error=ApiError("the tenant has no active company in Odoo", errors.MISSING))
    former = _former(wish, company, seen)
    trouble = _foreign(found, company, seen) or _unknown_groups(wish, seen) or _no_room(wish, found, company, seen)
    if trouble is not None:
        return Task(wish, found=found, company=company, used=len(seen.at_work(company)), error=trouble)
    staying = {user.id for user in seen.at_work(company)} - ({former.id} if former else set())
    joins = found is None or (found.id not in staying and found.id != seen.uid)
    groups = frozenset(seen.groups[name] for name in _groups(wish, seen))
    task = _new(wish, company, groups, seen) if found is None else _adjustment(wish, found, company, groups, seen)
    back = [user for user in seen.people.get(company, ()) if _is_ours_to_open(user, wish, company, seen)]
    opened = tuple(bulk.Change("update", _login_of(user, wish), {"active": False}, {"active": True}) for user in back)
    return replace(
        task,
        changes=(*task.changes, *opened),
        reopen=tuple(user.id for user in back),
        company=company,
        used=len(staying) + joins,
        tag=seen.tag,
        former=former,
    )


def _is_ours_to_open(user: User, wish: UserWish, company: int, seen: Observed) -> bool:
    wanted = user.login != wish.login and user.id != wish.known_user
    return wanted and user.company == company and seen.was_closed(user)


def _former(wish: UserWish, company: int, seen: Observed) -> User | None:
    """Whom we recorded for the tenant and who is not the wished one, unless his login is closed for good already."""
    if not wish.known_user:
        return None
    for user in seen.people.get(company, ()):
        if user.id == wish.known_user and user.login != wish.login and (user.active or seen.was_closed(user)):
            return user
    return None


def _with_farewells(tasks: t.Sequence[Task], seen: Observed) -> list[Task]:
    """The tasks that replace an owner, with how he goes: he may stay for a tenant that has him, or gets him in this call."""
    leaving: dict[int, set[int]] = {}
    for task in tasks:
        if _replaces(task):
            leaving.setdefault(t.cast(User, task.former).id, set()).add(task.company)
    if not leaving:
        return list(tasks)
    ours = set(seen.companies.values())
    joined: dict[str, set[int]] = {}
    for task in tasks:
        if task.wish.state == PRESENT and task.error is None:
            joined.setdefault(task.wish.login, set()).add(task.company)
    found = []
    for task in tasks:
        if _replaces(task):
            user = t.cast(User, task.former)
            rest = (user.companies & ours | joined.get(user.login, set())) - leaving[user.id]
            task = replace(task, farewell=_farewell(task, user, rest))
        found.append(task)
    return found


def _replaces(task: Task) -> bool:
    return task.former is not None and task.error is None and task.wish.state == PRESENT


def _farewell(task: Task, user: User, rest: t.AbstractSet[int]) -> Farewell:
    label = _login_of(user, task.wish)
    if rest:
        home = user.company if user.company in rest else min(rest)
        return Farewell(bulk.Change("update", label, {"member": True}, {"member": False}), home)
    if user.active:
        return Farewell(bulk.Change("update", label, {"active": True}, {"active": False}))
    # Closed with the tenant, he would be opened again with it
    return Farewell(bulk.Change("update", label, {"opened again": True}, {"opened again": False}))


def _no_room(wish: UserWish, found: User | None, company: int, seen: Observed) -> ApiError | None:
    """A plan's limit counts everybody who works in the company, however they came there."""
    former = _former(wish, company, seen)
    at_work = [user for user in seen.at_work(company) if user != former]
    if wish.limit is None or len(at_work) < wish.limit or (found is not None and company in found.companies):
        return None
    there = ", ".join(sorted(user.login for user in at_work)) or "nobody"
    why = f"the plan allows {wish.limit} users and there are {len(at_work)} already: {there}"
    return ApiError(why, errors.CONFLICT)


def _new(wish: UserWish, company: int, groups: frozenset[int], seen: Observed) -> Task:
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


def _adjustment(wish: UserWish, found: User, company: int, groups: frozenset[int], seen: Observed) -> Task:
    wanted = replace(found, companies=found.companies | {company}, groups=found.groups | groups)
    if found.company == company:
        wanted = replace(wanted, name=wish.name, email=wish.email, active=True)
    elif not found.active:
        # It was archived with the tenant that it belonged to; the one that asks for it now takes it over
        wanted = replace(wanted, active=True, company=company)
    if wanted.active and seen.tag in found.tags:
        wanted = replace(wanted, tags=found.tags - {seen.tag})
    if wanted == found:
        return Task(wish, "", found, wanted)
    before, after = _shown(found, wanted, wish, seen)
    return Task(wish, "update", found, wanted, "", (bulk.Change("update", what(wish), before, after),))


def _suspension(wish: UserWish, found: User | None, company: int, seen: Observed) -> Task:
    """Close the logins of all who work in the company and nowhere else; the owner leaves it where he does."""
    if not company or wish.tenant in seen.archived:
        return Task(wish)
    everybody = [user for user in seen.people.get(company, ()) if user.active]
    others = set(seen.companies.values()) - {company} - seen.closing
    closing = [user for user in everybody if not user.companies & others]
    changes = [bulk.Change("update", _login_of(user, wish), {"active": True}, {"active": False}) for user in closing]
    task = Task(
        wish,
        found=found,
        close=tuple(user.id for user in closing),
        company=company,
        used=len(seen.at_work(company)),
        tag=seen.tag,
        former=_former(wish, company, seen),  # closed for good when the tenant comes back
    )
    if found is not None and found.id != seen.uid and company in found.companies and found.companies & others:
        leaving = _leaving(wish, found, company, others)
        return replace(task, action="update", wanted=leaving.wanted, changes=(*leaving.changes, *changes))
    return replace(task, changes=tuple(changes))


def _removal(wish: UserWish, found: User | None, company: int, seen: Observed) -> Task:
    if found is None or not company or company not in found.companies or found.id == seen.uid:
        return Task(wish, "", None)
    others = set(seen.companies.values()) - {company}
    if found.companies & others:
        return _leaving(wish, found, company, others)
    if found.company != company or not (found.active or seen.was_closed(found)):
        return Task(wish, "", found)
    before = {"name": found.name, "login": found.login, "email": found.email}
    change = bulk.Change("delete", what(wish), before, None)
    return Task(wish, "remove", found, None, "", (change,), company=company, tag=seen.tag)


def _leaving(wish: UserWish, found: User, company: int, others: t.AbstractSet[int]) -> Task:
    """Who also works for another tenant goes on there."""
    wanted = replace(found, companies=found.companies - {company})
    if found.company == company:
        wanted = replace(wanted, company=min(found.companies & others))
    change = bulk.Change("update", what(wish), {"member": True}, {"member": False})
    return Task(wish, "update", found, wanted, "", (change,), company=company)


def _login_of(user: User, wish: UserWish) -> str:
    return f"user {user.login} of {wish.tenant}"


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


def _close_and_reopen(client: OdooClient, tasks: t.Sequence[Task], done: list[_Done]) -> None:
    """The logins of all tenants of the call, in as few writes as Odoo takes well."""
    for job, numbers_of in ((_close, lambda task: task.close), (_reopen, lambda task: task.reopen)):
        concerned = [number for number, task in enumerate(tasks) if numbers_of(task) and task.error is None]
        for start in range(0, len(concerned), TENANTS_A_WRITE):
            some = concerned[start : start + TENANTS_A_WRITE]
            users = sorted({user for number in some for user in numbers_of(tasks[number])})
            try:
                job(client, users, tasks[some[0]].tag)
            except ApiError as exc:
                for number in some:
                    done[number].error = exc
            else:
                for number in some:
                    done[number].started = True


def _close(client: OdooClient, users: t.Sequence[int], tag: int) -> None:
    odoo_people.close(client, users, tag or odoo_people.make_closing_tag(client))


def _reopen(client: OdooClient, users: t.Sequence[int], tag: int) -> None:
    odoo_people.reopen(client, users, tag)


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
    if done.error is not None:
        return
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


def _see_off(client: OdooClient, tasks: t.Sequence[Task], done: list[_Done], concurrency: int) -> None:
    """Close the former owners of the tenants whose new one is there."""
    ready = {number: task for number, task in enumerate(tasks) if task.farewell and done[number].error is None}
    outcomes = run_all({str(number): partial(_let_go, client, task) for number, task in ready.items()}, concurrency)
    for number, task in ready.items():
        outcome = outcomes[str(number)]
        if isinstance(outcome, ApiError):
            done[number].error = outcome
            done[number].failed = _login_of(t.cast(User, task.former), task.wish)


def _let_go(client: OdooClient, task: Task) -> int:
    user, home = t.cast(User, task.former), t.cast(Farewell, task.farewell).home
    if home:
        values: dict[str, t.Any] = {"company_ids": [[3, task.company]]}
        client.change_user(user.id, values if user.company == home else {**values, "company_id": home})
    else:
        odoo_people.forget(client, user.id, task.tag if task.tag in user.tags else 0)
    return user.id


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
    if found.tags != wanted.tags:
        values["category_id"] = [[3, tag] for tag in sorted(found.tags - wanted.tags)]
    client.change_user(number, values)
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
    odoo_people.forget(client, number, task.tag)
    return "archived, not deleted: the login has been used"


_JOBS: t.Mapping[str, t.Callable[[OdooClient, Task, int], str]] = {
    "update": _update,
    "remove": _remove,
}


def _result(task: Task, done: _Done) -> bulk.Result:
    result = predicted(task)
    if result.error is not None:
        return result
    result.message = done.message
    if done.id > 0 and task.wish.state != ABSENT:
        # Only the id that is recorded leads to a former owner, so it is kept until he is closed
        closed = task.farewell is not None and done.error is None
        result.ref = {"user_id": done.id} if task.former is None or closed else {}
    if done.error is not None:
        result.changes = list(task.changes) if done.started else []
        result.fail(done.failed or what(task.wish), done.error)
    return result
