"""The ledger's entry of a run, and stacks that come to rest, as Ansible calls them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger
from ansible_collections.smartercl.smarteros.plugins.modules import deploy_settle, stack_rest
from unit.plugins.wire import run_module

AFTER = {"n8n": {"config": "2", "images": {"n8n": "n8n:2"}, "data": {"n8n": "2"}}}
BEFORE = {"n8n": {"config": "1", "images": {"n8n": "n8n:1"}, "data": {"n8n": "1"}}}


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "releases.json"
    read, add = ledger.read, ledger.add
    monkeypatch.setattr(ledger, "read", lambda place=path: read(place))
    monkeypatch.setattr(ledger, "add", lambda entry: add(entry, path))
    monkeypatch.setattr(deploy_settle, "Engine", lambda: None)
    monkeypatch.setattr(deploy_settle, "prune", lambda *_given: {"images": ["old"]})
    monkeypatch.setattr(deploy_settle, "TargetLock", lambda: SimpleNamespace(release=lambda _run: True))
    live = {"config": "1", "images": {"n8n": "n8n:1"}, "state": "up"}
    monkeypatch.setattr(deploy_settle.stack_state, "look", lambda _engine: {"n8n": []})
    monkeypatch.setattr(deploy_settle.stack_state, "told", lambda _stack: live)
    return path


def settle(**more: Any) -> dict[str, Any]:
    given = {"run": "r1", "release": "2", "services": AFTER, "before": BEFORE, "visited": ["n8n"], **more}
    return run_module(deploy_settle, **given)


def test_a_run_is_failed_until_it_is_done(book: Path) -> None:
    assert book.parent.is_dir()
    begun = settle(result="begun", who="ana@pc", backup="20300101-020000")
    assert begun["recorded"]
    assert begun["pruned"] == {}
    (entry,) = ledger.read()
    assert (entry["result"], entry["who"], entry["backup"]) == ("failed", "ana@pc", "20300101-020000")
    assert entry["services"]["n8n"] == {**entry["services"]["n8n"], "config": "1", "data": {"n8n": "2"}}
    assert settle()["pruned"] == {"images": ["old"]}
    (entry,) = ledger.read()
    assert (entry["result"], entry["services"]) == ("done", AFTER)


def test_a_failure_says_whether_it_was_taken_back_and_from_where_it_came(book: Path) -> None:
    assert book.parent.is_dir()
    settle(run="r0", release="1", services=BEFORE)
    settle(result="failed", rolled_back=True)
    entry = ledger.read()[-1]
    assert (entry["result"], entry["previous"], entry["kind"]) == ("rolled back", "1", "deploy")
    settle(run="r2", result="failed")
    assert ledger.read()[-1]["result"] == "failed"


def test_a_rollback_tells_which_data_are_back(book: Path) -> None:
    assert book.parent.is_dir()
    back = {"services": BEFORE, "before": AFTER, "release": "1", "kind": "rollback"}
    restore = [{"backup": "20300101-020000", "services": ["n8n"]}]
    settle(**back, result="begun", restore=restore)
    assert ledger.read()[-1]["services"]["n8n"]["data"] == {"n8n": "2"}
    settle(**back, result="begun", restore=restore, restored=1)
    half = ledger.unfinished(ledger.read())
    assert half is not None
    assert half["services"]["n8n"]["data"] == {"n8n": "1"}
    assert (half["restore"], half["restored"]) == (restore, 1)


def test_in_check_mode_nothing_is_written(book: Path) -> None:
    assert not run_module(deploy_settle, run="r", release="2", services={}, check=True)["recorded"]
    assert not book.exists()


class Crew:
    """A runner that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def pause(self, stack: str, names: list[str], *, for_data: bool) -> None:
        self.told.append(("pause", stack, names, for_data))

    def resume(self, stack: str, _compose: Any, names: list[str], *, for_data: bool) -> None:
        self.told.append(("resume", stack, names, for_data))


def one(name: str, wanted: int, labels: tuple[str, ...] = (), *, job: bool = False) -> Any:
    rests = wanted == 0 and not job
    container = name.partition("_")[2]
    return SimpleNamespace(
        name=name, container_name=container, wanted=wanted, rests=rests, labels=dict.fromkeys(labels, "data")
    )


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Crew:
    found = Crew()
    monkeypatch.setattr(stack_rest, "Engine", lambda: None)
    monkeypatch.setattr(stack_rest, "Runner", lambda _engine: found)
    monkeypatch.setattr(stack_rest, "compose_of", lambda _stack: {})
    monkeypatch.setattr(stack_rest.journal, "unfinished", lambda: "")
    return found


def test_all_of_a_stack_rests_but_a_database_server(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = [
        one("dokploy_dokploy", 1),
        one("dokploy_postgres", 1),
        one("dokploy_idle", 0),
        one("dokploy_x", 0, job=True),
    ]
    monkeypatch.setattr(stack_rest.stack_state, "look", lambda _engine: {"dokploy": stack})
    given: dict[str, Any] = {"services": ["dokploy", "n8n"], "besides": ["dokploy_postgres"]}
    assert run_module(stack_rest, **given, check=True)["rested"] == ["dokploy_dokploy"]
    assert crew.told == []
    assert run_module(stack_rest, **given)["changed"]
    assert crew.told == [("pause", "dokploy", ["dokploy", "idle"], True), ("pause", "n8n", [], True)]


def test_what_rested_for_its_data_runs_again_unless_a_restore_is_half_done(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = [one("n8n_n8n", 0, (stack_rest.stack_state.REST_LABEL,)), one("n8n_runners", 0), one("n8n_other", 1)]
    monkeypatch.setattr(stack_rest.stack_state, "look", lambda _engine: {"n8n": stack})
    given: dict[str, Any] = {"services": ["n8n", "redis"], "state": "awake"}
    assert run_module(stack_rest, **given, check=True)["woken"] == ["n8n_n8n"]
    assert crew.told == []
    assert run_module(stack_rest, **given)["changed"]
    assert crew.told == [("resume", "n8n", ["n8n"], True)]
    monkeypatch.setattr(stack_rest.journal, "unfinished", lambda: "the restore was cut off")
    assert not run_module(stack_rest, **given)["changed"]
    assert len(crew.told) == 1
