# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Vercel projects: what is wished against what a team has, and how the difference is closed.

Values of variables are compared without being read back: our comment on a variable holds a fingerprint of the value
that we wrote. A value that someone replaced by hand and whose comment he kept is not noticed, except in plain ones.
"""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import FAILED, SUSPENDED, Change, Result
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel_projects import (
    PLAIN,
    SENSITIVE,
    SETTINGS,
    Project,
    Projects,
    Variable,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

ROUNDS = 2  # how often variables are compared when others turned out to be there
STEPS = 50_000  # of the key derivation behind a fingerprint: guessing a short value from its comment must not be cheap
_CLASHES = frozenset({"ENV_ALREADY_EXISTS", "ENV_CONFLICT", "EXISTING_KEY_AND_TARGET"})
_COMMENT = re.compile(r"smarteros:value:([0-9a-f]{24})")
_NAME = re.compile(r"(?!.*---)[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?")
_GIT = re.compile(r"(github|github-limited|gitlab|bitbucket):[^/\s]+/[^/\s]+")


@dataclass(frozen=True)
class Wish:
    """What a project shall be. Settings, ``git`` and ``paused`` that are not named are left as they are."""

    name: str
    settings: t.Mapping[str, str | None] = field(default_factory=dict)
    git: str | None = None
    paused: bool | None = None
    variables: tuple[Variable, ...] = ()
    prune: bool = False


@dataclass
class Todo:
    """What one project needs; with an ``error`` nothing of it is touched."""

    wish: Wish
    project: Project | None = None
    settings: dict[str, str | None] = field(default_factory=dict)
    relink: bool = False
    pause: bool = False
    upsert: list[tuple[Variable | None, Variable]] = field(default_factory=list)  # (before, after)
    edit: list[tuple[Variable, Variable]] = field(default_factory=list)
    delete: list[Variable] = field(default_factory=list)
    error: ApiError | None = None


@dataclass
class Row(Result):
    """What became of one project: as other results, by the project's name instead of a tenant."""

    def as_dict(self) -> dict[str, t.Any]:
        """The result as it is returned to Ansible."""
        found = super().as_dict()
        return {"name": found.pop("tenant"), **found}


def wish_of(item: t.Mapping[str, t.Any]) -> Wish:
    """An item of the module as a wish. Raises ApiError where it cannot be one."""
    name, git = item["name"], item.get("git")
    if not _NAME.fullmatch(name):
        raise ApiError(f"{name!r} can be no project: up to 100 lower-case letters, digits and . _ -, without ---")
    if git and not _GIT.fullmatch(git):
        raise ApiError(f"{git!r} is no repository: github:owner/name, gitlab:owner/name or bitbucket:owner/name")
    settings = {key: item[key] or None for key in SETTINGS if item.get(key) is not None}
    variables = tuple(_variable(name, each) for each in item.get("environment") or [])
    seen: set[tuple[str, str, str]] = set()
    for each in variables:
        for target in each.targets:
            if (each.key, each.branch, target) in seen:
                raise ApiError(f"{each.key} is there twice for {target}")
            seen.add((each.key, each.branch, target))
    return Wish(name, settings, git, item.get("paused"), variables, bool(item.get("prune")))


def read(client: Projects, wishes: t.Sequence[Wish], concurrency: int) -> dict[str, Todo]:
    """Look at each wished project, and say what it needs."""
    return {
        name: answer if isinstance(answer, Todo) else Todo(Wish(name), error=answer)
        for name, answer in reconcile.run_all(
            {wish.name: _reader(client, wish) for wish in wishes}, concurrency
        ).items()
    }


def mind_refusal(todos: t.Mapping[str, Todo]) -> None:
    """Raise what kept all of the projects from being read: then it is the token or the way there, not a project."""
    failures = [todo.error for todo in todos.values()]
    if failures and all(each is not None for each in failures) and isinstance(failures[0], ApiError):
        raise failures[0]


