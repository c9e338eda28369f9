"""The sandbox's Supabase: keys and roles, rows as PostgREST has them, buckets, and the statements that it understands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smos.sandbox import supabase_sql
from smos.sandbox.provider import Reply
from smos.sandbox.supabase import PROVIDER, REF
from smos.sandbox.supabase_keys import LIMITED, legacy_key
from unit.sandbox.driver import Driver

TOKEN = "sandbox-supabase-token"
SQL = f"/v1/projects/{REF}/database/query"
FOLDER = Path(__file__).resolve().parents[3] / "specs" / "database"
ACME = {"id": "76086428-5", "slug": "acme", "name": "Acme", "domain": "acme.example.com", "plan": "free"}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A project whose tables are made and known."""
    monkeypatch.setattr(supabase_sql, "CACHE_SECONDS", 0.0)
    driver = Driver(PROVIDER, {"apikey": TOKEN, "authorization": f"Bearer {TOKEN}"}, TOKEN)
    for number, path in enumerate(sorted(FOLDER.glob("*.sql")), 1):
        migrate(driver, f"{number:04d}", path.read_text())
    return driver


def migrate(api: Driver, version: str, text: str, checksum: str = "ab12") -> Reply:
    record = f"insert into smarteros.migrations (version, name, checksum) values ('{version}', 'x', '{checksum}');"
    query = f"do $smos_ab12$\nbegin\nexecute $sql_ab12$\n{text}\n$sql_ab12$;\n{record}\nend\n$smos_ab12$"
    return api.send("POST", SQL, {"query": query})


def asked(api: Driver, method: str, path: str, body: Any = None, key: str = TOKEN, **query: Any) -> Reply:
    headers = query.pop("headers", {})
    return api.send(method, path, body, headers={"apikey": key, **headers}, **query)


def prefer(text: str) -> dict[str, str]:
    return {"prefer": text}


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (TOKEN, 200, None),
        (f"sb_secret_{TOKEN}", 200, None),
        (legacy_key(TOKEN, "service_role"), 200, None),
        (f"sb_publishable_{TOKEN}", 401, "42501"),
        (legacy_key(TOKEN, "anon"), 401, "42501"),
        (LIMITED, 401, "42501"),
        (legacy_key("another", "service_role"), 401, None),
        (legacy_key(TOKEN, "postgres"), 401, None),
        ("wrong", 401, None),
        ("", 401, None),
    ],
)
def test_each_kind_of_key_has_its_role(api: Driver, key: str, status: int, code: str | None) -> None:
    reply = asked(api, "GET", "/rest/v1/tenants", key=key)
    assert reply.status == status
    if status == 401:
        assert reply.body.get("code") == code


def test_a_new_key_is_no_bearer_token(api: Driver) -> None:
    secret = f"sb_secret_{TOKEN}"
    same = asked(api, "GET", "/rest/v1/tenants", key=secret, headers={"authorization": f"Bearer {secret}"})
    other = asked(api, "GET", "/rest/v1/tenants", key=secret, headers={"authorization": "Bearer sb_secret_else"})
    assert (same.status, other.status, other.body["code"]) == (200, 401, "PGRST301")


def test_a_secret_key_in_a_browser_is_refused(api: Driver) -> None:
    reply = asked(api, "GET", "/rest/v1/tenants", headers={"user-agent": "Mozilla/5.0"})
    assert reply.status == 401


