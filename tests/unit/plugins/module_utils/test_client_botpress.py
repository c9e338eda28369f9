"""The Botpress client against the sandbox's Botpress: tokens, imports, unknown outcomes, what a login is good for."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import botpress as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.botpress_archive import pack, unpack
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, wired
from unit.sandbox.driver import botpress

TOKEN = "sandbox-botpress-token"
EMAIL = "operator@smarterbot.cl"
RUT = "76086428-5"
SERVER = {"authorization": f"Bearer {TOKEN}"}
FILE = "/data/global/botpress.config.json"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(botpress, monkeypatch)


def client(wire: Wire, password: str = TOKEN, email: str = EMAIL) -> api.Botpress:
    return api.connect({"url": wire.base_url, "email": email, "password": password})


def archive(mark: str = "one", **settings: Any) -> bytes:
    config = {"name": "Acme", "description": f"smarteros:{RUT}", "defaultLanguage": "es", "languages": ["es"]}
    return pack({"bot.config.json": json.dumps({**config, "smarteros": {"content": mark}, **settings}).encode()})


def made(mark: str = "one") -> Any:
    return lambda bot: bot.ours.get("content") == mark


def imports(sent: Sent) -> bool:
    return sent.path.endswith("/import")


def test_one_login_serves_many_calls(wire: Wire) -> None:
    one = client(wire)
    for _ in range(3):
        assert set(one.bots()) == {"house-bot"}
    assert [sent.path for sent in wire.sent].count(f"{api.ADMIN}/auth/login/basic/default") == 1


def test_a_token_is_renewed_before_it_ends(wire: Wire) -> None:
    now = [0.0]
    one = client(wire)
    one._clock = lambda: now[0]
    one.bots()
    now[0] = 3600 - api.EARLY + 1
    one.bots()
    assert len([sent for sent in wire.sent if "login" in sent.path]) == 2


def test_a_token_that_is_no_longer_taken_is_renewed_once(wire: Wire) -> None:
    one = client(wire)
    one.bots()
    wire.trouble = once(
        lambda sent: sent.path == api.BOTS, (401, {"message": "Unauthorized: Invalid", "errorCode": "BP_0041"})
    )
    assert "house-bot" in one.bots()
    wire.trouble = lambda sent: (401, {"message": "Unauthorized"}) if sent.path == api.BOTS else None
    with pytest.raises(ApiError, match="Unauthorized"):
        one.bots()


def test_a_bot_is_made_replaced_configured_exported_and_deleted(wire: Wire) -> None:
    one = client(wire)
    one.create("acme", archive(), made())
    found = one.bots()["acme"]
    assert (found.name, found.tenant, found.disabled, found.secured) == ("Acme (acme)", RUT, False, False)
    one.replace("acme", archive("two", converse={"enableUnsecuredEndpoint": False}))
    assert (one.bots()["acme"].ours, one.bots()["acme"].secured) == ({"content": "two"}, True)
    one.configure("acme", {"disabled": True, "defaultLanguage": "es", "languages": ["es"]})
    assert one.bots()["acme"].disabled
    assert set(unpack(one.export("acme"))) == {"bot.config.json"}
    for _ in range(2):
        one.delete("acme")
    assert "acme" not in one.bots()


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_bot_whose_creation_got_no_answer_exists_once(wire: Wire, trouble: str) -> None:
    wire.trouble = once(imports, trouble)
    client(wire).create("acme", archive(), made())
    assert client(wire).bots()["acme"].ours == {"content": "one"}


def test_a_slow_import_that_ended_after_we_had_looked_is_taken_for_ours(wire: Wire) -> None:
    looks = [0]

    def trouble(sent: Sent) -> Any:
        if imports(sent) and not looks[0]:
            return LOST
        if sent.path == api.BOTS:
            looks[0] += 1
            if looks[0] == 1:  # it is not there yet
                return (200, {"payload": {"bots": [], "workspace": {}}})
        return None

    wire.trouble = trouble
    client(wire).create("acme", archive(), made())
    assert looks[0] == 2


def test_a_bot_of_somebody_else_is_not_overwritten_by_making_one(wire: Wire) -> None:
    client(wire).create("acme", archive("theirs"), made("theirs"))
    with pytest.raises(ApiError) as caught:
        client(wire).create("acme", archive(), made())
    assert caught.value.kind == errors.CONFLICT
    assert client(wire).bots()["acme"].ours == {"content": "theirs"}


def test_converse_is_tried_with_a_message_that_makes_no_user(wire: Wire) -> None:
    one = client(wire)
    one.create("acme", archive(), made())
    assert not one.is_open("acme")
    wire.driver.ok("PUT", FILE, {"converse": {"enableUnsecuredEndpoint": True}}, headers=SERVER)
    assert one.is_open("acme")
    assert not one.is_open("nobody")
    assert [sent.json for sent in wire.sent if "converse" in sent.path] == [{}, {}, {}]


def test_a_good_login_is_valid(wire: Wire) -> None:
    verdict = client(wire).check()
    assert (verdict["state"], verdict["account"], verdict["missing_scopes"]) == ("valid", EMAIL, [])
    assert api.OPEN not in verdict["message"]
    assert wire.driver.ok("GET", FILE, headers=SERVER) == {"converse": {"enableUnsecuredEndpoint": False}}


def test_a_login_to_a_server_with_open_converse_is_valid_with_a_warning(wire: Wire) -> None:
    wire.driver.ok("PUT", FILE, {"converse": {"enableUnsecuredEndpoint": True}}, headers=SERVER)
    verdict = client(wire).check()
    assert verdict["state"] == "valid"
    assert api.OPEN in verdict["message"]


@pytest.mark.parametrize(("password", "email"), [("wrong-password", EMAIL), (TOKEN, "nobody@example.com"), ("", EMAIL)])
def test_wrong_credentials_are_invalid_and_not_shown(wire: Wire, password: str, email: str) -> None:
    verdict = client(wire, password, email).check()
    assert (verdict["state"], verdict["message"]) == ("invalid", "the e-mail or the password is wrong")
    assert "wrong-password" not in str(verdict)


def test_a_server_that_nobody_has_claimed_is_told_as_the_danger_that_it_is(wire: Wire) -> None:
    wire.driver.ok("PUT", FILE, {"users": []}, headers=SERVER)
    verdict = client(wire).check()
    assert (verdict["state"], verdict["message"]) == ("invalid", api.UNCLAIMED)


def test_a_user_without_permissions_is_insufficient(wire: Wire) -> None:
    verdict = client(wire, "sandbox-botpress-limited").check()
    assert (verdict["state"], verdict["account"]) == ("insufficient", EMAIL)
    assert "admin.bots" in verdict["missing_scopes"]


def test_a_developer_who_may_only_read_is_insufficient(wire: Wire) -> None:
    rules = [{"res": "*", "op": "+r+w"}, {"res": "admin.*", "op": "+r-w"}]
    profile = (200, {"payload": {"isSuperAdmin": False, "permissions": rules}})
    wire.trouble = lambda sent: profile if sent.path.endswith("/profile") else None
    verdict = client(wire).check()
    assert (verdict["state"], verdict["missing_scopes"]) == ("insufficient", ["admin.bots", "admin.bots.archive"])


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ((503, "<html>Botpress is loading. Please try again</html>"), "unreachable", "Botpress is starting"),
        ((500, {}), "unreachable", "HTTP 500"),
        ((404, "<html>nginx</html>"), "unreachable", "404"),
        ((200, ["no", "object"]), "unreachable", "expected an object"),
        ((200, {"payload": "text"}), "unreachable", "expected an object"),
        (CUT, "unreachable", "the connection broke"),
    ],
)
def test_what_is_no_botpress_is_unreachable(wire: Wire, answer: Any, state: str, words: str) -> None:
    wire.trouble = lambda sent: answer
    verdict = client(wire).check()
    assert verdict["state"] == state
    assert words in verdict["message"]


@pytest.mark.parametrize(
    ("code", "words"), [("BP_0010", "the password has expired"), ("BP_0011", "the account is locked")]
)
def test_an_expired_password_and_a_locked_account_are_told_apart(wire: Wire, code: str, words: str) -> None:
    wire.trouble = lambda sent: (400, {"errorCode": code, "message": "x"}) if "login" in sent.path else None
    verdict = client(wire).check()
    assert verdict["state"] == "invalid"
    assert words in verdict["message"]


def test_a_server_that_keeps_tokens_in_cookies_is_told_as_such(wire: Wire) -> None:
    wire.trouble = lambda sent: (200, {"payload": {"csrf": "x", "exp": 1}}) if "login" in sent.path else None
    assert "useCookieStorage" in client(wire).check()["message"]


@pytest.mark.parametrize(
    "payload",
    [{"bots": "x"}, {"bots": {"a": 1}}, {}, {"bots": [], "workspace": {"botPrefix": "acme"}}],
    ids=["text", "mapping", "nothing", "prefix"],
)
def test_a_list_of_another_shape_is_one_clear_error(wire: Wire, payload: Any) -> None:
    wire.trouble = lambda sent: (200, {"payload": payload}) if sent.path == api.BOTS else None
    with pytest.raises(ApiError):
        client(wire).bots()


def test_a_bot_of_another_shape_does_no_harm() -> None:
    row = {"id": 7, "name": None, "description": ["x"], "languages": "es", "converse": "x", "smarteros": [1]}
    assert api.state_of(row).tenant is None
    assert api.state_of(row).languages == ()


def test_the_message_of_an_error_is_readable_and_shows_no_token(wire: Wire) -> None:
    one = client(wire)
    one.bots()
    token = one._token
    body = {"statusCode": 400, "message": f"Cannot import &#x2F;bots {TOKEN} {token}", "errorCode": "BP_0006"}
    error = one.http.error(api.Answer(400, {}, body), "POST x")
    assert error.message == "Cannot import /bots *** *** (HTTP 400)"


def test_ids_are_claimed_by_bots_without_the_tenants_mark(wire: Wire) -> None:
    client(wire).create("acme", archive(), made())
    wishes = [{"id": RUT, "slug": "acme"}, {"id": "1-9", "slug": "house-bot"}, {"id": "2-7", "slug": "free"}]
    assert client(wire).claimed(wishes) == {"1-9": "a bot 'house-bot' exists and does not bear our mark"}
    assert RUT in client(wire).claimed([{"id": "3-5", "slug": "acme"}])["3-5"]
    wire.sent.clear()
    assert (client(wire).claimed([]), wire.sent) == ({}, [])


def test_usage_counts_the_bots_that_bear_a_tenants_mark(wire: Wire) -> None:
    client(wire).create("acme", archive(), made())
    client(wire).create("acme-2", archive(), made())
    wire.sent.clear()
    assert client(wire).usage([{"id": RUT}, {"id": "1-9"}]) == {RUT: {"bots": 2}, "1-9": {"bots": 0}}
    assert len(wire.sent) == 2


def response(kind: str, raw: bytes, status: int = 200) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made.headers["Content-Type"] = kind
    return made


def test_archives_and_the_plain_ok_of_an_import_are_answers_and_other_texts_are_not() -> None:
    http = api.connect({"url": "http://192.0.2.1", "email": EMAIL, "password": TOKEN}).http
    assert http._parsed(b"\x1f\x8b", response(api.ARCHIVE, b""), "x") == b"\x1f\x8b"
    assert http._parsed(b"OK", response("text/plain; charset=utf-8", b""), "x") == "OK"
    for kind, raw in (("text/html", b"<html>"), ("text/plain", b"welcome"), ("application/gzip", b"\x1f\x8b")):
        with pytest.raises(ApiError, match="expected JSON"):
            http._parsed(raw, response(kind, raw), "x")
