"""The Cloudflare client against the sandbox's Cloudflare: pages, names, errors, tokens."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import cloudflare as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from smos.sandbox.cloudflare import ZONE_ID
from unit.plugins.wire import CUT, Sent, Wire, wired
from unit.sandbox.driver import cloudflare

ZONE = "smarterbot.cl"
TOKEN = "sandbox-cloudflare-token"
RECORDS = f"/zones/{ZONE_ID}/dns_records"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(cloudflare, monkeypatch)


def client(wire: Wire, zone: str = ZONE, token: str = TOKEN) -> api.Cloudflare:
    return api.connect({"url": wire.base_url, "token": token, "zone": zone})


def add(wire: Wire, **fields: Any) -> None:
    row = {"type": "CNAME", "content": "app.smarterbot.cl", "ttl": 1, **fields}
    wire.driver.ok("POST", RECORDS, row)


def envelope(status: int, code: int, message: str, **more: Any) -> tuple[int, dict[str, Any]]:
    error = {"code": code, "message": message, **more}
    return status, {"success": False, "errors": [error], "messages": [], "result": None}


def test_every_page_of_the_zone_is_read(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 2)
    before = len(client(wire).records())
    for n in range(5):
        add(wire, name=f"t{n}.{ZONE}", comment=f"smarteros:1000000{n}-5")
    wire.sent.clear()
    found = client(wire).records()
    assert len(found) == before + 5
    assert {each.owner for each in found} >= {f"1000000{n}-5" for n in range(5)}
    assert len(wire.sent) == 1 + -(-len(found) // 2)


def test_records_come_in_the_form_in_which_they_are_compared(wire: Wire) -> None:
    add(wire, name=f"Acme.{ZONE}", comment="smarteros:76086428-5, made by hand once", proxied=True)
    add(wire, name=f"t.{ZONE}", type="TXT", content='"one " "two \\"three\\""')
    found = {each.key: each for each in client(wire).records()}
    assert (found[f"CNAME acme.{ZONE}"].owner, found[f"CNAME acme.{ZONE}"].proxied) == ("76086428-5", True)
    assert found[f"TXT t.{ZONE}"].content == 'one two "three"'


@pytest.mark.parametrize(
    ("name", "normal"),
    [("@", ZONE), ("ACME.Example.com.", "acme.example.com"), ("ñandú.cl", "xn--and-6ma2c.cl"), ("*.a.cl", "*.a.cl")],
)
def test_a_name_has_one_spelling(name: str, normal: str) -> None:
    assert api.normal_name(name, ZONE) == normal


@pytest.mark.parametrize(
    ("kind", "content", "normal"),
    [
        ("A", " 192.0.2.1 ", "192.0.2.1"),
        ("AAAA", "2001:DB8:0:0::1", "2001:db8::1"),
        ("CNAME", "App.Example.com.", "app.example.com"),
        ("TXT", '"a" "b"', "ab"),
        ("TXT", "plain", "plain"),
    ],
)
def test_a_content_has_one_spelling(kind: str, content: str, normal: str) -> None:
    assert api.normal_content(kind, content, ZONE) == normal


@pytest.mark.parametrize(("kind", "content"), [("A", "acme"), ("A", "2001:db8::1"), ("AAAA", "192.0.2.1")])
def test_an_address_that_is_none_is_refused(kind: str, content: str) -> None:
    with pytest.raises(ApiError):
        api.normal_content(kind, content, ZONE)


def test_a_long_text_is_sent_in_strings_of_255_bytes(wire: Wire) -> None:
    text = 'ñ"' * 200
    record = api.Record(f"t.{ZONE}", "TXT", text, owner="76086428-5")
    client(wire).batch([], [], [record])
    content = wire.writes[0].json["posts"][0]["content"]
    assert all(len(part.encode()) <= 255 + part.count("\\") for part in content[1:-1].split('" "'))
    assert next(each for each in client(wire).records() if each.name == f"t.{ZONE}").content == text


def test_an_unknown_zone_is_told_as_one_or_one_out_of_sight(wire: Wire) -> None:
    with pytest.raises(ApiError, match="or the token cannot see it") as caught:
        client(wire, zone="example.com").records()
    assert caught.value.kind == errors.MISSING


def test_of_several_zones_of_a_name_the_active_one_is_taken(wire: Wire) -> None:
    zones = [{"id": "1", "name": ZONE, "status": "moved"}, {"id": "2", "name": ZONE, "status": "active"}]
    wire.trouble = lambda sent: (200, {"success": True, "result": zones}) if sent.path == "/zones" else None
    assert client(wire).zone_id() == "2"
    zones[0]["status"] = "active"
    with pytest.raises(ApiError, match="2 zones named"):
        client(wire).zone_id()


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 81058, errors.CONFLICT),
        (400, 81057, errors.CONFLICT),
        (400, 81054, errors.CONFLICT),
        (404, 81044, errors.CONFLICT),
        (400, 9005, errors.INVALID),
        (400, 6003, errors.REFUSED),
        (403, 10000, errors.REFUSED),
        (404, 7003, errors.MISSING),
    ],
)
def test_the_code_of_an_error_decides_its_kind(wire: Wire, status: int, code: int, kind: str) -> None:
    chain = [{"code": 9, "message": f"deep cause {TOKEN}"}]
    _, body = envelope(status, code, "text that changes", error_chain=chain)
    error = client(wire).http.error(Answer(status, {}, body), "POST x")
    assert (error.kind, error.code) == (kind, str(code))
    assert error.message == f"text that changes; deep cause *** (Cloudflare error {code})"


def test_success_false_is_a_failure_even_with_status_200(wire: Wire) -> None:
    wire.trouble = lambda sent: envelope(200, 1234, "not really")
    with pytest.raises(ApiError, match="not really"):
        client(wire).records()


def test_a_good_token_is_valid(wire: Wire) -> None:
    verdict = client(wire).check()
    assert verdict["state"] == "valid"
    assert all(sent.method == "GET" for sent in wire.sent)


def test_a_wrong_token_is_invalid(wire: Wire) -> None:
    verdict = client(wire, token="not-the-token").check()
    assert verdict["state"] == "invalid"
    assert "not-the-token" not in str(verdict)


def test_a_token_that_an_account_owns_is_asked_for_at_its_account(wire: Wire) -> None:
    def trouble(sent: Sent) -> Any:
        if sent.path == "/user/tokens/verify":
            return envelope(401, 1000, "Invalid API Token")
        if sent.path.endswith("/tokens/verify"):
            return 200, {"success": True, "result": {"id": "1", "status": "active"}}
        return None

    wire.trouble = trouble
    assert client(wire).check()["state"] == "valid"


@pytest.mark.parametrize(
    ("path", "answer", "state"),
    [
        ("/user/tokens/verify", (200, {"success": True, "result": {"id": "1", "status": "expired"}}), "invalid"),
        ("/zones", (200, {"success": True, "result": []}), "insufficient"),
        (RECORDS, envelope(403, 10000, "Authentication error"), "insufficient"),
        ("/user/tokens/verify", (500, {}), "unreachable"),
        ("/user/tokens/verify", CUT, "unreachable"),
    ],
)
def test_what_a_token_is_good_for_is_told_and_never_raised(wire: Wire, path: str, answer: Any, state: str) -> None:
    wire.trouble = lambda sent: answer if sent.path == path else None
    assert client(wire).check()["state"] == state


@pytest.mark.parametrize(
    ("token", "state", "account", "lacking"),
    [
        (TOKEN, "valid", "SmarterOS sandbox", []),
        ("cfat_sandbox", "valid", "SmarterOS sandbox", []),
        ("sandbox-cloudflare-limited", "insufficient", "SmarterOS sandbox", ["Zone: DNS Write"]),
        ("cfat_unknown", "invalid", "", []),
        ("0123456789abcdef0123456789abcdef01234", "invalid", "", []),
    ],
)
def test_each_kind_of_token_gets_its_verdict(
    wire: Wire, token: str, state: str, account: str, lacking: list[str]
) -> None:
    verdict = client(wire, token=token).check()
    assert (verdict["state"], verdict["account"], verdict["missing_scopes"]) == (state, account, lacking)
    assert wire.writes == []
    assert token not in verdict["message"]


def test_a_token_of_an_account_is_not_asked_for_at_the_user(wire: Wire) -> None:
    client(wire, token="cfat_sandbox").check()
    assert not any(sent.path.startswith("/user/") for sent in wire.sent)


def test_a_global_key_is_told_as_one(wire: Wire) -> None:
    assert "global key" in client(wire, token="a" * 37).check()["message"]


def test_the_end_of_a_token_is_told(wire: Wire) -> None:
    assert client(wire, token="sandbox-cloudflare-limited").check()["expires"] == "2028-01-01T00:00:00Z"


@pytest.mark.parametrize("token", [TOKEN, "cfat_sandbox"])
def test_a_token_that_sees_no_zone_is_not_invalid(wire: Wire, token: str) -> None:
    verdict = client(wire, zone="example.com", token=token).check()
    assert (verdict["state"], verdict["missing_scopes"]) == ("insufficient", ["Zone: Zone Read"])


HOSTILE = [
    (200, "<html>"),
    (200, []),
    (200, {"success": True, "result": "x"}),
    (200, {"success": True, "result": [7]}),
    (200, {"success": True, "result": [{"id": 1}], "result_info": "many"}),
    (200, {"success": True, "result": [{"id": "a", "type": "A", "name": "b"}], "result_info": {"total_pages": 10**9}}),
    (400, {"success": False, "errors": [7]}),
]


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda each: str(each)[:50])
def test_senseless_records_are_one_clear_error(wire: Wire, answer: Any) -> None:
    wire.trouble = lambda sent: answer if sent.path == RECORDS else None
    with pytest.raises(ApiError):
        client(wire).records()


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda each: str(each)[:50])
def test_senseless_answers_to_a_check_are_told_and_never_raised(wire: Wire, answer: Any) -> None:
    wire.trouble = lambda sent: answer
    assert client(wire).check()["state"] in ("invalid", "insufficient")


def test_a_name_is_claimed_by_records_of_others_only(wire: Wire) -> None:
    add(wire, name=f"hand.{ZONE}", type="A", content="192.0.2.9")
    add(wire, name=f"other.{ZONE}", comment="smarteros:10000001-5")
    add(wire, name=f"own.{ZONE}", comment="smarteros:10000002-5")
    add(wire, name=f"text.{ZONE}", type="TXT", content="verification")
    slugs = ("hand", "other", "own", "text", "free")
    tenants = [{"id": f"1000000{n}-5", "slug": slug} for n, slug in enumerate(slugs)]
    taken = client(wire).claimed(tenants)
    assert list(taken) == ["10000000-5"] + ["10000001-5"] * (tenants[1]["id"] != "10000001-5")
    assert "does not bear our mark" in taken["10000000-5"]
