# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""n8n public API v1 (1.62 to 2.x): workflows, their tags, and what an API key is good for."""

from __future__ import annotations

import base64
import json
import time
import typing as t
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import NAME as OUR_TAG
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

API = "/api/v1"
PAGE = 250  # the most that n8n gives at once
RUT_TAG = "rut:"
RESTING_TAG = "smarteros:resting"  # on workflows made by people that were switched off with their tenant
FEW = 4  # tenants that are looked up one by one, with a request each
SCOPES: t.Mapping[str, str] = {"workflows": "workflow:list", "tags": "tag:list"}  # of keys of n8n 2.x
UNPUBLISHING = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # seconds to wait for n8n 2.x to take a workflow out of use
WEBHOOK = "n8n-nodes-base.webhook"
_IDS = uuid.UUID("6c1f5f0e-0a53-5d0f-9a0e-3f6b3f0a7c11")  # namespace of the node ids that we give

Hook = tuple[str, str]  # (method, path)


@dataclass(frozen=True)
class Workflow:
    """A workflow as n8n has it. ``tags``: name -> id."""

    id: str
    name: str
    active: bool
    nodes: t.Sequence[t.Mapping[str, t.Any]]
    connections: t.Mapping[str, t.Any]
    settings: t.Mapping[str, t.Any]
    tags: t.Mapping[str, str]
    archived: bool = False


class N8nHttp(Http):
    """The common HTTP policy with n8n's ``{"message": …}`` errors."""

    def error(self, answer: Answer, where: str) -> ApiError:
        """The message of the answer."""
        plain = super().error(answer, where)
        message = answer.body.get("message") if isinstance(answer.body, dict) else None
        if not message:
            return plain
        return ApiError(f"{self.shown(message)} (HTTP {answer.status})", plain.kind, answer.status, where=where)


