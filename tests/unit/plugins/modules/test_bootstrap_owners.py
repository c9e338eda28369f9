"""The first administrators of services, made in stand-ins that behave as the products' own set-up pages do."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Executed
from ansible_collections.smartercl.smarteros.plugins.modules import (
    botpress_owner,
    chatwoot_installation,
    metabase_owner,
    n8n_owner,
    odoo_database,
    odoo_modules_info,
)
from real.processes import free_port, running, wait_until
from support.containers import Container, placed
from unit.plugins.wire import run_module

IMAGES = Path(__file__).parents[4] / "src/smos/sandbox/images"
EMAIL, PASSWORD = "admin@example.com", "Correct-horse-7-battery"
WRAPPED = ["/bin/sh", "-c", 'set -a; . /run/secrets/odoo.env; set +a; exec "$@"', "sh", "odoo"]


@contextmanager
def standin(name: str, home: Path, **settings: str) -> Iterator[int]:
    """A stand-in as a process; gives its port."""
    port, log = free_port(), home / f"{name}.log"
    env: Mapping[str, str] = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(IMAGES),
        "STANDIN_HOME": str(home),
        "STANDIN_DATA": str(home),
        "STANDIN_START_S": "0.3",
        "N8N_USER_FOLDER": str(home),
        "N8N_PORT": str(port),
        "PORT": str(port),
        "MB_JETTY_PORT": str(port),
        **settings,
    }
    with running([sys.executable, "-m", f"standin.{name}"], log=log, env=env, cwd=home) as process:
        wait_until(lambda: _listens(port), name, process=process, log=log, seconds=30)
        yield port


def _listens(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def own(module: ModuleType, check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(module, check, **{"service": "x_x", "email": EMAIL, "password": PASSWORD, "timeout": 20, **more})


def whats(answer: Mapping[str, Any]) -> list[str]:
    assert not answer.get("failed"), answer
    return [row["what"] for row in answer["changes"]]


# --- with keys: n8n, Metabase ------------------------------------------------------------------------------------------

KEYED = [
    pytest.param(n8n_owner, "n8n", "owner", {"STANDIN_VERSION": "1.64.3"}, id="n8n 1"),
    pytest.param(n8n_owner, "n8n", "owner", {"STANDIN_VERSION": "2.41.1"}, id="n8n 2"),
    pytest.param(metabase_owner, "metabase", "administrator", {}, id="metabase"),
]


@pytest.mark.parametrize(("module", "name", "first", "settings"), KEYED)
def test_a_fresh_service_becomes_ours_and_stays_so(
    module: ModuleType,
    name: str,
    first: str,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with standin(name, tmp_path, **settings) as port:
        container = placed(monkeypatch, Container(ports={module.service.PORT: port}))
        assert whats(own(module, check=True)) == [first, "API key"]
        made = own(module)
        assert whats(made) == [first, "API key"]
        key = made["api_key"]

        container.sent.clear()
        again = own(module, api_key=key)
        assert (again["changed"], "api_key" in again) == (False, False)
        assert {method for method, _path in container.sent} == {"GET"}

        # the key was lost before it could be kept, or is no good: a new one, and never two
        for known in ("", "not-a-key"):
            anew = own(module, api_key=known)
            assert whats(anew) == ["API key"]
            assert anew["api_key"] != key
            assert own(module, api_key=anew["api_key"])["changed"] is False


@pytest.mark.parametrize(("module", "name", "first", "settings"), KEYED)
@pytest.mark.parametrize("died_after", [1, 2, 3])
def test_a_run_that_died_between_two_calls_is_completed(
    module: ModuleType,
    name: str,
    first: str,
    settings: dict[str, str],
    died_after: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with standin(name, tmp_path, **settings) as port:
        container = placed(monkeypatch, Container(ports={module.service.PORT: port}, dies_after_writes=died_after))
        dead = own(module)
        container.dies_after_writes = None
        assert dead["failed"] is True
        made = own(module)
        assert "API key" in whats(made)
        assert own(module, api_key=made["api_key"])["changed"] is False


@pytest.mark.parametrize(("module", "name", "first", "settings"), KEYED)
def test_somebody_elses_password_is_told_and_no_secret_is(
    module: ModuleType,
    name: str,
    first: str,
    settings: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with standin(name, tmp_path, **settings) as port:
        placed(monkeypatch, Container(ports={module.service.PORT: port}))
        own(module)
        refused = own(module, password="Another-password-7")
        assert (refused["failed"], refused["exit_code"]) == (True, 1)
        assert EMAIL in refused["msg"]
        assert "Another-password-7" not in json.dumps(refused)


# --- Botpress --------------------------------------------------------------------------------------------------------


def test_botpress_has_our_user_from_its_environment_or_gets_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder, settings, changes in (
        ("made", {"BP_ADMIN_EMAIL": EMAIL, "BP_ADMIN_PASSWORD": PASSWORD}, []),
        ("not", {}, ["first user"]),
    ):
        home = tmp_path / folder
        home.mkdir()
        with standin("botpress", home, **settings) as port:
            placed(monkeypatch, Container(ports={3000: port}))
            assert whats(own(botpress_owner, check=True)) == changes
            assert whats(own(botpress_owner)) == changes
            assert whats(own(botpress_owner)) == []
            refused = own(botpress_owner, password="Another-password-7")
            assert "botpress_password" in refused["msg"]


# --- by script: Odoo, Chatwoot -----------------------------------------------------------------------------------------


def said(**facts: Any) -> Executed:
    return Executed(
        0, f"noise of the product\nSMARTEROS {json.dumps({'changes': [], **facts})}\nmore noise\n", "a warning"
    )


def test_odoos_script_gets_its_values_by_stdin_and_its_secrets_from_the_wrapper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = [
        ["create", "service user", None, {"login": "smarteros"}],
        ["create", "API key", None, {"name": "smarteros"}],
    ]
    container = placed(monkeypatch, Container(entrypoint=WRAPPED, answers=[said(changes=changes, key="made-key")]))
    answer = own(odoo_database, database="odoo", company="Ñandú 'SpA' \"x\"")
    assert whats(answer) == ["service user", "API key"]
    assert answer["api_key"] == "made-key"
    ((argv, script, env),) = container.ran
    assert argv[:5] == [*WRAPPED[:4], "odoo"]
    assert argv[5:] == ["shell", "-c", "/etc/odoo/odoo.conf", "-d", "odoo", "--no-http", "--log-level=warn"]
    assert env == {}
    assert PASSWORD not in " ".join(argv)
    assert PASSWORD not in script  # not even readable there: it is base64
    compile(script, "script", "exec")


def test_the_scripts_values_arrive_as_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part of Odoo's script before Odoo is needed, run for real."""
    container = placed(monkeypatch, Container(answers=[said()]))
    own(odoo_database, database="odoo", company="Ñandú 'SpA' \"x\"", password="p'a\"s\\s$w0rd")
    script = container.ran[0][1].partition("    changes, said = [], {}")[0] + "    return wish\n"
    scope: dict[str, Any] = {}
    exec(script, scope)
    wish = scope["smarteros"]()
    assert (wish["company"], wish["password"], wish["check"]) == ("Ñandú 'SpA' \"x\"", "p'a\"s\\s$w0rd", False)


