# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which workflows are tenants' copies of a template, and which of those are not as their template says. Pure."""

from __future__ import annotations

import typing as t
from collections import Counter
from collections.abc import Mapping, Sequence

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import RUT_TAG, Workflow, hooks, ours
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import n8n as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.n8n_templates import Template

Row = dict[str, t.Any]


def template_of(workflow: Workflow, templates: Mapping[str, Template]) -> str:
    """The template that a workflow of ours was made from; empty for every other one.

    It is known by our tags (or the ids of its nodes), and by its name or the webhook that it answers on.
    """
    rut = _rut(workflow)
    if not rut or not ours(workflow, rut):
        return ""
    paths = {path for _method, path in hooks(workflow.nodes)}
    for name, template in templates.items():
        if workflow.name == f"{rut} {template.title}" or f"{rut}/{name}" in paths:
            return name
    return ""


def _rut(workflow: Workflow) -> str:
    tagged = [tag.removeprefix(RUT_TAG) for tag in workflow.tags if tag.startswith(RUT_TAG)]
    return tagged[0] if len(tagged) == 1 else workflow.name.split(" ", 1)[0] if not tagged else ""


def split(
    workflows: Sequence[Workflow], templates: Mapping[str, Template]
) -> tuple[list[Workflow], dict[str, list[Workflow]]]:
    """Those that get a file of their own, and the copies by template. Archived ones count as deleted."""
    own: list[Workflow] = []
    copies: dict[str, list[Workflow]] = {}
    for workflow in workflows:
        if workflow.archived:
            continue
        name = template_of(workflow, templates)
        if name:
            copies.setdefault(name, []).append(workflow)
        else:
            own.append(workflow)
    return own, copies


def deviations(
    items: Sequence[Mapping[str, t.Any]],
    workflows: Sequence[Workflow],
    copies: Mapping[str, Sequence[Workflow]],
    templates: Mapping[str, Template],
) -> list[Row]:
    """The copies that are not as their template says: tenant, template, workflow, differs (names of nodes, settings …).

    ``items`` are the tenants in the form of the module `n8n_workflows`. Only those that shall have workflows are compared: what is
    suspended is off on purpose. Copies of tenants that the registry does not know are told as such.
    """
    goals, _bad = service.goals_of([item for item in items if item["state"] == "present"], templates)
    todos = service.plan(goals, workflows, {}, {})
    found = [
        _row(tenant, step.wish.template, step.found.name, _differs(step.change.before or {}, step.change.after or {}))
        for tenant, todo in todos.items()
        for step in todo.steps
        if step.wish is not None and step.found is not None and step.change is not None
    ]
    known = {str(item["tenant"]) for item in items}
    for name, rows in copies.items():
        strangers = [each for each in rows if _rut(each) not in known]
        found += [_row(_rut(each), name, each.name, ["the registry does not know this tenant"]) for each in strangers]
    return sorted(found, key=lambda row: (row["tenant"], row["template"], row["workflow"]))


def counted(copies: Mapping[str, Sequence[Workflow]]) -> dict[str, int]:
    """How many copies each template has."""
    return dict(sorted(Counter({name: len(rows) for name, rows in copies.items()}).items()))


def _row(tenant: str, template: str, workflow: str, differs: Sequence[str]) -> Row:
    return {"tenant": tenant, "template": template, "workflow": workflow, "differs": list(differs)}


def _differs(before: Mapping[str, t.Any], after: Mapping[str, t.Any]) -> list[str]:
    """What differs in words: `node Accept`, `setting timezone`, `active`."""
    told: list[str] = []
    for key in before:
        was, now = before[key], after.get(key)
        if key in ("nodes", "settings") and isinstance(was, dict) and isinstance(now, dict):
            names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
            told += [f"{key.removesuffix('s')} {name}" for name in names]
        else:
            told.append(key)
    return told
