# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Vercel's projects: their settings, their Git repository, their environment variables."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel import (
    VercelHttp,
    object_of,
    rows_of,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

# Settings by our name and Vercel's
SETTINGS: t.Mapping[str, str] = {
    "framework": "framework",
    "build_command": "buildCommand",
    "install_command": "installCommand",
    "output_directory": "outputDirectory",
    "root_directory": "rootDirectory",
}
SENSITIVE, PLAIN = "sensitive", "plain"
_BUSY = 6  # times that a write waits for another one on the same project
_BUSY_S = 0.5  # the first pause; each next one is twice as long


@dataclass(frozen=True)
class Variable:
    """An environment variable. ``value`` is empty where Vercel does not show it; it stays out of every message.

    ``targets`` are sorted; ``branch`` only goes with preview; ``comment`` holds our marker.
    """

    key: str
    type: str
    targets: tuple[str, ...]
    value: str = field(default="", repr=False)
    branch: str = ""
    comment: str = ""
    id: str = ""
    own_environments: bool = False  # it is for environments that the team made itself, which we do not manage


@dataclass(frozen=True)
class Project:
    """A project; ``settings`` by our names, ``git`` as ``<type>:<owner>/<name>``."""

    id: str
    name: str
    settings: t.Mapping[str, str | None]
    git: str = ""
    paused: bool = False


class Projects:
    """The projects of one team. Raises ApiError; never holds the token itself."""

    def __init__(self, http: VercelHttp, sleep: t.Callable[[float], None] = time.sleep) -> None:
        self.http = http
        self._sleep = sleep

    def find(self, name: str) -> Project | None:
        """A project by its exact name; None where the team has none of that name."""
        try:
            return project_of(self.http.request("GET", f"/v9/projects/{_quoted(name)}").body)
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return None
            raise

    def create(
        self, name: str, settings: t.Mapping[str, str | None], git: str, variables: t.Sequence[Variable] = ()
    ) -> Project:
        """Make a project, linked to its repository and with these variables from the start; their comments come later."""
        body: dict[str, t.Any] = {"name": name, **_wire(settings)}
        if variables:
            body["environmentVariables"] = [_variable(each) for each in variables]
            for each in body["environmentVariables"]:
                del each["comment"]  # not taken here
        if git:
            body["gitRepository"] = _repository(git)
        made = self.http.create("/v11/projects", body, lambda: self.find(name))
        return made if isinstance(made, Project) else project_of(made)

    def update(self, project: str, settings: t.Mapping[str, str | None]) -> None:
        """Change settings; None lets Vercel detect it."""
        self._write("PATCH", f"/v9/projects/{_quoted(project)}", _wire(settings))

    def link(self, project: str, was: str, git: str) -> None:
        """Lead the project to another repository. The published API description lacks this; Vercel's own clients use it."""
        path = f"/v9/projects/{_quoted(project)}/link"
        if was:
            try:
                self._write("DELETE", path)
            except ApiError as exc:
                if exc.kind != errors.MISSING:
                    raise
        if git:
            self._write("POST", path, _repository(git))

    def pause(self, project_id: str, paused: bool) -> None:
        """Pause a project, or let it go on. Takes the id only."""
        self._write("POST", f"/v1/projects/{_quoted(project_id)}/{'pause' if paused else 'unpause'}")

    def variables(self, project: str) -> list[Variable]:
        """Every environment variable, not decrypted: only plain ones have their value."""
        path = f"/v10/projects/{_quoted(project)}/env"
        body = object_of(self.http.request("GET", path).body, f"GET {path}")
        return [variable_of(row) for row in rows_of(body, "envs", path)]

    def upsert(self, project: str, variables: t.Sequence[Variable]) -> dict[str, tuple[str, str]]:
        """Create or overwrite variables in one call; gives key -> (code, message) of those that Vercel refused.

        The answer is 201 even where some failed.
        """
        body = [_variable(each) for each in variables]
        answer = self._write("POST", f"/v10/projects/{_quoted(project)}/env", body, {"upsert": "true"})
        failed: dict[str, tuple[str, str]] = {}
        for row in rows_of(object_of(answer, "POST env"), "failed", "POST env"):
            error = row.get("error") if isinstance(row, dict) else None
            error = error if isinstance(error, dict) else {}
            key = str(error.get("envVarKey") or error.get("key") or "?")
            failed[key] = (str(error.get("code") or "?"), self.http.shown(error.get("message") or "no reason given"))
        return failed

    def edit(self, project: str, variable_id: str, wish: Variable) -> None:
        """Bring one variable to the wish."""
        self._write("PATCH", f"/v9/projects/{_quoted(project)}/env/{_quoted(variable_id)}", _variable(wish))

    def delete(self, project: str, ids: t.Sequence[str]) -> None:
        """Delete variables by their ids; those that are gone already are fine."""
        self._write("DELETE", f"/v1/projects/{_quoted(project)}/env", {"ids": list(ids)})

    def _write(self, method: str, path: str, body: t.Any = None, params: t.Mapping[str, str] | None = None) -> t.Any:
        """Send a write, all of which may be repeated; wait while another one is under way on the project."""
        for attempt in range(_BUSY):
            try:
                return self.http.request(method, path, params, body, repeat=True).body
            except ApiError as exc:
                if attempt + 1 == _BUSY or "ongoing" not in exc.message or "update" not in exc.message:
                    raise
            self._sleep(_BUSY_S * 2**attempt)
        raise AssertionError("the loop above returns or raises")


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Projects:
    """A client for a team's projects. ``connection`` has url, token and team; sends nothing yet."""
    return Projects(VercelHttp(connection["url"], connection["token"], connection.get("team") or "", policy))