class N8n:
    """The workflows of one n8n. Raises ApiError. ``key`` is only looked at to tell when it ends."""

    def __init__(self, http: Http, key: str = "", sleep: t.Callable[[float], None] = time.sleep) -> None:
        self.http = http
        self._key = key
        self._sleep = sleep

    def workflows(self, name: str = "", tag: str = "") -> list[Workflow]:
        """Every workflow; with ``name`` only those of exactly that name, with ``tag`` those that bear it."""
        query = {"name": name} if name else {}  # n8n 1.x looks for a part of the name: compare again
        if tag:
            return [each for each in map(workflow_of, self._pages("/workflows", {"tags": tag})) if tag in each.tags]
        found = (workflow_of(row) for row in self._pages("/workflows", query))
        return [each for each in found if not name or each.name == name]

    def failures(self, start: datetime, end: datetime) -> list[str]:
        """The workflow's id of every execution that began in the span and failed; reads the newest until before the span.

        The public API of 1.x knows no bounds of time, and gives the newest first.
        """
        found: dict[str, str] = {}
        query: dict[str, t.Any] = {"status": "error", "limit": PAGE}
        pages = self.http.pages(f"{API}/executions")
        cursor: str | None = None
        while True:
            pages.turn(cursor)
            body = self._get("/executions", {**query, **({"cursor": cursor} if cursor else {})})
            rows = body.get("data")
            if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
                raise ApiError("expected a list of executions", where=f"GET {self.http.base_url}{API}/executions")
            moments = [_began(row) for row in rows]
            for row, moment in zip(rows, moments):
                if moment is not None and start <= moment < end:
                    found[str(row["id"])] = str(row.get("workflowId") or "")
            cursor = str(body.get("nextCursor") or "") or None
            if not cursor or any(moment is not None and moment < start for moment in moments[-1:]):
                return list(found.values())

    def create(self, body: t.Mapping[str, t.Any]) -> Workflow:
        """Make a workflow (inactive, without tags). Its nodes have ids, which tell it after an unknown outcome."""
        name, first = str(body["name"]), body["nodes"][0].get("id")

        def find() -> t.Any:
            named = self.workflows(name)
            made = (each for each in named if first and any(node.get("id") == first for node in each.nodes))
            return next(made, None)

        answer = self.http.create(f"{API}/workflows", dict(body), find)
        return answer if isinstance(answer, Workflow) else workflow_of(self._made(answer, "POST /workflows"))

    def update(self, workflow: Workflow, body: t.Mapping[str, t.Any]) -> None:
        """Overwrite name, nodes, connections and settings; n8n registers the webhooks of an active one anew."""
        self.http.request("PUT", f"{API}/workflows/{workflow.id}", json=dict(body))

    def set_tags(self, workflow: Workflow, ids: t.Iterable[str]) -> None:
        """Replace the whole set of tags."""
        self.http.request("PUT", f"{API}/workflows/{workflow.id}/tags", json=[{"id": each} for each in ids])

    def switch(self, workflow: Workflow, active: bool) -> None:
        """Activate or deactivate; doing it twice does no harm."""
        verb = "activate" if active else "deactivate"
        self.http.request("POST", f"{API}/workflows/{workflow.id}/{verb}", repeat=True)

    def unarchive(self, workflow: Workflow) -> None:
        """Bring an archived workflow back (2.x; earlier versions have no archive)."""
        self.http.request("POST", f"{API}/workflows/{workflow.id}/unarchive", repeat=True)

    def delete(self, workflow: Workflow) -> None:
        """Delete, active or not; one that is gone is as good."""
        for pause in (*UNPUBLISHING, None):
            try:
                return self._delete(f"{API}/workflows/{workflow.id}")
            except ApiError as exc:
                # 2.x deletes no workflow in use, and takes some moments until one is out of use
                if exc.kind != errors.CONFLICT or pause is None:
                    raise
            if pause == UNPUBLISHING[0]:
                self.switch(workflow, active=False)
            self._sleep(pause)
        return None

    def tags(self) -> dict[str, str]:
        """All tags: name -> id."""
        return {str(row.get("name")): str(row["id"]) for row in self._pages("/tags", {})}

    def create_tag(self, name: str) -> str:
        """The id of a tag, made when it is not there (a name is unique in n8n)."""

        def find() -> dict[str, str] | None:
            ident = self.tags().get(name)
            return {"id": ident} if ident else None

        try:
            made = self.http.create(f"{API}/tags", {"name": name}, find)
        except ApiError as exc:
            if exc.kind != errors.CONFLICT:
                raise
            made = find()  # somebody was faster
            if made is None:
                raise
        return str(self._made(made, "POST /tags")["id"])

    def delete_tag(self, tag_id: str) -> None:
        """Delete a tag; one that is gone is as good."""
        self._delete(f"{API}/tags/{tag_id}")

    def check(self) -> dict[str, t.Any]:
        """What the key is good for: state (valid | invalid | insufficient | unreachable), account, message, expires."""
        claims = claims_of(self._key)
        verdict: dict[str, t.Any] = {"state": "valid", "account": "", "message": "the key may list workflows and tags"}
        verdict.update(expires=expiry_of(claims), missing_scopes=[])
        for what, scope in SCOPES.items():
            try:
                self._listed(f"/{what}")
            except ApiError as exc:
                if exc.status != 403:
                    return {**verdict, **_refused(exc, claims, verdict["expires"])}
                verdict.update(state="insufficient", message=exc.message)
                verdict["missing_scopes"].append(scope)
        return verdict

    def usage(self, tenants: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, dict[str, int]]:
        """How many workflows bear each tenant's tag: id -> {"workflows": n}. Archived ones do not count."""
        ruts = [str(tenant["id"]) for tenant in tenants]
        tags = {rut: our_tags(rut)[1] for rut in ruts}
        if len(ruts) <= FEW:
            found = {rut: self.workflows(tag=tag) for rut, tag in tags.items()}
        else:
            every = self.workflows()
            by_tag: dict[str, list[Workflow]] = {}
            for workflow in every:
                for tag in workflow.tags:
                    by_tag.setdefault(tag, []).append(workflow)
            found = {rut: by_tag.get(tag, []) for rut, tag in tags.items()}
        return {rut: {"workflows": sum(not each.archived for each in rows)} for rut, rows in found.items()}

    def claimed(self, wishes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """For new tenants (merged tenants, with ``id``): id -> why their names or webhook paths are not free."""
        ruts = {str(tenant["id"]) for tenant in wishes}
        found: dict[str, str] = {}
        for workflow in self.workflows() if ruts else ():
            rut = workflow.name.split(" ", 1)[0]
            if rut in ruts and not ours(workflow, rut):
                found.setdefault(rut, f"a workflow {workflow.name!r} exists and does not bear our tags")
            for _method, path in hooks(workflow.nodes) if workflow.active else ():
                rut = path.split("/", 1)[0]
                if rut in ruts and not ours(workflow, rut):
                    found.setdefault(rut, f"the webhook path {path} is used by the workflow {workflow.name!r}")
        return found

    def _listed(self, path: str) -> None:
        """Raise ApiError unless n8n gives a list there."""
        if not isinstance(self._get(path, {"limit": 1}).get("data"), list):
            raise ApiError("what answers there is no n8n: it lists nothing", where=self.http.base_url)

    def _pages(self, path: str, query: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any]]:
        rows: dict[str, t.Mapping[str, t.Any]] = {}  # by id: pages shift when somebody makes or deletes workflows
        cursor: str | None = None
        pages = self.http.pages(f"{API}{path}")
        while True:
            pages.turn(cursor or None)
            body = self._get(path, {**query, "limit": PAGE, **({"cursor": cursor} if cursor else {})})
            data = body.get("data")
            if not isinstance(data, list) or not all(isinstance(row, dict) and row.get("id") for row in data):
                raise ApiError("expected a list of objects with ids", where=f"GET {self.http.base_url}{API}{path}")
            rows.update({str(row["id"]): row for row in data})
            found = body.get("nextCursor")
            cursor = str(found) if found else None
            if not cursor:
                return list(rows.values())

    def _get(self, path: str, query: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        return self._object(self.http.request("GET", f"{API}{path}", params=query).body, f"GET {path}")

    def _object(self, body: t.Any, what: str) -> t.Mapping[str, t.Any]:
        if isinstance(body, dict):
            return body
        raise ApiError(f"{what}: expected an object, got {self.http.shown(body)}", where=self.http.base_url)

    def _made(self, body: t.Any, what: str) -> t.Mapping[str, t.Any]:
        """The answer to a creation, which must have an id."""
        row = self._object(body, what)
        if row.get("id"):
            return row
        raise ApiError(f"{what}: the answer has no id", errors.UNANSWERED, where=self.http.base_url)

    def _delete(self, path: str) -> None:
        try:
            self.http.request("DELETE", path)
        except ApiError as exc:
            if exc.kind != errors.MISSING:
                raise


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> N8n:
    """A client. ``connection`` has url (without ``/api/v1``) and api_key; sends nothing yet."""
    key = connection["api_key"]
    return N8n(N8nHttp(connection["url"], {"X-N8N-API-KEY": key}, secrets=(key,), policy=policy), key)


def _began(row: t.Mapping[str, t.Any]) -> datetime | None:
    """When an execution began; None for one that has not."""
    try:
        return datetime.strptime(str(row.get("startedAt")).replace("Z", "+0000"), "%Y-%m-%dT%H:%M:%S.%f%z")
    except ValueError:
        return None


def workflow_of(row: t.Mapping[str, t.Any]) -> Workflow:
    """A workflow of the API in our words. What is of another type than n8n's is taken for empty."""
    return Workflow(
        id=str(row["id"]),
        name=str(row.get("name") or ""),
        active=bool(row.get("active")),
        nodes=_objects(row.get("nodes")),
        connections=_mapping(row.get("connections")),
        settings=_mapping(row.get("settings")),
        tags={str(tag.get("name")): str(tag.get("id", "")) for tag in _objects(row.get("tags"))},
        archived=bool(row.get("isArchived")),
    )


def claims_of(key: str) -> dict[str, t.Any]:
    """What a key says about itself: newer keys are JSON web tokens (iss, aud, exp, iat); empty for others."""
    part = key.split(".")[1] if key.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def expiry_of(claims: t.Mapping[str, t.Any]) -> str:
    """When a key ends, as ``2027-01-31T12:00:00Z``; empty when it does not say."""
    ends = claims.get("exp")
    try:
        moment = datetime.fromtimestamp(ends, timezone.utc) if isinstance(ends, int) else None
    except (ValueError, OverflowError, OSError):
        moment = None
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else ""


def _refused(exc: ApiError, claims: t.Mapping[str, t.Any], expires: str) -> dict[str, str]:
    """The verdict about a key that n8n does not take, or about an n8n that does not answer as one."""
    if exc.status != 401 and exc.kind not in (errors.REFUSED, errors.INVALID):
        return {"state": "unreachable", "message": exc.message}
    if expires and expires < f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}":
        return {"state": "invalid", "message": f"the key ended on {expires}: make a new one"}
    issuer = claims.get("iss")
    if isinstance(issuer, str) and issuer != "n8n":
        return {"state": "invalid", "message": f"this is a token of {issuer[:60]!r}, not a key of n8n: {exc.message}"}
    audience = claims.get("aud")
    if isinstance(audience, str) and audience != "public-api":
        return {
            "state": "invalid",
            "message": f"this is a token of n8n for {audience[:60]!r}, not an API key: {exc.message}",
        }
    return {"state": "invalid", "message": exc.message}


