"""What a deploy is opened with: everything that is lacking is told at once."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from ansible_collections.smartercl.smarteros.plugins.action import deploy_open
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.stacks import StackError

FACTS = {
    "smos_wanted": ["redis", "n8n", "odoo"],
    "smos_catalogue": {name: {"role": name} for name in ("redis", "n8n", "odoo")},
    "smos_zone": "example.com",
    "smos_network": "network",
}
LACKING = {"what": "secrets", "where": "vault.yml", "why": "2 secrets are missing", "next": "smos secrets init"}
WRONG = {
    "redis": "redis: redis_password: not in the vault. Run `smos secrets init`",
    "odoo": "odoo: 'odoo_worker' is undefined",
}


class Renderer:
    wrong: ClassVar[dict[str, str]] = WRONG

    def __init__(self, *_given: Any) -> None:
        pass

    def has(self, _role: str) -> bool:
        return True

    def render(self, role: str) -> Any:
        if role in self.wrong:
            raise StackError(self.wrong[role])
        resources = {"reservations": {"memory": "1M"}, "limits": {"memory": "2M"}}
        return {"services": {role: {"image": f"{role}:1", "deploy": {"resources": resources}}}}


@pytest.fixture
def action(monkeypatch: pytest.MonkeyPatch) -> deploy_open.ActionModule:
    monkeypatch.setattr(deploy_open, "Renderer", Renderer)
    made = deploy_open.ActionModule.__new__(deploy_open.ActionModule)  # what it needs of Ansible is replaced
    made._templar = made._loader = None
    return made


def test_a_template_that_lacks_a_secret_tells_nothing_new(action: deploy_open.ActionModule) -> None:
    with pytest.raises(Stop) as stopped:
        action._stacks(FACTS, {}, [LACKING])
    assert stopped.value.exit_code == 3
    assert [error["what"] for error in stopped.value.errors] == ["secrets", "odoo"]


def test_a_secret_that_no_catalogue_knows_is_told_by_its_template(action: deploy_open.ActionModule) -> None:
    with pytest.raises(Stop) as stopped:
        action._stacks(FACTS, {}, [])
    assert [error["what"] for error in stopped.value.errors] == ["redis", "odoo"]
    assert "smos secrets init" in stopped.value.errors[0]["next"]


def test_what_is_lacking_is_enough_to_stop(action: deploy_open.ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Renderer, "wrong", {})
    with pytest.raises(Stop) as stopped:
        action._stacks(FACTS, {}, [LACKING])
    assert stopped.value.errors == [LACKING]
    assert list(action._stacks(FACTS, {}, [])) == ["redis", "n8n", "odoo"]
