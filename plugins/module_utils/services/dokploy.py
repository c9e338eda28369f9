# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One compose in Dokploy: what is wished against what is there, and how it is deployed to its real end.

Dokploy's names are not unique. What we make bears our mark in its description, and every deployment that we start
bears the fingerprint of what it deploys in its title, so that a later run knows what is running.
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, waiting
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.dokploy import (
    DEFAULT_ENVIRONMENT,
    ENDED,
    FILE,
    Compose,
    Deployment,
    Dokploy,
    Project,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import NAME
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome


@dataclass(frozen=True)
class Wish:
    """A compose as it shall be. ``env`` is the whole environment text, and secret."""

    project: str
    environment: str
    name: str
    file: str
    env: str = field(repr=False)
    kind: str = "docker-compose"
    deploy: bool = True
    adopt: bool = False

    @property
    def mark(self) -> str:
        """What the compose's description says."""
        return f"{NAME}:compose:{self.project}/{self.environment}/{self.name}"

    @property
    def project_mark(self) -> str:
        """What the project's description says where we made it."""
        return f"{NAME}:project:{self.project}"

    @property
    def fingerprint(self) -> str:
        """Of all that decides what runs; tells nothing of its content."""
        text = "\0".join((self.file, self.env, self.kind))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """Title of the deployments of exactly this."""
        return f"{NAME} {self.fingerprint}"


@dataclass
class Found:
    """What Dokploy has of a wish."""

    project: Project | None = None
    environment: str = ""
    compose: Compose | None = None
    deployments: list[Deployment] = field(default_factory=list)
    waiting: bool = False
    """Whether a deployment of the wish stands in the queue."""


@dataclass
class Todo:
    """What is to be done, in the order of the fields; ``wait``: only for a deployment that is under way."""

    project: bool = False
    environment: bool = False
    compose: bool = False
    update: bool = False
    deploy: bool = False
    wait: bool = False
    changes: list[Change] = field(default_factory=list)


def env_text(env: t.Mapping[str, t.Any]) -> str:
    """An environment as Dokploy wants it, sorted. Raises ApiError for what its lines cannot carry."""
    lines = []
    for name, value in sorted(env.items()):
        text = "" if value is None else str(value)
        if not name.isidentifier() or not name.isascii():
            raise ApiError(f"not a name for an environment variable: {name!r}")
        if "\n" in text or "\r" in text:
            raise ApiError(f"environment variable {name}: a value has one line")
        lines.append(f"{name}={_quoted(text)}")
    return "\n".join(lines)


def find(client: Dokploy, wish: Wish) -> Found:
    """Look for project, environment, compose and its deployments. Raises ApiError ``conflict`` where it is ambiguous."""
    found = Found(project=_project_of(client.projects(), wish))
    if found.project is None:
        return found
    if not found.project.old:
        ids = found.project.environments.get(wish.environment, ())
        if len(ids) > 1:
            why = f"project {wish.project} has {len(ids)} environments named {wish.environment}: rename or remove one"
            raise ApiError(why, errors.CONFLICT)
        if not ids:
            return found
        found.environment = ids[0]
    found.compose = _compose_of(client, found, wish)
    if found.compose is not None:
        found.deployments = client.deployments(found.compose.id)
        found.waiting = client.queued(found.compose.id, wish.title)
    return found


def plan(wish: Wish, found: Found) -> Todo:
    """Compare; pure."""
    todo = Todo(project=found.project is None)
    where = f"{wish.name} in {wish.project}/{wish.environment}"
    if todo.project:
        todo.changes.append(Change("create", f"project {wish.project}", None, {"name": wish.project}))
    old = found.project is not None and found.project.old
    todo.environment = not old and not found.environment and wish.environment != DEFAULT_ENVIRONMENT
    if todo.environment:
        what = f"environment {wish.environment} of {wish.project}"
        todo.changes.append(Change("create", what, None, {"name": wish.environment}))
    todo.compose = found.compose is None
    before = {} if found.compose is None else _shown(found.compose.file, found.compose.env, _settings(found.compose))
    after = _shown(wish.file, wish.env, _wished(wish))
    there = found.compose.env if found.compose else ""
    todo.update = before != after or there != wish.env
    if todo.update:
        action = "create" if todo.compose else "update"
        if there != wish.env and not todo.compose:
            after = {**after, "other_values": _differing(there, wish.env)}
        todo.changes.append(Change(action, f"compose {where}", before or None, after))
    _plan_deploy(todo, wish, found, where)
    return todo


def apply(client: Dokploy, wish: Wish, found: Found, todo: Todo, patience: waiting.Patience, outcome: Outcome) -> Found:
    """Carry it out up to the real end of the deployment; may be called again after having died anywhere."""
    for value in _values(wish.env):
        client.hide(value)
    project = found.project
    if project is None:
        project = client.create_project(wish.project, wish.project_mark)
        outcome.done += 1
    environment = _environment(client, wish, project, found, todo, outcome)
    compose = found.compose
    if compose is None:
        parent = {"projectId": project.id} if project.old else {"environmentId": environment}
        compose = client.create_compose(parent, wish.name, wish.kind, wish.mark)
    if todo.update:
        compose = client.update_compose(compose.id, {**_wished(wish), "composeFile": wish.file, "env": wish.env})
        if (compose.file, compose.env, _settings(compose)) != (wish.file, wish.env, _wished(wish)):
            raise ApiError(f"compose {wish.name} is not as it was sent", errors.SERVER)
        outcome.done += 1
    if todo.deploy or todo.wait:
        _deployed(client, wish, compose, found, todo, patience)
    outcome.done = len(todo.changes)
    return Found(project, environment, compose, client.deployments(compose.id))


def absent(client: Dokploy, found: Found, volumes: bool) -> None:
    """Delete the compose, and keep its volumes unless told otherwise; project and environment stay."""
    if found.compose is not None:
        client.delete_compose(found.compose.id, volumes)


# --- inside ----------------------------------------------------------------------------------------------------------


def _plan_deploy(todo: Todo, wish: Wish, found: Found, where: str) -> None:
    newest = found.deployments[0] if found.deployments else None
    ours = newest is not None and newest.title == wish.title
    if not wish.deploy:
        return
    if not todo.update and (found.waiting or (ours and newest is not None and newest.status not in (*ENDED, ""))):
        todo.wait = True  # a run that died has started it
    elif todo.update or not ours or newest is None or newest.status != "done":
        todo.deploy = True
    if todo.deploy or todo.wait:
        status = "never deployed" if newest is None else f"{newest.status}, {'this' if ours else 'something else'}"
        todo.changes.append(Change("update", f"deployment of {where}", {"last": status}, {"last": "done, this"}))


def _deployed(
    client: Dokploy, wish: Wish, compose: Compose, found: Found, todo: Todo, patience: waiting.Patience
) -> None:
    """Queue it unless it is on its way, and wait for the row that is ours."""
    known = {each.id for each in found.deployments if todo.deploy or each.status in ENDED}
    if todo.deploy:
        client.deploy(compose.id, wish.title, known)

    def look() -> Deployment | None:
        new = [each for each in client.deployments(compose.id) if each.title == wish.title and each.id not in known]
        return new[0] if new else None

    what = f"the deployment of {wish.name}"
    row = waiting.until(look, lambda seen: seen is not None and seen.status in ENDED, patience, what)
    if row is not None and row.status != "done":
        log = client.log(row.id)
        raise ApiError(
            f"{what} ended with status {row.status}" + (f"; its log ends:\n{log}" if log else ""), errors.SERVER
        )


def _project_of(projects: t.Sequence[Project], wish: Wish) -> Project | None:
    """The project with our mark, or the only one of that name (a folder for composes needs no owner)."""
    named = [each for each in projects if each.name == wish.project]
    marked = [each for each in named if each.description == wish.project_mark]
    best = marked or named
    if len(best) > 1:
        why = f"there are {len(best)} projects named {wish.project}: rename or remove one by hand"
        raise ApiError(why, errors.CONFLICT)
    return best[0] if best else None


def _compose_of(client: Dokploy, found: Found, wish: Wish) -> Compose | None:
    rows = found.project.composes if found.project else ()
    named = [client.compose(number) for place, number, name in rows if (place, name) == (found.environment, wish.name)]
    marked = [each for each in named if each.description == wish.mark]
    best = marked or (named if wish.adopt else [])
    if len(best) > 1:
        raise ApiError(f"there are {len(best)} composes named {wish.name}: remove one by hand", errors.CONFLICT)
    if named and not best:
        why = f"a compose named {wish.name} exists in {wish.project} and does not bear our mark"
        raise ApiError(f"{why}. Take it over with `adopt: true`", errors.CONFLICT)
    return best[0] if best else None


def _environment(client: Dokploy, wish: Wish, project: Project, found: Found, todo: Todo, outcome: Outcome) -> str:
    if project.old or found.environment:
        return found.environment
    ids = project.environments.get(wish.environment, ())
    if ids:
        return ids[0]
    if not todo.environment:
        raise ApiError(f"project {wish.project} has no environment {wish.environment}", errors.MISSING)
    made = client.create_environment(project, wish.environment)
    outcome.done += 1
    return made


def _wished(wish: Wish) -> dict[str, str]:
    return {"sourceType": "raw", "composeType": wish.kind, "composePath": FILE, "description": wish.mark}


def _settings(compose: Compose) -> dict[str, str]:
    return {
        "sourceType": compose.source,
        "composeType": compose.kind,
        "composePath": compose.path,
        "description": compose.description,
    }


def _shown(file: str, env: str, settings: t.Mapping[str, str]) -> dict[str, t.Any]:
    """What a change may tell of a compose: a fingerprint of its file, and the names of its variables."""
    fingerprint = hashlib.sha256(file.encode()).hexdigest()[:16] if file else ""
    return {**settings, "file": fingerprint, "env": sorted(_variables(env))}


def _differing(env: str, other: str) -> list[str]:
    """The names of the variables that both have, with different values."""
    one, two = _variables(env), _variables(other)
    return sorted(name for name in one if name in two and one[name] != two[name])


def _variables(env: str) -> dict[str, str]:
    lines = (line.partition("=") for line in env.splitlines())
    return {name.strip(): value for name, equals, value in lines if equals}


def _values(env: str) -> list[str]:
    parts = [line.partition("=")[2] for line in env.splitlines()]
    return [text for part in parts for text in (part, part.strip("'")) if len(text) >= 6]


def _quoted(text: str) -> str:
    """A value for a line of an env file: in single quotes where something in it would be read otherwise."""
    if text and all(char.isalnum() or char in "_-./:@,+=%" for char in text):
        return text
    if "'" in text:
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
        return f'"{escaped}"'
    return f"'{text}'" if text else ""
