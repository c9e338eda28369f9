# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Tokens are judged by their looks before they are sent anywhere."""

from __future__ import annotations

import base64
import datetime
import json

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import tokens

GOOD = "k3yA9-_.xYz0123456789"


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{GOOD}\n", "ends with a line break"),
        (f"{GOOD}\r\n", "ends with a line break"),
        (f"{GOOD}\n{GOOD}", "has a line break"),
        (f" {GOOD}", "white space at its beginning or end"),
        (f"{GOOD}\t", "white space at its beginning or end"),
        (f"{GOOD}\u00a0", "white space at its beginning or end"),
        (f"{GOOD} {GOOD}", "has a space in it"),
        (f"{GOOD}\u200b", "invisible sign"),
        (f"{GOOD}\x00", "invisible sign"),
        (f'"{GOOD}"', "quotation marks around it"),
        (f"'{GOOD}'", "quotation marks around it"),
        (f"\u201c{GOOD}\u201d", "quotation marks around it"),
        (f'{GOOD}"', "quotation mark in it"),
        (f"{GOOD}ñ", "not ASCII"),
        ("   ", "nothing but white space"),
        (f"Bearer {GOOD}", "the word Bearer"),
        ("<your token>", "placeholder"),
        ("$N8N_API_KEY", "placeholder"),
        ("{{ n8n_api_key }}", "placeholder"),
        ("changeme", "placeholder"),
        ("xxxxxxxx", "placeholder"),
    ],
)
def test_what_can_be_no_token_is_told_without_the_token(text: str, says: str) -> None:
    why = tokens.flaw("n8n", "api_key", text)
    assert says in why
    assert GOOD not in why


@pytest.mark.parametrize("text", [GOOD, "a" * 40, "sandbox-n8n-token", "sandbox-n8n-limited", jwt(sub="1"), ""])
def test_what_may_be_a_token_has_no_flaw(text: str) -> None:
    assert tokens.flaw("n8n", "api_key", text) == ""


@pytest.mark.parametrize(
    ("service", "key", "text", "says"),
    [
        ("cloudflare", "token", "shpat_" + "0" * 32, "an Admin API token of Shopify"),
        ("cloudflare", "token", "sbp_" + "0" * 40, "a personal access token of Supabase"),
        ("cloudflare", "token", "sbp_oauth_" + "0" * 40, "a personal access token of Supabase"),
        ("vercel", "token", "sb_secret_abc-DEF_1", "a secret key of Supabase"),
        ("vercel", "token", "sb_publishable_abc", "a publishable key of Supabase"),
        ("vercel", "token", "cfat_abcdef123", "an account token of Cloudflare"),
        ("n8n", "api_key", "EAA" + "Bc3" * 20, "an access token of Meta"),
        ("n8n", "api_key", "vcp_abcdefgh", "an access token of Vercel"),
        ("hostinger", "token", jwt(sub="1"), "a signed token (JWT)"),
        ("odoo", "secret", "sandbox-n8n-token", "the sandbox's token of n8n"),
        ("odoo", "secret", "sandbox-cloudflare-limited", "the sandbox's token of cloudflare"),
        ("supabase", "secret_key", "sb_publishable_abc", "supabase_publishable_key"),
        ("supabase", "secret_key", "sbp_" + "0" * 40, "supabase_access_token"),
        ("supabase", "access_token", "sb_secret_abc", "supabase_secret_key"),
        ("supabase", "secret_key", jwt(role="anon"), "the key of anon"),
        ("shopify", "access.client_secret", "shpat_" + "0" * 32, "an Admin API token of Shopify"),
    ],
)
def test_a_token_of_another_kind_is_recognised(service: str, key: str, text: str, says: str) -> None:
    why = tokens.flaw(service, key, text)
    assert says in why
    assert text not in why


