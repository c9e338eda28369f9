# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import chatwoot as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.chatwoot import Operator, Wish
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.chatwoot import FakeChatwoot
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Killed, losing_once

OPERATOR = Operator("SmarterOS", "operator@example.com")


def wish(tenant: str, slug: str, owner: str, **more: t.Any) -> Wish:
    domain = f"{slug}.example.com"
    return Wish(tenant, slug.title(), slug, domain, "es", owner, "Owner", owner, f"https://{domain}", **more)


ACME = wish("76086428-5", "acme", "ana@example.com")
BETA = wish("12345678-9", "beta", "bea@example.com")
CETA = wish("11111111-1", "ceta", "ana@example.com")  # the same owner as Acme
ALL = (ACME, BETA, CETA)


class Notes:
    """The tenants' status: what is remembered outlives the process."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, t.Any]] = {}

    def remember(self, tenant: str, ref: t.Mapping[str, t.Any]) -> None:
        self.of.setdefault(tenant, {}).update(ref)

    def recalled(self, wish: Wish) -> Wish:
        return replace(wish, **self.of.get(wish.tenant, {}))


def run(
    server: FakeChatwoot, notes: Notes, *wishes: Wish, check: bool = False, operator: Operator = OPERATOR
) -> list[bulk.Result]:
    """What the module chatwoot_accounts does, one request at a time, with the ids of earlier runs."""
    client = server.client()
    known = [notes.recalled(wish) for wish in wishes]
    seen = service.observe(client, known, operator, write=not check, concurrency=1)
    if check:
        return [service.predicted(client, wish, seen.found[wish.tenant]) for wish in known]
    return service.carry_out(client, known, seen, notes.remember, concurrency=1)


def changes(results: t.Iterable[bulk.Result]) -> list[list[dict[str, t.Any]]]:
    return [[change.as_dict() for change in result.changes] for result in results]


def errors_of(results: t.Iterable[bulk.Result]) -> list[str]:
    return [result.error["why"] if result.error else "" for result in results]


@pytest.fixture(params=[False, True], ids=["3.13", "4.x"])
def server(request: pytest.FixtureRequest) -> FakeChatwoot:
    return FakeChatwoot(lists=request.param)


@pytest.fixture
def notes() -> Notes:
    return Notes()


def test_a_new_account_has_its_operator_administrator_and_inbox(server: FakeChatwoot, notes: Notes) -> None:
    (result,) = run(server, notes, ACME)
    (account,) = server.of("76086428-5")
    assert (account["name"], account["locale"], account["status"]) == ("Acme (76086428-5)", "es", "active")
    assert {server.users[user]["email"] for (_where, user) in server.links} == {
        "operator@example.com",
        "ana@example.com",
    }
    assert set(server.links.values()) == {"administrator"}
    assert [(inbox["name"], inbox["website_url"]) for inbox in server.inboxes.values()] == [
        ("Acme", "https://acme.example.com")
    ]
    assert (result.created, result.ref) == (True, {"account_id": account["id"], "user_id": 2, "inbox_id": 1})
    assert result.url.endswith(f"/app/accounts/{account['id']}/dashboard")
    assert [change["what"] for change in changes([result])[0]] == [
        "account Acme (76086428-5)",
        "operator of account Acme (76086428-5)",
        "administrator ana@example.com of account Acme (76086428-5)",
        "website inbox of account Acme (76086428-5)",
    ]


def test_a_second_run_changes_nothing_writes_nothing_and_asks_twice_per_tenant(
    server: FakeChatwoot, notes: Notes
) -> None:
    run(server, notes, *ALL)
    server.log.clear()
    results = run(server, notes, *ALL)
    assert (changes(results), server.written) == ([[], [], []], [])
    assert results[0].ref == {"account_id": 2, "user_id": 2, "inbox_id": 1}
    assert len(server.log) == 4 + 2 * len(ALL)


def test_the_ids_are_written_down_before_anything_else_is_made(server: FakeChatwoot) -> None:
    told: list[tuple[int, dict[str, t.Any]]] = []

    class Telling(Notes):
        def remember(self, tenant: str, ref: t.Mapping[str, t.Any]) -> None:
            told.append((len(server.written), dict(ref)))

    notes = Telling()
    run(server, notes, ACME)
    # request 0 makes the operator, 1 the account
    assert told == [
        (1, {"account_id": None, "creating_after": 0}),
        (2, {"account_id": 2, "creating_after": None}),
    ]


@pytest.mark.parametrize(
    ("wished", "after"),
    [
        (replace(ACME, name="Acme Two"), {"name": "Acme Two (76086428-5)"}),
        (replace(ACME, domain="new.example.com", website_url="https://new.example.com"), {"domain": "new.example.com"}),
        (
            replace(ACME, support_email="help@example.com", admin_email="cy@example.com"),
            {"support_email": "help@example.com"},
        ),
    ],
    ids=["name", "domain", "people"],
)
def test_what_differs_is_written(server: FakeChatwoot, notes: Notes, wished: Wish, after: dict[str, str]) -> None:
    run(server, notes, ACME)
    server.log.clear()
    foretold = run(server, notes, wished, check=True)
    assert server.written == []
    (result,) = run(server, notes, wished)
    assert changes([result])[0][0]["after"] == after
    assert changes(foretold) == changes([result])
    assert changes(run(server, notes, wished)) == [[]]
    assert len(server.inboxes) == 1


def test_a_language_alone_is_compared_where_accounts_can_be_listed(notes: Notes) -> None:
    server = FakeChatwoot(lists=True)
    run(server, notes, ACME)
    assert changes(run(server, notes, replace(ACME, locale="en")))[0][0]["after"] == {"locale": "en"}


def test_a_renamed_inbox_is_known_by_its_address(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, ACME)
    server.inboxes[1]["name"] = "Our chat"
    assert changes(run(server, notes, ACME)) == [[]]


def test_an_agent_becomes_administrator(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, ACME)
    server.links[(2, 2)] = "agent"
    (result,) = run(server, notes, ACME)
    assert changes([result])[0][0]["before"] == {"role": "agent"}
    assert server.links[(2, 2)] == "administrator"


def test_an_operator_who_was_put_out_comes_back(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, ACME, BETA)
    del server.links[(2, 1)]
    acme, beta = run(server, notes, ACME, BETA)
    assert [change["what"] for change in changes([acme])[0]] == ["operator of account Acme (76086428-5)"]
    assert beta.changes == []


def test_a_lost_id_is_found_again_through_the_list_or_the_operator(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, *ALL)
    notes.of.clear()
    foretold = run(server, notes, *ALL, check=True)
    results = run(server, notes, *ALL)
    assert changes(foretold) == changes(results) == [[], [], []]
    assert [result.ref["account_id"] for result in results] == [2, 3, 4]


def test_an_account_that_is_gone_is_made_anew_and_the_result_says_so(server: FakeChatwoot, notes: Notes) -> None:
    notes.remember("76086428-5", {"account_id": 77})
    (result,) = run(server, notes, ACME)
    assert (result.created, result.message) == (True, "account 77 is gone: made anew")


def test_an_account_made_by_others_is_left_alone(server: FakeChatwoot, notes: Notes) -> None:
    notes.remember("76086428-5", {"account_id": 1})
    before = dict(server.accounts[1])
    acme, beta = run(server, notes, ACME, BETA)
    assert (acme.state, beta.state) == (bulk.FAILED, bulk.READY)
    assert "Non permissible resource" in errors_of([acme])[0]
    assert server.accounts[1] == before


def test_an_id_of_another_tenant_is_an_error(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, ACME)
    notes.remember("12345678-9", {"account_id": 2})
    (result,) = run(server, notes, BETA)
    assert errors_of([result]) == ["account 2 belongs to tenant 76086428-5, not 12345678-9"]


def test_a_suspended_account_keeps_its_contents_and_is_resumed(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, ACME)
    counts = server.counts()
    for state, status, outcome in (("suspended", "suspended", bulk.SUSPENDED), ("present", "active", bulk.READY)):
        wished = replace(ACME, state=state)
        foretold = run(server, notes, wished, check=True)
        (result,) = run(server, notes, wished)
        assert changes(foretold) == changes([result])
        assert (result.state, server.accounts[2]["status"], server.counts()) == (outcome, status, counts)
        assert changes(run(server, notes, wished)) == [[]]


def test_an_absent_account_is_deleted(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, ACME, BETA)
    (result,) = run(server, notes, replace(ACME, state="absent"))
    assert (result.state, result.ref) == (bulk.ABSENT, {})
    assert (len(server.of("76086428-5")), len(server.of("12345678-9"))) == (0, 1)
    assert changes(run(server, notes, replace(ACME, state="absent"))) == [[]]


def test_nothing_is_made_for_a_tenant_that_shall_be_absent(server: FakeChatwoot, notes: Notes) -> None:
    (result,) = run(server, notes, replace(ACME, state="absent"))
    assert (result.state, server.written) == (bulk.ABSENT, [])


def test_check_mode_foretells_the_run_and_writes_nothing(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, BETA)
    server.log.clear()
    foretold = run(server, notes, *ALL, check=True)
    assert server.written == []
    done = run(server, notes, *ALL)
    assert changes(foretold) == changes(done)
    assert [result.created for result in foretold] == [result.created for result in done]


def test_one_failure_spares_the_others(server: FakeChatwoot, notes: Notes) -> None:
    def refuse(request: t.Any) -> tuple[int, t.Any] | None:
        wrong = request.method == "POST" and (request.body or {}).get("name") == "Beta (12345678-9)"
        return (422, {"message": "Name is not nice"}) if wrong else None

    server.refuse = refuse
    results = run(server, notes, *ALL)
    assert [result.state for result in results] == [bulk.READY, bulk.FAILED, bulk.READY]
    assert "Name is not nice" in errors_of(results)[1]


def test_a_status_that_cannot_be_written_stops_the_account_before_it_is_made(
    server: FakeChatwoot, notes: Notes
) -> None:
    def full(tenant: str, ref: t.Mapping[str, t.Any]) -> None:
        raise service.ApiError("the id could not be written down: no space left")

    notes.remember = full  # type: ignore[method-assign]  # the note-taker breaks
    (result,) = run(server, notes, ACME)
    assert (result.state, result.changes, server.of("76086428-5")) == (bulk.FAILED, [], [])


class TestUnderFire:
    """Whatever happens on the way, the same command again ends with exactly one of everything."""

    @staticmethod
    def wanted(lists: bool) -> tuple[dict[str, int], int]:
        calm = FakeChatwoot(lists)
        assert not any(result.error for result in run(calm, Notes(), *ALL))
        return calm.counts(), len(calm.log)

    @pytest.mark.parametrize("lists", [False, True], ids=["3.13", "4.x"])
    @pytest.mark.parametrize("when", ["die_before", "die_after"])
    def test_a_run_killed_at_any_request_is_completed_by_the_next(self, lists: bool, when: str) -> None:
        counts, steps = self.wanted(lists)
        for step in range(steps):
            server, notes = FakeChatwoot(lists), Notes()
            setattr(server, when, step)
            with pytest.raises(Killed):
                run(server, notes, *ALL)
            server.survive()
            assert errors_of(run(server, notes, *ALL)) == ["", "", ""]
            assert server.counts() == counts, f"killed at request {step}"
            assert [len(server.of(each.tenant)) for each in ALL] == [1, 1, 1]

    @pytest.mark.parametrize("lists", [False, True], ids=["3.13", "4.x"])
    def test_killed_twice_it_still_ends_well(self, lists: bool) -> None:
        counts, steps = self.wanted(lists)
        for first, second in itertools.product(range(2, steps, 2), range(2, steps, 3)):
            server, notes = FakeChatwoot(lists), Notes()
            server.die_after = first
            with pytest.raises(Killed):
                run(server, notes, *ALL)
            server.survive()
            server.die_after = second
            try:
                run(server, notes, *ALL)
            except Killed:
                server.survive()
                run(server, notes, *ALL)
            assert server.counts() == counts, f"killed at requests {first} and {second}"

    @pytest.mark.parametrize("lists", [False, True], ids=["3.13", "4.x"])
    def test_any_answer_may_be_lost_once(self, lists: bool) -> None:
        counts, steps = self.wanted(lists)
        for step in range(steps):
            server = FakeChatwoot(lists)
            numbers = itertools.count()
            server.lose = losing_once(lambda _request, step=step, numbers=numbers: next(numbers) == step)  # type: ignore[misc]  # mypy infers no lambda with defaults
            results = run(server, Notes(), *ALL)
            assert errors_of(results) == ["", "", ""], f"lost answer {step}"
            assert server.counts() == counts, f"lost answer {step}"

    def test_accounts_of_others_and_gaps_in_between_do_not_hide_ours(self) -> None:
        server, notes = FakeChatwoot(), Notes()
        run(server, notes, BETA)  # account 2
        made = {
            "id": 20,
            "name": "Acme (76086428-5)",
            "status": "active",
            "custom_attributes": {"tenant": "76086428-5"},
        }
        foreign = {"id": 9, "name": "X", "status": "active", "foreign": True}
        server.accounts.update({9: foreign, 20: made})
        server._next = 21
        notes.remember("76086428-5", {"creating_after": 2})
        acme, ceta = run(server, notes, ACME, CETA)
        assert errors_of([acme, ceta]) == ["", ""]
        assert (acme.ref["account_id"], acme.created) == (20, False)
        assert [len(server.of(each.tenant)) for each in ALL] == [1, 1, 1]

    def test_the_search_for_a_lost_account_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "MOST_PROBES", 50)
        server, notes = FakeChatwoot(), Notes()
        server.accounts.update({n: {"id": n, "name": "X", "status": "active", "foreign": True} for n in range(2, 200)})
        notes.remember("76086428-5", {"creating_after": 1})
        (result,) = run(server, notes, ACME)
        assert "cannot tell whether an account was made" in errors_of([result])[0]
        assert server.of("76086428-5") == []


@pytest.mark.parametrize(
    ("name", "inbox"), [("Umbrella & Co.", "Umbrella & Co"), ("Acme S.A.", "Acme S.A"), ("Ñandú", "Ñandú")]
)
def test_an_inbox_name_has_no_sign_at_its_ends(name: str, inbox: str) -> None:
    assert service.inbox_name(name) == inbox


def test_an_administrator_who_was_made_for_the_tenant_goes_with_the_account(server: FakeChatwoot, notes: Notes) -> None:
    run(server, notes, *ALL)
    run(server, notes, *(replace(each, state="absent") for each in (ACME, BETA)))
    addresses = {user["email"] for user in server.users.values()}
    assert BETA.admin_email not in addresses
    assert ACME.admin_email in addresses  # he administers Ceta as well