def plan(wish: Wish, project: Project | None, variables: t.Sequence[Variable]) -> Todo:
    """What a project needs. Pure."""
    todo = Todo(wish, project)
    if project is not None:
        todo.settings = {key: value for key, value in wish.settings.items() if project.settings.get(key) != value}
        todo.relink = wish.git is not None and wish.git != project.git
    todo.pause = wish.paused is not None and wish.paused != (project is not None and project.paused)
    spoken_for: set[str] = set()
    for each in wish.variables:
        _compare(todo, each, [v for v in variables if _meet(v, each) and v.id not in spoken_for], spoken_for)
    if wish.prune:
        todo.delete += [v for v in variables if v.id not in spoken_for and _COMMENT.search(v.comment)]
    return todo


def changes(todo: Todo) -> list[Change]:
    """The project's differences as they are reported; never a value of a variable."""
    wish, project = todo.wish, todo.project
    what = f"Vercel project {wish.name}"
    rows = []
    if project is None:
        rows.append(Change("create", what, after={**wish.settings, "git": wish.git or "none"}))
    elif todo.settings or todo.relink:
        before: dict[str, t.Any] = {key: project.settings.get(key) for key in todo.settings}
        after: dict[str, t.Any] = dict(todo.settings)
        if todo.relink:
            before["git"], after["git"] = project.git or "none", wish.git or "none"
        rows.append(Change("update", what, before, after))
    rows += [_change("delete", todo, each, None) for each in todo.delete]
    rows += [_change("update", todo, was, now) for was, now in todo.edit]
    rows += [_change("update" if was else "create", todo, was, now) for was, now in todo.upsert]
    if todo.pause:
        was = project is not None and project.paused
        rows.append(Change("update", f"{what}, pause", {"paused": was}, {"paused": bool(wish.paused)}))
    return rows


def apply(client: Projects, todos: t.Mapping[str, Todo], concurrency: int) -> dict[str, ApiError | None]:
    """Close the differences; by project why not, None where all went well. One project's writes never overlap."""
    work = {name: _writer(client, todo) for name, todo in todos.items() if todo.error is None and (changes(todo))}
    return {
        name: answer if isinstance(answer, ApiError) else None
        for name, answer in reconcile.run_all(work, concurrency).items()
    }


def results(todos: t.Mapping[str, Todo], done: t.Mapping[str, ApiError | None]) -> list[Result]:
    """A result per project. Without ``done`` (check mode) everything is foretold to succeed."""
    rows: list[Result] = []
    for name, todo in todos.items():
        row = Row(name, changes=[] if todo.error else changes(todo))
        row.created = todo.project is None and todo.error is None
        if todo.upsert or todo.edit or todo.delete:
            row.message = "changed variables apply to the next deployment"
        if todo.wish.paused:
            row.state = SUSPENDED
        failure = todo.error or done.get(name)
        if failure is not None:
            row.fail(f"Vercel project {name}", failure)
            row.state = FAILED
        rows.append(row)
    return rows


def fingerprint(project: str, key: str, value: str) -> str:
    """24 hexadecimal digits that tell whether a value is still the one that we wrote."""
    made = hashlib.pbkdf2_hmac("sha256", value.encode(), f"smarteros\n{project}\n{key}".encode(), STEPS)
    return made.hex()[:24]


def _variable(project: str, item: t.Mapping[str, t.Any]) -> Variable:
    targets = tuple(sorted(set(item.get("targets") or ("production", "preview"))))
    kind, branch = item.get("type") or SENSITIVE, item.get("branch") or ""
    if kind == SENSITIVE and "development" in targets:
        raise ApiError(f"{item['key']}: Vercel has no sensitive variables for development; use the type encrypted")
    if branch and targets != ("preview",):
        raise ApiError(f"{item['key']}: a branch goes with the target preview only")
    comment = f"SmarterOS writes this variable (smarteros:value:{fingerprint(project, item['key'], item['value'])})"
    return Variable(item["key"], kind, targets, item["value"], branch, comment)


