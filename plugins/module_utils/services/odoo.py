# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Companies in Odoo: what tenants want against what bears our mark, as a pure plan, and how it is carried out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo as client_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.odoo import Catalogue, Company, OdooClient
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all

PRESENT, ABSENT, SUSPENDED = "present", "absent", "suspended"
# A company takes Odoo up to a second: a batch must be done within the time-out of one answer (30 s)
BATCH = 20
GENERIC_CHART = "generic_coa"  # the only chart that comes with the module account itself
DIVISIBLE = frozenset({errors.INVALID, errors.CONFLICT, errors.MISSING})  # one bad row can be behind these
# What is written for a difference in a field, in this order: the RUT is judged by the rules of the country
_NATION = ("country", "vat")

Rows = t.Mapping[str, dict[str, t.Any]]


@dataclass(frozen=True)
class CompanyWish:
    """What a tenant wants of Odoo. ``vat`` is the RUT as it shall stand in the company, ``vat_valid`` whether its digit is right."""

    tenant: str
    name: str
    vat: str
    vat_valid: bool = True
    country: str = "CL"
    currency: str = "CLP"
    email: str = ""
    state: str = PRESENT


@dataclass(frozen=True)
class Observed:
    """What Odoo has: our companies by tenant, which of the wished names are held (id, mark), and its catalogue."""

    companies: t.Mapping[str, t.Sequence[Company]]
    held: t.Mapping[str, tuple[int, str]]
    catalogue: Catalogue


@dataclass(frozen=True)
class Task:
    """What is to be done for one tenant: ``action`` is create, update, remove, or empty for nothing."""

    wish: CompanyWish
    action: str = ""
    found: Company | None = None
    wanted: Company | None = None
    changes: tuple[bulk.Change, ...] = ()
    message: str = ""
    error: ApiError | None = None


@dataclass
class _Done:
    """What carrying out one task brought."""

    id: int = 0
    message: str = ""
    error: ApiError | None = None
    started: bool = field(default=False)


def observe(client: OdooClient, wishes: t.Sequence[CompanyWish], chart: str) -> Observed:
    """Read what planning needs: six requests and one per thousand companies, and one more when names are new."""
    present = [wish for wish in wishes if wish.state == PRESENT]
    modules = ["account"] if chart in ("", GENERIC_CHART) else ["account", f"l10n_{chart}"]
    catalogue = client.catalogue({w.country for w in wishes}, {w.currency for w in wishes}, modules)
    companies: dict[str, list[Company]] = {}
    for company in client.companies(catalogue.charts, countries=catalogue.countries):
        companies.setdefault(company.tenant, []).append(company)
    names = {wish.tenant: client_odoo.full_name(wish.name, wish.tenant) for wish in present}
    new = [name for rut, name in names.items() if name not in {company.name for company in companies.get(rut, ())}]
    return Observed(companies, client.names_held(new), catalogue)


def plan(wishes: t.Sequence[CompanyWish], seen: Observed, chart: str) -> dict[str, Task]:
    """What to do for each tenant; touches nothing and knows no client."""
    return {wish.tenant: _task(wish, seen, _usable_chart(seen.catalogue, chart)) for wish in wishes}


def predicted(task: Task) -> bulk.Result:
    """The result that carrying out the task will have, as far as it can be known before."""
    result = bulk.Result(task.wish.tenant, bulk.REACHED[task.wish.state], message=task.message)
    result.changes = list(task.changes)
    if task.error is not None:
        result.fail(_what(task.wish), task.error)
        return result
    # One that comes back from the archive is new to the tenant, too: undoing archives it again
    came_back = task.wish.state == PRESENT and task.found is not None and not task.found.active
    result.created = task.action == "create" or came_back
    if task.wish.state != PRESENT and (task.found is None or not task.found.active):
        result.state = bulk.ABSENT
    if task.found is not None and result.state != bulk.ABSENT:
        result.ref = {"company_id": task.found.id}
    return result