def test_chatwoots_token_can_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    container = placed(
        monkeypatch, Container(entrypoint=["docker/entrypoints/rails.sh"], answers=[said(token="t0ken")])
    )
    answer = own(chatwoot_installation)
    assert (answer["changed"], answer["platform_token"]) == (False, "t0ken")
    assert container.ran[0][0] == ["bundle", "exec", "rails", "runner", "-"]


def test_a_script_that_fails_shows_its_last_words_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Executed(1, "", f"Traceback\nValidationFailed: {PASSWORD} is too short")
    placed(monkeypatch, Container(answers=[failed]))
    answer = own(chatwoot_installation)
    assert answer["failed"] is True
    assert "ValidationFailed" in answer["msg"]
    assert PASSWORD not in json.dumps(answer)


def test_which_modules_are_missing_is_asked_without_odoo(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {
        "service": "postgresql_postgresql",
        "database": "odoo",
        "user": "odoo",
        "password": "hush-hush-7",
    }
    for answers, expected in (
        ([Executed(0, "f\n", "")], (False, ["base", "crm"])),
        ([Executed(0, "t\n", ""), Executed(0, '{"base" : "installed", "crm" : "to install"}\n', "")], (True, ["crm"])),
        ([Executed(0, "t\n", ""), Executed(0, '{"base" : "installed", "crm" : "installed"}\n', "")], (True, [])),
    ):
        container = placed(monkeypatch, Container(answers=answers))
        answer = run_module(odoo_modules_info, **asked, modules=["base", "crm"])
        assert (answer["initialised"], answer["missing"], answer["changed"]) == (*expected, False)
        assert container.ran[0][2] == {"PGPASSWORD": "hush-hush-7"}
        assert "hush-hush-7" not in str(container.ran[0][0])
    placed(monkeypatch, Container(answers=[Executed(2, "", 'role "odoo" with hush-hush-7 does not exist')]))
    answer = run_module(odoo_modules_info, **asked, modules=["base"])
    assert "does not exist" in answer["msg"]
    assert "hush-hush-7" not in json.dumps(answer)


# --- what all have in common -------------------------------------------------------------------------------------------


def test_before_anything_runs_check_mode_foretells_and_a_run_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for container in (Container(there=False), Container(engine=False)):
        placed(monkeypatch, container)
        assert whats(own(n8n_owner, check=True)) == ["first administrator of n8n"]
        refused = own(n8n_owner)
        assert refused["failed"] is True
        assert refused["errors"][0]["what"] == "n8n"
    placed(monkeypatch, Container(there=False))
    asked: dict[str, Any] = {
        "service": "x",
        "database": "odoo",
        "user": "odoo",
        "password": "hush-hush-7",
        "modules": ["base"],
    }
    assert run_module(odoo_modules_info, True, **asked)["missing"] == ["base"]


def test_a_container_that_is_about_to_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    container = placed(monkeypatch, Container(coming=3, answers=[said()]))
    assert whats(own(chatwoot_installation)) == []
    assert container.coming == 0
