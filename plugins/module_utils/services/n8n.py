# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Workflows of tenants: what is wished against what n8n holds, and how the difference is closed."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import ABSENT, SUSPENDED, Change, Result
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import (
    RESTING_TAG,
    N8n,
    Workflow,
    bears,
    hooks,
    our_tags,
    ours,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.n8n_templates import Template, Wish, render

# What a node does: compared when a template says it, or when a person switched it on
BEHAVIOUR = ("disabled", "onError", "continueOnFail", "executeOnce", "alwaysOutputData", "retryOnFail")
COMPARED = ("type", "typeVersion", "parameters", "webhookId")
# Settings that every supported version takes; others that n8n reports would be refused by 1.x
KNOWN_SETTINGS = (
    "saveExecutionProgress",
    "saveManualExecutions",
    "saveDataErrorExecution",
    "saveDataSuccessExecution",
    "executionTimeout",
    "errorWorkflow",
    "timezone",
    "executionOrder",
)


@dataclass(frozen=True)
class Goal:
    """What shall become of one tenant: ``state`` present, suspended or absent.

    ``limit`` is how many workflows its plan allows, None for any number.
    """

    tenant: str
    state: str
    active: bool
    wishes: tuple[Wish, ...]
    limit: int | None = None


@dataclass(frozen=True)
class Step:
    """One workflow's difference. Without ``wish`` it is about one that exists; without ``found`` about one to make."""

    name: str
    wish: Wish | None = None
    found: Workflow | None = None
    change: Change | None = None
    active: bool | None = None  # to be switched so; None: leave as it is
    content: bool = False  # nodes, connections or settings differ
    tags: bool = False  # our tags are missing, or one says that it rests
    delete: bool = False
    resting: bool | None = None  # to be marked so (or no longer): made by people, switched off with the tenant


@dataclass
class Todo:
    """What one tenant needs; with an ``error`` nothing of it is touched."""

    goal: Goal
    steps: list[Step] = field(default_factory=list)
    rut_tag: str = ""  # id of the tenant's tag, to be deleted
    fresh: bool = False
    error: ApiError | None = None
    used: int = 0  # how many workflows the tenant will have, those made by people too
    message: str = ""


def goals_of(
    items: t.Iterable[t.Mapping[str, t.Any]], templates: t.Mapping[str, Template]
) -> tuple[list[Goal], dict[str, ApiError]]:
    """The module's items as goals, and by tenant why an item cannot be one."""
    goals: list[Goal] = []
    bad: dict[str, ApiError] = {}
    for item in items:
        tenant = item["tenant"]
        own = {"rut": tenant, "slug": item.get("slug"), "name": item.get("name")}
        values = {**(item.get("values") or {}), **{key: value for key, value in own.items() if value}}
        present = item["state"] == "present"
        try:
            # Suspending and deleting go by tags alone, so they work when a value is missing
            wishes = tuple(render(templates[name], tenant, values) for name in item["templates"]) if present else ()
            goals.append(Goal(tenant, item["state"], bool(item.get("active", True)), wishes, item.get("limit")))
        except ApiError as exc:
            bad[tenant] = exc
    return goals, bad


def plan(
    goals: t.Sequence[Goal], workflows: t.Sequence[Workflow], tags: t.Mapping[str, str], bad: t.Mapping[str, ApiError]
) -> dict[str, Todo]:
    """What every tenant needs, by tenant. Pure. ``tags``: name -> id."""
    todos: dict[str, Todo] = {}
    by_name = _grouped(workflows, lambda each: (each.name,))
    by_rut = _grouped(workflows, _ruts)
    by_hook = _grouped([each for each in workflows if each.active], lambda each: hooks(each.nodes))
    for goal in goals:
        own = [each for each in by_rut.get(goal.tenant, ()) if ours(each, goal.tenant)]
        todo = todos[goal.tenant] = Todo(goal, fresh=not own, error=bad.get(goal.tenant))
        if todo.error is None and goal.state == "present":
            _plan_present(todo, own, by_name, by_hook)
            _mind_limit(todo, own, by_rut.get(goal.tenant, ()))
        elif todo.error is None and goal.state == "suspended":
            todo.steps = [_put_to_rest(each) for each in own if each.active]
            todo.used = len(_counted(goal.tenant, by_rut.get(goal.tenant, ())))
        elif todo.error is None:
            todo.steps = [_deleted(each) for each in own]
            tag = our_tags(goal.tenant)[1]
            left = [each for each in by_rut.get(goal.tenant, ()) if tag in each.tags and each not in own]
            todo.rut_tag = "" if left else tags.get(tag, "")
    for tenant, error in bad.items():
        todos.setdefault(tenant, Todo(Goal(tenant, "present", True, ()), error=error))
    return todos


def wanted_tags(goals: t.Sequence[Goal], workflows: t.Sequence[Workflow]) -> bool:
    """Whether the plan needs more tags than those that the workflows show."""
    shown = {tag for workflow in workflows for tag in workflow.tags}
    absent = any(goal.state == "absent" for goal in goals)
    return absent or any(not set(our_tags(goal.tenant)) <= shown for goal in goals if goal.wishes)


def changes(todo: Todo) -> list[Change]:
    """The tenant's differences as they are reported."""
    rows = [step.change for step in todo.steps if step.change is not None]
    return [*rows, _tag_change(todo)] if todo.rut_tag else rows


def foretell(todos: t.Mapping[str, Todo], url: str) -> list[Result]:
    """The results of a check mode run."""
    rows = []
    for todo in todos.values():
        row = _blank(todo, url)
        if todo.error is not None:
            row.fail("workflows", todo.error)
        else:
            row.changes = changes(todo)
            row.created = todo.fresh and any(step.found is None for step in todo.steps)
        rows.append(row)
    return rows


def apply(
    client: N8n, todos: t.Mapping[str, Todo], tags: t.Mapping[str, str], concurrency: int, url: str
) -> list[Result]:
    """Carry out the plan, tenant beside tenant; a tenant's first failure ends that tenant only."""
    known = dict(tags)
    general = None
    if any(step.tags for todo in todos.values() if todo.error is None for step in todo.steps):
        try:  # once, before everybody needs it at the same time
            known[our_tags("")[0]] = known.get(our_tags("")[0]) or client.create_tag(our_tags("")[0])
        except ApiError as exc:
            general = exc
    work = {tenant: _job(client, todo, known, general, url) for tenant, todo in todos.items()}
    rows: list[Result] = []
    for tenant, answer in reconcile.run_all(work, concurrency).items():
        if isinstance(answer, ApiError):  # a job keeps its errors; whatever came past it fails its tenant
            row = _blank(todos[tenant])
            row.fail("workflows", answer)
            answer = row
        rows.append(answer)
    return rows


def content_of(nodes: t.Iterable[t.Mapping[str, t.Any]], optional: t.Collection[str] = ()) -> dict[str, t.Any]:
    """The nodes by name, reduced to what we compare: no ids, places on the canvas or credentials, nothing empty.

    ``optional`` names nodes that are off until a person gives them a credential: on or off is no difference there.
    """
    found: dict[str, t.Any] = {}
    for node in nodes:
        name = str(node.get("name"))
        kept = {key: node.get(key) for key in COMPARED}
        kept.update(
            {key: node[key] for key in BEHAVIOUR if node.get(key) and not (key == "disabled" and name in optional)}
        )
        found[name] = _without_empty(kept)
    return found


def body_of(wish: Wish, found: Workflow | None) -> dict[str, t.Any]:
    """What is sent to make or overwrite a workflow; only keys that n8n 1.62 to 2.x take.

    Credentials that a person chose in a node stay, and so do settings that the template does not speak of.
    """
    old = {(node.get("name"), node.get("type")): node for node in found.nodes} if found else {}
    nodes = []
    for node in wish.nodes:
        was = old.get((node["name"], node["type"]), {})
        keep = {"credentials": was["credentials"]} if was.get("credentials") else {}
        if was and node.get("disabled"):
            keep["disabled"] = bool(was.get("disabled"))
        nodes.append({**node, **keep})
    kept = {key: found.settings[key] for key in KNOWN_SETTINGS if found.settings.get(key) is not None} if found else {}
    return {"name": wish.name, "nodes": nodes, "connections": wish.connections, "settings": {**kept, **wish.settings}}


def _plan_present(
    todo: Todo,
    own: t.Sequence[Workflow],
    by_name: t.Mapping[str, t.Sequence[Workflow]],
    by_hook: t.Mapping[t.Any, t.Sequence[Workflow]],
) -> None:
    mine = {each.id for each in own}
    for wish in todo.goal.wishes:
        named = by_name.get(wish.name, ())
        if any(each.id not in mine for each in named):
            todo.error = ApiError(
                f"a workflow {wish.name!r} exists and does not bear the tenant's tags", errors.CONFLICT
            )
        # The one that is in use, else the first one: ids tell no age, but they do not change
        in_line: list[Workflow | None] = [*sorted(named, key=_preference)]
        best, *spare = in_line or [_renamed(wish, own)]
        for hook in sorted(wish.hooks) if todo.goal.active else ():
            others = [each for each in by_hook.get(hook, ()) if each.name != wish.name and each != best]
            if others:  # n8n 1.x would hand the path over without a word
                why = f"the webhook {' '.join(hook)} is used by the workflow {others[0].name!r}"
                todo.error = ApiError(why, errors.CONFLICT)
        todo.steps += [_deleted(each) for each in spare if each is not None]
        todo.steps.append(_created(wish, todo.goal) if best is None else _updated(wish, todo.goal, best))
    known = {step.found.id for step in todo.steps if step.found is not None}
    todo.steps += [_woken(each) for each in own if RESTING_TAG in each.tags and each.id not in known]
    if todo.error is not None:
        todo.steps = []


def _mind_limit(todo: Todo, own: t.Sequence[Workflow], named: t.Sequence[Workflow]) -> None:
    """Refuse to make workflows beyond the plan's limit; those that are there already are only told."""
    limit = todo.goal.limit
    there = {each.id: each.name for each in (*_counted(todo.goal.tenant, named), *own) if not each.archived}
    for step in todo.steps:
        if step.found is not None:
            there.pop(step.found.id, None)
    kept = [*there.values(), *(step.name for step in todo.steps if not step.delete)]
    todo.used = len(kept)
    if limit is None or len(kept) <= limit or todo.error is not None:
        return
    made = sorted(step.name for step in todo.steps if step.found is None)
    why = f"the plan allows {limit} workflows and there would be {len(kept)}: {', '.join(sorted(kept))}"
    if made:
        todo.error = ApiError(f"{why}. Not made: {', '.join(made)}", errors.CONFLICT)
        todo.steps = []
    else:
        todo.message = why


def _counted(rut: str, named: t.Iterable[Workflow]) -> list[Workflow]:
    """The workflows that count for a tenant: those that bear its tag, whoever made them, but for archived ones."""
    return [each for each in named if our_tags(rut)[1] in each.tags and not each.archived]


def _preference(workflow: Workflow) -> tuple[bool, bool, str]:
    return workflow.archived, not workflow.active, workflow.id


def _renamed(wish: Wish, own: t.Sequence[Workflow]) -> Workflow | None:
    """The tenant's workflow on the wished webhook whose name has changed since, here or in the template."""
    found = [each for each in own if hooks(each.nodes) & wish.hooks]
    return min(found, key=_preference) if found else None


def _created(wish: Wish, goal: Goal) -> Step:
    change = Change("create", f"workflow {wish.name}", after=_made(wish, goal.active))
    return Step(wish.name, wish, None, change, active=True if goal.active else None, content=True, tags=True)


def _made(wish: Wish, active: bool) -> dict[str, t.Any]:
    return {
        "template": wish.template,
        "active": active,
        "tags": sorted(our_tags(wish.tenant)),
        "webhooks": [" ".join(hook) for hook in sorted(wish.hooks)],
        **_fingerprints(wish, wish.nodes, wish.connections, wish.settings),
    }


def _updated(wish: Wish, goal: Goal, found: Workflow) -> Step:
    if _is_as_wished(wish, goal, found):
        return Step(wish.name, wish, found)
    settings = {key: found.settings.get(key) for key in wish.settings}  # only what the template speaks of
    was: dict[str, t.Any] = {
        **_outside(found.name, found.active and not found.archived, found.archived, _tags_of(wish, found)),
        **_fingerprints(wish, found.nodes, found.connections, settings),
    }
    now = {**_made(wish, goal.active), "name": wish.name, "archived": False}
    differs = [key for key in was if was[key] != now[key]]
    if not differs:
        return Step(wish.name, wish, found)
    what = f"workflow {wish.name}"
    change = Change("update", what, {key: was[key] for key in differs}, {key: now[key] for key in differs})
    return Step(
        wish.name,
        wish,
        found,
        change,
        active=goal.active if "active" in differs else None,
        content=bool({"name", "nodes", "connections", "settings"} & set(differs)),
        tags="tags" in differs,
    )


def _is_as_wished(wish: Wish, goal: Goal, found: Workflow) -> bool:
    """The quick answer for the thousands that are: sums are only made of what differs."""
    outside = _outside(found.name, found.active and not found.archived, found.archived, _tags_of(wish, found))
    if outside != _outside(wish.name, goal.active, False, sorted(our_tags(wish.tenant))):
        return False
    optional = {str(node["name"]) for node in wish.nodes if node.get("disabled")}
    return (
        _same_nodes(found.nodes, wish.nodes, optional)
        and _without_empty(found.connections, trim=True) == _without_empty(wish.connections, trim=True)
        and all(found.settings.get(key) == value for key, value in wish.settings.items())
    )


def _same_nodes(
    found: t.Sequence[t.Mapping[str, t.Any]], wished: t.Sequence[t.Mapping[str, t.Any]], optional: t.Collection[str]
) -> bool:
    """Whether nodes are the same in what we compare; those that are equal to the letter need no closer look."""
    pairs = zip(found, wished) if len(found) == len(wished) else ()
    keys = ("name", *COMPARED, *BEHAVIOUR)
    if pairs and all(was.get(key) == node.get(key) for was, node in pairs for key in keys):
        return True
    return content_of(found, optional) == content_of(wished, optional)


def _outside(name: str, active: bool, archived: bool, tags: list[str]) -> dict[str, t.Any]:
    """What is compared of a workflow beside its content."""
    return {"name": name, "active": active, "archived": archived, "tags": tags}


def _tags_of(wish: Wish, found: Workflow) -> list[str]:
    return sorted(tag for tag in (*our_tags(wish.tenant), RESTING_TAG) if tag in found.tags)


def _put_to_rest(found: Workflow) -> Step:
    """Switch off. The ones that we made are known again; those made by people get a mark, to be woken with the tenant."""
    change = Change("update", f"workflow {found.name}", {"active": True}, {"active": False})
    made = bears(found, found.name, (str(node.get("name")) for node in found.nodes))
    marked = made or RESTING_TAG in found.tags
    return Step(found.name, None, found, change, active=False, resting=None if marked else True)


def _woken(found: Workflow) -> Step:
    change = Change("update", f"workflow {found.name}", {"resting": True}, {"resting": False})
    return Step(found.name, None, found, change, active=True if not found.archived else None, resting=False)


def _deleted(found: Workflow) -> Step:
    before = {
        "active": found.active,
        "tags": sorted(found.tags),
        "nodes": sorted(str(n.get("name")) for n in found.nodes),
    }
    return Step(found.name, None, found, Change("delete", f"workflow {found.name}", before=before), delete=True)


def _tag_change(todo: Todo) -> Change:
    name = our_tags(todo.goal.tenant)[1]
    return Change("delete", f"tag {name}", before={"name": name})


def _job(
    client: N8n, todo: Todo, tags: t.Mapping[str, str], general: ApiError | None, url: str
) -> t.Callable[[], Result]:
    def job() -> Result:
        row = _blank(todo, url)
        what = "workflows"
        try:
            if todo.error is not None:
                raise todo.error
            if general is not None and todo.steps:
                raise general
            own: dict[str, str] = dict(tags)  # the tenant's own tag is made once for all its workflows
            for step in todo.steps:
                what = f"workflow {step.name}"
                _carry_out(client, step, own, row)
            if todo.rut_tag:
                what = "tag"
                client.delete_tag(todo.rut_tag)
                row.changes.append(_tag_change(todo))
        except ApiError as exc:
            row.fail(what, exc)
        row.created = todo.fresh and any(change.action == "create" for change in row.changes)
        return row

    return job


def _carry_out(client: N8n, step: Step, tags: dict[str, str], row: Result) -> None:
    """One workflow, step by step; each may be the last that happens, and the next run goes on from there."""
    if step.delete and step.found is not None:
        client.delete(step.found)
    elif step.wish is None and step.found is not None:
        if step.resting:  # before it is off: a run that dies between the two finds it active
            client.set_tags(step.found, _with_rest(client, step.found, tags))
        if step.active is not None:
            client.switch(step.found, step.active)
        if step.resting is False:
            client.set_tags(step.found, (ident for name, ident in step.found.tags.items() if name != RESTING_TAG))
    elif step.wish is not None and step.change is not None:
        _bring_about(client, step, step.wish, tags, row)
        return
    if step.change is not None:
        row.changes.append(step.change)


def _with_rest(client: N8n, found: Workflow, tags: dict[str, str]) -> list[str]:
    tags[RESTING_TAG] = tags.get(RESTING_TAG) or client.create_tag(RESTING_TAG)
    return [*found.tags.values(), tags[RESTING_TAG]]


def _bring_about(client: N8n, step: Step, wish: Wish, tags: dict[str, str], row: Result) -> None:
    done = step.change
    found = step.found
    if found is None:
        found = client.create(body_of(wish, None))
        row.ref[wish.template] = found.id
    try:
        if found.archived:
            client.unarchive(found)
        if step.content and step.found is not None:
            client.update(found, body_of(wish, found))
        if step.tags:
            for name in our_tags(wish.tenant):
                tags[name] = tags.get(name) or client.create_tag(name)
            ids = {**found.tags, **{name: tags[name] for name in our_tags(wish.tenant)}}
            ids.pop(RESTING_TAG, None)
            client.set_tags(found, ids.values())
        if step.active is not None:
            _switch(client, found, wish, step.active)
    except ApiError:
        if step.found is None and done is not None:  # it exists, only not in use yet
            row.changes.append(replace(done, after={**(done.after or {}), "active": False}))
        raise
    if done is not None:
        row.changes.append(done)


def _switch(client: N8n, found: Workflow, wish: Wish, active: bool) -> None:
    try:
        client.switch(found, active)
    except ApiError as exc:
        if exc.kind not in (errors.CONFLICT, errors.INVALID) or not active:
            raise
        paths = ", ".join(" ".join(hook) for hook in sorted(wish.hooks))
        why = f"it cannot be activated with its webhook {paths}: {exc.message}"
        raise ApiError(why, errors.CONFLICT, exc.status, exc.code, exc.where) from None


def _blank(todo: Todo, url: str = "") -> Result:
    state = {"suspended": SUSPENDED, "absent": ABSENT}.get(todo.goal.state)
    row = Result(todo.goal.tenant, url=f"{url.rstrip('/')}/webhook/{todo.goal.tenant}" if url and state is None else "")
    row.state = state or row.state
    row.message = todo.message
    if state != ABSENT:
        row.usage = {"workflows": todo.used}
    row.ref = {
        step.wish.template: step.found.id for step in todo.steps if step.wish is not None and step.found is not None
    }
    return row


def _fingerprints(
    wish: Wish,
    nodes: t.Iterable[t.Mapping[str, t.Any]],
    connections: t.Mapping[str, t.Any],
    settings: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Short sums instead of the contents: a person may have written a password into a node."""
    optional = {str(node["name"]) for node in wish.nodes if node.get("disabled")}
    return {
        "nodes": {name: _sum(node) for name, node in sorted(content_of(nodes, optional).items())},
        "connections": _sum(_without_empty(connections, trim=True)),
        "settings": {key: settings[key] for key in sorted(settings)},
    }


def _sum(value: t.Any) -> str:
    return hashlib.sha256(json.dumps(_whole(value), sort_keys=True).encode()).hexdigest()[:12]


def _whole(value: t.Any) -> t.Any:
    """The value with 2.0 written as 2: servers differ in that."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return value


def _without_empty(value: t.Any, trim: bool = False) -> t.Any:
    """Mappings without their empty entries (n8n's editor adds and drops those); with ``trim`` lists without empty ends."""
    if isinstance(value, dict):
        kept = {key: _without_empty(item, trim) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item not in ({}, [])}
    if isinstance(value, list):
        items = [_without_empty(item, trim) for item in value]
        while trim and items and items[-1] in (None, [], {}):
            items.pop()
        return items
    return value


def _ruts(workflow: Workflow) -> set[str]:
    """The tenants that a workflow may belong to, by its tags and by its name."""
    tagged = {tag.split(":", 1)[1] for tag in workflow.tags if tag.startswith("rut:")}
    return tagged | {workflow.name.split(" ", 1)[0]}


def _grouped(
    workflows: t.Iterable[Workflow], keys: t.Callable[[Workflow], t.Iterable[t.Any]]
) -> dict[t.Any, list[Workflow]]:
    found: dict[t.Any, list[Workflow]] = {}
    for workflow in workflows:
        for key in keys(workflow):
            found.setdefault(key, []).append(workflow)
    return found