def carry_out(client: OdooClient, tasks: t.Mapping[str, Task], seen: Observed, concurrency: int) -> list[bulk.Result]:
    """Do what the plan says; each tenant's result says what was done, also when it stopped midway."""
    done: dict[str, _Done] = {rut: _Done(task.found.id if task.found else 0) for rut, task in tasks.items()}
    todo = {rut: task for rut, task in tasks.items() if task.action and task.error is None}
    _wake_currencies(client, todo, seen.catalogue, done)
    _create(client, todo, seen.catalogue, done, concurrency)
    _each(todo, done, concurrency, "update", lambda task: _update(client, task, seen.catalogue))
    with_chart = {rut: task for rut, task in todo.items() if task.wanted and task.wanted.chart != _chart_of(task)}
    _each(with_chart, done, concurrency, "", lambda task: _chart(client, task, done))
    _retire(client, todo, done, concurrency)
    return [_result(client, task, done[rut]) for rut, task in tasks.items()]


def in_batches(
    rows: Rows, create: t.Callable[[t.Sequence[dict[str, t.Any]]], t.Sequence[int]], concurrency: int
) -> dict[str, int | ApiError]:
    """Create many records, a batch a request, batches side by side; give each key its id or its error.

    Odoo takes a batch whole or not at all, so a refused batch is halved until the bad row stands alone.
    """

    def attempt(keys: t.Sequence[str]) -> dict[str, int | ApiError]:
        try:
            return dict(zip(keys, create([rows[key] for key in keys])))
        except ApiError as exc:
            if len(keys) == 1 or exc.kind not in DIVISIBLE:
                return dict.fromkeys(keys, exc)
        half = len(keys) // 2
        return {**attempt(keys[:half]), **attempt(keys[half:])}

    keys = list(rows)
    batches = [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]
    work = {str(number): partial(attempt, batch) for number, batch in enumerate(batches)}
    result: dict[str, int | ApiError] = {}
    for number, outcome in run_all(work, concurrency).items():
        result.update(dict.fromkeys(batches[int(number)], outcome) if isinstance(outcome, ApiError) else outcome)
    return result


# --- planning


def _what(wish: CompanyWish) -> str:
    return f"company {client_odoo.full_name(wish.name, wish.tenant)}"


def _usable_chart(catalogue: Catalogue, chart: str) -> str:
    """The chart to load, or nothing where Odoo has no accounting or not this country's."""
    if not (chart and catalogue.charts and "account" in catalogue.modules):
        return ""
    return chart if chart == GENERIC_CHART or f"l10n_{chart}" in catalogue.modules else ""


def _task(wish: CompanyWish, seen: Observed, chart: str) -> Task:
    ours = seen.companies.get(wish.tenant, ())
    found = ours[0] if ours else None
    if len(ours) > 1:
        ids = ", ".join(str(company.id) for company in ours)
        why = f"several companies in Odoo bear the mark {owner.mark(wish.tenant)}: {ids}"
        return Task(wish, found=found, error=ApiError(why, errors.CONFLICT))
    if wish.state != PRESENT:
        return _retirement(wish, found)
    trouble = _unknown(wish, seen.catalogue) or _taken(wish, found, seen.held)
    if trouble is not None:
        return Task(wish, found=found, error=trouble)
    wanted = Company(
        tenant=wish.tenant,
        name=client_odoo.full_name(wish.name, wish.tenant),
        vat=wish.vat,
        country=wish.country,
        currency=wish.currency,
        email=wish.email,
        chart=chart,
    )
    if found is None:
        after = _shown(wanted, {"name", "vat", "country", "currency", "email", *(["chart"] if chart else [])})
        return Task(wish, "create", None, wanted, (bulk.Change("create", _what(wish), None, after),))
    return _adjustment(wish, found, wanted)


def _adjustment(wish: CompanyWish, found: Company, wanted: Company) -> Task:
    message = ""
    if found.chart:
        # Odoo refuses another currency once there are entries, and another chart would mix with the first
        if found.currency != wanted.currency:
            message = f"the currency stays {found.currency}: the chart of accounts is loaded"
        wanted = replace(wanted, chart=found.chart, currency=found.currency)
    differs = {name for name in _FIELDS if getattr(found, name) != getattr(wanted, name)}
    if not differs:
        return Task(wish, "", found, wanted, message=message)
    change = bulk.Change("update", _what(wish), _shown(found, differs), _shown(wanted, differs))
    return Task(wish, "update", found, wanted, (change,), message)


