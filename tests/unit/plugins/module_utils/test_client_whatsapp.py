# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What Meta says, in our words; a message is never sent twice, and the token never shown."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import whatsapp, whatsapp_cloud
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp_cloud import Template
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.whatsapp import (
    NUMBER,
    TOKEN,
    FakeWhatsApp,
    refusal,
)

WELCOME = Template("smarteros_bienvenida", "es", ("Ana", "Acme", "https://acme.example.com"))


@pytest.fixture
def server() -> FakeWhatsApp:
    return FakeWhatsApp()


def refused(server: FakeWhatsApp, answer: tuple[int, t.Any]) -> ApiError:
    server.refuse = lambda request: answer if request.method == "POST" else None
    with pytest.raises(ApiError) as caught:
        server.client().send_template("+56900000001", WELCOME)
    return caught.value


def test_a_number_is_sent_as_digits_and_the_answer_read(server: FakeWhatsApp) -> None:
    sent = server.client().send_template("+56 9 0000-0001", WELCOME)
    assert (sent.id, sent.recipient, server.messages[0]["to"]) == ("wamid.1", "56900000001", "56900000001")


def test_a_parameter_is_one_line_and_never_empty(server: FakeWhatsApp) -> None:
    server.client().send_template("+56900000001", Template("x", "es", ("a\n\tb    c", "", "x" * 1000)))
    values = [each["text"] for each in server.messages[0]["template"]["components"][0]["parameters"]]
    assert values[:2] == ["a b c", "-"]
    assert len(values[2]) == 900


@pytest.mark.parametrize("code", [4, 80007, 130429, 1, 2, 131000])
def test_a_passing_trouble_is_waited_out(server: FakeWhatsApp, code: int) -> None:
    troubles = [refusal(400 if code != 131000 else 500, code)] * 2
    server.refuse = lambda request: troubles.pop() if troubles and request.method == "POST" else None
    server.client().send_template("+56900000001", WELCOME)
    assert (len(server.messages), len(server.written)) == (1, 3)


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (401, 190, "refused", "system user"),
        (403, 10, "refused", "whatsapp_business_messaging"),
        (403, 200, "refused", "whatsapp_business_messaging"),
        (400, 100, "invalid", "number's id"),
        (400, 131026, "invalid", "cannot be reached"),
        (400, 131030, "invalid", "test number"),
        (400, 131042, "invalid", "payment"),
        (400, 131047, "invalid", "24 hours"),
        (400, 131056, "invalid", "same recipient"),
        (400, 132000, "invalid", "number of parameters"),
        (404, 132001, "invalid", "approved template"),
        (400, 132015, "invalid", "paused"),
        (400, 133010, "invalid", "register"),
    ],
)
def test_each_code_says_what_to_do_and_is_not_repeated(
    server: FakeWhatsApp, status: int, code: int, kind: str, advice: str
) -> None:
    error = refused(server, refusal(status, code))
    assert (error.kind, error.code, len(server.written)) == (kind, str(code), 1)
    assert advice in error.message


@pytest.mark.parametrize(
    "answer",
    [(500, "<html>Bad Gateway</html>"), (200, {"messages": []}), (200, {"messages": "yes"}), (200, []), (200, None)],
)
def test_an_answer_that_says_nothing_leaves_the_fate_open(server: FakeWhatsApp, answer: tuple[int, t.Any]) -> None:
    assert (refused(server, answer).kind, len(server.written)) == ("unanswered", 1)


def test_a_lost_answer_is_not_repeated(server: FakeWhatsApp) -> None:
    server.lose = lambda request: request.method == "POST"
    with pytest.raises(ApiError) as caught:
        server.client().send_text("+56900000001", "Hola")
    assert (caught.value.kind, len(server.messages)) == ("unanswered", 1)