def _objects(value: t.Any) -> list[t.Mapping[str, t.Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, dict) else {}


def our_tags(rut: str) -> tuple[str, str]:
    """The tags that mark a tenant's workflows as ours (n8n allows 24 characters)."""
    return OUR_TAG, f"{RUT_TAG}{rut}"


def ours(workflow: Workflow, rut: str) -> bool:
    """Whether a workflow is ours and the tenant's: by its tags or, when it has no tenant's tag yet, by its node ids.

    A run may die between making a workflow and tagging it; the ids of the nodes are there from the first moment.
    """
    if any(tag.startswith(RUT_TAG) for tag in workflow.tags):
        return set(our_tags(rut)) <= set(workflow.tags)
    return workflow.name.startswith(f"{rut} ") and bears(
        workflow, workflow.name, (str(n.get("name")) for n in workflow.nodes)
    )


def bears(workflow: Workflow, name: str, nodes: t.Iterable[str]) -> bool:
    """Whether a node of the workflow has the id that we give to one of these nodes in a workflow of that name."""
    given = {node_id(name, node) for node in nodes}
    return any(node.get("id") in given for node in workflow.nodes)


def node_id(workflow: str, node: str) -> str:
    """The id of a node: the same in every run, and different for every workflow name."""
    return str(uuid.uuid5(_IDS, f"{workflow}\n{node}"))


def webhook_id(path: str) -> str:
    """The id of a webhook: the same in every run. Without one, n8n would put the workflow's id before the path."""
    return str(uuid.uuid5(_IDS, f"webhook\n{path}"))


def hooks(nodes: t.Iterable[t.Mapping[str, t.Any]]) -> frozenset[Hook]:
    """The webhooks that nodes answer on; unique per method and path within an n8n."""
    found: set[Hook] = set()
    for node in nodes:
        if node.get("type") == WEBHOOK and not node.get("disabled"):
            parameters = _mapping(node.get("parameters"))
            methods = parameters.get("httpMethod", "GET")
            path = str(parameters.get("path", "")).strip("/")
            found |= {(str(each), path) for each in (methods if isinstance(methods, list) else [methods])}
    return frozenset(found)
