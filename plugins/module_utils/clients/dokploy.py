# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Dokploy's API (0.9 to 0.30): projects, composes and their deployments, and what a key is good for.

What differs between versions is told from the answers, not from the version number: up to about 0.24 a project holds
its composes itself, later its environments do; 0.9 takes the key as a bearer token, later ones as ``x-api-key``.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

API = "/api"
DEFAULT_ENVIRONMENT = "production"  # comes with every project, cannot be made or removed
FILE = "./docker-compose.yml"
ENDED = frozenset({"done", "error", "cancelled"})
NEEDED = ("canCreateProjects", "canCreateServices")  # what a plain member must have been given
_BOX = re.compile(r"^[\s\u2500-\u257f]*$|^\u2551.*\u2551$")  # the frame that Dokploy draws around its settings


@dataclass(frozen=True)
class Project:
    """A project; ``environments``: name -> ids; ``composes``: (environment id, or "", compose id, name)."""

    id: str
    name: str
    description: str
    environments: t.Mapping[str, tuple[str, ...]]
    composes: tuple[tuple[str, str, str], ...]
    old: bool
    """Whether this Dokploy knows no environments."""


@dataclass(frozen=True)
class Compose:
    """A compose. ``env`` holds secrets: it is kept out of the representation."""

    id: str
    name: str
    app_name: str
    description: str
    source: str
    kind: str
    path: str
    file: str
    status: str
    env: str = ""

    def __repr__(self) -> str:
        return f"Compose({self.id!r}, {self.name!r}, app_name={self.app_name!r}, status={self.status!r})"


@dataclass(frozen=True)
class Deployment:
    """One run of a deploy; ``status``: running, done, error or cancelled."""

    id: str
    title: str
    status: str


class DokployHttp(Http):
    """The common HTTP policy with Dokploy's error body."""

    def error(self, answer: Answer, where: str) -> ApiError:
        """The message and the names of the wrong fields. A failed query's text is cut off: it ends with the values."""
        plain = super().error(answer, where)
        body = answer.body if isinstance(answer.body, dict) else {}
        message = body.get("message")
        if not isinstance(message, str) or not message:
            return plain
        text = message.split("Failed query:")[0].rstrip(": ") or "the database does not accept it"
        listed = body.get("issues")
        issues = [issue for issue in listed if isinstance(issue, dict)] if isinstance(listed, list) else []
        details = [f"{_path(issue)}: {issue.get('message')}" for issue in issues]
        code = str(body.get("code") or "")
        shown = self.shown("; ".join([text, *details]))
        return ApiError(f"{shown} (HTTP {answer.status})", plain.kind, answer.status, code, where)