def test_what_is_no_number_or_too_long_is_not_sent(server: FakeWhatsApp) -> None:
    for to, text in (("call me", "Hola"), ("+56900000001", "x" * 4097)):
        with pytest.raises(ApiError):
            server.client().send_text(to, text)
    assert server.log == []


def test_a_good_token_is_valid(server: FakeWhatsApp) -> None:
    verdict = server.client().check()
    assert (verdict["state"], verdict["account"], server.written) == ("valid", "+1 555-010-0001 SmarterOS", [])


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (refusal(401, 190), "invalid"),
        (refusal(403, 10), "insufficient"),
        (refusal(400, 100, "Object does not exist", error_subcode=33), "insufficient"),
        ((200, "<html>"), "invalid"),
        ((200, {"id": "7"}), "invalid"),
        ((200, ["x"]), "invalid"),
        ((500, "oops"), "unreachable"),
    ],
)
def test_a_token_is_judged_by_what_it_may_read(server: FakeWhatsApp, answer: tuple[int, t.Any], state: str) -> None:
    server.refuse = lambda _request: answer
    assert server.client().check()["state"] == state


def test_a_missing_permission_is_named(server: FakeWhatsApp) -> None:
    granted = {"data": [{"permission": "whatsapp_business_management", "status": "granted"}]}
    server.refuse = lambda request: (200, granted) if request.path == "/me/permissions" else None
    verdict = server.client().check()
    assert (verdict["state"], verdict["missing_scopes"]) == ("insufficient", ["whatsapp_business_messaging"])


def test_permissions_that_meta_does_not_tell_are_not_missed(server: FakeWhatsApp) -> None:
    server.refuse = lambda request: refusal(400, 2500) if request.path == "/me/permissions" else None
    assert server.client().check()["state"] == "valid"


def test_a_number_of_another_business_account_is_noticed(server: FakeWhatsApp) -> None:
    server.refuse = lambda request: (200, {"data": [{"id": "9"}]}) if request.path.endswith("numbers") else None
    verdict = server.client().check()
    assert verdict["state"] == "insufficient"
    assert NUMBER in verdict["message"]


def test_the_token_is_never_shown(server: FakeWhatsApp) -> None:
    error = refused(server, refusal(400, 190, f"Cannot parse {TOKEN}"))
    assert TOKEN not in json.dumps(error.as_dict("x"))
    assert TOKEN not in repr(server.client())


def test_either_way_is_enough_and_half_a_way_is_not() -> None:
    own = {"url": "http://192.0.2.1", "token": "t" * 20, "phone_number_id": "1", "business_account_id": "2"}
    smtp = json.dumps({"host": "127.0.0.1", "from": "a@example.com", "tls": "none"})
    nothing = {"url": "http://192.0.2.1", "token": "", "phone_number_id": "", "business_account_id": "", "smtp": ""}
    assert whatsapp.lacking(own) == []
    assert whatsapp.lacking({**nothing, "smtp": smtp}) == []
    assert whatsapp.lacking({**own, "phone_number_id": "", "smtp": smtp}) == ["phone_number_id"]
    assert len(whatsapp.lacking(nothing)) == 3
    assert whatsapp.connect({**nothing, "smtp": smtp}).whatsapp is None
    assert whatsapp.connect(own).mail is None
    with pytest.raises(ApiError):
        whatsapp.connect({**nothing, "smtp": "nonsense"})


def test_the_worse_of_two_ways_is_told() -> None:
    smtp = {"host": "mail.example.com", "from": "a@example.com", "tls": "none"}
    verdict = whatsapp.connect({"url": "http://192.0.2.1", "smtp": smtp}).check()
    assert (verdict["state"], verdict["message"].startswith("mail: ")) == ("invalid", True)
    assert whatsapp.connect({"url": "http://192.0.2.1"}).check()["state"] == "missing"


def test_advice_covers_every_code_of_a_permission() -> None:
    assert whatsapp_cloud.advice("210") == whatsapp_cloud.advice("10") != ""
    assert whatsapp_cloud.advice("999999") == ""
