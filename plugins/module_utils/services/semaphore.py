# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a project in Semaphore should hold, compared with what it holds. Everything of ours has a name that begins with the prefix.

Things are compared by names and never by ids, so that a project that is not there yet can be foretold. Secrets cannot be read
back: an environment variable of the project keeps their fingerprints.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, fingerprint
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.semaphore import (
    ENVIRONMENT,
    INVENTORY,
    KEYS,
    KINDS,
    REPOSITORIES,
    SCHEDULES,
    TEMPLATES,
    Row,
    Semaphore,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

PREFIX = "SmarterOS: "
REGISTERED = "SMOS_REGISTERED"  # the variable with the fingerprints
_ONE = {KEYS: "key", REPOSITORIES: "repository", INVENTORY: "inventory", ENVIRONMENT: "environment"}
WORDS = {**_ONE, TEMPLATES: "template", SCHEDULES: "schedule"}
_SURVEY = ("name", "title", "description", "type", "required", "values")

Seen = dict[str, t.Any]
Prints = dict[str, str]


@dataclass(frozen=True)
class Thing:
    """One thing as it should be. ``seen`` is what can be compared; ``secrets`` what cannot be read back."""

    kind: str
    name: str
    seen: Seen
    secrets: t.Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Found:
    """One thing as it is; ``raw`` is what Semaphore said of it."""

    number: int
    seen: Seen
    raw: Row = field(repr=False)


@dataclass
class State:
    """What a project holds of ours, by kind and name, and what of it is there twice."""

    project: int = 0
    things: dict[str, dict[str, Found]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    surplus: list[tuple[str, str, Found]] = field(default_factory=list)
    prints: Prints = field(default_factory=dict)

    def name_of(self, kind: str, number: t.Any) -> str:
        """The name of a thing of ours; a strange one has only its number."""
        names = (name for name, found in self.things[kind].items() if found.number == number)
        return next(names, f"#{number}" if number else "")

    def number_of(self, kind: str, name: str) -> int | None:
        """The id of a thing of ours."""
        found = self.things[kind].get(name)
        return found.number if found else None


@dataclass(frozen=True)
class Step:
    """One difference, and the thing that it is about."""

    change: Change
    kind: str
    name: str
    thing: Thing | None = None
    found: Found | None = None


# --- what is wished ---


def wishes(params: t.Mapping[str, t.Any]) -> list[Thing]:
    """The things that the module's options describe, in the order in which one needs the other."""
    things = [_key(one) for one in params["keys"]]
    repository, inventory, environment = params["repository"], params["inventory"], params["environment"]
    seen = {"git_url": repository["url"], "git_branch": repository["branch"], "key": _ours(repository["key"])}
    things.append(Thing(REPOSITORIES, _ours("repository"), seen))
    things.append(
        Thing(INVENTORY, _ours("inventory"), {"inventory": inventory["path"], "key": _ours(inventory["key"])})
    )
    variables = {str(name): str(value) for name, value in (environment["variables"] or {}).items()}
    secrets = {str(name): str(value) for name, value in (environment["secrets"] or {}).items() if value}
    seen = {"variables": variables, "secrets": sorted(secrets)}
    things.append(Thing(ENVIRONMENT, _ours("environment"), seen, secrets))
    things += [Thing(TEMPLATES, _ours(job["name"]), _template(job)) for job in params["jobs"]]
    for job in params["jobs"]:
        if job["schedule"]:
            seen = {"cron_format": job["schedule"], "template": _ours(job["name"])}
            things.append(Thing(SCHEDULES, _ours(job["name"]), seen))
    return things


def mistakes(params: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the options beyond their types."""
    keys = [one["name"] for one in params["keys"]]
    jobs = [one["name"] for one in params["jobs"]]
    twice = sorted({name for names in (keys, jobs) for name in names if names.count(name) > 1})
    named = [params["repository"]["key"], params["inventory"]["key"], *(one["vault_key"] for one in params["jobs"])]
    unknown = sorted({name for name in named if name and name not in keys})
    lacking = [one["name"] for one in params["keys"] if one["type"] != "none" and not _secret_of(one)]
    return [
        *(f"{name} is there twice" for name in twice),
        *(f"there is no key {name}" for name in unknown),
        *(f"key {name} has no secret" for name in lacking),
    ]


def _ours(name: str) -> str:
    return PREFIX + name


def _secret_of(key: t.Mapping[str, t.Any]) -> str:
    return str((key["private_key"] if key["type"] == "ssh" else key["password"]) or "")


def _key(key: t.Mapping[str, t.Any]) -> Thing:
    kept = {"login": str(key["login"] or ""), "secret": _secret_of(key)}
    return Thing(KEYS, _ours(key["name"]), {"type": key["type"]}, kept if key["type"] != "none" else {})


def _template(job: t.Mapping[str, t.Any]) -> Seen:
    return {
        "playbook": job["playbook"],
        "description": job["description"],
        "arguments": list(job["arguments"]),
        "survey_vars": [_survey_var(one) for one in job["survey"]],
        "repository": _ours("repository"),
        "inventory": _ours("inventory"),
        "environment": _ours("environment"),
        "vaults": [_ours(job["vault_key"])] if job["vault_key"] else [],
    }


def _survey_var(one: t.Mapping[str, t.Any]) -> Seen:
    values = [{"name": str(value), "value": str(value)} for value in one.get("choices") or []]
    return {**{key: one.get(key) or "" for key in _SURVEY}, "required": bool(one.get("required")), "values": values}


# --- what is there ---


def read(client: Semaphore, project: str) -> State:
    """All that is ours in the project."""
    state = State(client.project(project))
    for kind in KINDS if state.project else ():
        for row in client.things(state.project, kind, PREFIX):
            name = str(row["name"])
            found = Found(int(row["id"]), _READ[kind](row, state), row)
            if name in state.things[kind]:
                state.surplus.append((kind, name, found))
            else:
                state.things[kind][name] = found
    return state


def _read_key(row: Row, state: State) -> Seen:
    del state
    return {"type": row.get("type")}


def _read_repository(row: Row, state: State) -> Seen:
    key = state.name_of(KEYS, row.get("ssh_key_id"))
    return {"git_url": row.get("git_url"), "git_branch": row.get("git_branch"), "key": key}


def _read_inventory(row: Row, state: State) -> Seen:
    where = row.get("inventory") if row.get("type") == "file" else f"of the type {row.get('type')}"
    return {"inventory": where, "key": state.name_of(KEYS, row.get("ssh_key_id"))}


def _read_environment(row: Row, state: State) -> Seen:
    variables = _parsed(row.get("env"), {})
    state.prints = {str(k): str(v) for k, v in _parsed(variables.pop(REGISTERED, None), {}).items()}
    secrets = [str(one.get("name")) for one in row.get("secrets") or [] if one.get("type") == "env"]
    return {"variables": variables, "secrets": sorted(secrets)}


def _read_template(row: Row, state: State) -> Seen:
    return {
        "playbook": row.get("playbook"),
        "description": row.get("description") or "",
        "arguments": _parsed(row.get("arguments"), []),
        "survey_vars": [_read_survey_var(one) for one in row.get("survey_vars") or []],
        "repository": state.name_of(REPOSITORIES, row.get("repository_id")),
        "inventory": state.name_of(INVENTORY, row.get("inventory_id")),
        "environment": state.name_of(ENVIRONMENT, row.get("environment_id")),
        "vaults": [state.name_of(KEYS, one.get("vault_key_id")) for one in row.get("vaults") or []],
    }


def _read_survey_var(one: Row) -> Seen:
    values = [{"name": str(v.get("name")), "value": str(v.get("value"))} for v in one.get("values") or []]
    return {**{key: one.get(key) or "" for key in _SURVEY}, "required": bool(one.get("required")), "values": values}


def _read_schedule(row: Row, state: State) -> Seen:
    # Whether it is active is a person's to say: who pauses one finds it paused
    template = state.name_of(TEMPLATES, row.get("template_id"))
    return {"cron_format": row.get("cron_format"), "template": template}


_READ: dict[str, t.Callable[[Row, State], Seen]] = {
    KEYS: _read_key,
    REPOSITORIES: _read_repository,
    INVENTORY: _read_inventory,
    ENVIRONMENT: _read_environment,
    TEMPLATES: _read_template,
    SCHEDULES: _read_schedule,
}


def _parsed(text: t.Any, usual: t.Any) -> t.Any:
    """JSON within JSON; what a person broke counts as empty, and is written anew."""
    try:
        value = json.loads(text) if text else usual
    except ValueError:
        return usual
    return value if isinstance(value, type(usual)) else usual


# --- what differs ---


def plan(wished: t.Sequence[Thing], state: State, project: str) -> list[Step]:
    """The steps from what is to what should be; what is to go comes last, and what needs another before it."""
    steps: list[Step] = []
    if not state.project:
        steps.append(Step(Change("create", f"project {project}", None, {"name": project}), "", project))
    for thing in wished:
        found = state.things[thing.kind].get(thing.name)
        stale = _stale(thing, found, state.prints)
        before = found.seen if found else None
        if found is None or stale or before != thing.seen:
            after = {**thing.seen, **({"written anew": stale} if stale and found else {})}
            action = "update" if found else "create"
            change = Change(action, f"{WORDS[thing.kind]} {thing.name}", before, after)
            steps.append(Step(change, thing.kind, thing.name, thing, found))
    return steps + _to_go(wished, state)


def _to_go(wished: t.Sequence[Thing], state: State) -> list[Step]:
    kept = {(thing.kind, thing.name) for thing in wished}
    rows = [
        (kind, name, found) for kind in KINDS for name, found in state.things[kind].items() if (kind, name) not in kept
    ]
    rows = sorted([*rows, *state.surplus], key=lambda row: KINDS.index(row[0]), reverse=True)
    return [
        Step(Change("delete", f"{WORDS[kind]} {name}", found.seen, None), kind, name, None, found)
        for kind, name, found in rows
    ]


def _stale(thing: Thing, found: Found | None, prints: Prints) -> list[str]:
    """Names of the secrets that are not, or not known to be, what was written."""
    if found is None:
        return sorted(thing.secrets)
    missing = set(thing.secrets) - set(found.seen["secrets"]) if thing.kind == ENVIRONMENT else set()
    wrong = (name for name, value in thing.secrets.items() if not fingerprint.fits(_kept(thing, name, prints), value))
    return sorted({*missing, *wrong})


def _kept(thing: Thing, name: str, prints: Prints) -> str:
    return prints.get(_label(thing, name), "")


def _label(thing: Thing, name: str) -> str:
    return f"{thing.kind}/{thing.name}/{name}"


# --- what is done ---


def apply(
    client: Semaphore,
    project: str,
    wished: t.Sequence[Thing],
    state: State,
    steps: t.Sequence[Step],
    done: t.Callable[[], None],
) -> None:
    """Carry the steps out, one after the other; ``done`` is called after each."""
    prints = dict(state.prints)
    for step in steps:
        if not step.kind:
            state.project = client.make_project(project)
        elif step.thing is None and step.found is not None:
            client.remove(state.project, step.kind, step.found.number)
        elif step.thing is not None:
            _carry_out(client, state, step, step.thing)
            prints.update(_new_prints(step.thing, _stale(step.thing, step.found, state.prints)))
        done()
    labels = {_label(thing, name) for thing in wished for name in thing.secrets}
    prints = {label: value for label, value in prints.items() if label in labels}
    if prints != state.prints:  # last: a run that dies before writes the same secrets again
        _keep_prints(client, state, wished, prints)


def _new_prints(thing: Thing, stale: t.Sequence[str]) -> Prints:
    return {_label(thing, name): fingerprint.make(thing.secrets[name]) for name in stale}


def _carry_out(client: Semaphore, state: State, step: Step, thing: Thing) -> None:
    body = _body(thing, state, step.found)
    if step.found:
        number = step.found.number
        client.change(state.project, thing.kind, number, body)
    else:
        number = client.make(state.project, thing.kind, body)
        state.things[thing.kind][thing.name] = Found(number, thing.seen, body)
    if thing.kind == ENVIRONMENT:
        _write_secrets(client, state, number, thing, step.found)


def _body(thing: Thing, state: State, found: Found | None) -> Row:
    """What is sent: what is there, overlaid by what is wished, so that a newer Semaphore keeps what only it knows."""
    ours = {**(found.raw if found else _NEW.get(thing.kind, {})), "name": thing.name}
    ours.pop("secrets", None)
    return {**ours, **_BODIES[thing.kind](thing, state)}


_NEW: dict[str, Row] = {
    TEMPLATES: {"app": "ansible", "type": "", "allow_override_args_in_task": False, "autorun": False},
    ENVIRONMENT: {"json": "{}", "password": None},
    SCHEDULES: {"active": True},
}


def _key_body(thing: Thing, state: State) -> Row:
    del state
    kind, secrets = thing.seen["type"], thing.secrets
    if kind == "ssh":
        return {
            "type": kind,
            "override_secret": True,
            "ssh": {"login": secrets["login"], "passphrase": "", "private_key": secrets["secret"]},
        }
    if kind == "login_password":
        login = {"login": secrets["login"], "password": secrets["secret"]}
        return {"type": kind, "override_secret": True, "login_password": login}
    return {"type": kind, "override_secret": True}


def _repository_body(thing: Thing, state: State) -> Row:
    seen = thing.seen
    key = state.number_of(KEYS, seen["key"])
    return {"git_url": seen["git_url"], "git_branch": seen["git_branch"], "ssh_key_id": key}


def _inventory_body(thing: Thing, state: State) -> Row:
    key = state.number_of(KEYS, thing.seen["key"])
    return {"type": "file", "inventory": thing.seen["inventory"], "ssh_key_id": key}


def _environment_body(thing: Thing, state: State) -> Row:
    return {"env": _variables(thing, state.prints)}


def _variables(thing: Thing, prints: Prints) -> str:
    kept = {REGISTERED: json.dumps(prints, sort_keys=True)} if prints else {}
    return json.dumps({**thing.seen["variables"], **kept}, sort_keys=True)


def _template_body(thing: Thing, state: State) -> Row:
    seen = thing.seen
    vaults = [
        {"vault_key_id": state.number_of(KEYS, name), "name": None, "type": "password"} for name in seen["vaults"]
    ]
    return {
        **{key: seen[key] for key in ("playbook", "description", "survey_vars")},
        "arguments": json.dumps(seen["arguments"]),
        "repository_id": state.number_of(REPOSITORIES, seen["repository"]),
        "inventory_id": state.number_of(INVENTORY, seen["inventory"]),
        "environment_id": state.number_of(ENVIRONMENT, seen["environment"]),
        "vaults": vaults,
    }


def _schedule_body(thing: Thing, state: State) -> Row:
    template = state.number_of(TEMPLATES, thing.seen["template"])
    return {"cron_format": thing.seen["cron_format"], "template_id": template}


_BODIES: dict[str, t.Callable[[Thing, State], Row]] = {
    KEYS: _key_body,
    REPOSITORIES: _repository_body,
    INVENTORY: _inventory_body,
    ENVIRONMENT: _environment_body,
    TEMPLATES: _template_body,
    SCHEDULES: _schedule_body,
}


def _write_secrets(client: Semaphore, state: State, number: int, thing: Thing, found: Found | None) -> None:
    """Bring the environment's secrets to what is wished, and look whether they came: Semaphore tells no failure of one.

    One that changed is deleted and made anew, since releases of Semaphore lose an update.
    """
    there = [one for one in (found.raw.get("secrets") if found else None) or [] if one.get("type") == "env"]
    stale = _stale(thing, found, state.prints)
    gone = [one for one in there if one["name"] in stale or one["name"] not in thing.secrets]
    orders = [{**one, "secret": "", "operation": "delete"} for one in gone]
    orders += [{"type": "env", "name": name, "secret": thing.secrets[name], "operation": "create"} for name in stale]
    if not orders:
        return
    body = _body(thing, state, state.things[ENVIRONMENT][thing.name])
    client.change(state.project, ENVIRONMENT, number, {**body, "secrets": orders})
    rows = client.environment(state.project, number).get("secrets") or []
    names = sorted(str(one.get("name")) for one in rows if one.get("type") == "env")
    if names != sorted(thing.secrets):
        lost = sorted(set(thing.secrets) ^ set(names)) or ["one is there twice"]
        raise ApiError(f"Semaphore did not take the secrets as they were sent: {', '.join(lost)}", errors.INVALID)


def _keep_prints(client: Semaphore, state: State, wished: t.Sequence[Thing], prints: Prints) -> None:
    thing = next(one for one in wished if one.kind == ENVIRONMENT)
    found = state.things[ENVIRONMENT][thing.name]
    body = {**_body(thing, state, found), "env": _variables(thing, prints)}
    client.change(state.project, ENVIRONMENT, found.number, body)
