# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Rules between the schedulers' jobs and the playbooks that no schema can express."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import playbook_inputs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Place, shown

Row = tuple[str, Place, str, str, str]
"""The file's kind, the place in it, the rule, what was found, what to do."""
_NO_FORM = ("dict",)


def broken(documents: dict[str, Any]) -> Iterator[Row]:
    """All that is broken; the document has passed its schema before."""
    document = documents["schedulers"]
    inputs = playbook_inputs.load()
    taken: dict[str, str] = {}
    for name, job in document["jobs"].items():
        place = ("jobs", name)
        other = taken.setdefault(job["title"], name)
        if other != name:
            message = f"{other} has {shown(job['title'])} already."
            yield "schedulers", (*place, "title"), "A title belongs to one job.", message, "Give another one."
        if job["playbook"] not in inputs.playbooks:
            yield _no_playbook((*place, "playbook"), job["playbook"])
            continue
        yield from _variables(place, job, inputs.variables(job["playbook"]))
    yield from _left_out(document, inputs)


def _variables(place: Place, job: dict[str, Any], known: dict[str, playbook_inputs.Variable]) -> Iterator[Row]:
    given: dict[str, Any] = job.get("variables") or {}
    asked: list[str] = job.get("ask") or []
    for key, name in [("variables", name) for name in given] + [("ask", name) for name in asked]:
        if name not in known:
            listed = ", ".join(known) or "nothing"
            rule, message = "A job gives variables that its playbook takes.", f"{shown(name)} is unknown."
            yield "schedulers", (*place, key), rule, message, f"It takes: {listed}."
    for name, value in given.items():
        why = known[name].wrong(value) if name in known else ""
        if why:
            rule = "A value is of the variable's type."
            yield "schedulers", (*place, "variables", name), rule, f"{name}: {why}.", "Correct it."
    for name in asked:
        if name in known and (known[name].secret or known[name].type in _NO_FORM):
            rule, message = "A form asks for texts, numbers and lists that may be seen.", f"{name} is none of these."
            yield "schedulers", (*place, "ask"), rule, message, "Take it out."
    needed = {name for name, variable in known.items() if variable.required}
    needed |= {other for name in (*given, *asked) if name in known for other in known[name].needs}
    for name in sorted(needed - {*given, *asked}):
        rule = "A job gives or asks for all that its playbook needs."
        yield "schedulers", place, rule, f"{name} is missing.", "Add it to variables or to ask."


def _left_out(document: dict[str, Any], inputs: playbook_inputs.Inputs) -> Iterator[Row]:
    offered = {job["playbook"] for job in document["jobs"].values()}
    for name in document["left_out"]:
        place = ("left_out", name)
        if name not in inputs.playbooks:
            yield _no_playbook(place, name)
        elif name in offered:
            rule, message = "A playbook is a job or left out, and not both.", f"{name} is both."
            yield "schedulers", place, rule, message, "Take it out of one."


def _no_playbook(place: Place, name: str) -> Row:
    rule, following = (
        "A job names a playbook that exists.",
        "The folder playbooks has them; name it without its ending.",
    )
    return "schedulers", place, rule, f"{shown(name)} is unknown.", following
