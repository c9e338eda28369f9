# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Accounts in Chatwoot: what tenants want against what is there, as a pure plan, and how it is carried out.

Nothing in Chatwoot is unique and the platform token may be unable to list, so an account is found by the id that was
written down, by the list (4.x), by the operator's accounts, or, when a run died while it made one, by asking for the
ids that came after the highest one known at that moment.
"""

from __future__ import annotations

import threading
import typing as t
from dataclasses import dataclass, field, replace
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.chatwoot import (
    ADMINISTRATOR,
    CLOUD,
    FOREIGN,
    WEB_WIDGET,
    WHATSAPP,
    Account,
    ChatwootClient,
    Inbox,
    Member,
    Seat,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all

PRESENT, ABSENT, SUSPENDED = "present", "absent", "suspended"
MISSES = 20  # ids in a row without an account, after which no more are expected (a sequence has gaps)
MOST_PROBES = 2000  # requests for one tenant before a person has to look
_KNOWN_ACCOUNTS, _KNOWN_USERS = 3, 3  # where the operator is looked for without writing
_FIRST_IDS = 30  # where an account of ours is looked for when none is known and nothing may be written

Remember = t.Callable[[str, t.Mapping[str, t.Any]], None]
Look = t.Union[Account, None, str]  # an account, nothing, or FOREIGN
_SIGNS = " .-&'"  # what a tenant's name may hold beside letters and digits


@dataclass(frozen=True)
class Number:
    """A tenant's WhatsApp number. ``lacking`` names variables without which it gets no inbox; the rest is never shown."""

    phone_number: str
    phone_number_id: str
    business_account_id: str
    token: str = field(default="", repr=False)
    app_secret: str = field(default="", repr=False)
    lacking: tuple[str, ...] = ()

    @property
    def config(self) -> dict[str, str]:
        """The inbox's settings that are ours. Without the app's secret Chatwoot would believe posts of anybody."""
        return {
            "api_key": self.token,
            "phone_number_id": self.phone_number_id,
            "business_account_id": self.business_account_id,
            "app_secret": self.app_secret,
        }


@dataclass(frozen=True)
class Wish:
    """What a tenant wants of Chatwoot.

    ``account_id`` is the id that was written down; ``creating_after`` the highest id that was known when a run began to
    make the account and did not live to write its id down. ``users`` is how many the plan allows (None: unlimited),
    ``agents`` the limit that was last given to Chatwoot (0: none). ``known_user`` is the id of the administrator that was
    last recorded (0: none).
    """

    tenant: str
    name: str
    slug: str
    domain: str
    locale: str
    support_email: str
    admin_name: str
    admin_email: str
    website_url: str
    account_id: int | None = None
    creating_after: int | None = None
    users: int | None = None
    agents: int | None = None
    known_user: int = 0
    number: Number | None = None
    state: str = PRESENT


@dataclass(frozen=True)
class Operator:
    """The user that belongs to every account."""

    name: str
    email: str


@dataclass(frozen=True)
class Found:
    """What was found for one tenant. ``members`` and ``inboxes`` are None when they could not be looked at.

    ``operator`` is the operator's id, whom nothing takes out of an account.
    """

    account: Account | None = None
    linked: bool = False
    members: tuple[Member, ...] | None = None
    inboxes: tuple[Inbox, ...] | None = None
    operator: int = 0
    note: str = ""
    error: ApiError | None = None


@dataclass(frozen=True)
class Step:
    """One write, and how it is reported. ``kind`` is a key of the table of writes below."""

    kind: str
    change: bulk.Change


@dataclass
class World:
    """What one run knows about the installation as a whole."""

    operator: int = 0
    seats: t.Mapping[int, Seat] = field(default_factory=dict)
    listed: t.Mapping[int, Account] | None = None
    stored: frozenset[int] = frozenset()
    highest: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def rise(self, number: int) -> None:
        """A new account is known."""
        with self.lock:
            self.highest = max(self.highest, number)


@dataclass(frozen=True)
class Observed:
    """All that planning needs, by tenant."""

    found: t.Mapping[str, Found]
    world: World