def _retirement(wish: CompanyWish, found: Company | None) -> Task:
    # A suspended tenant keeps its company as it is; its users' logins are closed (odoo_users)
    if found is None or not found.active or wish.state == SUSPENDED:
        return Task(wish, "", found)
    change = bulk.Change("delete", _what(wish), _shown(found, {"name", "vat", "country", "currency", "email"}), None)
    return Task(wish, "remove", found, None, (change,))


def _unknown(wish: CompanyWish, catalogue: Catalogue) -> ApiError | None:
    for what, code, known in (
        ("country", wish.country, catalogue.countries),
        ("currency", wish.currency, catalogue.currencies),
    ):
        if code not in known:
            return ApiError(f"Odoo knows no {what} {code}", errors.INVALID)
    return None


def _taken(wish: CompanyWish, found: Company | None, held: t.Mapping[str, tuple[int, str]]) -> ApiError | None:
    name = client_odoo.full_name(wish.name, wish.tenant)
    number, _mark = held.get(name, (0, ""))
    if not number or (found is not None and found.id == number):
        return None
    return ApiError(client_odoo.not_ours(f"the company {name!r}", number), errors.CONFLICT)


_FIELDS = ("name", "vat", "country", "currency", "email", "active", "chart")


def _shown(company: Company, names: t.AbstractSet[str]) -> dict[str, t.Any]:
    return {name: getattr(company, name) for name in _FIELDS if name in names}


# --- carrying out


def _values(company: Company, names: t.AbstractSet[str], catalogue: Catalogue) -> dict[str, t.Any]:
    """The values that Odoo wants for these fields; country before RUT, and always both."""
    if names & set(_NATION):
        names = names | set(_NATION)
    values: dict[str, t.Any] = {}
    if "country" in names:
        values["country_id"] = catalogue.countries[company.country]
    if "currency" in names:
        values["currency_id"] = catalogue.currencies[company.currency]
    values.update({name: getattr(company, name) for name in ("name", "vat", "email", "active") if name in names})
    return values


def _chart_of(task: Task) -> str:
    return task.found.chart if task.found else ""


def _wake_currencies(
    client: OdooClient, todo: t.Mapping[str, Task], catalogue: Catalogue, done: dict[str, _Done]
) -> None:
    wanted = [task.wanted.currency for task in todo.values() if task.wanted]
    for code in sorted(catalogue.asleep.intersection(wanted)):
        try:
            client.wake_currency(catalogue.currencies[code])
        except ApiError as exc:
            for rut, task in todo.items():
                if task.wanted and task.wanted.currency == code:
                    done[rut].error = exc


def _create(
    client: OdooClient, todo: t.Mapping[str, Task], catalogue: Catalogue, done: dict[str, _Done], concurrency: int
) -> None:
    fields = {"name", "vat", "country", "currency", "email"}
    for valid in (True, False):
        rows = {
            rut: {**_values(task.wanted, fields, catalogue), "company_registry": owner.mark(rut)}
            for rut, task in todo.items()
            if task.action == "create" and task.wanted and task.wish.vat_valid is valid and done[rut].error is None
        }

        def create(batch: t.Sequence[dict[str, t.Any]], valid: bool = valid) -> list[int]:
            return client.create_companies(batch, vat_check=valid)

        for rut, outcome in _adopted(client, in_batches(rows, create, concurrency)).items():
            if isinstance(outcome, ApiError):
                done[rut].error = outcome
            else:
                done[rut].id = outcome
                done[rut].started = True


def _adopted(client: OdooClient, outcomes: dict[str, int | ApiError]) -> dict[str, int | ApiError]:
    """A name that became taken between reading and creating may be our own doing: the request before, or a run beside this one."""
    clashes = [
        rut for rut, outcome in outcomes.items() if isinstance(outcome, ApiError) and outcome.kind == errors.CONFLICT
    ]
    if clashes:
        try:
            outcomes.update({company.tenant: company.id for company in client.companies(charts=False, tenants=clashes)})
        except ApiError as exc:
            outcomes.update(dict.fromkeys(clashes, exc))
    return outcomes


