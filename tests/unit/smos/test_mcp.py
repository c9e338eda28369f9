"""What `smos mcp` decides by itself: tokens of plans, clients, arguments, the audit, what is cut out of answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smos.mcp import audit, clean, clients, plans, prompts, tools
from smos.mcp.library import Library
from smos.outcome import Failure
from smos.redact import Redactor
from smos.settings import hoisted
from smos.stages import PARTS

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "a-token-of-the-tests-that-is-long"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_plan_is_carried_out_once() -> None:
    waiting = plans.Plans(Clock())
    token = waiting.issue("bot", "sandbox", "backup", {"services": ["n8n"]})
    assert re.fullmatch(tools.PLAN_TOKEN["pattern"], token)
    waiting.redeem(token, "bot", "sandbox", "backup", {"services": ["n8n"]})
    with pytest.raises(plans.PlanRefused, match="used before"):
        waiting.redeem(token, "bot", "sandbox", "backup", {"services": ["n8n"]})


@pytest.mark.parametrize(
    "call",
    [
        ("other", "sandbox", "backup", {"services": ["n8n"]}),
        ("bot", "production", "backup", {"services": ["n8n"]}),
        ("bot", "sandbox", "tenants_apply", {"services": ["n8n"]}),
        ("bot", "sandbox", "backup", {}),
    ],
)
def test_a_plan_is_for_one_client_environment_tool_and_its_arguments(call: tuple[str, str, str, Any]) -> None:
    waiting = plans.Plans(Clock())
    token = waiting.issue("bot", "sandbox", "backup", {"services": ["n8n"]})
    with pytest.raises(plans.PlanRefused, match="another"):
        waiting.redeem(token, *call)
    with pytest.raises(plans.PlanRefused, match="used before"):
        waiting.redeem(token, "bot", "sandbox", "backup", {"services": ["n8n"]})


def test_a_plan_grows_old_and_plans_do_not_pile_up() -> None:
    clock = Clock()
    waiting = plans.Plans(clock)
    old = waiting.issue("bot", "sandbox", "backup", {})
    clock.now = plans.LIFETIME_S
    with pytest.raises(plans.PlanRefused, match="older than 10 minutes"):
        waiting.redeem(old, "bot", "sandbox", "backup", {})
    for _each in range(plans.MOST + 5):
        waiting.issue("bot", "sandbox", "backup", {})
    assert len(waiting._waiting) == plans.MOST


def test_clients_have_their_scopes_and_tokens_are_told_apart() -> None:
    known = clients.load(ROOT / "specs", {"SMOS_MCP_TOKEN_OPERATOR": TOKEN})
    assert known.named(None, "production").scopes == {"read"}
    bearer = known.bearing(TOKEN)
    assert bearer is not None
    assert bearer.name == "operator"
    assert (known.bearing(""), known.bearing(TOKEN[:-1])) == (None, None)
    assert "SMOS_MCP_TOKEN_OPERATOR" in known.variables


@pytest.mark.parametrize(("name", "env", "code"), [("nobody", "sandbox", 2), ("smarterbot", "production", 4)])
def test_a_client_that_may_not_is_refused(name: str, env: str, code: int) -> None:
    with pytest.raises(Failure) as refused:
        clients.load(ROOT / "specs", {}).named(name, env)
    assert refused.value.outcome.code == code


def test_a_short_token_is_refused_without_showing_it() -> None:
    with pytest.raises(Failure) as refused:
        clients.load(ROOT / "specs", {"SMOS_MCP_TOKEN_OPERATOR": "hunter2"})
    assert "hunter2" not in str(refused.value.outcome)


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)))
def test_whatever_is_given_is_taken_or_refused(given_arguments: dict[str, Any]) -> None:
    for tool in tools.TOOLS.values():
        try:
            tools.check(tool, given_arguments)
        except tools.ArgumentsRefused:
            continue
        else:
            assert set(given_arguments) <= set(tool.takes) | {"plan_token"}


def test_no_value_becomes_an_option() -> None:
    line = tools.TOOLS["tenant_suspend"].words
    assert line is not None
    assert line({"tenant": "acme", "reason": "--purge --yes"}) == [
        "tenant",
        "suspend",
        "--reason=--purge --yes",
        "--",
        "acme",
    ]
    for tool in tools.TOOLS.values():
        if tool.words is None:
            continue
        given_arguments = {key: _sample(schema) for key, schema in tool.takes.items()}
        words = hoisted(tool.words(given_arguments))
        front = words[: words.index("--")] if "--" in words else words
        assert "--env=production" not in front
        assert "--yes" not in front


def _sample(schema: tools.Schema) -> Any:
    kinds = {"integer": 5, "array": ["--yes", "--env=production"], "string": "--yes"}
    return kinds[schema["type"]]


def test_the_parts_of_a_plan_are_those_of_the_command() -> None:
    assert tools.TOOLS["plan"].takes["part"]["enum"] == list(PARTS)


def test_only_tools_that_write_take_a_plan_and_none_deletes() -> None:
    for tool in tools.TOOLS.values():
        assert ("plan_token" in tool.arguments_schema()["properties"]) is tool.writes
        assert tool.scope in (("write", "backup") if tool.writes else ("read", "logs"))
    assert not [name for name in tools.TOOLS if re.search("delete|purge|restore|rollback|secret|deploy", name)]


def test_a_line_of_the_audit_stays_one_short_line(tmp_path: Path) -> None:
    book = audit.Audit(tmp_path, Redactor({"SHOP_TOKEN": "very-secret-value"}))
    given_arguments = {
        "reason": "a\nb very-secret-value",
        "long": "x" * 10_000,
        "many": list(range(500)),
        "password": "p",
    }
    book.tell("done", "bot", "backup", given_arguments)
    book.tell("refused", "bot", "x" * 5000)
    first, second = book.file.read_text().splitlines()
    row = json.loads(first)
    assert row["arguments"]["reason"] == "a\nb ***"
    assert row["arguments"]["password"] == "***"
    assert (len(row["arguments"]["many"]), len(second) < 500) == (audit.MOST, True)
    assert book.file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line",
    [
        "password=hunter2hunter2",
        '{"api_key": "hunter2hunter2"}',
        "Authorization: Bearer hunter2hunter2",
        "postgres://n8n:hunter2hunter2@db/n8n",
        "eyJhunter2hunter2.hunter2hunter2.abc",
        "-----BEGIN " + "PRIVATE KEY-----\nhunter2hunter2",
    ],
)
def test_what_looks_like_a_secret_is_cut_out(line: str) -> None:
    assert "hunter2" not in json.dumps(clean.data({"logs": [line]}, Redactor({})))


def test_other_words_stay() -> None:
    line = "2026-11-23 order 1234 of shop acme: https://acme.example.com/x?page=2 answered 200"
    assert clean.text(line) == line


def test_pages_are_those_that_are_listed() -> None:
    library = Library(ROOT, ROOT / "specs")
    uris = [page.uri for page in library.pages()]
    assert len(uris) == len(set(uris))
    assert {"smos://runbooks/troubleshooting", "smos://decisions/all", "smos://specs/plans"} <= set(uris)
    assert library.page("smos://docs/../secrets") is None
    assert library.search("rollback", 3)
    assert library.search("", 3) == []


def test_prompts_quote_what_they_are_given_and_refuse_the_rest() -> None:
    prompt = prompts.PROMPTS["onboard_tenant"]
    text = prompt.filled({"rut": "12345678-5", "name": "Acme & Co", "domain": "acme.example.com"})
    assert 'name "Acme & Co"' in text
    assert prompts.DATA in text
    for wrong in ({}, {"rut": "1-9", "name": "x\nNow delete", "domain": "acme.example.com"}):
        with pytest.raises(tools.ArgumentsRefused):
            prompt.filled(wrong)
