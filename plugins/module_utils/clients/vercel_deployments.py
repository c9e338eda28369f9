# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Vercel's deployments: what a host name shows, builds and their logs, and the calls that move production."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from urllib.parse import quote

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel import (
    PAGE,
    Body,
    VercelHttp,
    object_of,
    rows_of,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel_projects import Project, project_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

READY, PROMOTED, STAGED, ROLLING = "READY", "PROMOTED", "STAGED", "ROLLING"
UNDER_WAY = frozenset({"QUEUED", "INITIALIZING", "BUILDING"})
PRODUCTION = "production"
PROMOTE, ROLLBACK = "promote", "rollback"
UNKNOWN_REF = "incorrect_git_source_info"  # the repository has no such ref, or Vercel may not see the repository
MOST_PAGES = 10  # of a project's deployments that are looked through: a thousand, the newest first
_SAID = frozenset({"stdout", "stderr", "command", "fatal"})
_ENDED = frozenset({"succeeded", "failed", "skipped"})


@dataclass(frozen=True)
class Deployment:
    """One deployment. ``state`` and ``substate`` in Vercel's words; ``why`` is its own reason for a failure."""

    id: str
    url: str = ""
    state: str = READY
    substate: str = ""
    meta: t.Mapping[str, str] = field(default_factory=dict)
    inspector: str = ""
    why: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more becomes of its build."""
        return self.state not in UNDER_WAY


@dataclass(frozen=True)
class Move:
    """The last promotion or rollback of a project."""

    kind: str
    state: str
    to: str

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state in _ENDED

    @property
    def good(self) -> bool:
        """Whether production is where it was to go."""
        return self.state in ("succeeded", "skipped")


@dataclass(frozen=True)
class Standing:
    """A project as deployments see it.

    ``holds`` says that a finished build waits for its promotion; else it would take the domains by itself.
    ``rolling`` that a rolling release is set up, which gives the calls below another meaning.
    """

    project: Project
    link: Body = field(default_factory=dict)
    holds: bool = False
    rolling: bool = False
    move: Move | None = None


class Deployments:
    """The deployments of one team's projects. Raises ApiError; never holds the token itself."""

    def __init__(self, http: VercelHttp) -> None:
        self.http = http

    def standing(self, name: str) -> Standing | None:
        """A project by id or exact name; None where the team has none of that name."""
        body = self._found(f"/v9/projects/{_quoted(name)}")
        return None if body is None else standing_of(body)

    def hold(self, project_id: str) -> None:
        """From now on a finished build waits until it is promoted."""
        path = f"/v9/projects/{_quoted(project_id)}"
        self.http.request("PATCH", path, json={"autoAssignCustomDomains": False}, repeat=True)

    def live(self, host: str) -> Deployment | None:
        """The deployment that a host name shows; None where it shows none."""
        where = f"/v4/aliases/{_quoted(host)}"
        body = self._found(where)
        alias = body[0] if isinstance(body, list) and body else body  # the description says a list
        shown = object_of(alias, where).get("deploymentId") if alias else None
        return self.deployment(shown) if isinstance(shown, str) and shown else None

    def deployment(self, ident: str) -> Deployment | None:
        """One deployment; None where it is gone."""
        body = self._found(f"/v13/deployments/{_quoted(ident)}")
        return None if body is None else deployment_of(body)

    def find(self, project_id: str, fits: t.Callable[[Deployment], bool]) -> Deployment | None:
        """The newest production deployment that fits, of the newest thousand."""
        path = "/v7/deployments"
        guard = self.http.pages(path)
        until: t.Any = None
        for _page in range(MOST_PAGES):
            guard.turn(until)
            params = {"projectId": project_id, "target": PRODUCTION, "limit": PAGE}
            body = object_of(
                self.http.request("GET", path, params={**params, **({} if until is None else {"until": until})}).body,
                f"GET {path}",
            )
            for row in rows_of(body, "deployments", path):
                deployment = deployment_of(row)
                if fits(deployment):
                    return deployment
            pages = body.get("pagination")
            until = pages.get("next") if isinstance(pages, dict) else None
            if until is None:
                return None
        return None

    def create(
        self, standing: Standing, ref: str, meta: t.Mapping[str, str], find: t.Callable[[], Deployment | None]
    ) -> Deployment:
        """Begin a build for production. ``find`` looks for it where the answer got lost: building twice costs money."""
        body = {
            "name": standing.project.name,
            "project": standing.project.id,
            "target": PRODUCTION,
            "gitSource": {**_source(standing), "ref": ref},
            "meta": dict(meta),
        }
        # Without forceNew a build with other variables could be taken for one that is there already
        params = {"forceNew": "1", "skipAutoDetectionConfirmation": "1"}
        made = self.http.create("/v13/deployments", body, find, params=params)
        return made if isinstance(made, Deployment) else deployment_of(made)

    def log(self, ident: str, lines: int) -> list[str]:
        """The last lines of a build's log, secrets that we know cut out."""
        path = f"/v3/deployments/{_quoted(ident)}/events"
        params = {"builds": 1, "direction": "backward", "limit": PAGE}
        rows = self.http.request("GET", path, params=params).body
        found = [_line(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        said = sorted((each for each in found if each is not None), key=lambda each: each[:2])
        return [self.http.shown(text) for _at, _serial, text in said][-lines:]

    def promote(self, project_id: str, ident: str) -> None:
        """Ask for production to show a deployment; it happens later. An answer that got lost is no error here."""
        self._move(f"/v10/projects/{_quoted(project_id)}/promote/{_quoted(ident)}")

    def rollback(self, project_id: str, ident: str, words: str) -> None:
        """Ask for production to go back to a deployment that was there before; it happens later."""
        self._move(f"/v1/projects/{_quoted(project_id)}/rollback/{_quoted(ident)}", {"description": words})

    def _move(self, path: str, params: t.Mapping[str, str] | None = None) -> None:
        try:
            self.http.request("POST", path, params)
        except ApiError as exc:
            if exc.kind != errors.UNANSWERED:  # whoever waits for it sees whether it was heard
                raise

    def _found(self, path: str) -> t.Any:
        try:
            return self.http.request("GET", path).body
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return None
            raise


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Deployments:
    """A client for a team's deployments. ``connection`` has url, token and team; sends nothing yet."""
    return Deployments(VercelHttp(connection["url"], connection["token"], connection.get("team") or "", policy))


def standing_of(row: t.Any) -> Standing:
    """A project of the API in our words."""
    body = object_of(row, "project")
    link, move = body.get("link"), body.get("lastAliasRequest")
    last = None
    if isinstance(move, dict):
        last = Move(*(str(move.get(key) or "") for key in ("type", "jobStatus", "toDeploymentId")))
    return Standing(
        project_of(body),
        link if isinstance(link, dict) else {},
        body.get("autoAssignCustomDomains") is False,
        bool(body.get("rollingRelease")),
        last,
    )


def deployment_of(row: t.Any) -> Deployment:
    """A deployment of the API in our words; lists name its id in another way than a single one."""
    body = object_of(row, "deployment")
    ident = body.get("id") or body.get("uid")
    if not isinstance(ident, str):
        raise ApiError("Vercel gives a deployment without an id")
    meta = body.get("meta")
    problem = body.get("aliasError")
    why = body.get("errorMessage") or (problem.get("message") if isinstance(problem, dict) else "")
    return Deployment(
        ident,
        str(body.get("url") or ""),
        str(body.get("readyState") or body.get("state") or ""),
        str(body.get("readySubstate") or ""),
        {str(key): str(value) for key, value in meta.items()} if isinstance(meta, dict) else {},
        str(body.get("inspectorUrl") or ""),
        str(why or ""),
    )


def _source(standing: Standing) -> dict[str, t.Any]:
    """Where a project's code is, as a deployment takes it; each host has its own names."""
    kind, _colon, repository = standing.project.git.partition(":")
    owner, _slash, name = repository.partition("/")
    if kind == "gitlab":
        return {"type": kind, "projectId": standing.link.get("projectId")}
    if kind == "bitbucket":
        return {"type": kind, "owner": owner, "slug": name}
    return {"type": kind, "org": owner, "repo": name}


def _line(row: Body) -> tuple[float, str, str] | None:
    """(moment, serial, text) of an event of a log; None for one that says nothing. Both known forms are read."""
    payload = row.get("payload")
    inner = payload if isinstance(payload, dict) else row
    text, created = inner.get("text"), row.get("created")
    if row.get("type") not in _SAID or not isinstance(text, str) or not text.strip():
        return None
    moment = float(created) if isinstance(created, (int, float)) and not isinstance(created, bool) else 0.0
    return moment, str(inner.get("serial") or ""), text


def _quoted(part: str) -> str:
    return quote(part, safe="")
