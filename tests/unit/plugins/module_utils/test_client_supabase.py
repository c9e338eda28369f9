"""The Supabase client: every kind of key and token, what each is good for, how it is sent, and errors in words."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase_keys as keys
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase_sql
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_http import SupabaseHttp
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from smos.sandbox.supabase_keys import LIMITED, REF, legacy_key
from unit.plugins.supabase_world import BUCKET, TOKEN, World, item, rut
from unit.plugins.wire import CUT


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(monkeypatch)
    world.migrate()
    return world


# --- keys by their form ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "role"),
    [
        ("sb_secret_abc", keys.SECRET, "service_role"),
        ("sb_publishable_abc", keys.PUBLISHABLE, "anon"),
        ("sbp_" + "0" * 40, keys.MANAGEMENT, ""),
        ("sbp_oauth_" + "0" * 40, keys.MANAGEMENT, ""),
        ("sbp_fc" + "0" * 60, keys.MANAGEMENT, ""),
        (legacy_key("x", "service_role"), keys.LEGACY, "service_role"),
        (legacy_key("x", "anon"), keys.LEGACY, "anon"),
        ("eyJhbGciOi.not-base64!.x", keys.UNKNOWN, ""),
        ("eyJhbGciOi.W10.x", keys.UNKNOWN, ""),
        ("anything", keys.UNKNOWN, ""),
        ("two words", keys.FLAWED, ""),
        ("line\n", keys.FLAWED, ""),
        ('"quoted"', keys.FLAWED, ""),
        ("'quoted'", keys.FLAWED, ""),
        ("ñandú", keys.FLAWED, ""),
        ("", keys.FLAWED, ""),
    ],
)
def test_a_key_is_known_by_its_form(text: str, kind: str, role: str) -> None:
    found = keys.key_of(text)
    assert (found.kind, found.role) == (kind, role)


def test_only_a_legacy_key_is_sent_as_bearer() -> None:
    legacy = legacy_key("x", "service_role")
    assert keys.headers_of("sb_secret_abc") == {"apikey": "sb_secret_abc"}
    assert keys.headers_of(legacy) == {"apikey": legacy, "Authorization": f"Bearer {legacy}"}


# --- check -----------------------------------------------------------------------------------------------------------

YESTERDAY, IN_A_YEAR = int(time.time()) - 86400, int(time.time()) + 31_536_000


@pytest.mark.parametrize(
    ("more", "state", "word"),
    [
        ({}, "valid", "SmarterOS sandbox"),
        ({"secret_key": f"sb_secret_{TOKEN}"}, "valid", "reads the tenants"),
        ({"secret_key": legacy_key(TOKEN, "service_role")}, "valid", "reads the tenants"),
        ({"access_token": f"sbp_{TOKEN}"}, "valid", "reaches the database"),
        ({"access_token": "none", "project": "none"}, "valid", "reads the tenants"),
        ({"access_token": ""}, "valid", "reads the tenants"),
        ({"secret_key": f"sb_publishable_{TOKEN}"}, "insufficient", "acts as anon"),
        ({"secret_key": legacy_key(TOKEN, "anon")}, "insufficient", "acts as anon"),
        ({"secret_key": legacy_key(TOKEN, "authenticated")}, "insufficient", "acts as authenticated"),
        ({"secret_key": legacy_key(TOKEN, "service_role", exp=YESTERDAY)}, "invalid", "expired"),
        ({"secret_key": legacy_key(TOKEN, "service_role", ref="a" * 20)}, "invalid", "belongs to the project aaaa"),
        ({"secret_key": f"sbp_{TOKEN}"}, "invalid", "access token"),
        ({"secret_key": "sb_secret_wrong"}, "invalid", "Invalid API key"),
        ({"secret_key": LIMITED}, "insufficient", "permission denied"),
        ({"secret_key": f"{TOKEN}\n"}, "invalid", "line break"),
        ({"secret_key": f"'{TOKEN}'"}, "invalid", "quote"),
        ({"access_token": LIMITED}, "insufficient", "database_read"),
        ({"access_token": "sbp_wrong"}, "invalid", "Unauthorized"),
        ({"access_token": f"sb_secret_{TOKEN}"}, "invalid", "key of a project"),
        ({"access_token": legacy_key(TOKEN, "service_role")}, "invalid", "key of a project"),
        ({"access_token": f"{TOKEN} "}, "invalid", "space"),
        ({"project": "b" * 20}, "insufficient", "sees no project"),
    ],
)
def test_the_check_tells_what_key_and_token_are_good_for(
    world: World, more: dict[str, str], state: str, word: str
) -> None:
    world.wire.sent.clear()
    verdict = world.client(**more).check()
    assert verdict["state"] == state, verdict
    assert word in verdict["message"] + verdict["account"]
    for secret in {*more.values()} - {"", "none", "b" * 20}:
        assert secret not in str(verdict)
    assert all(sent.method == "GET" or sent.path.endswith("/read-only") for sent in world.wire.sent)


def test_a_scoped_token_says_what_it_lacks_and_a_legacy_key_when_it_ends(world: World) -> None:
    assert world.client(access_token=LIMITED).check()["missing_scopes"] == ["database_read"]
    ends = world.client(secret_key=legacy_key(TOKEN, "service_role", exp=IN_A_YEAR)).check()["expires"]
    assert ends.startswith(str(time.gmtime(IN_A_YEAR).tm_year))


def test_a_key_that_cannot_be_good_is_sent_nowhere(world: World) -> None:
    world.wire.sent.clear()
    client = world.client(secret_key=f"{TOKEN}\nX")
    assert client.check()["state"] == "invalid"
    with pytest.raises(ApiError) as caught:
        client.rows("tenants", ("id",))
    assert caught.value.kind == errors.REFUSED
    assert world.wire.sent == []


def test_a_project_without_tables_has_a_good_key_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = World(monkeypatch).client().check()
    assert (verdict["state"], "migrations are not applied yet" in verdict["message"]) == ("valid", True)


def test_a_paused_project_is_unreachable_and_says_so(world: World) -> None:
    paused = {"ref": REF, "name": "Shop", "status": "INACTIVE"}
    world.wire.trouble = lambda sent: (200, paused) if sent.path == f"/v1/projects/{REF}" else None
    verdict = world.client().check()
    assert (verdict["state"], verdict["account"]) == ("unreachable", "Shop")
    assert "paused" in verdict["message"]


@pytest.mark.parametrize("answer", [CUT, (503, {"message": "upstream"}), (200, "<html>"), (200, {"rows": 1})])
def test_whatever_answers_there_is_a_state_and_never_a_traceback(world: World, answer: Any) -> None:
    world.wire.trouble = lambda _sent: answer
    assert world.client().check()["state"] in ("unreachable", "invalid")


# --- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "project", "management"),
    [
        (f"https://{'a' * 20}.supabase.co", "a" * 20, "https://api.supabase.com"),
        (f"https://{'a' * 20}.supabase.co/rest/v1/", "a" * 20, "https://api.supabase.com"),
        ("https://db.example.com", "", "https://db.example.com"),
        ("http://127.0.0.1:8321/supabase/", "", "http://127.0.0.1:8321/supabase"),
    ],
)
def test_project_and_management_follow_from_the_projects_address(url: str, project: str, management: str) -> None:
    client = api.connect({"url": url, "secret_key": "sb_secret_x", "access_token": "sbp_x"})
    assert client.project == project
    assert client.management is not None
    assert client.management.base_url == management


@pytest.mark.parametrize(
    ("less", "missing"),
    [
        ({}, []),
        ({"secret_key": "", "project": ""}, ["secret_key", "project"]),
        ({"access_token": "", "project": ""}, ["access_token", "project"]),
        ({"access_token": "", "project": "", "database_url": "postgresql://x@y/z"}, []),
        ({"access_token": "none", "project": ""}, []),
    ],
)
def test_a_database_address_stands_in_for_access_token_and_project(less: dict[str, str], missing: list[str]) -> None:
    whole = {"url": "https://x", "secret_key": "a", "access_token": "b", "project": "c", "database_url": ""}
    assert api.lacking({**whole, **less}) == missing


def test_a_database_that_does_not_answer_is_unreachable_and_shows_no_password(world: World) -> None:
    address = "postgresql://ana:planted-7f3a@127.0.0.1:1/db"
    verdict = world.client(database_url=address, access_token="", project="").check()
    assert verdict["state"] == "unreachable"
    assert "planted-7f3a" not in str(verdict)


# --- what preflight and limits ask -----------------------------------------------------------------------------------


def test_a_slug_or_domain_of_another_tenant_is_claimed_and_ones_own_is_not(world: World) -> None:
    world.rows(item(1))
    wishes: list[dict[str, Any]] = [
        {"id": rut(1), "slug": "t1", "domain": "t1.example.com"},
        {"id": rut(2), "slug": "t1", "domain": "x.example.com"},
        {"id": rut(3), "slug": "t3", "domain": "t1.example.com", "custom_domain": None},
    ]
    found = world.client().claimed(wishes)
    assert set(found) == {rut(2), rut(3)}
    assert rut(1) in found[rut(2)]


def test_nothing_is_claimed_in_a_project_that_is_still_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    assert World(monkeypatch).client().claimed([{"id": "1-9", "slug": "a", "domain": "b"}]) == {}


def test_storage_in_use_is_told_in_whole_gigabytes_upwards(world: World) -> None:
    world.buckets(BUCKET)
    world.upload(f"{rut(1)}/a.png")
    assert world.client().usage([{"id": rut(1)}, {"id": rut(2)}]) == {
        rut(1): {"storage_gb": 1},
        rut(2): {"storage_gb": 0},
    }


# --- errors and limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (409, {"code": "23505", "message": "duplicate key", "details": None, "hint": None}, errors.CONFLICT, "23505"),
        (403, {"code": "42501", "message": "permission denied for table x"}, errors.REFUSED, "permission denied"),
        (404, {"code": "PGRST205", "message": "Could not find the table"}, errors.MISSING, "PGRST205"),
        (406, {"code": "PGRST106", "message": "schema not exposed"}, errors.MISSING, "not exposed"),
        (503, {"code": "PGRST001", "message": "no connection"}, errors.SERVER, "no connection"),
        (
            400,
            {"statusCode": "404", "error": "Bucket not found", "message": "Bucket not found"},
            errors.MISSING,
            "Bucket",
        ),
        (400, {"statusCode": "409", "error": "Duplicate", "code": "X", "message": "exists"}, errors.CONFLICT, "exists"),
        (400, {"statusCode": "403", "error": "Unauthorized", "message": "row-level security"}, errors.REFUSED, "row"),
        (400, {"statusCode": {"a": 1}, "code": 7, "message": ["x"]}, errors.INVALID, "x"),
        (403, {"message": "no", "missing_permissions": ["a", "b"]}, errors.REFUSED, "missing permissions: a, b"),
        (403, {"message": "no", "missing_permissions": "a"}, errors.REFUSED, "no"),
        (400, "plain text", errors.INVALID, "plain text"),
        (429, {"message": "Rate limit exceeded"}, errors.THROTTLED, "Rate limit"),
    ],
)
def test_each_form_of_error_has_its_kind_and_its_words(status: int, body: Any, kind: str, words: str) -> None:
    error = SupabaseHttp("http://192.0.2.1").error(Answer(status, {}, body), "GET x")
    assert error.kind == kind
    assert words in error.message


def test_at_the_end_of_the_window_everybody_waits_for_the_seconds_that_the_headers_name() -> None:
    slept: list[float] = []
    http = SupabaseHttp("http://192.0.2.1", sleep=slept.append, clock=lambda: 0.0)
    http._mind_limit({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "60"})
    http._gate.wait()
    assert slept == []
    http._mind_limit({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "42"})
    http._gate.wait()
    assert slept == [42.0]


def test_a_change_without_a_filter_is_never_sent(world: World) -> None:
    for call in (lambda: world.client().delete("tenants", {}), lambda: world.client().change("tenants", {}, {"a": 1})):
        with pytest.raises(ValueError, match="filter"):
            call()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("plain", "'plain'"), ("it's", "'it''s'"), ("back\\slash", " E'back\\\\slash'"), ("'; drop", "'''; drop'")],
)
def test_texts_are_quoted_for_sql(text: str, quoted: str) -> None:
    assert supabase_sql.literal(text) == quoted


def test_names_are_quoted_for_sql_and_impossible_ones_refused() -> None:
    assert supabase_sql.name('a"b') == '"a""b"'
    for bad in ("", "x" * 64, "a\0b"):
        with pytest.raises(ApiError):
            supabase_sql.name(bad)


def test_a_database_address_shows_no_password_anywhere() -> None:
    sql = supabase_sql.DirectSql("postgresql://ana:planted-7f3a@127.0.0.1:1/db", timeout=2)
    with pytest.raises(ApiError) as caught:
        sql.read("select 1")
    assert caught.value.kind == errors.UNREACHABLE
    assert "planted-7f3a" not in f"{caught.value} {caught.value.where} {sql.where}"
