"""The plan for workflows: what counts as a difference, whose a workflow is, and that carrying it out is enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import Workflow, our_tags, workflow_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import n8n as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import n8n_templates

SPECS = str(Path(__file__).parents[4] / "specs" / "workflows")
TEMPLATES = n8n_templates.load(SPECS, ["contacts-to-odoo", "shopify-orders"])
ACME, OTHER = "76086428-5", "96790240-3"
ORDERS = f"{ACME} Shopify orders"


def item(
    tenant: str = ACME, state: str = "present", names: tuple[str, ...] = ("shopify-orders",), **more: Any
) -> dict[str, Any]:
    values = {"timezone": "America/Santiago"}
    return {"tenant": tenant, "slug": "acme", "templates": list(names), "values": values, "state": state, **more}


def wish(tenant: str = ACME, name: str = "shopify-orders") -> n8n_templates.Wish:
    goals, bad = service.goals_of([item(tenant, names=(name,))], TEMPLATES)
    assert not bad
    return goals[0].wishes[0]


def made(tenant: str = ACME, template: str = "shopify-orders", ident: str = "1", **more: Any) -> Workflow:
    """The workflow as n8n has it after a complete run."""
    body = service.body_of(wish(tenant, template), None)
    row = {"id": ident, "active": True, **body, "tags": [{"name": tag, "id": tag} for tag in our_tags(tenant)]}
    return replace(workflow_of(row), **more)


def planned(items: list[dict[str, Any]], workflows: list[Workflow]) -> dict[str, service.Todo]:
    goals, bad = service.goals_of(items, TEMPLATES)
    tags = {tag: tag for workflow in workflows for tag in workflow.tags}
    return service.plan(goals, workflows, tags, bad)


def told(todo: service.Todo) -> list[tuple[str, str, list[str]]]:
    return [(change.action, change.what, sorted(change.after or {})) for change in service.changes(todo)]


def changed_node(workflow: Workflow, index: int, **more: Any) -> Workflow:
    nodes = [dict(node) for node in workflow.nodes]
    nodes[index].update(more)
    return replace(workflow, nodes=nodes)


SAME = {
    "nothing": lambda w: w,
    "a place on the canvas": lambda w: changed_node(w, 0, position=[900, 900]),
    "other node ids": lambda w: changed_node(w, 0, id="x"),
    "credentials that a person chose": lambda w: changed_node(w, 1, credentials={"odooApi": {"id": "1"}}),
    "notes": lambda w: changed_node(w, 1, notes="mind this", notesInFlow=True),
    "empty parameters that the editor adds": lambda w: changed_node(
        w, 0, parameters={**w.nodes[0]["parameters"], "authentication": None, "more": {}, "list": []}
    ),
    "behaviour that is off": lambda w: changed_node(w, 1, disabled=False, executeOnce=False),
    "fields that a newer n8n adds": lambda w: changed_node(w, 1, customTelemetryTags={"tag": []}),
    "settings that the template does not speak of": lambda w: replace(
        w, settings={**w.settings, "callerPolicy": "any"}
    ),
    "tags that a person added": lambda w: replace(w, tags={**w.tags, "vip": "9"}),
    "an empty output at the end": lambda w: replace(
        w, connections={**w.connections, "Order arrives": {"main": [*w.connections["Order arrives"]["main"], []]}}
    ),
    "a version with a fraction of nought": lambda w: changed_node(w, 0, typeVersion=2.0),
}
DIFFERENT = {
    "inactive": (lambda w: replace(w, active=False), ["active"]),
    "archived": (lambda w: replace(w, archived=True, active=False), ["active", "archived"]),
    "without the tenant's tags": (lambda w: replace(w, tags={}), ["tags"]),
    "a parameter": (lambda w: changed_node(w, 2, parameters={"respondWith": "text"}), ["nodes"]),
    "a node that a person switched off": (lambda w: changed_node(w, 1, disabled=True), ["nodes"]),
    "another webhook id": (lambda w: changed_node(w, 0, webhookId="x"), ["nodes"]),
    "a node more": (lambda w: replace(w, nodes=[*w.nodes, {"name": "More", "type": "t"}]), ["nodes"]),
    "a connection less": (lambda w: replace(w, connections={}), ["connections"]),
    "a setting": (lambda w: replace(w, settings={**w.settings, "timezone": "UTC"}), ["settings"]),
    "the name": (lambda w: replace(w, name="Renamed"), ["name"]),
}


@pytest.mark.parametrize("what", SAME)
def test_this_is_no_difference(what: str) -> None:
    todo = planned([item()], [SAME[what](made())])[ACME]
    assert (todo.error, told(todo)) == (None, [])


@pytest.mark.parametrize("what", DIFFERENT)
def test_this_is_a_difference_and_an_update(what: str) -> None:
    change, differs = DIFFERENT[what]
    todo = planned([item()], [change(made())])[ACME]
    assert (todo.error, told(todo)) == (None, [("update", f"workflow {ORDERS}", differs)])


def test_what_is_missing_is_created_and_the_tenant_is_new() -> None:
    todo = planned([item()], [made(OTHER)])[ACME]
    assert todo.fresh
    assert [(action, what) for action, what, _ in told(todo)] == [("create", f"workflow {ORDERS}")]


def test_of_duplicates_the_one_in_use_stays() -> None:
    todo = planned([item()], [made(ident="1", active=False), made(ident="2")])[ACME]
    assert [(step.found.id if step.found else "", step.delete) for step in todo.steps] == [("1", True), ("2", False)]
    assert [action for action, _, _ in told(todo)] == ["delete"]


def test_nodes_that_wait_for_a_credential_may_be_switched_on() -> None:
    workflow = made(template="contacts-to-odoo")
    on = replace(workflow, nodes=[
        {**node, "disabled": False, "credentials": {"odooApi": {"id": "1"}}} if node.get("disabled") else node
        for node in workflow.nodes
    ])  # a table, easier to compare in rows  # fmt: skip
    assert [node["name"] for node in workflow.nodes if node.get("disabled")] == [
        "Find the company",
        "Create the contact",
    ]
    assert told(planned([item(names=("contacts-to-odoo",))], [on])[ACME]) == []
    body = service.body_of(wish(name="contacts-to-odoo"), on)
    assert [(node["disabled"], "credentials" in node) for node in body["nodes"] if "disabled" in node] == [
        (False, True)
    ] * 2


def test_an_update_keeps_what_people_chose() -> None:
    found = changed_node(made(), 1, credentials={"x": {"id": "1"}})
    found = replace(found, settings={"executionTimeout": 60, "callerPolicy": "any", "timezone": "UTC"})
    body = service.body_of(wish(), found)
    assert body["nodes"][1]["credentials"] == {"x": {"id": "1"}}
    assert body["settings"]["executionTimeout"] == 60
    assert body["settings"]["timezone"] == "America/Santiago"
    assert "callerPolicy" not in body["settings"]
    assert set(body) == {"name", "nodes", "connections", "settings"}


@pytest.mark.parametrize(
    ("workflow", "why"),
    [
        (made(tags={"rut:1-9": "1", "smarteros": "2"}), "does not bear the tenant's tags"),
        (replace(made(tags={}), nodes=[{**node, "id": "by hand"} for node in made().nodes]), "does not bear"),
        (made(tags={}, name="By hand"), "is used by the workflow 'By hand'"),
    ],
)
def test_a_workflow_of_others_in_the_way_fails_the_tenant_and_is_not_touched(workflow: Workflow, why: str) -> None:
    todos = planned([item(), item(OTHER)], [workflow])
    assert why in str(todos[ACME].error)
    assert (todos[ACME].steps, todos[OTHER].error) == ([], None)


def test_a_webhook_is_free_while_nothing_uses_it() -> None:
    assert planned([item()], [made(tags={}, name="By hand", active=False)])[ACME].error is None
    assert planned([item(active=False)], [made(tags={}, name="By hand")])[ACME].error is None


def test_suspending_switches_off_what_bears_the_tags_and_no_more() -> None:
    extra = made(ident="2", name=f"{ACME} More")
    other, hand = made(OTHER, ident="3"), made(ident="4", name="By hand", tags={f"rut:{ACME}": "1"})
    todo = planned([item(state="suspended", names=())], [made(), extra, other, hand])[ACME]
    assert [step.found.id for step in todo.steps if step.found] == ["1", "2"]
    assert {action for action, _, _ in told(todo)} == {"update"}


def test_absent_deletes_what_bears_both_tags_and_then_the_tag() -> None:
    rows = [made(), made(OTHER, ident="3")]
    todo = planned([item(state="absent", names=())], rows)[ACME]
    assert [(action, what) for action, what, _ in told(todo)] == [
        ("delete", f"workflow {ORDERS}"),
        ("delete", f"tag rut:{ACME}"),
    ]


def test_a_tag_that_people_use_stays() -> None:
    hand = made(ident="4", name="By hand", tags={f"rut:{ACME}": "1"})
    todo = planned([item(state="absent", names=())], [made(), hand])[ACME]
    assert [what for _, what, _ in told(todo)] == [f"workflow {ORDERS}"]


def test_a_missing_value_fails_its_tenant_only() -> None:
    todos = planned([item(values={}), item(OTHER)], [])
    assert "needs timezone" in str(todos[ACME].error)
    assert todos[OTHER].error is None


def test_no_contents_are_shown_because_people_write_passwords_into_nodes() -> None:
    workflow = changed_node(made(), 1, parameters={"token": "hunter2-and-more"})
    assert "hunter2" not in str(service.changes(planned([item()], [workflow])[ACME]))


@pytest.mark.parametrize(
    ("goal", "workflows", "expected"),
    [
        (item(), [made()], False),
        (item(), [], True),
        (item(), [made(OTHER)], True),
        (item(state="absent"), [made()], True),
        (item(state="suspended"), [], False),
    ],
)
def test_tags_are_only_listed_when_the_workflows_do_not_show_them(
    goal: dict[str, Any], workflows: list[Workflow], expected: bool
) -> None:
    goals, _ = service.goals_of([goal], TEMPLATES)
    assert service.wanted_tags(goals, workflows) is expected


def carried_out(workflows: list[Workflow], todos: dict[str, service.Todo]) -> list[Workflow]:
    after = {each.id: each for each in workflows}
    for todo in todos.values():
        for n, step in enumerate(todo.steps):
            if step.delete and step.found:
                del after[step.found.id]
            elif step.change and step.wish:
                body = service.body_of(step.wish, step.found)
                tags = {**(step.found.tags if step.found else {}), **{tag: tag for tag in our_tags(todo.goal.tenant)}}
                ident = step.found.id if step.found else f"new-{todo.goal.tenant}-{n}"
                row = workflow_of({"id": ident, **body, "active": todo.goal.active})
                after[ident] = replace(row, tags=tags)
            elif step.change and step.found:
                after[step.found.id] = replace(step.found, active=bool(step.active))
    return list(after.values())


TWISTS = st.sampled_from([*SAME.values(), *(twist for twist, _ in DIFFERENT.values())])
WORKFLOW = st.builds(
    lambda tenant, name, twist: twist(made(tenant, name)) if name == "shopify-orders" else made(tenant, name),
    st.sampled_from((ACME, OTHER)), st.sampled_from(sorted(TEMPLATES)), TWISTS,
)  # a table, easier to compare in rows  # fmt: skip
ITEMS = st.lists(
    st.builds(
        lambda tenant, state, names, active: item(tenant, state, tuple(sorted(names)), active=active),
        st.sampled_from((ACME, OTHER)), st.sampled_from(("present", "present", "suspended", "absent")),
        st.sets(st.sampled_from(sorted(TEMPLATES))), st.booleans(),
    ),
    unique_by=lambda each: each["tenant"],
)  # a table, easier to compare in rows  # fmt: skip


@given(items=ITEMS, workflows=st.lists(WORKFLOW, max_size=5))
def test_carrying_a_plan_out_reaches_the_wish_and_a_second_plan_is_empty(
    items: list[dict[str, Any]], workflows: list[Workflow]
) -> None:
    before = [replace(workflow, id=str(n)) for n, workflow in enumerate(workflows)]
    first = planned(items, before)
    after = carried_out(before, first)
    second = planned(items, after)
    for tenant, todo in second.items():
        if first[tenant].error is None:
            assert todo.error is None
            assert [step for step in todo.steps if step.change] == []
    touched = {step.found.id for todo in first.values() for step in todo.steps if step.found and step.change}
    assert all(each in after for each in before if each.id not in touched)
