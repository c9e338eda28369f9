"""A stand-in for Semaphore's REST API, faithful to api-docs.yml and the handlers of release 2.10.

It answers as that does: what is made in a project is answered with 204 and no body but for templates and schedules, secrets are never
given back, the list of environments leaves their secrets out, bodies must name the ids of the address, and things that others lean on
cannot be deleted.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from support.json_server import listening

TOKEN = "semaphore-token-of-the-tests"
_CRON = re.compile(r"(?:CRON_TZ=[A-Za-z_/]+ )?(?:[0-9*,/-]+ ){4}[0-9*,/-]+")
_THINGS = re.compile(r"/api/project/(\d+)/(keys|repositories|inventory|environment|templates|schedules)(?:/(\d+))?")
# What leans on a thing, by the names of its keys
_LEANS = {
    "keys": (("repositories", "ssh_key_id"), ("inventory", "ssh_key_id")),
    "repositories": (("templates", "repository_id"),),
    "inventory": (("templates", "inventory_id"),),
    "environment": (("templates", "environment_id"),),
    "templates": (),
    "schedules": (),
}
_NEEDS = {
    "keys": ("name", "type"),
    "repositories": ("name", "git_url", "git_branch", "ssh_key_id"),
    "inventory": ("name", "inventory", "type"),
    "environment": ("name", "json", "env"),
    "templates": ("name", "playbook", "inventory_id", "repository_id", "app"),
    "schedules": ("name", "cron_format", "template_id"),
}
_SECRET = ("string", "login_password", "ssh")


class Refused(Exception):
    """An answer of 400 and above."""

    def __init__(self, status: int, error: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error


@dataclass
class Semaphore:
    """All projects of the stand-in."""

    projects: dict[int, dict[str, Any]] = field(default_factory=dict)
    things: dict[str, dict[int, dict[str, Any]]] = field(default_factory=lambda: {kind: {} for kind in _LEANS})
    secrets: dict[int, Any] = field(default_factory=dict)
    """What was written and cannot be read, by the id of its key."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    lose_secret: str = ""
    """The name of a secret of an environment that is not taken, which Semaphore tells nobody."""
    _last: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that were not mere reads."""
        return [each for each in self.requests if each[0] != "GET"]

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Things of a kind by name."""
        return {row["name"]: row for row in self.things[kind].values()}

    def named_secrets(self) -> dict[str, Any]:
        """What was written, by the name of its key."""
        keys = self.things["keys"]
        return {keys[number]["name"]: value for number, value in self.secrets.items() if number in keys}

    def answer(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        """What the API says."""
        with self._lock:
            self.requests.append((method, path))
            if token != f"Bearer {TOKEN}":
                raise Refused(401)
            if path == "/api/projects":
                return self._projects(method, body)
            found = _THINGS.fullmatch(path)
            if found is None or int(found[1]) not in self.projects:
                raise Refused(404)
            project, kind, number = int(found[1]), found[2], int(found[3] or 0)
            if number and self.things[kind].get(number, {}).get("project_id") != project:
                raise Refused(404)
            if method == "GET":
                return 200, self._read(project, kind, number)
            if method == "POST" and not number:
                return self._make(project, kind, body)
            if method == "PUT" and number:
                return self._change(project, kind, number, body)
            if method == "DELETE" and number:
                return self._remove(kind, number)
            raise Refused(405)

    def _projects(self, method: str, body: Any) -> tuple[int, Any]:
        if method == "GET":
            return 200, list(self.projects.values())
        if method != "POST" or not body.get("name"):
            raise Refused(400)
        number = self._next()
        self.projects[number] = {"id": number, **body, "created": "2026-11-23T00:00:00Z"}
        self._add(number, "keys", {"name": "None", "type": "none"})
        self._add(number, "environment", {"name": "Empty", "json": "{}", "env": None})
        return 201, self.projects[number]

    def _read(self, project: int, kind: str, number: int) -> Any:
        if number:
            row = dict(self.things[kind][number])
            if kind == "environment":
                row["secrets"] = self._secrets_of(number)
            return row
        rows = [row for row in self.things[kind].values() if row["project_id"] == project]
        rows = [row for row in rows if kind != "keys" or not row.get("environment_id")]
        return sorted((dict(row) for row in rows), key=lambda row: str(row["name"]))

    def _secrets_of(self, environment: int) -> list[dict[str, Any]] | None:
        keys = [key for key in self.things["keys"].values() if key.get("environment_id") == environment]
        rows = [(key["id"], *key["name"].split(".", 1)) for key in keys]
        return [{"id": number, "type": kind, "name": name, "secret": ""} for number, kind, name in rows] or None

    def _make(self, project: int, kind: str, body: Any) -> tuple[int, Any]:
        self._judge(kind, body)
        if body.get("project_id") != project:
            raise Refused(400, "Project ID in body and URL must be the same")
        row = self._add(project, kind, body)
        return (201, row) if kind in ("templates", "schedules") else (204, None)

    def _change(self, project: int, kind: str, number: int, body: Any) -> tuple[int, Any]:
        self._judge(kind, body)
        if (body.get("id"), body.get("project_id")) != (number, project):
            raise Refused(400, "ID in body and URL must be the same")
        if kind == "keys" and not body.get("override_secret"):
            body = {**self.things[kind][number], "name": body["name"]}
        self._store(kind, number, body)
        return 204, None

    def _remove(self, kind: str, number: int) -> tuple[int, Any]:
        for other, key in _LEANS[kind]:
            if any(row.get(key) == number for row in self.things[other].values()):
                raise Refused(400, "in use by one or more templates")
        del self.things[kind][number]
        if kind == "templates":
            gone = [each for each, row in self.things["schedules"].items() if row["template_id"] == number]
            for each in gone:
                del self.things["schedules"][each]
        return 204, None

    def _judge(self, kind: str, body: Any) -> None:
        missing = [name for name in _NEEDS[kind] if body.get(name) in (None, "")]
        if missing:
            raise Refused(400, f"{', '.join(missing)} can not be empty")
        if kind == "schedules" and not _CRON.fullmatch(body["cron_format"]):
            raise Refused(400, "Cron: expected exactly 5 fields")
        if kind == "environment":
            variables = json.loads(body["env"])
            if not all(isinstance(value, str) for value in variables.values()):
                raise Refused(400, "Environment variables must be valid JSON")
        if kind == "templates":
            json.loads(body.get("arguments") or "[]")

    def _add(self, project: int, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        number = self._next()
        self._store(kind, number, {**body, "project_id": project})
        return self.things[kind][number]

    def _store(self, kind: str, number: int, body: dict[str, Any]) -> None:
        secret = {name: body[name] for name in _SECRET if body.get(name)}
        kept = {name: value for name, value in body.items() if name not in (*_SECRET, "override_secret", "secrets")}
        self.things[kind][number] = {**kept, "id": number}
        if kind == "keys" and secret:
            self.secrets[number] = secret
        for order in body.get("secrets") or [] if kind == "environment" else []:
            self._carry_out(number, body["project_id"], order)

    def _carry_out(self, environment: int, project: int, order: dict[str, Any]) -> None:
        if order["operation"] == "delete":
            del self.things["keys"][order["id"]]
        elif order["operation"] == "create" and order["name"] != self.lose_secret:
            name = f"{order['type']}.{order['name']}"
            more = {"string": order["secret"], "environment_id": environment}
            self._add(project, "keys", {"name": name, "type": "string", **more})

    def _next(self) -> int:
        self._last += 1
        return self._last


@contextmanager
def running() -> Iterator[Semaphore]:
    """A stand-in that listens on this machine until the block ends."""
    world = Semaphore()

    def answer(method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        try:
            return world.answer(method, path, body, token)
        except Refused as refusal:
            return refusal.status, {"error": refusal.error} if refusal.error else None

    with listening(answer) as world.url:
        yield world
