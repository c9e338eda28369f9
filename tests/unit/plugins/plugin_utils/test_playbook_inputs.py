"""What is told of the variables that a playbook was given."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import playbook_inputs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.playbook_inputs import Inputs, Variable

SECRET = "planted-secret-of-a-variable"
INPUTS = Inputs(
    ("shop_", "deploy_"),
    {
        "open": {
            "shop_name": Variable("shop_name", "str", "its name", required=True),
            "shop_size": Variable("shop_size", "int", "how large", needs=("shop_unit",)),
            "shop_unit": Variable("shop_unit", "str", "of the size", choices=("m2", "floor")),
            "shop_ways": Variable("shop_ways", "list", "to the shop", choices=("foot", "car")),
            "shop_code": Variable("shop_code", "int", "of the door", secret=True),
            "shop_new": Variable("shop_new", "bool", "whether it is"),
            "shop_more": Variable("shop_more", "dict", "what else there is"),
        },
        "deploy": {"deploy_services": Variable("deploy_services", "list", "what is deployed")},
        "both": {},
    },
    {"both": ("open", "deploy")},
)


def told(given: dict[str, Any], playbook: str = "open", started: tuple[str, ...] = ("open",), **known: Any) -> str:
    rows = playbook_inputs.judge(INPUTS, playbook, started, given, {**given, **known})
    return "\n".join(f"{row['what']}: {row['why']} | {row['next']}" for row in rows)


@pytest.mark.parametrize(
    "given",
    [
        {"shop_size": 4, "shop_unit": "m2", "shop_ways": ["foot", "car"], "shop_new": False, "shop_more": {"a": 1}},
        {"shop_size": "4", "shop_unit": "floor", "shop_ways": "foot,car", "shop_new": "yes", "shop_more": '{"a": 1}'},
        {"shop_size": "{{ of_another }}", "shop_unit": "m2"},
        {"shop_size": None, "shop_new": "", "ansible_user": "ops", "awx_job_id": 7, "odoo_secret": "x"},
    ],
    ids=["typed", "texts of a form", "a template", "empty fields and variables of others"],
)
def test_what_can_be_used_passes(given: dict[str, Any]) -> None:
    assert told({"shop_name": "Acme", **given}) == ""


def test_everything_is_told_at_once() -> None:
    said = told({"shop_size": "many", "shop_ways": "foot,boat", "shop_new": "perhaps", "shop_nane": "Acme"})
    assert said.splitlines() == [
        "variable shop_name: it is missing | shop_name (required): str. its name",
        'variable shop_size: it is a whole number; "many" was given | shop_size: int. how large',
        'variable shop_ways: it is one of foot, car; "boat" was given | shop_ways: list, one of foot, car. to the shop',
        'variable shop_new: it is true or false; "perhaps" was given | shop_new: bool. whether it is',
        "variable shop_nane: this playbook has no such variable | Perhaps shop_name is meant",
    ]


def test_a_variable_may_need_another() -> None:
    assert "with it shop_unit must be given" in told({"shop_name": "Acme", "shop_size": 4})
    assert told({"shop_name": "Acme", "shop_size": 4}, shop_unit="m2") == ""


def test_what_is_required_may_be_in_the_inventory_but_not_be_emptied() -> None:
    assert told({}, shop_name="Acme") == ""
    assert "it is missing" in told({"shop_name": ""})


def test_a_secret_is_not_repeated() -> None:
    said = told({"shop_name": "Acme", "shop_code": SECRET})
    assert "whole number" in said
    assert SECRET not in said


def test_an_imported_playbook_takes_what_the_one_that_was_started_takes() -> None:
    given = {"shop_name": "Acme", "deploy_services": ["n8n"]}
    for part in ("both", "open", "deploy"):
        assert told(given, part, ("both",)) == ""
    assert "deploy_services" in told(given)
    assert told(given, started=("converge",)) == "", "somebody's own playbook may import any of ours"


def test_variables_of_roles_may_be_given_to_any_playbook() -> None:
    inputs = Inputs(("odoo_",), {"open": {}})
    known = playbook_inputs._role_variables()
    given = {next(name for name in sorted(known) if name.startswith("odoo_")): 1, "odoo_of_nobody": 1}
    rows = playbook_inputs.judge(inputs, "open", ["open"], given, given)
    assert [row["what"] for row in rows] == ["variable odoo_of_nobody"]
