"""Templates become workflows of a tenant, and whatever is wrong with one is told before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import node_id, webhook_id
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import n8n_templates as templates

SPECS = Path(__file__).parents[4] / "specs" / "workflows"
SHIPPED = sorted(path.stem for path in SPECS.glob("*.json"))
RUT = "76086428-5"
VALUES = {name: f"value of {name}" for name in templates.VALUES} | {"rut": RUT}


def webhook(**more: Any) -> dict[str, Any]:
    return {"name": "In", "type": "n8n-nodes-base.webhook", "parameters": {"path": "__SMOS_RUT__/t"}, **more}


def document(**more: Any) -> dict[str, Any]:
    return {"name": "Title", "nodes": [webhook()], "connections": {}, **more}


def written(folder: Path, content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "t.json").write_text(text, encoding="utf-8")
    return str(folder)


def setting(value: Any) -> dict[str, Any]:
    return {"name": "Set", "type": "n8n-nodes-base.set", "parameters": {"value": value}}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_template_renders_for_any_tenant(name: str) -> None:
    template = templates.load(str(SPECS), [name])[name]
    wish = templates.render(template, RUT, VALUES)
    assert wish.name == f"{RUT} {template.title}"
    assert wish.hooks == {("POST", f"{RUT}/{name}")}
    text = json.dumps([wish.nodes, wish.connections, wish.settings])
    assert "__SMOS" not in text
    assert ("$env" in text) == (name == "shopify-orders")  # Shopify's secret, where n8n shows it
    hook = wish.nodes[0]
    assert (hook["webhookId"], hook["id"]) == (webhook_id(f"{RUT}/{name}"), node_id(wish.name, hook["name"]))


def test_these_templates_are_shipped() -> None:
    assert SHIPPED == ["chatwoot-router", "contacts-to-odoo", "shopify-orders"]


def test_connections_of_shipped_templates_lead_to_nodes() -> None:
    for template in templates.load(str(SPECS), SHIPPED).values():
        names = {node["name"] for node in template.nodes}
        targets = {link["node"] for outs in template.connections.values() for out in outs["main"] for link in out}
        assert set(template.connections) | targets <= names


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "name must be"),
        (document(name=""), "name must be"),
        (document(name="x" * 118), "name must be"),
        (document(nodes=[]), "at least one node"),
        (document(nodes=["x"]), "every node needs"),
        (document(nodes=[webhook(), webhook()]), "the same name"),
        (document(connections=[]), "must be mappings"),
        (document(nodes=[webhook(parameters={"path": "fixed"})]), "the webhook path must be __SMOS_RUT__/t"),
        (document(nodes=[webhook(), setting("__SMOS_TOKEN__")]), "unknown placeholder __SMOS_TOKEN__"),
        (document(nodes=[webhook(), setting("__SMOS_rut__")]), "misspelt or misplaced"),
        (document(nodes=[webhook(), setting({"__SMOS_RUT__": 1})]), "misspelt or misplaced"),
        (document(name="__SMOS_NAME__"), "misspelt or misplaced"),
        (document(nodes=[webhook(), setting("={{ '__SMOS_NAME__' }}")]), "must not stand in an expression"),
    ],
)
def test_a_template_that_is_wrong_is_told_with_its_file(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(ApiError) as caught:
        templates.load(written(tmp_path, content), ["t"])
    assert why in caught.value.message
    assert caught.value.where == str(tmp_path / "t.json")


@pytest.mark.parametrize("name", ["../t", "t.json", "/etc/passwd", "", "T"])
def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ApiError, match="a name is made of"):
        templates.load(str(tmp_path), [name])


def test_a_template_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="no workflow template 'gone': No such file"):
        templates.load(str(tmp_path), ["gone"])


def test_a_missing_value_is_told_by_name(tmp_path: Path) -> None:
    folder = written(tmp_path, document(nodes=[webhook(), setting("__SMOS_ODOO_URL__ __SMOS_SLUG__")]))
    template = templates.load(folder, ["t"])["t"]
    with pytest.raises(ApiError, match="needs odoo_url, slug"):
        templates.render(template, RUT, {"rut": RUT, "slug": ""})


def test_a_value_that_n8n_would_run_is_refused(tmp_path: Path) -> None:
    template = templates.load(written(tmp_path, document(nodes=[webhook(), setting("__SMOS_NAME__")])), ["t"])["t"]
    with pytest.raises(ApiError, match="as an expression"):
        templates.render(template, RUT, {"rut": RUT, "name": "={{ $env }}"})


@given(name=st.text(min_size=1).filter(lambda text: not text.startswith("=")))
def test_a_value_is_only_ever_text(name: str) -> None:
    part = {"a": ["__SMOS_NAME__", {"b": "x __SMOS_NAME__ y __SMOS_SLUG__"}], "c": 1}
    filled = templates._filled(part, {"name": name, "slug": "s"}, frozenset(templates._places(part)))
    assert filled == {"a": [name, {"b": f"x {name} y s"}], "c": 1}