def test_access_tokens_are_of_the_management_api_and_a_scoped_one_lacks_the_database(api: Driver) -> None:
    for token, status in ((TOKEN, 200), (f"sbp_{TOKEN}", 200), (LIMITED, 200), ("wrong", 401)):
        reply = api.send("GET", f"/v1/projects/{REF}", headers={"authorization": f"Bearer {token}"})
        assert reply.status == status
    refused = api.send("POST", SQL, {"query": "select 1"}, headers={"authorization": f"Bearer {LIMITED}"})
    assert (refused.status, refused.body["missing_permissions"]) == (403, ["database_write"])
    assert api.send("GET", "/v1/projects/" + "b" * 20).status == 404
    assert api.send("GET", f"/v1/projects/{REF}").headers["x-ratelimit-limit"] == "120"


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_are_inserted_read_changed_and_deleted(api: Driver) -> None:
    assert asked(api, "POST", "/rest/v1/tenants", ACME).status == 201
    (row,) = asked(api, "GET", "/rest/v1/tenants").body
    assert (row["status"], row["template"], row["custom_domain"]) == ("active", "default", None)
    assert asked(api, "PATCH", "/rest/v1/tenants", {"plan": "starter"}, id="eq.76086428-5").status == 204
    changed = asked(api, "PATCH", "/rest/v1/tenants", {"plan": "x"}, headers=prefer("return=representation"))
    assert changed.body[0]["plan"] == "x"
    assert asked(api, "DELETE", "/rest/v1/tenants", slug="eq.other").status == 204
    assert len(asked(api, "GET", "/rest/v1/tenants").body) == 1
    asked(api, "DELETE", "/rest/v1/tenants", slug="in.(acme,other)")
    assert asked(api, "GET", "/rest/v1/tenants").body == []


@pytest.mark.parametrize(
    ("table", "body", "status", "code"),
    [
        ("tenants", ACME, 409, "23505"),
        ("tenants", {**ACME, "id": "1-9"}, 409, "23505"),
        ("tenants", {**ACME, "id": "acme"}, 400, "23514"),
        ("tenants", {"id": "1-9"}, 400, "23502"),
        ("tenants", {**ACME, "colour": "red"}, 400, "PGRST204"),
        ("tenants", [{**ACME, "id": "1-9"}, {"id": "2-7"}], 400, "PGRST102"),
        ("tenants", {**ACME, "deleted_at": "yesterday"}, 400, "22007"),
        ("tenants", None, 400, "PGRST102"),
        ("tenant_settings", {"tenant_id": "1-9", "key": "a", "value": 1}, 409, "23503"),
        ("tenant_members", {"tenant_id": "76086428-5", "user_id": "x"}, 400, "22P02"),
        ("nowhere", {}, 404, "PGRST205"),
    ],
)
def test_what_postgresql_refuses_is_refused_with_its_code(
    api: Driver, table: str, body: Any, status: int, code: str
) -> None:
    asked(api, "POST", "/rest/v1/tenants", ACME)
    before = asked(api, "GET", "/rest/v1/tenants").body
    reply = asked(api, "POST", f"/rest/v1/{table}", body)
    assert (reply.status, reply.body["code"]) == (status, code)
    assert set(reply.body) == {"code", "details", "hint", "message"}
    assert asked(api, "GET", "/rest/v1/tenants").body == before


def test_an_upsert_merges_or_leaves_what_is_there(api: Driver) -> None:
    asked(api, "POST", "/rest/v1/tenants", ACME)
    rows = [{**ACME, "plan": "starter"}, {**ACME, "id": "1-9", "slug": "two", "domain": "two.example.com"}]
    ignore, merge = prefer("resolution=ignore-duplicates"), prefer("resolution=merge-duplicates")
    assert asked(api, "POST", "/rest/v1/tenants", rows, headers=ignore, on_conflict="id").status == 201
    assert [row["plan"] for row in asked(api, "GET", "/rest/v1/tenants", order="slug").body] == ["free", "free"]
    asked(api, "POST", "/rest/v1/tenants", rows, headers=merge, on_conflict="id")
    assert [row["plan"] for row in asked(api, "GET", "/rest/v1/tenants", order="slug").body] == ["starter", "free"]
    wrong = asked(api, "POST", "/rest/v1/tenants", rows, headers=merge, on_conflict="name")
    assert (wrong.status, wrong.body["code"]) == (400, "42P10")