def observe(
    client: ChatwootClient, wishes: t.Sequence[Wish], operator: Operator, write: bool, concurrency: int
) -> Observed:
    """Look at everything: up to five requests in all, and two per tenant that has an account.

    ``write`` allows to make the operator when he cannot be found by reading; without, nothing is sent but reads.
    Raises ApiError when the installation as a whole cannot be used.
    """
    world = _world(client, wishes, operator, write)
    looked = run_all({wish.tenant: partial(_look, client, wish, world) for wish in wishes}, concurrency)
    found = {rut: Found(error=seen) if isinstance(seen, ApiError) else seen for rut, seen in looked.items()}
    memory: dict[int, Look] = {}
    for wish in wishes:
        if wish.creating_after is not None and found[wish.tenant].account is None and found[wish.tenant].error is None:
            found[wish.tenant] = _look_by_probing(client, wish, world, memory, found[wish.tenant])
    return Observed(found, world)


def plan(wish: Wish, found: Found) -> list[Step]:
    """The writes that bring the tenant to what is wished, in order; touches nothing and knows no client."""
    if found.error is not None:
        return []
    return [*_opening(wish, found), *_furnishing(wish, found)]


def predicted(client: ChatwootClient, wish: Wish, found: Found, operator: int = 0) -> bulk.Result:
    """The result that carrying out the plan will have, as far as it can be known before. ``operator`` is his id."""
    steps = plan(wish, found)
    result = _result(client, wish, found)
    _count_users(result, wish, found, operator)
    result.changes = [step.change for step in steps]
    result.created = any(step.kind == "create" for step in steps)
    return result


def carry_out(
    client: ChatwootClient, wishes: t.Sequence[Wish], seen: Observed, remember: Remember, concurrency: int
) -> list[bulk.Result]:
    """Do what the plan says, tenants side by side; each result says what was done, also when it stopped midway.

    ``remember(tenant, {...})`` writes into the tenant's status; it is called before and after an account is made.
    """

    def work(wish: Wish) -> bulk.Result:
        return _Builder(client, wish, seen.found[wish.tenant], seen.world, remember).run()

    results = run_all({wish.tenant: partial(work, wish) for wish in wishes}, concurrency)
    return [t.cast(bulk.Result, results[wish.tenant]) for wish in wishes]


# --- looking


def _world(client: ChatwootClient, wishes: t.Sequence[Wish], operator: Operator, write: bool) -> World:
    listed = client.accounts()
    stored = [wish.account_id for wish in wishes if wish.account_id]
    token = _operator_token(client, operator.email, stored or sorted(listed or {}))
    if not token and write and any(wish.state == PRESENT for wish in wishes):
        token = client.make_operator(operator.name, operator.email)
    if not token and not write and listed is None:
        token = _operator_token(client, operator.email, _first_accounts(client))
    world = World(listed=listed, stored=frozenset(stored))
    if token:
        client.act_as(token)
        world.operator, world.seats = client.profile()
    world.highest = max([0, *stored, *(listed or {}), *world.seats, *(wish.creating_after or 0 for wish in wishes)])
    return world


def _operator_token(client: ChatwootClient, email: str, accounts: t.Sequence[int]) -> str:
    """The operator's token, read through accounts that he belongs to; empty when that does not lead to him."""
    for number in accounts[:_KNOWN_ACCOUNTS]:
        try:
            links = client.links(number)
        except ApiError as exc:
            if exc.kind not in (errors.MISSING, errors.CONFLICT):
                raise
            continue
        # He is the first that an account gets, and so the oldest of its administrators
        for user in sorted(user for user, role in links.items() if role == ADMINISTRATOR)[:_KNOWN_USERS]:
            token = client.token_of(user, email)
            if token:
                return token
    return ""


def _first_accounts(client: ChatwootClient) -> list[int]:
    """Our account with the lowest id, if there is one among the first: a way to the operator that only reads."""
    for number in range(1, _FIRST_IDS + 1):
        if isinstance(_ask(client, number), Account):
            return [number]
    return []


def _look(client: ChatwootClient, wish: Wish, world: World) -> Found:
    account, note = _locate(client, wish, world)
    if account is None:
        return Found(note=note)
    return _look_inside(client, wish, account, world)


def _locate(client: ChatwootClient, wish: Wish, world: World) -> tuple[Account | None, str]:
    """The tenant's account, or None with what is to be said about that."""
    note = ""
    if wish.account_id:
        account = _at_known_id(client, wish, wish.account_id, world)
        if account is not None:
            return account, ""
        note = f"account {wish.account_id} is gone"
    if world.listed is not None:
        ours = [number for number, account in world.listed.items() if account.tenant == wish.tenant]
        return (world.listed[min(ours)], "") if ours else (None, note)
    for number in sorted(seat.id for seat in world.seats.values() if f"({wish.tenant})" in seat.name):
        look = _ask(client, number)
        if isinstance(look, Account) and look.tenant == wish.tenant:
            return look, ""
    return None, note


