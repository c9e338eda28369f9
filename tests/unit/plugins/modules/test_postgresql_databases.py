"""What `postgresql_databases` does where no server is at hand; the rest is shown on a real one (tests/real)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import postgresql_plan as planning
from ansible_collections.smartercl.smarteros.plugins.module_utils import postgresql_scram as scram
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError, Executed
from ansible_collections.smartercl.smarteros.plugins.modules import postgresql_databases as module
from unit.plugins.wire import run_module

PASSWORD = "correct-horse-7-battery-staple"
ROLE = {"name": "n8n", "password": PASSWORD, "databases": ["n8n"]}


class NoEngine:
    def container_of(self, _service: str) -> str | None:
        raise EngineError("no answer from the Docker Engine")


class NoContainer:
    def container_of(self, _service: str) -> str | None:
        return None


class Answering:
    """A container whose psql answers these, one after the other."""

    def __init__(self, *answers: Executed) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, ...]] = []

    def container_of(self, _service: str) -> str | None:
        return "c0ffee"

    def execute(self, _container: str, argv: Sequence[str], **more: Any) -> Executed:
        env: Mapping[str, str] = more["env"]
        self.asked.append((*argv, *env.values(), more["stdin"].decode()))
        return self.answers.pop(0)


def run(engine: Any, monkeypatch: pytest.MonkeyPatch, check: bool = False, **more: Any) -> dict[str, Any]:
    monkeypatch.setattr(module, "Engine", lambda _socket: engine)
    monkeypatch.setattr(module, "PAUSE_S", 0)
    return run_module(module, check, **{"service": "postgresql_postgresql", "roles": [ROLE], "timeout": 5, **more})


def test_a_password_is_kept_as_postgresql_keeps_it() -> None:
    # salt and password of the example in RFC 7677
    kept = scram.verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    keys = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    assert kept == f"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==${keys}"
    assert scram.matches("pencil", kept)
    assert not scram.matches("Pencil", kept)


@pytest.mark.parametrize("kept", [None, "", "md5aaaabbbbccccddddeeeeffff00001111", "SCRAM-SHA-256$4096:?$a:b", "a$b$c"])
def test_what_is_kept_in_another_way_is_never_a_match(kept: str | None) -> None:
    assert not scram.matches("pencil", kept)


def test_check_mode_foretells_everything_where_nothing_runs_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in (NoEngine(), NoContainer()):
        answer = run(engine, monkeypatch, check=True, extensions={"n8n": ["uuid-ossp"]})
        assert [row["what"] for row in answer["changes"]] == ["role n8n", "database n8n", "extension uuid-ossp in n8n"]
        assert answer["diff"]["after"]["database n8n"] == {"owner": "n8n", "public": False}


@pytest.mark.parametrize("engine", [NoEngine(), NoContainer()])
def test_without_a_server_nothing_is_attempted(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = run(engine, monkeypatch)
    assert (answer["failed"], answer["exit_code"], answer["changes"]) == (True, 3, [])


def test_a_server_that_is_still_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    there = '{"roles": {}, "databases": {}, "available": []}\n'
    engine = Answering(Executed(2, "", "connection refused"), Executed(0, there, ""), Executed(0, "", ""))
    assert run(engine, monkeypatch)["changed"]
    assert len(engine.asked) == 3


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"roles": [ROLE, ROLE]}, "role n8n is there twice; database n8n has two owners"),
        ({"roles": [{**ROLE, "name": "postgres"}]}, "postgres is the server's superuser"),
        ({"roles": [{**ROLE, "password": ""}]}, "the password of n8n is empty"),
        (
            {"roles": [{**ROLE, "password": "contraseña-larga"}]},
            "the password of n8n is empty or has other than printable",
        ),
        ({"superuser_password": "two\nlines"}, "the password of postgres is empty or has other"),
    ],
)
def test_a_wrong_wish_is_refused_before_the_server_is_asked(
    more: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Answering()
    answer = run(engine, monkeypatch, **more)
    assert (answer["failed"], answer["exit_code"], engine.asked) == (True, 3, [])
    assert told in answer["msg"]


def test_the_password_is_in_no_argument_no_statement_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    there = '{"roles": {}, "databases": {}, "available": []}\n'
    engine = Answering(Executed(0, there, ""), Executed(3, "-- done\n", "ERROR:  no space left"))
    answer = run(engine, monkeypatch)
    assert PASSWORD not in repr(engine.asked)
    assert "SCRAM" not in repr(engine.asked[1][:-1])
    assert answer["msg"].startswith("PostgreSQL: ERROR: no space left.")
    assert [row["what"] for row in answer["changes"]] == ["role n8n"]
    assert "SCRAM" not in repr(answer)


def test_sorting_rules_that_changed_under_a_database_are_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = scram.verifier(PASSWORD)
    off = ", ".join(f'"{column}": false' for column in planning.FORBIDDEN)
    role = f'{{"login": true, "connections": -1, "expires": false, "kept": "{kept}", {off}}}'
    base = '{"owner": "n8n", "public": false, "sorted_by": "2.36", "sorts_by": "2.41"}'
    engine = Answering(
        Executed(0, f'{{"roles": {{"n8n": {role}}}, "databases": {{"n8n": {base}}}, "available": []}}\n', "")
    )
    answer = run(engine, monkeypatch)
    assert answer["changed"] is False
    assert "REFRESH COLLATION VERSION" in capsys.readouterr().err


def test_names_and_literals_are_quoted() -> None:
    role = planning.Role('o"dd', PASSWORD, ("it's",))
    script = planning.script(planning.plan(planning.Wish((role,), {}), planning.Seen()))
    assert 'CREATE ROLE "o""dd" WITH' in script
    assert 'CREATE DATABASE "it\'s" WITH OWNER "o""dd"' in script
    assert "datname IN ('it''s')" in planning.question(planning.Wish((role,), {}))
