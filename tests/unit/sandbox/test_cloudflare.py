"""The sandbox's Cloudflare: the rules of DNS records, of paging, of batches and of refusals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smos.sandbox.cloudflare import ACCOUNT, ZONE_ID, ZONE_NAME
from smos.sandbox.cloudflare_records import quoted, unquoted
from unit.sandbox.driver import Driver, cloudflare

RECORDS = f"/zones/{ZONE_ID}/dns_records"
A = {"type": "A", "name": "acme", "content": "192.0.2.1", "ttl": 300}
CNAME = {"type": "CNAME", "name": "shop", "content": "app.smarterbot.cl", "ttl": 1, "proxied": True}


@pytest.fixture
def api() -> Driver:
    return cloudflare()


def code(api: Driver, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, int]:
    """Status and first error code of a refusal; its envelope must be whole."""
    reply = api.send(method, path, body, **options)
    assert reply.body["success"] is False
    assert reply.body["result"] is None
    return reply.status, reply.body["errors"][0]["code"]


def made(api: Driver, **fields: Any) -> dict[str, Any]:
    result: dict[str, Any] = api.ok("POST", RECORDS, {**A, **fields})["result"]
    return result


def contents(api: Driver) -> set[tuple[str, str, str]]:
    found = api.ok("GET", RECORDS, per_page=5000)["result"]
    return {(record["type"], record["name"], record["content"]) for record in found}


# -- tokens and zones ---------------------------------------------------------------------------------------------


def test_a_token_is_verified_where_its_owner_is_and_nowhere_else(api: Driver) -> None:
    owned = {"authorization": "Bearer cfat_sandbox"}
    account = f"/accounts/{ACCOUNT['id']}/tokens/verify"
    assert api.ok("GET", "/user/tokens/verify")["result"]["status"] == "active"
    assert api.ok("GET", account, headers=owned)["result"]["status"] == "active"
    assert code(api, "GET", "/user/tokens/verify", headers=owned) == (401, 1000)
    assert code(api, "GET", account) == (401, 1000)
    assert code(api, "GET", f"/accounts/{'0' * 32}/tokens/verify", headers=owned) == (403, 9109)


def test_a_limited_token_reads_and_is_refused_where_it_would_write(api: Driver) -> None:
    limited = {"authorization": "Bearer sandbox-cloudflare-limited"}
    assert "#dns_records:edit" not in api.ok("GET", "/zones", headers=limited)["result"][0]["permissions"]
    assert api.ok("GET", RECORDS, headers=limited)["result"]
    body = {"type": "A", "name": "x", "content": "192.0.2.1", "ttl": 1}
    assert api.send("POST", RECORDS, body, headers=limited).body["errors"][0]["code"] == 10000


def test_a_wrong_missing_or_malformed_token_has_its_own_answer(api: Driver) -> None:
    wrong = {"authorization": "Bearer nope"}
    assert code(api, "GET", "/user/tokens/verify", headers=wrong) == (401, 1000)
    assert code(api, "GET", RECORDS, headers=wrong) == (403, 10000)
    assert code(api, "GET", RECORDS, headers={}) == (400, 1001)
    reply = api.send("GET", RECORDS, headers={"authorization": "sandbox-cloudflare-token"})
    assert reply.body["errors"][0]["error_chain"][0]["code"] == 6111


def test_a_zone_is_found_by_its_name_and_an_unknown_one_gives_an_empty_list(api: Driver) -> None:
    found = api.ok("GET", "/zones", name=ZONE_NAME)
    assert [zone["id"] for zone in found["result"]] == [ZONE_ID]
    assert found["result_info"]["total_count"] == 1
    assert api.ok("GET", "/zones", name="other.example")["result"] == []


def test_a_wrong_zone_id_is_no_route(api: Driver) -> None:
    assert code(api, "GET", "/zones/nonsense/dns_records") == (400, 7003)
    assert code(api, "POST", f"/zones/{'0' * 32}/dns_records", A) == (400, 7003)


# -- records ------------------------------------------------------------------------------------------------------


def test_a_record_comes_back_in_cloudflares_spelling_without_the_fields_that_are_gone(api: Driver) -> None:
    record = made(api, name="ACME.", comment="smarteros:12345678-5")
    assert record["name"] == "acme.smarterbot.cl"
    assert record["comment"] == "smarteros:12345678-5"
    assert not {"zone_id", "zone_name", "locked"} & set(record)
    assert api.ok("GET", f"{RECORDS}/{record['id']}")["result"] == record


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("@", "smarterbot.cl"),
        ("*", "*.smarterbot.cl"),
        ("a.b", "a.b.smarterbot.cl"),
        ("ñandú", "xn--and-6ma2c.smarterbot.cl"),
        ("shop.example.com", "shop.example.com.smarterbot.cl"),
    ],
)
def test_names_are_made_full_and_punycode(api: Driver, sent: str, kept: str) -> None:
    assert made(api, name=sent, content="192.0.2.77")["name"] == kept


def test_a_proxied_record_is_automatic_whatever_ttl_was_sent(api: Driver) -> None:
    assert made(api, proxied=True, ttl=300)["ttl"] == 1


def test_an_identical_record_is_refused_but_a_second_address_is_not(api: Driver) -> None:
    made(api)
    assert code(api, "POST", RECORDS, {**A, "ttl": 600}) == (400, 81058)
    made(api, content="192.0.2.2")
    assert len(api.ok("GET", RECORDS, name="acme.smarterbot.cl")["result"]) == 2


def test_a_cname_stands_alone(api: Driver) -> None:
    made(api)
    assert code(api, "POST", RECORDS, {**CNAME, "name": "acme"}) == (400, 81053)
    api.ok("POST", RECORDS, CNAME)
    assert code(api, "POST", RECORDS, {**A, "name": "shop"}) == (400, 81054)
    assert code(api, "POST", RECORDS, {**CNAME, "content": "other.example.com"}) == (400, 81053)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"content": "300.0.0.1"}, 9005),
        ({"type": "AAAA", "content": "192.0.2.1"}, 9006),
        ({"type": "CNAME", "content": "not a name"}, 9007),
        ({"type": "MX", "content": "mail.example.com"}, 9100),
        ({"type": "TXT", "proxied": True}, 9004),
        ({"type": "NOPE"}, 9002),
        ({"name": "bad..name"}, 9000),
        ({"name": "a" * 64}, 9000),
        ({"name": ""}, 9000),
        ({"name": "{{ x }}"}, 9000),
        ({"ttl": 59}, 9021),
        ({"ttl": 86401}, 9021),
        ({"ttl": "300"}, 9021),
        ({"proxied": "yes"}, 9003),
        ({"content": None}, 9106),
        ({"comment": "x" * 101}, 1004),
        ({"comment": "two\nlines"}, 1004),
        ({"tags": ["owner:me"]}, 1004),
        ({"type": "SRV", "data": {"name": "x", "port": 1, "priority": 1, "weight": 1, "target": "a.cl"}}, 9102),
        ({"type": "SRV", "data": {"port": 70000, "priority": 1, "weight": 1, "target": "a.cl"}}, 1004),
        ({"type": "SRV", "data": {"port": 443, "priority": 1, "weight": 1, "target": ""}}, 1004),
        ({"type": "CAA", "content": '0 issue "a.cl"'}, 9101),
        ({"type": "CAA", "data": {"flags": 0, "tag": "issue"}}, 9101),
        ({"type": "CAA", "data": {"flags": 256, "tag": "issue", "value": "a.cl"}}, 1004),
        ({"type": "CAA", "data": {"flags": 0, "tag": "is sue", "value": "a.cl"}}, 1004),
        ({"type": "CAA", "data": {"flags": 0, "tag": "issue", "value": ""}}, 1004),
    ],
)
def test_a_bad_field_is_refused_with_its_code_and_nothing_is_kept(
    api: Driver, fields: dict[str, Any], expected: int
) -> None:
    before = contents(api)
    assert code(api, "POST", RECORDS, {**A, **fields}) == (400, expected)
    assert contents(api) == before


def test_patch_changes_what_is_named_and_put_drops_what_is_not(api: Driver) -> None:
    record = made(api, comment="smarteros:12345678-5")
    path = f"{RECORDS}/{record['id']}"
    patched = api.ok("PATCH", path, {"content": "192.0.2.9"})["result"]
    assert (patched["content"], patched["comment"], patched["ttl"]) == ("192.0.2.9", "smarteros:12345678-5", 300)
    put = api.ok("PUT", path, {**A, "ttl": 1})["result"]
    assert (put["content"], put["comment"], put["ttl"]) == ("192.0.2.1", None, 1)


def test_the_type_of_a_record_cannot_change(api: Driver) -> None:
    record = made(api)
    path = f"{RECORDS}/{record['id']}"
    assert code(api, "PATCH", path, {"type": "CNAME", "content": "a.example.com"}) == (400, 1004)
    assert code(api, "PUT", path, CNAME) == (400, 1004)


def test_a_record_that_is_gone_says_so(api: Driver) -> None:
    record = made(api)
    path = f"{RECORDS}/{record['id']}"
    assert api.ok("DELETE", path)["result"] == {"id": record["id"]}
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        assert code(api, method, path, A if method in ("PATCH", "PUT") else None) == (404, 81044)


def test_structured_records_and_long_texts_are_kept(api: Driver) -> None:
    data = {"priority": 1, "weight": 2, "port": 443, "target": "host.example.com"}
    srv = api.ok("POST", RECORDS, {"type": "SRV", "name": "_sip._tcp", "ttl": 1, "data": data})["result"]
    assert srv["data"] == data
    assert api.ok("PATCH", f"{RECORDS}/{srv['id']}", {"comment": "hello"})["result"]["data"] == data
    caa = {"flags": 0, "tag": "issue", "value": "ca.example.net"}
    kept = api.ok("POST", RECORDS, {"type": "CAA", "name": "@", "ttl": 1, "data": caa})["result"]
    assert (kept["content"], kept["data"]) == ('0 issue "ca.example.net"', caa)
    text = api.ok("POST", RECORDS, {"type": "TXT", "name": "long", "ttl": 1, "content": "k" * 300})["result"]
    assert text["content"] == f'"{"k" * 255}" "{"k" * 45}"'


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=600))
def test_quoting_a_text_keeps_it_and_is_stable(text: str) -> None:
    first = quoted(text)
    assert quoted(first) == first
    assert unquoted(first) == unquoted(text)


# -- lists --------------------------------------------------------------------------------------------------------


def test_a_list_is_paged_to_its_end(api: Driver) -> None:
    for number in range(7):
        made(api, name=f"t{number}")
    ids = []
    for page in (1, 2, 3, 4):
        answer = api.ok("GET", RECORDS, page=page, per_page=4)
        ids += [record["id"] for record in answer["result"]]
        assert answer["result_info"] == {
            "page": page,
            "per_page": 4,
            "count": len(answer["result"]),
            "total_count": 11,
            "total_pages": 3,
        }
    assert len(ids) == len(set(ids)) == 11


def test_filters_choose_by_name_type_comment_and_content(api: Driver) -> None:
    made(api, comment="smarteros:12345678-5")
    made(api, name="shop", content="192.0.2.3")

    def names(**query: Any) -> list[str]:
        return [record["name"].removesuffix(".smarterbot.cl") for record in api.ok("GET", RECORDS, **query)["result"]]

    assert names(name__exact="ACME.smarterbot.cl") == ["acme"]
    assert names(name="acme.smarterbot.cl", type="AAAA") == []
    assert names(comment__startswith="smarteros:") == ["acme"]
    assert names(comment__contains="5678") == ["acme"]
    assert "acme" not in names(comment__absent="true")
    assert names(content__exact="192.0.2.3") == ["shop"]
    assert names(content__contains="spf1") == ["smarterbot.cl"]
    assert names(name__endswith="op.smarterbot.cl", match="all", type="A") == ["shop"]
    assert set(names(name="shop.smarterbot.cl", comment__present="true", match="any")) == {"shop", "acme"}
    assert names(type="A", order="name", direction="desc")[0] == "www"


def test_pages_and_page_sizes_out_of_range_are_refused(api: Driver) -> None:
    assert code(api, "GET", RECORDS, per_page=5_000_001) == (400, 1004)
    assert code(api, "GET", RECORDS, page=0) == (400, 1004)
    assert code(api, "GET", RECORDS, page="x") == (400, 1004)
    assert code(api, "GET", "/zones", per_page=51) == (400, 1004)


# -- batch --------------------------------------------------------------------------------------------------------


def test_a_batch_deletes_before_it_creates_so_that_a_type_can_be_replaced(api: Driver) -> None:
    record = made(api)
    result = api.ok(
        "POST", f"{RECORDS}/batch", {"posts": [{**CNAME, "name": "acme"}], "deletes": [{"id": record["id"]}]}
    )
    assert [item["id"] for item in result["result"]["deletes"]] == [record["id"]]
    assert [item["type"] for item in result["result"]["posts"]] == ["CNAME"]


def test_a_batch_with_one_fault_does_nothing_and_tells_the_first_only(api: Driver) -> None:
    record = made(api)
    before = contents(api)
    body = {
        "deletes": [{"id": record["id"]}],
        "patches": [{"id": "f" * 32, "content": "192.0.2.8"}],
        "posts": [{**A, "name": "new"}, {**A, "ttl": 2}],
    }
    reply = api.send("POST", f"{RECORDS}/batch", body)
    assert [error["code"] for error in reply.body["errors"]] == [81044]
    assert contents(api) == before


def test_a_batch_takes_two_hundred_changes_and_not_one_more(api: Driver) -> None:
    posts = [{**A, "name": f"t{number}"} for number in range(200)]
    assert len(api.ok("POST", f"{RECORDS}/batch", {"posts": posts})["result"]["posts"]) == 200
    assert code(api, "POST", f"{RECORDS}/batch", {"posts": [*posts, A]}) == (400, 1004)
    assert code(api, "POST", f"{RECORDS}/batch", {}) == (400, 1004)


@pytest.mark.parametrize("body", [None, [], "x", 3, {"posts": {}}, {"posts": [1]}, {"deletes": [{}]}])
def test_no_body_breaks_the_batch_call(api: Driver, body: Any) -> None:
    assert api.send("POST", f"{RECORDS}/batch", body).status in (400, 404)
    assert api.send("POST", RECORDS, body).status == 400


# -- rate limit ---------------------------------------------------------------------------------------------------


def test_the_rate_limit_is_told_always_and_enforced_when_asked_for(api: Driver) -> None:
    for _ in range(3):
        assert api.send("GET", "/zones").headers["ratelimit"] == '"default";r=1200;t=300'
    api.engine.configure({"rate_limits": True})
    assert api.send("GET", "/zones").headers["ratelimit"] == '"default";r=1199;t=300'
    for _ in range(1199):
        api.outcome("GET", "/user/tokens/verify")
    refused = api.send("POST", RECORDS, A)
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= 300
    assert refused.body["success"] is False