def _at_known_id(client: ChatwootClient, wish: Wish, number: int, world: World) -> Account | None:
    """The account with the id that was written down. Raises ApiError when it is somebody else's."""
    wanted = _wanted(wish)
    seat = world.seats.get(number)
    if world.listed is not None and number in world.listed:
        account: Account | None = world.listed[number]
    elif (
        seat is not None
        and (seat.name, seat.role, seat.status) == (wanted.name, ADMINISTRATOR, wanted.status)
        and (wish.state != PRESENT or (wish.agents or 0) == (wanted.agents or 0))
    ):
        # Where accounts cannot be listed, the profile vouches for it and saves a request per tenant
        return replace(wanted, id=number)
    else:
        account = client.account(number)
    if account is not None and account.tenant != wish.tenant:
        whose = f"belongs to tenant {account.tenant}" if account.tenant else "bears no tenant"
        raise ApiError(f"account {number} {whose}, not {wish.tenant}", errors.CONFLICT)
    return account


def _look_inside(client: ChatwootClient, wish: Wish, account: Account, world: World) -> Found:
    seat = world.seats.get(account.id)
    linked = seat is not None and seat.role == ADMINISTRATOR
    found = Found(account, linked=linked, operator=world.operator)
    if wish.state != PRESENT or account.status != "active" or not found.linked:
        return found  # a suspended account, or one without the operator, cannot be looked into
    found = _with_contents(client, found, account.id)
    if world.listed is None and _furnishing(wish, found):
        # Something differs, so what the profile vouched for is looked at after all
        return replace(found, account=client.account(account.id) or account)
    return found


def _with_contents(client: ChatwootClient, found: Found, number: int) -> Found:
    return replace(found, members=tuple(client.members(number)), inboxes=tuple(client.inboxes(number)))


def _ask(client: ChatwootClient, number: int) -> Look:
    try:
        return client.account(number)
    except ApiError as exc:
        if exc.code == FOREIGN:
            return FOREIGN
        raise


def _look_by_probing(client: ChatwootClient, wish: Wish, world: World, memory: dict[int, Look], found: Found) -> Found:
    try:
        account = _probe(client, wish, wish.creating_after or 0, world, memory)
        return found if account is None else _look_inside(client, wish, account, world)
    except ApiError as exc:
        return Found(error=exc)


def _probe(client: ChatwootClient, wish: Wish, after: int, world: World, memory: dict[int, Look]) -> Account | None:
    """Ask for the ids above ``after`` until the tenant's account is met, or no more accounts come."""
    others = world.stored | frozenset(world.seats)
    number, misses, asked = after + 1, 0, 0
    while misses < MISSES or number <= world.highest:
        if number not in others:
            if number not in memory:
                asked += 1
                memory[number] = _ask(client, number)
            look = memory[number]
            if isinstance(look, Account) and look.tenant == wish.tenant:
                return look
            misses = misses + 1 if look is None else 0
        if asked > MOST_PROBES:
            why = f"cannot tell whether an account was made: more than {MOST_PROBES} were made since number {after}"
            raise ApiError(why, errors.CONFLICT)
        number += 1
    return None


# --- planning


def _wanted(wish: Wish) -> Account:
    return Account(
        name=f"{wish.name} ({wish.tenant})",
        locale=wish.locale,
        domain=wish.domain,
        support_email=wish.support_email,
        status="suspended" if wish.state == SUSPENDED else "active",
        tenant=wish.tenant,
        slug=wish.slug,
        # The operator has a seat, too
        agents=None if wish.users is None else wish.users + 1,
    )


def _what(wish: Wish) -> str:
    return f"account {_wanted(wish).name}"


def _shown(account: Account) -> dict[str, t.Any]:
    names = ("name", "locale", "domain", "support_email", "status", "tenant", "slug", "agents")
    return {name: getattr(account, name) for name in names}