@pytest.mark.parametrize(
    ("service", "key", "text"),
    [
        ("shopify", "tokens.acme", "shpat_" + "0" * 32),
        ("shopify", "access.tokens.ACME", "shpat_" + "0" * 32),
        ("supabase", "access_token", "sbp_fc" + "0" * 44),
        ("supabase", "access_token", "sbp_" + "0" * 40),
        ("supabase", "secret_key", "sb_secret_abc"),
        ("supabase", "secret_key", jwt(role="service_role")),
        ("cloudflare", "token", "cfat_abcdef123"),
        ("cloudflare", "token", "0123456789abcdefghijklmnopqrstuvwxyzABCD"),
        ("whatsapp", "token", "EAA" + "Bc3" * 20),
        ("vercel", "token", "vcp_abcdefgh"),
        ("vercel", "token", "AbCdEfGhIjKlMnOpQrStUvWx"),
    ],
)
def test_every_kind_of_token_is_at_home_where_it_belongs(service: str, key: str, text: str) -> None:
    assert tokens.flaw(service, key, text) == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("example.com", "no http(s) address"),
        ("ftp://example.com", "no http(s) address"),
        ("https://", "no http(s) address"),
        ("http://[", "no http(s) address"),
        ("https://exa mple.com", "no http(s) address"),
        ("https://ana:pass@example.com", "user name or password"),
        ("https://example.com\n", "line break"),
        ("'https://example.com'", "quotation marks"),
    ],
)
def test_an_address_that_is_none_is_told_without_it(text: str, says: str) -> None:
    why = tokens.flaw("n8n", "url", text)
    assert says in why
    assert "example" not in why


@pytest.mark.parametrize("text", ["https://n8n.example.com", "http://127.0.0.1:8321/n8n", "https://{shop}"])
def test_an_address_is_an_address(text: str) -> None:
    assert tokens.flaw("n8n", "url", text) == ""


def test_a_password_may_have_any_sign_but_a_line_break() -> None:
    assert tokens.flaw("botpress", "password", "'ñandú <está> \"aquí\"'") == ""
    assert tokens.flaw("botpress", "password", "secret\n") == "ends with a line break"


def test_the_address_of_a_database_is_secret_and_no_web_address() -> None:
    assert tokens.is_secret("database_url")
    assert tokens.flaw("supabase", "database_url", "postgresql://smos:secret@db.example.com/postgres") == ""


def test_what_is_not_set_is_found_at_any_depth() -> None:
    connection = {"url": "https://{shop}", "access": {"client_id": "", "tokens": {"acme": ""}}, "zone": None}
    assert tokens.lacking(connection) == ["access", "zone"]
    assert tokens.unconfigured(connection)
    assert not tokens.unconfigured({**connection, "access": {"client_id": "", "tokens": {"acme": "x"}}})


def test_addresses_and_what_is_our_own_do_not_make_a_service_wanted() -> None:
    connection = {"url": "https://x.example.com", "management_url": "https://y.example.com", "smos_master_secret": "s"}
    assert tokens.unconfigured({**connection, "secret_key": "", "database_url": ""})
    assert not tokens.unconfigured({**connection, "database_url": "postgresql://db.example.com/x"})


def test_flaws_name_the_variable_at_any_depth() -> None:
    found = tokens.flaws("shopify", {"url": "https://{shop}", "access": {"tokens": {"acme": "a b"}}})
    assert found == {"access.tokens.acme": "has a space in it"}


def test_the_secrets_of_a_connection_are_known_with_and_without_white_space_the_longest_first() -> None:
    connection = {"url": "https://x.example.com", "token": "abcdef\n", "access": {"client_secret": "longer-secret"}}
    assert tokens.secrets_of(connection) == ["longer-secret", "abcdef\n", "abcdef"]
    assert tokens.scrubbed("got abcdef", tokens.secrets_of(connection)) == "got ***"


def test_a_signed_token_tells_when_it_ends() -> None:
    assert tokens.expiry({"url": "x", "api_key": jwt(exp=1_800_000_000)}) == "2027-01-15T08:00:00Z"
    assert tokens.expiry({"api_key": GOOD}) == ""


@pytest.mark.parametrize("text", ["eyJhbGciOiJI.%%%.x", "eyJhbGciOiJI.bm9qc29u.x", "eyJhbGciOiJI.WzFd.x", GOOD, ""])
def test_what_is_no_signed_token_has_no_claims(text: str) -> None:
    assert tokens.claims(text) == {}


@pytest.mark.parametrize("exp", ["soon", -1, True, 10**30, None, 1.5])
def test_an_end_that_is_no_moment_is_no_end(exp: object) -> None:
    assert tokens.expiry({"api_key": jwt(exp=exp)}) == ""


def test_days_left_are_counted_for_dates_and_times() -> None:
    now = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
    assert tokens.days_left("2026-11-25", now) == 2
    assert tokens.days_left("2026-11-25T12:00:00Z", now) == 3
    assert tokens.days_left("2026-11-22T11:59:59+00:00", now) == -1
    assert tokens.days_left("never", now) is None


def test_every_next_step_names_the_section_of_the_documentation() -> None:
    for state in ("missing", "invalid", "insufficient", "unreachable", "?"):
        assert "docs/tokens.md#n8n" in tokens.next_step("n8n", state)
