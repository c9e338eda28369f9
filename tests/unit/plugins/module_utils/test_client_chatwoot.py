# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import string

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import chatwoot
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.chatwoot import Account, Inbox
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.chatwoot import TOKEN, FakeChatwoot
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import losing_once

ACME = Account("Acme (76086428-5)", "es", "acme.example.com", "ana@example.com", "active", "76086428-5", "acme")


@pytest.fixture
def server() -> FakeChatwoot:
    return FakeChatwoot()


def test_an_account_comes_back_as_it_was_made(server: FakeChatwoot) -> None:
    client = server.client()
    number = client.create_account(ACME, lambda: None)
    assert client.account(number) == ACME


def test_an_account_that_is_not_there_is_none(server: FakeChatwoot) -> None:
    assert server.client().account(99) is None


def test_an_account_of_others_is_told_from_a_bad_token(server: FakeChatwoot) -> None:
    with pytest.raises(ApiError) as foreign:
        server.client().account(1)
    with pytest.raises(ApiError) as refused:
        server.client("wrong-token").account(1)
    assert (foreign.value.kind, foreign.value.code) == (errors.CONFLICT, chatwoot.FOREIGN)
    assert (refused.value.kind, refused.value.code) == (errors.REFUSED, "")


@pytest.mark.parametrize("answer", [(404, {"error": "Not Found"}), (500, {"error": "gone"}), (200, {"not": "a list"})])
def test_a_chatwoot_that_cannot_list_is_asked_once(server: FakeChatwoot, answer: tuple[int, object]) -> None:
    server.refuse = lambda _request: answer
    assert server.client().accounts() is None
    assert len(server.log) == 1


def test_all_accounts_are_listed_where_that_is_possible() -> None:
    server = FakeChatwoot(lists=True)
    number = server.client().create_account(ACME, lambda: None)
    assert server.client().accounts() == {number: ACME}


def test_a_lost_answer_to_the_creation_of_an_account_is_looked_for(server: FakeChatwoot) -> None:
    server.lose = losing_once(server.writes)
    client = server.client()
    assert client.create_account(ACME, lambda: client.account(2)) == 2
    assert len(server.of("76086428-5")) == 1


def test_a_lost_answer_to_the_creation_of_an_inbox_is_looked_for(server: FakeChatwoot) -> None:
    client = server.client()
    number = client.create_account(ACME, lambda: None)
    client.act_as(client.make_operator("Op", "op@example.com"))
    client.link(number, 1)
    server.lose = losing_once(lambda request: request.method == "POST")
    assert client.create_inbox(number, Inbox(0, "Acme", "https://acme.example.com")) == 1
    assert len(server.inboxes) == 1


def test_other_custom_attributes_stay_when_ours_are_written(server: FakeChatwoot) -> None:
    client = server.client()
    number = client.create_account(ACME, lambda: None)
    server.accounts[number]["custom_attributes"]["industry"] = "retail"
    seen = client.account(number)
    assert seen is not None
    client.change_account(number, seen, {"slug"})
    assert server.accounts[number]["custom_attributes"] == {
        "industry": "retail",
        "tenant": "76086428-5",
        "slug": "acme",
    }


def test_deleting_what_is_gone_is_as_good(server: FakeChatwoot) -> None:
    server.client().delete_account(99)


def test_a_user_is_made_once_whatever_the_case_of_the_address(server: FakeChatwoot) -> None:
    client = server.client()
    assert client.user("Ana", "ana@example.com", "76086428-5") == client.user("Ana", "ANA@example.com", "76086428-5")
    assert len(server.users) == 1


def test_a_password_has_what_chatwoot_wants_and_is_never_the_same() -> None:
    one, other = chatwoot.strong_password(), chatwoot.strong_password()
    assert one != other
    for letters in (string.ascii_uppercase, string.ascii_lowercase, string.digits, "!"):
        assert set(letters) & set(one)
    assert 16 <= len(one) <= 128


def test_tokens_and_passwords_are_never_in_an_error(server: FakeChatwoot) -> None:
    client = server.client()
    client.act_as(client.make_operator("Op", "op@example.com"))
    server.refuse = lambda request: (422, {"error": f"{request.headers} {request.body}"})
    with pytest.raises(ApiError) as of_operator:
        client.profile()
    with pytest.raises(ApiError) as of_user:
        client.user("Ana", "ana@example.com", "76086428-5")
    password = server.log[-1].body["password"]
    shown = f"{of_operator.value} {of_user.value!r} {vars(of_user.value)}"
    assert not [secret for secret in (TOKEN, "personal-token-1", password) if secret in shown]


class TestCheck:
    def test_a_platform_token_is_valid_though_it_may_read_nothing(self, server: FakeChatwoot) -> None:
        assert server.client().check()["state"] == "valid"
        assert server.written == []

    def test_any_other_token_is_invalid(self, server: FakeChatwoot) -> None:
        assert server.client("somebody-s-token").check()["state"] == "invalid"

    def test_a_wall_in_front_of_it_is_insufficient(self, server: FakeChatwoot) -> None:
        server.refuse = lambda _request: (403, "forbidden")
        assert server.client().check()["state"] == "insufficient"

    @pytest.mark.parametrize("answer", [(404, "<html>nginx</html>"), (502, "bad gateway")])
    def test_another_server_is_not_taken_for_it(self, server: FakeChatwoot, answer: tuple[int, str]) -> None:
        server.refuse = lambda _request: answer
        assert server.client().check()["state"] == "unreachable"

    def test_nothing_can_be_claimed(self, server: FakeChatwoot) -> None:
        assert server.client().claimed([{"id": "76086428-5"}]) == {}
        assert server.log == []