def _opening(wish: Wish, found: Found) -> list[Step]:
    """What concerns the account itself and the way into it."""
    account, wanted, what = found.account, _wanted(wish), _what(wish)
    if wish.state != PRESENT:
        return _retirement(wish, found)
    steps = []
    if account is None:
        steps.append(Step("create", bulk.Change("create", what, None, _shown(wanted))))
    elif account != wanted:
        before, after = _shown(account), _shown(wanted)
        differs = [name for name in after if before[name] != after[name]]
        change = bulk.Change("update", what, {n: before[n] for n in differs}, {n: after[n] for n in differs})
        steps.append(Step("update", change))
    if not found.linked:
        steps.append(Step("operator", bulk.Change("create", f"operator of {what}", None, {"role": ADMINISTRATOR})))
    return steps


def _retirement(wish: Wish, found: Found) -> list[Step]:
    account, what = found.account, _what(wish)
    if account is None:
        return []
    if wish.state == ABSENT:
        return [Step("delete", bulk.Change("delete", what, _shown(account), None))]
    if account.status == "suspended":
        return []
    return [Step("update", bulk.Change("update", what, {"status": account.status}, {"status": "suspended"}))]


def _furnishing(wish: Wish, found: Found) -> list[Step]:
    """What the account holds. What could not be looked at is taken for complete in a suspended account, else for empty."""
    if wish.state != PRESENT:
        return []
    if found.members is None or found.inboxes is None:
        if found.account is not None and found.linked:
            return []
        found = replace(found, members=(), inboxes=())
    inboxes = found.inboxes or ()
    people = [*_admin_steps(wish, found.members or ()), *_former_steps(wish, found)]
    return [*people, *_inbox_steps(wish, inboxes), *_number_steps(wish, inboxes)]


def _admin_steps(wish: Wish, members: t.Sequence[Member]) -> list[Step]:
    what = f"administrator {wish.admin_email} of {_what(wish)}"
    admin = _admin(wish, members)
    if admin is None:
        after = {"name": wish.admin_name, "email": wish.admin_email, "role": ADMINISTRATOR}
        return [Step("admin", bulk.Change("create", what, None, after))]
    if admin.role != ADMINISTRATOR:
        return [Step("admin", bulk.Change("update", what, {"role": admin.role}, {"role": ADMINISTRATOR}))]
    return []


def _former_steps(wish: Wish, found: Found) -> list[Step]:
    """The owner before this one leaves the account once the new one is in it."""
    former = _former(wish, found)
    if former is None:
        return []
    before = {"email": former.email, "role": former.role}
    return [Step("former", bulk.Change("delete", f"user {former.email} of {_what(wish)}", before, None))]


def _inbox_steps(wish: Wish, inboxes: t.Sequence[Inbox]) -> list[Step]:
    what = f"website inbox of {_what(wish)}"
    inbox = _inbox(wish, inboxes)
    if inbox is None:
        after = {"name": inbox_name(wish.name), "website_url": wish.website_url}
        return [Step("inbox", bulk.Change("create", what, None, after))]
    if inbox.website_url != wish.website_url:
        before, after = {"website_url": inbox.website_url}, {"website_url": wish.website_url}
        return [Step("inbox", bulk.Change("update", what, before, after))]
    return []


def _number_steps(wish: Wish, inboxes: t.Sequence[Inbox]) -> list[Step]:
    """The WhatsApp inbox; the secrets in it are compared, and told of without being shown."""
    if wish.number is None or wish.number.lacking:
        return []
    what = f"WhatsApp inbox {wish.number.phone_number} of {_what(wish)}"
    inbox = _number_inbox(wish, inboxes)
    if inbox is None:
        shown = {"phone_number_id": wish.number.phone_number_id, "business_account_id": wish.number.business_account_id}
        return [Step("whatsapp", bulk.Change("create", what, None, {"name": number_name(wish.name), **shown}))]
    wanted = {**wish.number.config, "provider": CLOUD}
    there = {**{key: str(inbox.config.get(key) or "") for key in wish.number.config}, "provider": inbox.provider}
    differs = [key for key in wanted if wanted[key] != there[key]]
    if not differs:
        return []
    before = {key: _masked(key, there[key], "another" if there[key] else "none") for key in differs}
    after = {key: _masked(key, wanted[key], "as configured") for key in differs}
    return [Step("whatsapp", bulk.Change("update", what, before, after))]


def _masked(key: str, value: str, instead: str) -> str:
    return instead if key in ("api_key", "app_secret") else value


