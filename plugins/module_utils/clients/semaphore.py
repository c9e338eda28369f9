# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Semaphore's REST API: one project and what is in it.

Lists have no pages. What is made is often answered with nothing, so its id is looked up by its name. Secrets are written and never
given back. See https://docs.semaphoreui.com/administration-guide/api/.
"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

KEYS, REPOSITORIES, INVENTORY = "keys", "repositories", "inventory"
ENVIRONMENT, TEMPLATES, SCHEDULES = "environment", "templates", "schedules"
KINDS = (KEYS, REPOSITORIES, INVENTORY, ENVIRONMENT, TEMPLATES, SCHEDULES)
"""In the order in which one needs the other; the same words as in the paths."""
_WHOLE = (ENVIRONMENT, TEMPLATES)  # their lists leave things out

Row = dict[str, t.Any]


class SemaphoreHttp(Http):
    """The common HTTP policy with a token, and Semaphore's error envelope."""

    def __init__(self, base_url: str, token: str, secrets: t.Iterable[str] = (), policy: Policy | None = None) -> None:
        hidden = (token, *secrets)
        super().__init__(base_url, {"Authorization": f"Bearer {token}"}, secrets=hidden, policy=policy)

    def error(self, answer: Answer, where: str) -> ApiError:
        """Semaphore's own words, where it has any: many refusals have no body at all."""
        plain = super().error(answer, where)
        words = answer.body.get("error") if isinstance(answer.body, dict) else None
        said = self.shown(words) if words else f"HTTP {answer.status} without a reason"
        return ApiError(said, plain.kind, answer.status, "", where)


class Semaphore:
    """Projects, and the things of one. Raises ApiError."""

    def __init__(self, http: SemaphoreHttp) -> None:
        self.http = http

    def project(self, name: str) -> int:
        """The id of the project; 0 where there is none of this name."""
        return next((_id(row) for row in self._rows("/api/projects") if row.get("name") == name), 0)

    def make_project(self, name: str) -> int:
        """Make a project and give its id."""
        body = {"name": name, "alert": False, "max_parallel_tasks": 0, "type": ""}
        answer = self.http.create("/api/projects", body, lambda: self.project(name) or None)
        found = _id(answer) if isinstance(answer, dict) and "id" in answer else self.project(name)
        return found or self._lost(f"project {name}")

    def things(self, project: int, kind: str, prefix: str) -> list[Row]:
        """Things of a kind whose names begin so, oldest first, each with all that can be read of it."""
        path = f"/api/project/{project}/{kind}"
        rows = sorted((row for row in self._rows(path) if str(row.get("name", "")).startswith(prefix)), key=_id)
        return [self._row(f"{path}/{_id(row)}") for row in rows] if kind in _WHOLE else rows

    def make(self, project: int, kind: str, body: Row) -> int:
        """Make a thing and give its id."""
        name = str(body["name"])
        answer = self.http.create(
            f"/api/project/{project}/{kind}",
            {**body, "project_id": project},
            lambda: self._named(project, kind, name) or None,
        )
        found = _id(answer) if isinstance(answer, dict) and "id" in answer else self._named(project, kind, name)
        return found or self._lost(name)

    def change(self, project: int, kind: str, number: int, body: Row) -> None:
        """Replace a thing."""
        whole = {**body, "id": number, "project_id": project}
        self.http.request("PUT", f"/api/project/{project}/{kind}/{number}", json=whole)

    def remove(self, project: int, kind: str, number: int) -> None:
        """Delete a thing; one that is gone already is no failure."""
        try:
            self.http.request("DELETE", f"/api/project/{project}/{kind}/{number}")
        except ApiError as exc:
            if exc.kind != errors.MISSING:
                raise

    def environment(self, project: int, number: int) -> Row:
        """One environment with the names of its secrets."""
        return self._row(f"/api/project/{project}/{ENVIRONMENT}/{number}")

    def _named(self, project: int, kind: str, name: str) -> int:
        rows = [row for row in self._rows(f"/api/project/{project}/{kind}") if row.get("name") == name]
        return min((_id(row) for row in rows), default=0)

    def _rows(self, path: str) -> list[Row]:
        body = self.http.request("GET", path).body
        if body is None:
            return []  # an empty list of Go
        if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
            raise ApiError("the answer is no list: is this the address of a Semaphore?", where=f"GET {self._at(path)}")
        return body

    def _row(self, path: str) -> Row:
        body = self.http.request("GET", path).body
        if not isinstance(body, dict):
            raise ApiError(
                "the answer is no object: is this the address of a Semaphore?", where=f"GET {self._at(path)}"
            )
        return body

    def _at(self, path: str) -> str:
        return f"{self.http.base_url}{path}"

    def _lost(self, name: str) -> t.NoReturn:
        raise ApiError(f"{name} was made and is not in the list", errors.INVALID, where=self.http.base_url)


def _id(row: t.Mapping[str, t.Any]) -> int:
    number = row.get("id")
    if not isinstance(number, int):
        raise ApiError("a thing has no id: is this the address of a Semaphore?")
    return number