def many(api: Driver, count: int) -> None:
    rows = [{**ACME, "id": f"{n}-1", "slug": f"s{n:04d}", "domain": f"d{n}"} for n in range(1, count + 1)]
    assert asked(api, "POST", "/rest/v1/tenants", rows).status == 201


def test_rows_come_in_ranges_with_a_total_on_demand(api: Driver) -> None:
    many(api, 1005)
    plain = asked(api, "GET", "/rest/v1/tenants", select="id", order="slug")
    assert (plain.status, len(plain.body), plain.headers["content-range"]) == (200, 1000, "0-999/*")
    exact = prefer("count=exact")
    part = asked(api, "GET", "/rest/v1/tenants", headers=exact, order="slug.desc", limit=2, offset=4)
    assert (part.status, part.headers["content-range"]) == (206, "4-5/1005")
    assert [row["slug"] for row in part.body] == ["s1001", "s1000"]
    ranged = asked(api, "GET", "/rest/v1/tenants", headers={"range": "10-19"})
    assert len(ranged.body) == 10
    beyond = asked(api, "GET", "/rest/v1/tenants", headers=exact, offset=2000)
    assert (beyond.status, beyond.body["code"]) == (416, "PGRST103")
    nothing = asked(api, "GET", "/rest/v1/tenants", headers=exact, id="eq.none")
    assert (nothing.status, nothing.headers["content-range"]) == (200, "*/0")


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"slug": "eq.s0001"}, 1),
        ({"slug": "neq.s0001"}, 2),
        ({"slug": 'in.("s0001","s0003")'}, 2),
        ({"slug": "not.in.(s0001)"}, 2),
        ({"slug": "gt.s0001", "domain": "eq.d3"}, 1),
        ({"custom_domain": "is.null"}, 3),
        ({"slug": "like.s000%"}, 3),
        ({"slug": "in.()"}, 0),
    ],
)
def test_filters_choose_rows(api: Driver, filters: dict[str, str], found: int) -> None:
    many(api, 3)
    assert len(asked(api, "GET", "/rest/v1/tenants", **filters).body) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"slug": "acme"}, "PGRST100"),
        ({"colour": "eq.red"}, "42703"),
        ({"select": "colour"}, "42703"),
        ({"limit": "x"}, "22P02"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(api: Driver, query: dict[str, str], code: str) -> None:
    reply = asked(api, "GET", "/rest/v1/tenants", **query)
    assert (reply.status, reply.body["code"]) == (400, code)


def test_what_hangs_on_a_tenant_goes_with_it_and_events_stay_without_its_name(api: Driver) -> None:
    asked(api, "POST", "/rest/v1/tenants", ACME)
    asked(api, "POST", "/rest/v1/tenant_settings", {"tenant_id": ACME["id"], "key": "app.x", "value": [1]})
    asked(api, "PATCH", "/rest/v1/tenants", {"status": "suspended"})
    assert [row["action"] for row in asked(api, "GET", "/rest/v1/audit_events").body] == [
        "tenant.created",
        "tenant.suspended",
    ]
    asked(api, "DELETE", "/rest/v1/tenants", id=f"eq.{ACME['id']}")
    assert asked(api, "GET", "/rest/v1/tenant_settings").body == []
    events = asked(api, "GET", "/rest/v1/audit_events").body
    assert [row["action"] for row in events] == ["tenant.created", "tenant.suspended", "tenant.purged"]
    assert {row["tenant_id"] for row in events} == {None}
    assert len({row["anonymous_id"] for row in events}) == 1


# --- SQL -------------------------------------------------------------------------------------------------------------


def test_a_table_is_heard_of_a_moment_after_it_was_made() -> None:
    api = Driver(PROVIDER, {"apikey": TOKEN, "authorization": f"Bearer {TOKEN}"}, TOKEN)
    assert asked(api, "GET", "/rest/v1/tenants").body["code"] == "PGRST205"
    migrate(api, "0001", "create table public.tenants (id text);")
    assert asked(api, "GET", "/rest/v1/tenants").body["code"] == "PGRST205"


def test_a_migration_is_recorded_once_and_another_text_of_it_refused(api: Driver) -> None:
    assert migrate(api, "0005", "select 1").status == 201
    refused = migrate(api, "0005", "select 1", "ff00")
    assert (refused.status, "another checksum" in refused.body["message"]) == (400, True)


@pytest.mark.parametrize(
    ("text", "status"),
    [("select 1", 201), ("select now()", 400), ("drop table public.tenants", 400), ("", 400)],
)
def test_what_it_does_not_understand_it_says_so(api: Driver, text: str, status: int) -> None:
    reply = api.send("POST", SQL, {"query": text})
    assert reply.status == status
    if text.startswith(("select n", "drop")):
        assert "the sandbox has no database" in reply.body["message"]


def test_nothing_is_changed_through_the_read_only_way(api: Driver) -> None:
    query = "do $smos_readers$\nbegin\nend\n$smos_readers$"
    reply = api.send("POST", f"{SQL}/read-only", {"query": query})
    assert (reply.status, "25006" in reply.body["message"]) == (400, True)


# --- storage ---------------------------------------------------------------------------------------------------------


def test_a_buckets_life(api: Driver) -> None:
    made = asked(
        api, "POST", "/storage/v1/bucket", {"name": "b", "file_size_limit": "5MB", "allowed_mime_types": ["image/*"]}
    )
    assert (made.status, made.body) == (200, {"name": "b"})
    got = asked(api, "GET", "/storage/v1/bucket/b").body
    assert (got["file_size_limit"], got["allowed_mime_types"], got["public"]) == (5 * 1024**2, ["image/*"], False)
    assert asked(api, "PUT", "/storage/v1/bucket/b", {"public": True}).status == 200
    assert asked(api, "GET", "/storage/v1/bucket").body[0]["public"] is True
    asked(api, "POST", "/storage/v1/object/b/x/y.txt", b"hello", headers={"content-type": "text/plain"})
    listed = asked(api, "POST", "/storage/v1/object/list/b", {"prefix": ""}).body
    assert [(row["name"], row["id"]) for row in listed] == [("x", None)]
    full = asked(api, "DELETE", "/storage/v1/bucket/b")
    assert (full.status, full.body["statusCode"]) == (400, "409")
    asked(api, "POST", "/storage/v1/bucket/b/empty")
    assert asked(api, "DELETE", "/storage/v1/bucket/b").status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "inner"),
    [
        ("GET", "/storage/v1/bucket/none", None, "404"),
        ("POST", "/storage/v1/bucket", {"name": "there"}, "409"),
        ("POST", "/storage/v1/bucket", {}, "400"),
        ("POST", "/storage/v1/bucket", {"name": "x", "file_size_limit": "big"}, "400"),
        ("PUT", "/storage/v1/bucket/there", {}, "400"),
        ("POST", "/storage/v1/object/list/there", {}, "400"),
    ],
)
def test_storage_tells_the_true_status_in_the_body(api: Driver, method: str, path: str, body: Any, inner: str) -> None:
    asked(api, "POST", "/storage/v1/bucket", {"name": "there"})
    reply = asked(api, method, path, body)
    assert (reply.status, reply.body["statusCode"]) == (400, inner)


def test_anon_sees_and_makes_no_buckets(api: Driver) -> None:
    asked(api, "POST", "/storage/v1/bucket", {"name": "there"})
    anon = f"sb_publishable_{TOKEN}"
    assert asked(api, "GET", "/storage/v1/bucket", key=anon).body == []
    assert asked(api, "GET", "/storage/v1/bucket/there", key=anon).body["statusCode"] == "404"
    assert asked(api, "POST", "/storage/v1/bucket", {"name": "x"}, key=anon).body["statusCode"] == "403"
