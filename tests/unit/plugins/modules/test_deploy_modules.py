"""The modules of a deploy, as Ansible calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_deploy import DeployError
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock
from ansible_collections.smartercl.smarteros.plugins.modules import deploy_lock, stack_deploy
from unit.plugins.wire import run_module

COMPOSE = json.dumps({"services": {"n8n": {"image": "n8n:2", "deploy": {"labels": {}}}}})


class Deployer:
    """Deploys nothing; ``fails`` is what a deploy comes to."""

    before: tuple[Any, ...] = ()
    deployed = 0
    fails: DeployError | None = None

    def __init__(self, _engine: Any) -> None:
        pass

    def look(self, _service: str) -> list[Any]:
        return list(self.before)

    def deploy(self, _wish: Any, _timeout_s: float, _proof: Any = None, *, back: bool = True) -> None:
        Deployer.deployed += 1
        if self.fails:
            raise self.fails


@pytest.fixture
def deployer(monkeypatch: pytest.MonkeyPatch) -> type[Deployer]:
    monkeypatch.setattr(Deployer, "deployed", 0)
    monkeypatch.setattr(stack_deploy, "Deployer", Deployer)
    monkeypatch.setattr(stack_deploy.stack_state, "told", lambda _stack: {"state": "up"})
    return Deployer


def deploy(**more: Any) -> dict[str, Any]:
    return run_module(stack_deploy, service="n8n", compose=COMPOSE, config="c", **more)


def test_a_service_whose_first_visitor_becomes_administrator_is_never_started_with_a_route(
    deployer: type[Deployer],
) -> None:
    refused = deploy(bootstrap=True)
    assert refused["failed"]
    assert "no administrator yet" in refused["msg"]
    assert deployer.deployed == 0
    assert deploy(bootstrap=True, routed=False)["changed"]
    assert deployer.deployed == 1


def test_a_failure_shows_last_words_without_secrets(deployer: type[Deployer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployer, "fails", DeployError("it ended", True, ["password planted-secret is wrong"]))
    failed = deploy(secrets={"n8n_password_1": "planted-secret"})
    assert failed["rolled_back"]
    assert failed["lines"] == ["password *** is wrong"]
    assert "planted-secret" not in json.dumps(failed)
    assert failed["errors"][0]["what"] == "n8n"


def test_the_lock_says_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_lock, "TargetLock", lambda: TargetLock(folder=tmp_path))
    holder = {"holder": "ana@control", "reason": "deploy"}
    assert not run_module(deploy_lock, run="one", holder=holder)["changed"]
    refused = run_module(deploy_lock, run="two", holder=holder)
    assert refused["exit_code"] == 4
    for words in ("run one", "ana@control", "deploy"):
        assert words in refused["msg"]
    taken = run_module(deploy_lock, run="two", holder=holder, take_over="one")
    assert taken["taken_over"]["run"] == "one"
    assert taken["notices"] == ["the lock of run one (ana@control), which is dead, was taken over"]
    run_module(deploy_lock, run="two", state="released")
    assert TargetLock(folder=tmp_path).holder() is None
