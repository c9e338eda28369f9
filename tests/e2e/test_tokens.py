"""`smos test`: every kind of bad token, for every provider that the catalogue knows; and where tokens come from."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import tokens as looks
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs, tokens
from smos.sandbox import server
from support import strict
from support.instance import ACME, PATIENCE_S, ROOT, Done, Instance, instance

SERVICES = tokens.testable(specs.load(ROOT / "specs"))
"""Those that are asked, by id; the tests grow with the catalogue."""
NAMES = tuple(SERVICES)
OPTIONAL = frozenset(name for name, service in SERVICES.items() if service.get("optional"))
GARBAGE = f"no-such-token-{secrets.token_hex(8)}"


def other_than(name: str) -> str:
    return NAMES[(NAMES.index(name) + 1) % len(NAMES)]


KINDS: dict[str, Callable[[str], str]] = {
    "garbage": lambda _name: GARBAGE,
    "limited": lambda name: f"sandbox-{name}-limited",
    "of another provider": lambda name: f"sandbox-{other_than(name)}-token",
    "with a space before": lambda name: f" sandbox-{name}-token",
    "with a space in it": lambda name: f"sandbox-{name} -token",
    "with a line break": lambda name: f"sandbox-{name}-token\n",
    "in quotes": lambda name: f'"sandbox-{name}-token"',
}
LOOK_WRONG = ("with a space before", "with a line break")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance whose sandbox knows nothing of the tokens that the tests plant."""
    with instance(tmp_path_factory.mktemp("tokens") / "smos") as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def told(bench: Instance) -> Callable[[str], tuple[Done, dict[str, Any], int]]:
    """By kind of bad token, given to all providers at once: the end of the command, its verdicts, the last request before."""

    @cache
    def run(kind: str) -> tuple[Done, dict[str, Any], int]:
        planted = {f"SMOS_SANDBOX_{name.upper()}_TOKEN": KINDS[kind](name) for name in NAMES}
        before = bench.seen()
        done = bench.run("test", "all", "--json", timeout=PATIENCE_S, **planted)
        return done, done.result["tokens"], before

    return run