class Dokploy:
    """One Dokploy. Raises ApiError; keeps the key in the transport's headers only."""

    def __init__(self, http: Http, older: Http, start: str) -> None:
        """``older`` sends the key as 0.9 wants it; ``start`` is how the key begins, to find it among the user's keys."""
        self.http = http
        self._older = older
        self._start = start
        self._ways = (http, older)

    @property
    def sent(self) -> int:
        """Number of HTTP requests so far."""
        return sum(way.sent for way in self._ways)

    def hide(self, text: str) -> None:
        """Cut this text out of every message: a value of a compose's environment, for example."""
        for way in self._ways:
            way.hide(text)

    def version(self) -> str:
        """For example ``v0.30.2``; finds out how this version wants the key. Raises ApiError where it is refused."""
        path = "/settings.getDokployVersion"
        try:
            body = self._get(path)
        except ApiError as refused:
            if refused.kind != errors.REFUSED or self._older is self.http:
                raise
            self._mind_health(refused)
            try:
                body = self._older.request("GET", f"{API}{path}").body
            except ApiError as exc:
                raise (exc if exc.kind != errors.REFUSED else refused) from None
            self.http = self._older
        if not isinstance(body, str):
            raise self._strange(body, path)
        return self.http.shown(body)

    def projects(self) -> list[Project]:
        """Every project that the key may see, with its environments and the names of its composes."""
        path = "/project.all"
        return [self._project(row, path) for row in self._rows(self._get(path), path)]

    def create_project(self, name: str, description: str) -> Project:
        """Make a project. An unknown outcome is settled by looking for name and description."""

        def find() -> Project | None:
            found = [each for each in self.projects() if (each.name, each.description) == (name, description)]
            return found[0] if found else None

        made = self._create("/project.create", {"name": name, "description": description}, find)
        if isinstance(made, Project):
            return made
        found = find()  # the answer's shape differs between versions, the list's is known
        if found is None:
            raise self._strange(made, "/project.create")
        return found

    def create_environment(self, project: Project, name: str) -> str:
        """Make an environment and give its id. An unknown outcome is settled by looking for the name."""
        path = "/environment.create"

        def find() -> dict[str, str] | None:
            ids = [ids for each in self.projects() if each.id == project.id for ids in [each.environments.get(name)]]
            return {"environmentId": ids[0][0]} if ids and ids[0] else None

        row = self._row(self._create(path, {"name": name, "projectId": project.id}, find), path)
        return self._id(row, "environmentId", path)

    def compose(self, compose_id: str) -> Compose:
        """The whole compose. Raises ApiError ``missing``."""
        path = "/compose.one"
        return self._compose(self._get(path, {"composeId": compose_id}), path)

    def create_compose(self, parent: t.Mapping[str, str], name: str, kind: str, description: str) -> Compose:
        """Make an empty compose; ``parent`` is {"environmentId": …}, or {"projectId": …} for old versions.

        Its source type is wrong until the first `update_compose`. An unknown outcome is settled by looking for it.
        """
        body = {**parent, "name": name, "composeType": kind, "description": description, "appName": app_name(name)}

        def find() -> Compose | None:
            for project in self.projects():
                for environment, compose_id, named in project.composes:
                    if named == name and parent in ({"environmentId": environment}, {"projectId": project.id}):
                        found = self.compose(compose_id)
                        if found.description == description:
                            return found
            return None

        made = self._create("/compose.create", body, find)
        return made if isinstance(made, Compose) else self._compose(made, "/compose.create")

    def update_compose(self, compose_id: str, fields: t.Mapping[str, t.Any]) -> Compose:
        """Change fields and read back what is there: an unknown id is answered with 200 and an empty body."""
        self._post("/compose.update", {"composeId": compose_id, **fields})
        return self.compose(compose_id)

    def delete_compose(self, compose_id: str, volumes: bool) -> None:
        """Stop and delete it; with ``volumes`` its data are lost as well. One that is gone already is no error."""
        try:
            self._post("/compose.delete", {"composeId": compose_id, "deleteVolumes": volumes})
        except ApiError as exc:
            if exc.kind != errors.MISSING:
                raise

    def deployments(self, compose_id: str) -> list[Deployment]:
        """The last ten deployments, newest first; a queued one is not among them yet."""
        path = "/deployment.allByCompose"
        rows = self._rows(self._get(path, {"composeId": compose_id}), path)
        return [
            Deployment(self._id(row, "deploymentId", path), str(row.get("title") or ""), str(row.get("status") or ""))
            for row in rows
        ]

    def queued(self, compose_id: str, title: str) -> bool:
        """Whether a deployment of this title waits for its turn; False where the version cannot tell."""
        try:
            body = self._get("/deployment.queueList")
        except ApiError as exc:
            if exc.kind in (errors.MISSING, errors.REFUSED):
                return False
            raise
        jobs = [row.get("data") for row in body if isinstance(row, dict)] if isinstance(body, list) else []
        wanted = (compose_id, title)
        return any(isinstance(job, dict) and (job.get("composeId"), job.get("titleLog")) == wanted for job in jobs)

    def deploy(self, compose_id: str, title: str, known: t.Collection[str]) -> None:
        """Queue a deployment. An unknown outcome is settled by looking for the title among those not ``known``."""

        def find() -> bool | None:
            new = [each for each in self.deployments(compose_id) if each.id not in known and each.title == title]
            return True if new or self.queued(compose_id, title) else None

        self._create("/compose.deploy", {"composeId": compose_id, "title": title}, find)

    def log(self, deployment_id: str, lines: int = 12) -> str:
        """The last lines of a deployment's log; empty where the version cannot show it."""
        try:
            body = self._get("/deployment.readLogs", {"deploymentId": deployment_id, "tail": 100})
        except ApiError:
            return ""
        text = [line for line in str(body or "").splitlines() if not _BOX.match(line)]
        return "\n".join(self.http.shown(line) for line in text[-lines:])

    def check(self) -> dict[str, t.Any]:
        """What the key is good for: state, account (organisation and user), message, expires, missing_scopes."""
        try:
            version = self.version()
            member = self._member()
            projects = self.projects()
        except ApiError as exc:
            return self._verdict(exc)
        account, expires = self._whose(member)
        lacking = [name for name in NEEDED if member.get("role") == "member" and not member.get(name)]
        told: dict[str, t.Any] = {"account": account, "expires": expires, "missing_scopes": lacking}
        if lacking:
            return {**told, "state": "insufficient", "message": f"the key's user lacks {', '.join(lacking)}"}
        return {**told, "state": "valid", "message": f"Dokploy {version}, {len(projects)} projects"}

    # --- inside

    def _member(self) -> t.Mapping[str, t.Any]:
        """The key's user as a member of the organisation; empty where the version does not tell."""
        try:
            body = self._get("/user.get")
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return {}
            raise
        return body if isinstance(body, dict) else {}

    def _whose(self, member: t.Mapping[str, t.Any]) -> tuple[str, str]:
        """(account, expiry of our key or "")."""
        user = member.get("user")
        user = user if isinstance(user, dict) else {}
        account = self.http.shown(user.get("email") or "")
        role = member.get("role")
        account = f"{account} ({self.http.shown(role)})" if account and role else account
        listed = user.get("apiKeys")
        keys = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        ours = [row for row in keys if row.get("start") and self._start.startswith(str(row["start"]))]
        ends = {str(row.get("expiresAt") or "") for row in ours}
        return account, ends.pop() if len(ends) == 1 else ""

    def _verdict(self, exc: ApiError) -> dict[str, t.Any]:
        told: dict[str, t.Any] = {"account": "", "expires": "", "missing_scopes": [], "message": exc.message}
        if exc.kind == errors.REFUSED and exc.status == 403:
            return {**told, "state": "insufficient"}
        if exc.kind == errors.REFUSED:
            why = "unknown, expired, deleted, of no organisation, or its limit is used up (make it with the limit off)"
            return {**told, "state": "invalid", "message": f"{exc.message}: {why}"}
        if exc.kind in (errors.INVALID, errors.CONFLICT, errors.MISSING):
            return {**told, "state": "invalid"}
        return {**told, "state": "unreachable"}

    def _mind_health(self, refused: ApiError) -> None:
        """Dokploy answers 401 to a good key, too, while its database is down: then raise what is really wrong."""
        path = f"{API}/trpc/settings.health"
        try:
            self.http.request("GET", path)
        except ApiError as exc:
            if exc.kind in (errors.SERVER, errors.UNANSWERED, errors.UNREACHABLE):
                why = "the key cannot be judged: Dokploy's database does not answer"
                raise ApiError(why, errors.SERVER, exc.status, where=refused.where) from None

    def _get(self, path: str, params: t.Mapping[str, t.Any] | None = None) -> t.Any:
        return self.http.request("GET", f"{API}{path}", params=params).body

    def _post(self, path: str, body: t.Mapping[str, t.Any]) -> t.Any:
        """A change that does no harm when it is made twice."""
        return self.http.request("POST", f"{API}{path}", json=dict(body), repeat=True).body

    def _create(self, path: str, body: t.Mapping[str, t.Any], find: t.Callable[[], t.Any]) -> t.Any:
        return self.http.create(f"{API}{path}", dict(body), find)

    def _project(self, project: t.Mapping[str, t.Any], path: str) -> Project:
        old = "environments" not in project
        listed = [project] if old else self._rows(project["environments"], path)
        environments: dict[str, tuple[str, ...]] = {}
        composes: list[tuple[str, str, str]] = []
        for each in listed:
            number = "" if old else self._id(each, "environmentId", path)
            name = str(each.get("name") or "")
            environments[name] = (*environments.get(name, ()), number)
            rows = self._rows(each.get("compose") or [], path)
            composes += [(number, self._id(row, "composeId", path), str(row.get("name") or "")) for row in rows]
        return Project(
            id=self._id(project, "projectId", path),
            name=str(project.get("name") or ""),
            description=str(project.get("description") or ""),
            environments={} if old else environments,
            composes=tuple(composes),
            old=old,
        )

    def _compose(self, body: t.Any, path: str) -> Compose:
        row = self._row(body, path)
        return Compose(
            id=self._id(row, "composeId", path),
            name=str(row.get("name") or ""),
            app_name=str(row.get("appName") or ""),
            description=str(row.get("description") or ""),
            source=str(row.get("sourceType") or ""),
            kind=str(row.get("composeType") or ""),
            path=str(row.get("composePath") or ""),
            file=str(row.get("composeFile") or ""),
            status=str(row.get("composeStatus") or ""),
            env=str(row.get("env") or ""),
        )

    def _row(self, body: t.Any, path: str) -> t.Mapping[str, t.Any]:
        if isinstance(body, dict):
            return body
        raise self._strange(body, path)

    def _rows(self, body: t.Any, path: str) -> list[t.Mapping[str, t.Any]]:
        if isinstance(body, list) and all(isinstance(row, dict) for row in body):
            return body
        raise self._strange(body, path)

    def _id(self, row: t.Mapping[str, t.Any], name: str, path: str) -> str:
        if isinstance(row.get(name), str) and row[name]:
            return str(row[name])
        raise self._strange({"keys": sorted(str(key) for key in row)[:8]}, path)

    def _strange(self, body: t.Any, path: str) -> ApiError:
        """Told without the values of a compose, which may be secrets."""
        shown = self.http.shown(body) if not isinstance(body, dict) else f"an object with {sorted(map(str, body))[:8]}"
        return ApiError(f"not what Dokploy answers here: {shown}", where=f"{self.http.base_url}{API}{path}")


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Dokploy:
    """A client for one Dokploy. ``connection`` has url (without ``/api``) and api_key; sends nothing yet."""
    key, url = connection["api_key"], connection["url"].rstrip("/").removesuffix(API)
    http = DokployHttp(url, {"x-api-key": key}, secrets=(key,), policy=policy)
    older = DokployHttp(url, {"Authorization": f"Bearer {key}"}, secrets=(key,), policy=policy)
    return Dokploy(http, older, key[:6])


def app_name(name: str) -> str:
    """What Dokploy takes as the beginning of a compose project's name; it adds a random end."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:50] or "compose"


def _path(issue: t.Mapping[str, t.Any]) -> str:
    path = issue.get("path")
    return ".".join(str(part) for part in path) if isinstance(path, list) else "?"