def _number_inbox(wish: Wish, inboxes: t.Iterable[Inbox]) -> Inbox | None:
    number = wish.number.phone_number if wish.number else ""
    return next((each for each in inboxes if each.channel == WHATSAPP and each.phone_number == number), None)


def number_name(name: str) -> str:
    """What a tenant's WhatsApp inbox is called."""
    return f"WhatsApp {inbox_name(name)}"


def inbox_name(name: str) -> str:
    """A tenant's name as Chatwoot takes it for an inbox: no sign at either end («Umbrella & Co.» → «Umbrella & Co»)."""
    return name.strip(_SIGNS)


def _admin(wish: Wish, members: t.Iterable[Member]) -> Member | None:
    return next((member for member in members if member.email.lower() == wish.admin_email.lower()), None)


def _former(wish: Wish, found: Found) -> Member | None:
    """Whom we recorded as administrator and who has another address than the wished one, while he is in the account."""
    if not wish.known_user or wish.known_user == found.operator:
        return None
    recorded = next((member for member in found.members or () if member.id == wish.known_user), None)
    return None if recorded is None or recorded.email.lower() == wish.admin_email.lower() else recorded


def _inbox(wish: Wish, inboxes: t.Sequence[Inbox]) -> Inbox | None:
    """The tenant's inbox by its name; people may have renamed it, so its address counts too."""
    websites = [inbox for inbox in inboxes if inbox.channel == WEB_WIDGET]
    named = [inbox for inbox in websites if inbox.name == inbox_name(wish.name)]
    there = [inbox for inbox in websites if inbox.website_url == wish.website_url]
    both = [inbox for inbox in named if inbox in there]
    return next(iter([*both, *there, *named]), None)


def _result(client: ChatwootClient, wish: Wish, found: Found) -> bulk.Result:
    result = bulk.Result(wish.tenant, bulk.REACHED[wish.state], message=found.note)
    if found.error is not None:
        result.fail(_what(wish), found.error)
    elif wish.state != PRESENT and found.account is None:
        result.state = bulk.ABSENT
    elif wish.state == PRESENT:
        result.message = "; ".join(filter(None, [f"{found.note}: made anew" if found.note else "", _without(wish)]))
    if found.account is not None and result.state != bulk.ABSENT:
        _refer(client, result, wish, found)
    return result


def _without(wish: Wish) -> str:
    """Why there is no WhatsApp inbox although the tenant wants one."""
    if wish.number is None or not wish.number.lacking:
        return ""
    return f"no WhatsApp inbox for {wish.number.phone_number}: not set: {', '.join(wish.number.lacking)}"


def _count_users(result: bulk.Result, wish: Wish, found: Found, operator: int) -> None:
    """How many people use the account, the wished administrator among them; only where it could be looked at."""
    if wish.state != PRESENT or result.state != bulk.READY or (found.members is None and found.account is not None):
        return
    former = _former(wish, found)
    people = {member.email.lower() for member in found.members or () if member.id != operator and member != former}
    count = len(people | {wish.admin_email.lower()})
    result.usage["users"] = count
    if wish.users is not None and count > wish.users:
        told = f"{count} users, and the plan allows {wish.users}"
        result.message = "; ".join(filter(None, [result.message, told]))


def _refer(client: ChatwootClient, result: bulk.Result, wish: Wish, found: Found) -> None:
    number = found.account.id if found.account else 0
    result.ref["account_id"] = number
    result.url = f"{client.http.base_url}/app/accounts/{number}/dashboard"
    admin, inbox = _admin(wish, found.members or ()), _inbox(wish, found.inboxes or ())
    if admin is not None and _former(wish, found) is None:
        # Only the id that is recorded leads to a former owner, so it is kept until he is out
        result.ref["user_id"] = admin.id
    if inbox is not None:
        result.ref["inbox_id"] = inbox.id
    talking = _number_inbox(wish, found.inboxes or ())
    if talking is not None:
        result.ref["whatsapp_inbox_id"] = talking.id
    agents = _wanted(wish).agents or 0
    if wish.state == PRESENT and agents != (wish.agents or 0):
        result.ref["agents"] = agents


# --- carrying out