def verdicts(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = done.result["tokens"]
    return found


def states(done: Done) -> dict[str, str]:
    return {name: verdict["state"] for name, verdict in verdicts(done).items()}


def variables(name: str) -> list[str]:
    """All variables of a provider's connection but its address."""
    return [each for each in SERVICES[name]["connection"] if each != f"{name}_url"]


def test_in_the_sandbox_every_token_is_valid_and_nothing_is_written(bench: Instance) -> None:
    before, seen = bench.content(), bench.seen()
    done = bench.run("test", "all", "--json")
    assert done.code == 0, done
    assert states(done) == dict.fromkeys(NAMES, "valid")
    assert set(verdicts(done)["odoo"]) == {"state", "account", "expires", "missing_scopes", "message"}
    assert (done.document["run"], done.document["changed"], done.document["ok"]) == (None, False, True)
    assert bench.content() == before
    assert {row["provider"] for row in bench.requests(since=seen)} >= set(NAMES)


def test_all_is_what_is_meant_when_nothing_is_named(bench: Instance) -> None:
    done = bench.run("test", "--json")
    assert list(verdicts(done)) == list(NAMES)


def test_only_those_that_are_named_are_asked(bench: Instance) -> None:
    seen = bench.seen()
    done = bench.run("test", "n8n", "cloudflare", "--json")
    assert list(verdicts(done)) == ["n8n", "cloudflare"]
    assert {row["provider"] for row in bench.requests(since=seen)} == {"n8n", "cloudflare"}


def test_a_name_that_nobody_bears_is_invalid_input(bench: Instance) -> None:
    done = bench.run("test", "n9n", "--json")
    assert done.code == 2, done
    assert "n8n" in done.why


def test_a_person_gets_a_table_and_the_next_step(bench: Instance) -> None:
    done = bench.run("test", "all", SMOS_SANDBOX_ODOO_TOKEN=GARBAGE)
    assert done.code == 3, done
    lines = {line.split()[1]: line for line in done.out.splitlines()[1:]}
    assert "valid" in lines["n8n"]
    assert "invalid" in lines["odoo"]
    assert "docs/tokens.md#odoo" in done.err
    assert "\x1b" not in done.out, "no colour where nobody looks"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_token_is_never_valid_nor_shown(told: Any, kind: str, name: str) -> None:
    done, found, _before = told(kind)
    assert done.code == 3, done
    verdict = found[name]
    expected = "insufficient" if kind == "limited" else "invalid"
    assert verdict["state"] == expected, verdict
    assert verdict["message"]
    row = next(error for error in done.document["errors"] if error["what"] == name)
    assert f"docs/tokens.md#{name}" in row["next"]
    assert KINDS[kind](name).strip().strip('"') not in done.out + done.err


@pytest.mark.parametrize("kind", LOOK_WRONG)
def test_what_cannot_be_a_token_is_sent_nowhere(bench: Instance, told: Any, kind: str) -> None:
    done, found, before = told(kind)
    assert [name for name in NAMES if "not sent anywhere" not in found[name]["message"]] == [], done
    assert [row for row in bench.requests(since=before) if row["provider"] in NAMES][:0] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_token_that_lacks_something_says_what(told: Any, name: str) -> None:
    _done, found, _before = told("limited")
    assert found[name]["missing_scopes"] or found[name]["message"], found[name]


def test_all_missing_ones_are_listed_at_once_and_nobody_is_asked(bench: Instance) -> None:
    nothing = {variable: "" for name in NAMES for variable in variables(name)}
    seen = bench.seen()
    done = bench.run("test", "all", "--json", "-e", json.dumps(nothing))
    assert done.code == 3, done
    assert states(done) == dict.fromkeys(NAMES, "missing")
    assert {error["what"] for error in done.document["errors"]} == set(NAMES) - OPTIONAL
    assert bench.requests(since=seen) == []


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_an_optional_provider_without_a_token_is_told_and_fails_only_when_named(bench: Instance, name: str) -> None:
    nothing = json.dumps(dict.fromkeys(variables(name), ""))
    every = bench.run("test", "all", "--json", "-e", nothing)
    assert every.code == 0, every
    assert states(every) == {**dict.fromkeys(NAMES, "valid"), name: "missing"}
    alone = bench.run("test", name, "--json", "-e", nothing)
    assert alone.code == 3, alone


def test_a_person_is_told_how_to_use_an_optional_provider(bench: Instance) -> None:
    name = min(OPTIONAL)
    done = bench.run("test", "all", "-e", json.dumps(dict.fromkeys(variables(name), "")))
    assert done.code == 0, done
    assert f"{name} is optional" in done.out
    assert f"docs/tokens.md#{name}" in done.out


def test_providers_that_nobody_answers_for_are_unreachable(bench: Instance) -> None:
    done = bench.run("test", "all", "--json", "-e", "smos_sandbox_url=http://127.0.0.1:9")
    assert done.code == 3, done
    assert states(done) == dict.fromkeys(NAMES, "unreachable")


STRANGE = {
    "a page": b"<!doctype html><title>Welcome</title>",
    "an empty object": b"{}",
    "an object of lists": b'{"result": [], "payload": [], "user": [], "errors": [], "success": 1}',
    "a list": b"[1]",
    "a text": b'"ok"',
    "nothing": b"",
    "a deep nest": b"[" * 100_000,
}


class Stranger(BaseHTTPRequestHandler):
    """Answers every request with the same 200, as a captive portal or another service would."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body: bytes = self.server.body  # type: ignore[attr-defined]  # the test's own attribute
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if body[:1] != b"<" else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: object) -> None:
        """Silence."""


@pytest.mark.parametrize("kind", STRANGE)
def test_an_address_where_something_else_answers_is_never_valid_and_no_traceback(bench: Instance, kind: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        stranger.body = STRANGE[kind]  # type: ignore[attr-defined]  # the test's own attribute
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{stranger.server_address[1]}"
        done = bench.run("test", "all", "--json", "-e", f"smos_sandbox_url={url}")
        stranger.shutdown()
    assert done.code == 3, done
    assert {name: state for name, state in states(done).items() if state == "valid"} == {}, done
    assert "Traceback" not in done.out + done.err


def test_all_are_asked_at_the_same_time(bench: Instance) -> None:
    answer_s = 1.0
    server.settings(bench.sandbox, latency_ms=answer_s * 1000)
    seen = bench.seen()
    try:
        done = bench.run("test", "all", "--json")
    finally:
        server.settings(bench.sandbox, latency_ms=0)
    assert done.code == 0, done
    first: dict[str, float] = {}
    for row in bench.requests(since=seen):
        first.setdefault(row["provider"], row["at"])
    apart = max(first.values()) - min(first.values())
    one_by_one = (len(first) - 1) * answer_s  # at least, because the next one would wait for an answer
    assert apart < one_by_one / 2, (apart, one_by_one)


def test_the_playbook_works_without_the_command(bench: Instance) -> None:
    done = bench.play("test_tokens.yml")
    assert done.code == 0, done
    assert "odoo: valid" in done.out
    done = bench.play("test_tokens.yml", "-e", '{"token_providers": ["odoo"]}', SMOS_SANDBOX_ODOO_TOKEN=GARBAGE)
    assert done.code == 2, done
    assert "state: invalid" in done.out
    assert GARBAGE not in done.out


# --- environment files


def write(smos: Instance, env: str, name: str, content: str, mode: int = 0o600) -> Path:
    """An environment file of an instance."""
    folder = smos.home / "env" / env
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_bytes(content.encode())
    file.chmod(mode)
    return file


@pytest.fixture
def staging(bench: Instance) -> tuple[Instance, tuple[str, ...]]:
    """The instance without environment files, and what makes a command work on `staging` there."""
    for file in (bench.home / "env").rglob(".env*"):
        file.unlink()
    return bench, strict.options(bench.up())


CORE = ("odoo", "chatwoot", "n8n", "cloudflare")


def test_a_file_of_any_editor_gives_the_tokens(staging: tuple[Instance, tuple[str, ...]]) -> None:
    smos, options = staging
    lines = [f'export {name}="{value}"  # ours' for name, value in strict.VARIABLES.items()]
    write(smos, "staging", ".env.tokens", "\ufeff# tokens\r\n\r\n" + "\r\n".join(lines) + "\r\n")
    done = smos.run(*options, "test", *CORE, "--json")
    assert done.code == 0, done
    assert states(done) == dict.fromkeys(CORE, "valid")


def test_the_shell_goes_before_the_file(staging: tuple[Instance, tuple[str, ...]]) -> None:
    smos, options = staging
    write(smos, "staging", ".env.n8n", f"N8N_API_KEY={GARBAGE}\n")
    assert states(smos.run(*options, "test", "n8n", "--json"))["n8n"] == "invalid"
    shell = smos.run(*options, "test", "n8n", "--json", N8N_API_KEY=strict.VARIABLES["N8N_API_KEY"])
    assert states(shell)["n8n"] == "valid"


def test_the_files_of_another_environment_are_not_read(staging: tuple[Instance, tuple[str, ...]]) -> None:
    smos, options = staging
    write(smos, "production", ".env.n8n", f"N8N_API_KEY={strict.VARIABLES['N8N_API_KEY']}\n")
    done = smos.run(*options, "test", "n8n", "--json")
    assert states(done)["n8n"] == "missing"
    assert "N8N_API_KEY" in verdicts(done)["n8n"]["message"], "it names what a person has to set"


def test_a_name_twice_ends_with_2_and_both_lines(staging: tuple[Instance, tuple[str, ...]]) -> None:
    smos, options = staging
    write(smos, "staging", ".env.n8n", f"N8N_API_KEY={GARBAGE}\nN8N_API_KEY={GARBAGE}\n")
    done = smos.run(*options, "test", "n8n", "--json")
    assert done.code == 2, done
    assert "line 1 and line 2" in done.why
    assert GARBAGE not in done.out + done.err


@pytest.mark.parametrize("command", [("test", "n8n"), ("tenant", "list"), ("sandbox", "status")])
def test_a_broken_line_ends_every_command_with_2_and_its_number(
    staging: tuple[Instance, tuple[str, ...]], command: tuple[str, ...]
) -> None:
    smos, options = staging
    file = write(smos, "staging", ".env.n8n", f"# n8n\n{GARBAGE}\n")
    done = smos.run(*options, *command, "--json")
    assert done.code == 2, done
    assert f"{file}:2" in done.why
    assert GARBAGE not in done.out + done.err


def test_in_production_a_file_that_others_may_read_ends_with_3(staging: tuple[Instance, tuple[str, ...]]) -> None:
    smos, _options = staging
    file = write(smos, "production", ".env.n8n", f"N8N_API_KEY={GARBAGE}\n", mode=0o640)
    done = smos.run("--env", "production", "tenant", "list", "--json")
    assert done.code == 3, done
    assert f"chmod 600 {file}" in done.why
    file.chmod(0o600)
    assert smos.run("--env", "production", "tenant", "list", "--json").code == 0


def test_elsewhere_it_is_a_warning(staging: tuple[Instance, tuple[str, ...]]) -> None:
    smos, _options = staging
    file = write(smos, "staging", ".env.n8n", f"N8N_API_KEY={GARBAGE}\n", mode=0o644)
    done = smos.run("--env", "staging", "tenant", "list", "--json")
    assert done.code == 0, done
    assert f"chmod 600 {file}" in done.err
    assert smos.run("--env", "staging", "tenant", "list", "--json", "-q").err == ""


def test_values_of_files_are_cut_out_of_records_and_reach_no_file(tmp_path: Path) -> None:
    token = f"plant-{secrets.token_hex(12)}"
    with instance(tmp_path / "smos") as smos:
        write(smos, "local", ".env.n8n", f"SMOS_SANDBOX_N8N_TOKEN={token}\n")
        smos.up()  # takes the token from the file as well
        done = smos.run("create", "tenant", *ACME.words, "-vvvv", "--diff", "--json")
        assert done.code == 0, done
        tested = smos.run("test", "n8n", "-vvvv", "--json")
        assert tested.code == 0, tested
        assert token not in done.out + done.err + tested.out + tested.err
        smos.down()
        holders = [path for path in smos.home.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert [path.name for path in holders] == [".env.n8n"]


def test_a_run_stops_before_anything_is_contacted_when_tokens_look_wrong(smos: Instance) -> None:
    smos.up()
    bad = {"SMOS_SANDBOX_ODOO_TOKEN": "sandbox-n8n-token", "SMOS_SANDBOX_CHATWOOT_TOKEN": "with a space"}
    done = smos.create(ACME, "-e", "n8n_api_key=", **bad)
    assert done.code == 3, done
    assert {error["what"] for error in done.document["errors"]} >= {"odoo", "chatwoot", "n8n"}
    assert smos.seen() == 0
    assert list(smos.registered()) == [".gitkeep"]


def test_every_secret_variable_of_the_catalogue_is_known_as_one() -> None:
    plain = {"url", "zone", "login", "database", "email", "operator_email", "team", "project", "client_id"}
    plain |= {"phone_number_id", "business_account_id", "default_store", "smtp"}
    named = {tokens.bare(name, variable) for name in NAMES for variable in SERVICES[name]["connection"]}
    assert {each for each in named - plain if not looks.is_secret(each)} == set()
