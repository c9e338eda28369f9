"""A stand-in for AWX's REST API v2, as faithful to release 24.6 as what the collection awx.awx asks of it.

It answers as that does: lists come in pages, secrets come back as `$encrypted$`, the fields of a credential type that is in use cannot be
changed, nor can the type be deleted, a playbook must be in the project, a schedule's rule needs an interval, a template takes one
credential of a type, names are unique, and a template takes its schedules with it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from support.json_server import listening

TOKEN = "awx-token-of-the-tests"
HIDDEN = "$encrypted$"
PRODUCT = {"X-API-Product-Name": "AWX", "X-API-Product-Version": "24.6.1"}
PAGE = 25
Row = dict[str, Any]

# By list: the type of a row, what a row must have, what makes it unique
KINDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "organizations": ("organization", ("name",), ("name",)),
    "credential_types": ("credential_type", ("name", "kind"), ("name", "kind")),
    "credentials": (
        "credential",
        ("name", "credential_type", "organization"),
        ("name", "credential_type", "organization"),
    ),
    "execution_environments": ("execution_environment", ("name", "image"), ("name",)),
    "projects": ("project", ("name", "organization"), ("name", "organization")),
    "inventories": ("inventory", ("name", "organization"), ("name", "organization")),
    "inventory_sources": ("inventory_source", ("name", "inventory", "source"), ("name", "inventory")),
    "job_templates": ("job_template", ("name", "project", "playbook", "inventory"), ("name", "organization")),
    "schedules": ("schedule", ("name", "rrule", "unified_job_template"), ("name", "unified_job_template")),
}
_LEADS = {
    "organization": "organizations",
    "credential_type": "credential_types",
    "credential": "credentials",
    "project": "projects",
    "source_project": "projects",
    "inventory": "inventories",
    "execution_environment": "execution_environments",
    "default_environment": "execution_environments",
    "unified_job_template": "job_templates",
}
_BUILT_IN = {
    "Machine": ("ssh", {"username": False, "ssh_key_data": True}),
    "Source Control": ("scm", {"username": False, "ssh_key_data": True}),
    "Vault": ("vault", {"vault_password": True}),
}
_RULE = re.compile(
    r"DTSTART;TZID=[A-Za-z_/]+:\d{8}T\d{6} RRULE:FREQ=(?:HOURLY|DAILY|WEEKLY);INTERVAL=\d+(?:;BYDAY=[A-Z,]+)?"
)


class Refused(Exception):
    """An answer of 400 and above."""

    def __init__(self, status: int, said: Row) -> None:
        super().__init__(json.dumps(said))
        self.status, self.said = status, said


@dataclass
class Awx:
    """All that the stand-in holds; ``playbooks`` are those that the repository has."""

    playbooks: frozenset[str]
    things: dict[str, dict[int, Row]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    secrets: dict[int, Row] = field(default_factory=dict)
    """What credentials hold, by their ids."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    _last: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.add("organizations", {"name": "Default"})
        for name, (kind, inputs) in _BUILT_IN.items():
            fields = [
                {"id": each, "label": each, "type": "string", "secret": hidden} for each, hidden in inputs.items()
            ]
            self.add("credential_types", {"name": name, "kind": kind, "managed": True, "inputs": {"fields": fields}})

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that were not mere reads."""
        return [each for each in self.requests if each[0] not in ("GET", "HEAD")]

    def of(self, kind: str) -> dict[str, Row]:
        """Things of a kind by name."""
        return {row["name"]: row for row in self.things[kind].values()}

    def add(self, kind: str, body: Row) -> Row:
        """Make a thing, as somebody with a browser could."""
        self._last += 1
        row = {
            "id": self._last,
            "type": KINDS[kind][0],
            "url": f"/api/v2/{kind}/{self._last}/",
            "description": "",
            **body,
        }
        row["related"] = {"survey_spec": f"{row['url']}survey_spec/"} if kind == "job_templates" else {}
        if kind == "job_templates":
            row.update(_survey={}, _credentials=[])
        if kind == "projects":
            row["scm_revision"] = "0" * 40
        self.things[kind][self._last] = row
        return row

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, token: str) -> tuple[int, Any]:
        """What the API says."""
        with self._lock:
            self.requests.append((method, path))
            if token != f"Bearer {TOKEN}":
                raise Refused(401, {"detail": "Authentication credentials were not provided."})
            words = path.removeprefix("/api/v2/").strip("/").split("/")
            if words[0] == "project_updates":
                return 200, {"id": int(words[1]), "status": "successful", "finished": "now", "failed": False}
            kind = "job_templates" if words[0] == "unified_job_templates" else words[0]
            if kind not in KINDS or (len(words) > 1 and int(words[1]) not in self.things[kind]):
                raise Refused(404, {"detail": "Not found."})
            if len(words) == 1:
                return self._list(kind, path, query) if method == "GET" else self._make(kind, body)
            row = self.things[kind][int(words[1])]
            if len(words) == 3:
                below = self._survey if words[2] == "survey_spec" else self._associated
                return below(method, row, body)
            if method == "PATCH":
                return self._change(kind, row, body)
            if method == "DELETE":
                return self._remove(kind, row)
            return 200, self._shown(kind, row)

    def _list(self, kind: str, path: str, query: dict[str, str]) -> tuple[int, Row]:
        page = int(query.get("page", 1))
        filters = {name: value for name, value in query.items() if name != "page"}
        rows = [row for row in self.things[kind].values() if all(_fits(row, *each) for each in filters.items())]
        more = f"{path}?{urlencode({**filters, 'page': page + 1})}" if len(rows) > page * PAGE else None
        shown = [self._shown(kind, row) for row in rows[(page - 1) * PAGE : page * PAGE]]
        return 200, {"count": len(rows), "next": more, "previous": None, "results": shown}

    def _shown(self, kind: str, row: Row) -> Row:
        shown = {name: value for name, value in row.items() if not name.startswith("_")}
        shown["summary_fields"] = {
            name: {"id": row[name], "name": self.things[_LEADS[name]][row[name]]["name"]}
            for name in _LEADS
            if row.get(name) in self.things[_LEADS[name]]
        }
        if kind == "projects":
            shown["summary_fields"]["current_update"] = {"id": 1}
        return shown

    def _make(self, kind: str, body: Row) -> tuple[int, Row]:
        missing = {name: ["This field is required."] for name in KINDS[kind][1] if body.get(name) in (None, "")}
        if missing:
            raise Refused(400, missing)
        self._judge(kind, body, None)
        row = self.add(kind, {**body, **({"inputs": {}} if kind == "credentials" else {})})
        if kind == "credentials":
            self._keep(row, body.get("inputs") or {})
        return 201, self._shown(kind, row)

    def _change(self, kind: str, row: Row, body: Row) -> tuple[int, Row]:
        self._judge(kind, body, row)
        row.update({name: value for name, value in body.items() if (kind, name) != ("credentials", "inputs")})
        if kind == "credentials" and "inputs" in body:
            self._keep(row, body["inputs"])
        return 200, self._shown(kind, row)

    def _remove(self, kind: str, row: Row) -> tuple[int, None]:
        if kind == "credential_types" and self._in_use(row):
            raise Refused(403, {"detail": "Credential types that are in use cannot be deleted"})
        del self.things[kind][row["id"]]
        for template in self.things["job_templates"].values() if kind == "credentials" else ():
            template["_credentials"] = [each for each in template["_credentials"] if each != row["id"]]
        for schedule in list(self.things["schedules"].values()) if kind == "job_templates" else ():
            if schedule["unified_job_template"] == row["id"]:
                del self.things["schedules"][schedule["id"]]
        return 204, None

    def _judge(self, kind: str, body: Row, row: Row | None) -> None:
        for name, leads in _LEADS.items():
            if body.get(name) not in (None, "") and body[name] not in self.things[leads]:
                raise Refused(400, {name: [f'Invalid pk "{body[name]}" - object does not exist.']})
        after = {**(row or {}), **body}
        mark = [after.get(name) for name in KINDS[kind][2]]
        for other in self.things[kind].values():
            if other is not row and [other.get(name) for name in KINDS[kind][2]] == mark:
                raise Refused(400, {"__all__": [f"{KINDS[kind][0]} with this name already exists."]})
        judge = getattr(self, f"_judge_{kind}", None)
        if judge:
            judge(after, row)

    def _judge_credential_types(self, after: Row, row: Row | None) -> None:
        if after["kind"] not in ("cloud", "net"):
            raise Refused(400, {"kind": ["Must be 'cloud' or 'net'"]})
        if row and after["inputs"] != row["inputs"] and self._in_use(row):
            raise Refused(
                403, {"detail": "Modifications to inputs are not allowed for credential types that are in use"}
            )
        names = {each["id"] for each in after["inputs"]["fields"]}
        for text in after["injectors"]["env"].values():
            found = re.fullmatch(r"\{\{ ([A-Za-z_][A-Za-z0-9_]*) \}\}", text)
            if not found or found[1] not in names:
                raise Refused(400, {"injectors": [f"{text} is an undefined field"]})

    def _judge_credentials(self, after: Row, _row: Row | None) -> None:
        known = self._fields(after["credential_type"])
        odd = set(after.get("inputs") or {}) - set(known)
        if odd:
            raise Refused(400, {"inputs": [f"Additional properties are not allowed ({sorted(odd)} were unexpected)"]})

    def _judge_job_templates(self, after: Row, _row: Row | None) -> None:
        if after["playbook"] not in self.playbooks:
            raise Refused(400, {"playbook": ["Playbook not found for project."]})

    def _judge_schedules(self, after: Row, _row: Row | None) -> None:
        if not _RULE.fullmatch(after["rrule"]):
            raise Refused(400, {"rrule": ["rrule parsing failed validation"]})

    def _in_use(self, row: Row) -> bool:
        return any(each["credential_type"] == row["id"] for each in self.things["credentials"].values())

    def _fields(self, number: int) -> dict[str, bool]:
        fields = self.things["credential_types"][number]["inputs"]["fields"]
        return {each["id"]: bool(each.get("secret")) for each in fields}

    def _keep(self, row: Row, inputs: Row) -> None:
        hidden = self._fields(row["credential_type"])
        before = self.secrets.get(row["id"], {})
        self.secrets[row["id"]] = {
            name: before.get(name) if value == HIDDEN else value for name, value in inputs.items()
        }
        row["inputs"] = {name: HIDDEN if hidden[name] else value for name, value in inputs.items()}

    def _survey(self, method: str, row: Row, body: Any) -> tuple[int, Any]:
        if method == "POST" and not (
            body.get("name") and body.get("spec") and isinstance(body.get("description"), str)
        ):
            raise Refused(400, {"error": "Field 'spec' is missing from survey spec."})
        if method in ("POST", "DELETE"):
            row["_survey"] = body if method == "POST" else {}
            return 200, {}
        return 200, row["_survey"]

    def _associated(self, method: str, row: Row, body: Any) -> tuple[int, Any]:
        credentials = self.things["credentials"]
        if method == "GET":
            rows = [self._shown("credentials", credentials[number]) for number in row["_credentials"]]
            return 200, {"count": len(rows), "next": None, "previous": None, "results": rows}
        number = body["id"]
        if body.get("disassociate"):
            row["_credentials"].remove(number)
        elif any(
            credentials[each]["credential_type"] == credentials[number]["credential_type"]
            for each in row["_credentials"]
        ):
            raise Refused(400, {"error": "Cannot assign multiple credentials of a type."})
        else:
            row["_credentials"].append(number)
        return 204, None


def _fits(row: Row, name: str, value: str) -> bool:
    if name.endswith("__startswith"):
        return str(row.get(name.removesuffix("__startswith"), "")).startswith(value)
    if name not in row and name not in ("organization", "credential_type", "inventory", "unified_job_template"):
        raise Refused(400, {"detail": f"{name} is no field to filter by"})
    return str(row.get(name)) == value


@contextmanager
def running(playbooks: frozenset[str]) -> Iterator[Awx]:
    """A stand-in that listens on this machine until the block ends."""
    world = Awx(playbooks)

    def answer(method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        address = urlsplit(path)
        try:
            return world.answer(method, address.path, dict(parse_qsl(address.query)), body, token)
        except Refused as refusal:
            return refusal.status, refusal.said

    with listening(answer, PRODUCT) as world.url:
        yield world