class _Builder:
    """Carries out the plan of one tenant, step by step."""

    def __init__(self, client: ChatwootClient, wish: Wish, found: Found, world: World, remember: Remember) -> None:
        self.client = client
        self.wish = wish
        self.found = found
        self.world = world
        self.remember = remember
        self.result = _result(client, wish, found)
        self.admin = 0  # who was made administrator by this run

    def run(self) -> bulk.Result:
        if self.found.error is not None:
            return self.result
        try:
            self._do(_opening(self.wish, self.found))
            account = self.found.account
            if self.wish.state == PRESENT and account is not None and self.found.members is None:
                self.found = _with_contents(self.client, self.found, account.id)
                _refer(self.client, self.result, self.wish, self.found)
            self._do(_furnishing(self.wish, self.found))
            _count_users(self.result, self.wish, self.found, self.world.operator)
        except ApiError as exc:
            self.result.ref.pop("agents", None)  # perhaps it was not given: the next run looks
            self.result.fail(_what(self.wish), exc)
        return self.result

    def _do(self, steps: t.Sequence[Step]) -> None:
        for step in steps:
            getattr(self, f"_{step.kind}")(step)
            self.result.changes.append(step.change)

    @property
    def _number(self) -> int:
        if self.found.account is None:
            raise ApiError("there is no account", errors.MISSING)
        return self.found.account.id

    def _create(self, _step: Step) -> None:
        after = self.world.highest
        wanted = _wanted(self.wish)
        self.remember(self.wish.tenant, {"account_id": None, "creating_after": after})
        number = self.client.create_account(wanted, lambda: _probe(self.client, self.wish, after, self.world, {}))
        self.world.rise(number)
        self.found = replace(self.found, account=replace(wanted, id=number), members=(), inboxes=())
        self.result.created = True
        _refer(self.client, self.result, self.wish, self.found)
        self.remember(self.wish.tenant, {"account_id": number, "creating_after": None})

    def _update(self, step: Step) -> None:
        account = t.cast(Account, self.found.account)
        wanted = replace(_wanted(self.wish), id=account.id, others=account.others, limits=account.limits)
        self.client.change_account(account.id, wanted, set(step.change.after or {}))
        self.found = replace(self.found, account=wanted)

    def _delete(self, _step: Step) -> None:
        alone = self.client.made_for(self.wish.tenant, self._number)
        self.client.delete_account(self._number)
        for user in alone:
            self.client.delete_user(user)

    def _operator(self, _step: Step) -> None:
        self.client.link(self._number, self.world.operator)
        self.found = replace(self.found, linked=True)

    def _admin(self, _step: Step) -> None:
        user = self.client.user(self.wish.admin_name, self.wish.admin_email, self.wish.tenant)
        self.client.link(self._number, user)
        self.admin = user
        if _former(self.wish, self.found) is None:
            self.result.ref["user_id"] = user

    def _former(self, step: Step) -> None:
        """Take the recorded owner out of the account; then the new one takes his place in the tenant's status."""
        try:
            self.client.unlink(self._number, self.wish.known_user)
        except ApiError as exc:
            why = f"{step.change.what} could not be taken out of it: {exc.message}"
            raise ApiError(why, exc.kind, exc.status, exc.code, exc.where) from None
        admin = _admin(self.wish, self.found.members or ())
        self.result.ref["user_id"] = self.admin or (admin.id if admin else 0)

    def _inbox(self, _step: Step) -> None:
        inbox = _inbox(self.wish, self.found.inboxes or ())
        if inbox is None:
            inbox = Inbox(0, inbox_name(self.wish.name), self.wish.website_url)
            self.result.ref["inbox_id"] = self.client.create_inbox(self._number, inbox)
        else:
            self.client.change_inbox(self._number, inbox.id, self.wish.website_url)

    def _whatsapp_inbox(self) -> Inbox:
        """The WhatsApp inbox as it shall be, with what of its settings is not ours."""
        number = t.cast(Number, self.wish.number)
        there = _number_inbox(self.wish, self.found.inboxes or ())
        config = {**(there.config if there else {}), **number.config}
        name = number_name(self.wish.name)
        return Inbox(there.id if there else 0, name, "", WHATSAPP, number.phone_number, CLOUD, config)

    def _whatsapp(self, _step: Step) -> None:
        inbox = self._whatsapp_inbox()
        if inbox.id:
            self.client.change_number(self._number, inbox)
        else:
            self.result.ref["whatsapp_inbox_id"] = self.client.create_number(self._number, inbox)