def project_of(row: t.Any) -> Project:
    """A project of the API in our words."""
    body = object_of(row, "project")
    if not isinstance(body.get("id"), str) or not isinstance(body.get("name"), str):
        raise ApiError("Vercel gives a project without id or name")
    found = {ours: body.get(theirs) for ours, theirs in SETTINGS.items()}
    settings = {key: value if isinstance(value, str) else None for key, value in found.items()}
    return Project(body["id"], body["name"], settings, _git(body.get("link")), body.get("paused") is True)


def variable_of(row: t.Any) -> Variable:
    """An environment variable of the API in our words."""
    body = object_of(row, "environment variable")
    if not isinstance(body.get("key"), str) or not isinstance(body.get("id"), str):
        raise ApiError("Vercel gives an environment variable without key or id")
    target, kind, value = body.get("target"), body.get("type"), body.get("value")
    targets = [target] if isinstance(target, str) else target if isinstance(target, list) else []
    return Variable(
        body["key"],
        str(kind),
        tuple(sorted(str(each) for each in targets)),
        value if kind == PLAIN and isinstance(value, str) else "",
        str(body.get("gitBranch") or ""),
        str(body.get("comment") or ""),
        body["id"],
        bool(body.get("customEnvironmentIds")),
    )


def _variable(wish: Variable) -> dict[str, t.Any]:
    wire = {
        "key": wish.key,
        "value": wish.value,
        "type": wish.type,
        "target": list(wish.targets),
        "comment": wish.comment,
    }
    return {**wire, "gitBranch": wish.branch} if wish.branch else wire


def _wire(settings: t.Mapping[str, str | None]) -> dict[str, t.Any]:
    return {SETTINGS[key]: value for key, value in settings.items()}


def _repository(git: str) -> dict[str, str]:
    kind, _colon, repo = git.partition(":")
    return {"type": kind, "repo": repo}


def _git(link: t.Any) -> str:
    """The repository of a link; each host has its own names for owner and repository."""
    if not isinstance(link, dict):
        return ""
    kind = link.get("type")
    if kind == "gitlab":
        owner, name = link.get("projectNamespace"), link.get("projectName")
    elif kind == "bitbucket":
        owner, name = link.get("owner"), link.get("slug") or link.get("name")
    else:
        owner, name = link.get("org"), link.get("repo")
    return f"{kind}:{owner}/{name}"


def _quoted(part: str) -> str:
    return quote(part, safe="")
