"""The module that brings one tenant's data back, as Ansible calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.action import backup_tenant as action
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config, job, tenant
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, Part, ServicePart
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import RestoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_plan import Choice
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock
from ansible_collections.smartercl.smarteros.plugins.modules import backup_tenant
from unit.plugins.wire import run_module

ID, RUT = "20261122-050000", "76543210-3"
GIVEN: dict[str, Any] = {"backup": ID, "tenant": RUT, "slug": "acme", "refs": {"chatwoot": {"account_id": 7}}}
GOOD = Check("rows of the tenant in chatwoot.messages", ok=True, expected=3, found=3)
BAD = Check("health of n8n", ok=False, expected="healthy", found="it answers 502")


class World:
    """In place of the machine; ``outcome`` is what comes of it."""

    outcome: Any = None
    asked: list[tenant.Wish] = []  # noqa: RUF012 - emptied for each test

    def __init__(self, *_given: Any) -> None:
        pass

    def restore(self, wish: tenant.Wish) -> tenant.Restored:
        self.asked.append(wish)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        found: tenant.Restored = self.outcome
        return found

    def foresee(self, wish: tenant.Wish) -> Any:
        self.asked.append(wish)
        part = Part("database", "chatwoot", "a")
        manifest = Manifest(ID, "production", "0.2.0", "vps1", {"chatwoot": ServicePart((part,))})
        return Plan(manifest, {"chatwoot": [part]}, []), None, Choice({}, ["odoo: passed over"])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[World]:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"environment": "x", "path": "/x", "password_file": "/x", "services": {}}))
    known = config.read(path)
    monkeypatch.setattr(backup_tenant.backup_module, "configured", lambda: known)
    monkeypatch.setattr(job, "TargetLock", lambda: TargetLock(folder=tmp_path / "locks"))
    monkeypatch.setattr(tenant, "TenantRestoration", World)
    monkeypatch.setattr(World, "asked", [])
    monkeypatch.setenv("SMOS_RUN", "")
    return World


def test_what_came_back_is_told(world: type[World]) -> None:
    world.outcome = tenant.Restored(ID, RUT, ["chatwoot"], [GOOD], "20261123-101112", ["odoo: passed over"])
    told = run_module(backup_tenant, **GIVEN, services=["chatwoot"], run="run-1")
    assert told["changed"]
    assert not told.get("failed")
    assert told["restore"] == {
        "backup": ID,
        "services": ["chatwoot"],
        "drill": False,
        "tenant": RUT,
        "checks": [GOOD.to_json()],
        "safety": "20261123-101112",
        "notes": ["odoo: passed over"],
        "warnings": [],
        "seconds": 0.0,
    }
    (wish,) = world.asked
    assert (wish.tenant.id, wish.tenant.slug, wish.tenant.refs) == (RUT, "acme", GIVEN["refs"])
    assert (wish.backup, wish.wanted, wish.safety, wish.run) == (ID, ("chatwoot",), True, "run-1")


def test_rows_that_are_back_in_a_service_that_is_ill_fail_and_are_told(world: type[World]) -> None:
    world.outcome = tenant.Restored(ID, RUT, ["n8n"], [GOOD, BAD])
    told = run_module(backup_tenant, **GIVEN)
    assert (told["failed"], told["changed"], told["exit_code"]) == (True, True, 1)
    assert [error["what"] for error in told["errors"]] == ["health of n8n"]
    assert told["restore"]["services"] == ["n8n"]


@pytest.mark.parametrize(
    ("exc", "code", "checks"),
    [
        (RestoreError("rows are missing", "See there", checks=[GOOD, BAD]), 1, 2),
        (Refused("there is no such backup", 2, "List them"), 2, None),
        (config.ConfigError("it is not there"), 3, None),
    ],
)
def test_each_failure_says_what_it_means(world: type[World], exc: Exception, code: int, checks: int | None) -> None:
    world.outcome = exc
    told = run_module(backup_tenant, **GIVEN)
    assert (told["failed"], told["exit_code"], told["errors"][0]["why"]) == (True, code, str(exc))
    assert told["errors"][0]["next"]
    assert (len(told["restore"]["checks"]) if checks else told.get("restore")) == checks


def test_check_mode_tells_what_would_come_back_and_takes_no_lock(world: type[World], tmp_path: Path) -> None:
    told = run_module(backup_tenant, True, **GIVEN)
    (change,) = told["changes"]
    assert (change["service"], change["tenant"], change["action"]) == ("chatwoot", RUT, "update")
    assert change["what"] == "rows of acme in database chatwoot"
    assert told["notes"] == ["odoo: passed over"]
    assert not (tmp_path / "locks").exists()
    assert len(world.asked) == 1


def test_the_controller_gives_what_the_registry_knows() -> None:
    services = {
        "chatwoot": {"state": "ready", "ref": {"account_id": 7}},
        "n8n": {"state": "pending"},
        "odoo": {"ref": {}},
    }
    assert action.refs_of({"status": {"services": services}}) == {"chatwoot": {"account_id": 7}}
    assert action.refs_of({"status": {}}) == {}