def _meet(one: Variable, wish: Variable) -> bool:
    """Whether two variables cannot stand beside each other."""
    same = (one.key, one.branch) == (wish.key, wish.branch) and not one.own_environments
    return same and bool(set(one.targets) & set(wish.targets))


def _compare(todo: Todo, wish: Variable, rivals: t.Sequence[Variable], spoken_for: set[str]) -> None:
    """Sort one variable into the todo. ``rivals`` have its key, and targets in common with it."""
    spoken_for.update(each.id for each in rivals)
    if not rivals:
        todo.upsert.append((None, wish))
        return
    exact = [each for each in rivals if each.targets == wish.targets]
    chosen = (exact or list(rivals))[0]
    todo.delete += [each for each in rivals if each is not chosen]
    if chosen.type == SENSITIVE and wish.type != SENSITIVE:  # Vercel never takes that back
        todo.delete.append(chosen)
        todo.upsert.append((None, wish))
    elif chosen.targets != wish.targets:  # an upsert finds only what has the same targets
        todo.edit.append((chosen, wish))
    elif not _same(chosen, wish):
        todo.upsert.append((chosen, wish))


def _same(one: Variable, wish: Variable) -> bool:
    if one.type != wish.type or _mark(one) != _mark(wish):
        return False
    return one.type != PLAIN or one.value == wish.value


def _mark(variable: Variable) -> str:
    found = _COMMENT.search(variable.comment)
    return found.group(1) if found else ""


def _reader(client: Projects, wish: Wish) -> t.Callable[[], Todo]:
    def job() -> Todo:
        project = client.find(wish.name)
        reads = project is not None and (wish.variables or wish.prune)
        return plan(wish, project, client.variables(project.id) if project is not None and reads else [])

    return job


def _writer(client: Projects, todo: Todo) -> t.Callable[[], None]:
    return lambda: _carry_out(client, todo)


def _carry_out(client: Projects, todo: Todo) -> None:
    wish, project = todo.wish, todo.project
    if project is None:
        # With what can be read again, a mark among it: a run that dies here leaves nothing that the next one takes for another's
        plain = [each for each in wish.variables if each.type == PLAIN]
        project = client.create(wish.name, wish.settings, wish.git or "", plain)
    if todo.settings:
        client.update(project.id, todo.settings)
    if todo.relink:
        client.link(project.id, project.git, wish.git or "")
    _write_variables(client, project, todo)
    if todo.pause:
        client.pause(project.id, bool(wish.paused))


def _write_variables(client: Projects, project: Project, todo: Todo) -> None:
    """Deletes, edits and one upsert; once more when others had come meanwhile."""
    for attempt in range(ROUNDS):
        if todo.delete:
            client.delete(project.id, [each.id for each in todo.delete])
        for was, now in todo.edit:
            client.edit(project.id, was.id, now)
        failed = client.upsert(project.id, [now for _was, now in todo.upsert]) if todo.upsert else {}
        if not failed:
            return
        if attempt + 1 == ROUNDS or not all(code in _CLASHES for code, _message in failed.values()):
            raise ApiError("; ".join(f"{key}: {message} ({code})" for key, (code, message) in failed.items()))
        fresh = plan(replace(todo.wish, prune=False), project, client.variables(project.id))
        todo = replace(todo, upsert=fresh.upsert, edit=fresh.edit, delete=fresh.delete)
    raise ApiError("the variables change while they are written", errors.CONFLICT)


def _change(action: str, todo: Todo, was: Variable | None, now: Variable | None) -> Change:
    one = now or was
    key = f"{one.key} ({', '.join(one.targets)})" if one else ""
    return Change(action, f"Vercel project {todo.wish.name}, variable {key}", _shown(was), _shown(now))


def _shown(variable: Variable | None) -> dict[str, t.Any] | None:
    """A variable without its value: the fingerprint tells one from another."""
    if variable is None:
        return None
    return {"type": variable.type, "targets": list(variable.targets), "value": _mark(variable) or "unknown"}