def _update(client: OdooClient, task: Task, catalogue: Catalogue) -> str:
    found, wanted = t.cast(Company, task.found), t.cast(Company, task.wanted)
    differs = {name for name in _FIELDS if name != "chart" and getattr(found, name) != getattr(wanted, name)}
    if differs:
        client.change_company(found.id, _values(wanted, differs, catalogue), vat_check=task.wish.vat_valid)
    return ""


def _chart(client: OdooClient, task: Task, done: t.Mapping[str, _Done]) -> str:
    wanted = t.cast(Company, task.wanted)
    client.load_chart(done[wanted.tenant].id, wanted.chart)
    return ""


def _retire(client: OdooClient, todo: t.Mapping[str, Task], done: dict[str, _Done], concurrency: int) -> None:
    leaving = {rut: t.cast(Company, task.found) for rut, task in todo.items() if task.action == "remove"}
    if not leaving:
        return
    try:
        at_home: dict[int, list[client_odoo.User]] = {}
        for user in client.users_at_home([company.id for company in leaving.values()]):
            at_home.setdefault(user.company, []).append(user)
        others = {company.id for company in client.companies(charts=False) if company.active}
    except ApiError as exc:
        for rut in leaving:
            done[rut].error = exc
        return
    staying = others - {company.id for company in leaving.values()}

    def empty(company: Company) -> None:
        _send_users_home(client, at_home.get(company.id, ()), staying)

    _each(todo, done, concurrency, "remove", lambda task: _remove(client, t.cast(Company, task.found), empty))


def _send_users_home(client: OdooClient, users: t.Sequence[client_odoo.User], staying: t.AbstractSet[int]) -> None:
    """Who also works for another tenant moves there; the others are archived. A company with active users cannot be."""
    for user in users:
        elsewhere = sorted(user.companies & staying)
        client.change_user(user.id, {"company_id": elsewhere[0]} if elsewhere else {"active": False})


def _remove(client: OdooClient, company: Company, empty: t.Callable[[Company], None]) -> str:
    try:
        client.delete("res.company", company.id)
    except ApiError as exc:
        if exc.kind not in DIVISIBLE:
            raise
        empty(company)
        client.change_company(company.id, {"active": False})
        return "archived, not deleted: Odoo keeps a company that something refers to"
    tidy(client, company.partner)
    return ""


def tidy(client: OdooClient, partner: int) -> None:
    """The address that Odoo made for a deleted record goes too, unless something uses it."""
    if not partner:
        return
    try:
        client.delete("res.partner", partner)
    except ApiError as exc:
        if exc.kind not in DIVISIBLE and exc.kind != errors.REFUSED:
            raise


def _each(
    todo: t.Mapping[str, Task],
    done: dict[str, _Done],
    concurrency: int,
    action: str,
    job: t.Callable[[Task], str],
) -> None:
    """Do the job for the tasks of one action (all of them when empty) that have not failed yet."""
    work = {
        rut: partial(job, task)
        for rut, task in todo.items()
        if done[rut].error is None and (not action or task.action == action)
    }
    for rut, outcome in run_all(work, concurrency).items():
        if isinstance(outcome, ApiError):
            done[rut].error = outcome
        else:
            done[rut].started = True
            done[rut].message = outcome or done[rut].message


def _result(client: OdooClient, task: Task, done: _Done) -> bulk.Result:
    result = predicted(task)
    if result.error is not None:
        return result
    result.message = done.message or task.message
    if done.id and result.state != bulk.ABSENT:
        result.ref = {"company_id": done.id}
        result.url = url_of(client, done.id)
    if done.error is not None:
        if not done.started:
            result.changes, result.created = [], False
        result.fail(_what(task.wish), done.error)
    return result


def url_of(client: OdooClient, company: int) -> str:
    """Where a person opens the company."""
    return f"{client.http.base_url}/web#id={company}&model=res.company&view_type=form"
