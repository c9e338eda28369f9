# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Cloudflare API v4: the DNS records of one zone, and what a token is good for."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.dns_spelling import (
    STRUCTURED,
    normal_content,
    normal_name,
    parts_of,
    quoted,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import SYSTEM, is_systems, mark, owner_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

URL = "https://api.cloudflare.com/client/v4"
ZONE_READ, DNS_WRITE = "Zone: Zone Read", "Zone: DNS Write"  # permissions, as Cloudflare's pages name them
SETTINGS_READ, SETTINGS_WRITE = "Zone: Zone Settings Read", "Zone: Zone Settings Write"
PAGE = 5000  # records per page (the API allows far more); about 2.5 MB
AUTOMATIC = 1  # the ttl that means "automatic"
PROXIABLE = frozenset({"A", "AAAA", "CNAME"})
EXCLUSIVE = frozenset({"A", "AAAA", "CNAME", "NS"})  # types that decide where a name leads
# Codes that say "the zone is not as you listed it": identical record, same host, gone record
STALE = frozenset({"81058", "81057", "81053", "81054", "81044"})
_NO_RIGHT = frozenset({"1000", "1001", "6003", "9109", "10000"})
_GLOBAL_KEY = re.compile(r"[0-9a-f]{37}|cfk_\w+")


@dataclass(frozen=True)
class Record:
    """A DNS record; name and content in the form in which they are compared (`normal_name`, `normal_content`).

    ``owner`` is the RUT in our mark, ``system`` for what belongs to the installation itself, None for a record that is
    not ours. ``ttl`` in seconds, 1 = automatic. ``priority`` is that of an MX record. A ``comment`` is only sent where one
    is given; else a new record gets its owner's mark, and an existing one keeps what it has.
    """

    name: str
    type: str
    content: str
    proxied: bool = False
    ttl: int = AUTOMATIC
    owner: str | None = None
    id: str = ""
    priority: int | None = None
    comment: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """The natural key: type and name."""
        return f"{self.type} {self.name}"


@dataclass(frozen=True)
class Token:
    """What Cloudflare says of a token: its owner's kind, status, and the day it ends (empty for never)."""

    owner: str
    status: str
    expires: str = ""


@dataclass(frozen=True)
class Setting:
    """A setting of the zone. ``editable`` is False where the zone's plan does not offer it."""

    id: str
    value: t.Any
    editable: bool = True


class CloudflareHttp(Http):
    """The common HTTP policy with Cloudflare's error envelope."""

    def error(self, answer: Answer, where: str) -> ApiError:
        """The first error of the envelope; its code decides, the texts change over time."""
        plain = super().error(answer, where)
        found = _first_error(answer.body)
        if found is None:
            return plain
        code, message = found
        kind = plain.kind
        if code in STALE:
            kind = errors.CONFLICT
        elif code in _NO_RIGHT and kind in (errors.INVALID, errors.REFUSED):
            kind = errors.REFUSED
        return ApiError(f"{self.shown(message)} (Cloudflare error {code})", kind, answer.status, code, where)


class Cloudflare:
    """The DNS records of one zone. Raises ApiError; never holds the token itself."""

    def __init__(self, http: Http, zone: str, account_token: bool = False, global_key: bool = False) -> None:
        """``account_token`` and ``global_key`` are what the form of the token tells."""
        self.http = http
        self.zone = normal_name(zone, "")
        self.account_token = account_token
        self.global_key = global_key
        self._zone: t.Mapping[str, t.Any] | None = None

    def records(self) -> list[Record]:
        """Every record of the zone, of any owner and type; reads all pages."""
        return [record_of(row) for row in self.rows()]

    def rows(self) -> list[t.Mapping[str, t.Any]]:
        """The same as Cloudflare tells them, with everything that it tells."""
        path = f"/zones/{self.zone_id()}/dns_records"
        guard = self.http.pages(path)
        found: dict[
            str, t.Mapping[str, t.Any]
        ] = {}  # by id: a page may repeat records when the zone changes under our eyes
        page = 1
        while True:
            guard.turn()
            body = self._get(path, {"page": page, "per_page": PAGE, "order": "name"})
            rows, before = _rows(body), len(found)
            found.update({_id_of(row): row for row in rows})
            if not rows or page >= _whole(_object(body.get("result_info")).get("total_pages"), 1):
                return list(found.values())
            if len(found) == before:
                raise ApiError("the list does not end: a page holds only what earlier ones did", where=f"GET {path}")
            page += 1

    def zone_id(self) -> str:
        """The id of the zone (asked once). Raises ApiError ``missing`` where the token sees no such zone."""
        if self._zone is None:
            rows = _rows(self._get("/zones", {"name": self.zone, "per_page": 50}))
            named = [row for row in rows if row.get("id") and str(row.get("name", "")).lower() == self.zone]
            best = [row for row in named if row.get("status") == "active"] or named
            if not best:
                why = f"no zone {self.zone}, or the token cannot see it (it needs Zone Read and DNS Write there)"
                raise ApiError(why, errors.MISSING, where=f"GET {self.http.base_url}/zones")
            if len(best) > 1:
                why = f"the token sees {len(best)} zones named {self.zone}: limit it to one account"
                raise ApiError(why, errors.CONFLICT, where=f"GET {self.http.base_url}/zones")
            self._zone = best[0]
        return str(self._zone["id"])

    def batch(
        self, deletes: t.Sequence[Record], patches: t.Sequence[Record], posts: t.Sequence[Record]
    ) -> dict[str, str]:
        """Carry out changes in one transaction: all or none. Gives key -> id of what was changed or made.

        ``patches`` carry the id of the record to change; ``posts`` get the owner's mark where they have no comment.
        Raises ApiError ``unanswered`` when it may have happened.
        """
        body: dict[str, list[dict[str, t.Any]]] = {}
        if deletes:
            body["deletes"] = [{"id": record.id} for record in deletes]
        if patches:
            body["patches"] = [{"id": record.id, **_wire(record)} for record in patches]
        if posts:
            body["posts"] = [{"comment": mark(record.owner or ""), **_wire(record)} for record in posts]
        result = self._body(self.http.request("POST", f"/zones/{self.zone_id()}/dns_records/batch", json=body))
        parts = _object(result.get("result"))
        made = [record_of(row) for part in ("patches", "posts") for row in _rows({"result": parts.get(part)})]
        return {record.key: record.id for record in made}

    def setting(self, name: str) -> Setting:
        """One setting; there is no call any more that gives all. Raises ApiError."""
        return _setting_of(name, self._get(f"/zones/{self.zone_id()}/settings/{name}"))

    def set_setting(self, name: str, value: t.Any) -> Setting:
        """Change one setting; gives it as it is afterwards. Raises ApiError."""
        path = f"/zones/{self.zone_id()}/settings/{name}"
        return _setting_of(name, self._body(self.http.request("PATCH", path, json={"value": value})))

    def check(self) -> dict[str, t.Any]:
        """What the token is good for: state, account, message, expires and missing_scopes."""
        try:
            token = self._token()
        except ApiError as exc:
            return self._unverified(exc)
        verdict = _verdict("valid", token.owner, f"active, and sees the DNS records of {self.zone}", token.expires)
        if token.status != "active":
            return {**verdict, "state": "invalid", "message": f"the token is {token.status}"}
        lacks = ZONE_READ
        try:
            verdict["account"] = self._account_name() or token.owner
            lacks = DNS_WRITE
            self._get(f"/zones/{self.zone_id()}/dns_records", {"page": 1, "per_page": 1})
        except ApiError as exc:
            if exc.kind in (errors.REFUSED, errors.MISSING):
                return {**verdict, "state": "insufficient", "message": exc.message, "missing_scopes": [lacks]}
            state = "invalid" if exc.kind in (errors.INVALID, errors.CONFLICT) else "unreachable"
            return {**verdict, "state": state, "message": exc.message}
        if self.only_reads():
            why = f"it may read the DNS records of {self.zone}, but not write them"
            return {**verdict, "state": "insufficient", "message": why, "missing_scopes": [DNS_WRITE]}
        return verdict

    def claimed(self, wishes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """For new tenants (merged tenants, with ``id`` and ``slug``): id -> why ``<slug>.<zone>`` cannot be theirs."""
        by_name = named(self.records())
        found: dict[str, str] = {}
        for tenant in wishes:
            name = normal_name(f"{tenant['slug']}.{self.zone}", "")
            taken = in_the_way(tenant["id"], Record(name, "CNAME", ""), by_name)
            if taken:
                found[tenant["id"]] = whose(taken[0])
        return found

    def _token(self) -> Token:
        """The token as Cloudflare sees it, whether a user or an account owns it.

        A valid token that an account owns is refused at the user's verify endpoint like a wrong one.
        """
        asked = [self._of_account] if self.account_token else [self._of_user, self._of_account]
        refused: ApiError | None = None
        for ask in asked:
            try:
                return ask()
            except ApiError as exc:
                if exc.kind != errors.REFUSED:
                    raise
                refused = refused or exc
        raise refused or ApiError("the token could not be verified")

    def _of_user(self) -> Token:
        return _token_of("user token", self._get("/user/tokens/verify"))

    def _of_account(self) -> Token:
        self.zone_id()
        account = _object((self._zone or {}).get("account")).get("id")
        if not account:
            raise ApiError("Cloudflare does not tell the account of the zone", errors.INVALID)
        return _token_of("account token", self._get(f"/accounts/{account}/tokens/verify"))

    def _unverified(self, exc: ApiError) -> dict[str, t.Any]:
        """The verdict on a token that could not be verified."""
        if exc.kind == errors.MISSING:  # it was let in, to see no such zone
            return _verdict("insufficient", "account token", exc.message, missing=[ZONE_READ])
        if exc.kind not in (errors.REFUSED, errors.INVALID, errors.CONFLICT):
            return _verdict("unreachable", "", exc.message)
        if self.global_key:
            why = "it has the form of the user's global key; make an API token instead"
            return _verdict("invalid", "", f"{exc.message}: {why}")
        return _verdict("invalid", "", exc.message)

    def _account_name(self) -> str:
        self.zone_id()
        return str(_object((self._zone or {}).get("account")).get("name") or "")

    def only_reads(self) -> bool:
        """Whether the zone says that the token may read, but not edit records; it does not always say anything."""
        said = (self._zone or {}).get("permissions")
        dns = {each for each in said if str(each).startswith("#dns_records:")} if isinstance(said, list) else set()
        return bool(dns) and "#dns_records:edit" not in dns

    def _get(self, path: str, params: t.Mapping[str, t.Any] | None = None) -> t.Mapping[str, t.Any]:
        return self._body(self.http.request("GET", path, params=params))

    def _body(self, answer: Answer) -> t.Mapping[str, t.Any]:
        """The envelope; a 2xx whose envelope says failure is a failure."""
        if isinstance(answer.body, dict) and answer.body.get("success"):
            return answer.body
        raise self.http.error(answer, self.http.base_url)


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Cloudflare:
    """A client for one zone. ``connection`` has url (up to and including ``/client/v4``), token and zone; sends nothing yet."""
    token = connection["token"]
    headers = {"Authorization": f"Bearer {token}"}
    http = CloudflareHttp(connection["url"], headers, secrets=(token,), policy=policy)
    return Cloudflare(http, connection["zone"], token.startswith("cfat_"), bool(_GLOBAL_KEY.fullmatch(token)))


def record_of(row: t.Mapping[str, t.Any]) -> Record:
    """A record of the API in our words. Raises ApiError when it is none."""
    number, kind, content = _id_of(row), row["type"], _content_of(row)
    try:
        content = normal_content(kind, content, "")
        name = normal_name(row["name"], "")
    except ApiError:  # a foreign oddity is compared as it is, and never written
        name = row["name"].lower()
    comment = row.get("comment")
    owner = owner_of(comment) or (SYSTEM if is_systems(comment) else None)
    return Record(
        name,
        kind,
        content,
        bool(row.get("proxied")),
        _whole(row.get("ttl"), AUTOMATIC),
        owner,
        number,
        int(row["priority"]) if kind == "MX" and isinstance(row.get("priority"), (int, float)) else None,
        str(comment or ""),
    )


def _id_of(row: t.Mapping[str, t.Any]) -> str:
    if not all(isinstance(row.get(key), str) for key in ("id", "type", "name")):
        raise ApiError("Cloudflare gives a record without id, type or name")
    return str(row["id"])


def _content_of(row: t.Mapping[str, t.Any]) -> str:
    """The content; of types with parts, put together from these, since Cloudflare writes it in more than one way."""
    parts = _object(row.get("data"))
    names = STRUCTURED.get(row["type"], ())
    if not names or any(name not in parts for name in names):
        return str(row.get("content") or "")
    values = [str(parts[name]) for name in names]
    if row["type"] == "CAA":
        values[-1] = quoted(values[-1])
    return " ".join(values)


def named(records: t.Iterable[Record]) -> dict[str, list[Record]]:
    """The records by name."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.name, []).append(record)
    return found


def in_the_way(tenant: str, wish: Record, by_name: t.Mapping[str, t.Sequence[Record]]) -> list[Record]:
    """Records of others that keep a tenant from a record: the same name and type, or another way to lead the name."""
    rivals = EXCLUSIVE if wish.type in EXCLUSIVE else frozenset({wish.type})
    return [each for each in by_name.get(wish.name, ()) if each.type in rivals and each.owner != tenant]


def whose(record: Record) -> str:
    """Why a record is in the way, for people."""
    owner = f"belongs to tenant {record.owner}" if record.owner else "does not bear our mark"
    if record.owner == SYSTEM:
        owner = "belongs to the installation itself"
    return f"{record.type} record {record.name} -> {record.content} exists and {owner}"


def _wire(record: Record) -> dict[str, t.Any]:
    wire: dict[str, t.Any] = {"type": record.type, "name": record.name, "ttl": record.ttl}
    if record.type in STRUCTURED:
        wire["data"] = parts_of(record.type, record.content)
    else:
        wire["content"] = quoted(record.content) if record.type == "TXT" else record.content
    if record.priority is not None:
        wire["priority"] = record.priority
    if record.type in PROXIABLE:
        wire["proxied"] = record.proxied
    if record.comment:
        wire["comment"] = record.comment
    return wire


def _first_error(body: t.Any) -> tuple[str, str] | None:
    """(code, message) of the first error; the cause may stand one level deeper, in ``error_chain``."""
    rows = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return None
    first = rows[0]
    words = [str(first.get("message", ""))]
    words += [str(row.get("message", "")) for row in first.get("error_chain") or [] if isinstance(row, dict)]
    return str(first.get("code", "")), "; ".join(word for word in words if word)


def _token_of(owner: str, body: t.Mapping[str, t.Any]) -> Token:
    found = _object(body.get("result"))
    return Token(owner, str(found.get("status") or "unknown"), str(found.get("expires_on") or ""))


def _setting_of(name: str, body: t.Mapping[str, t.Any]) -> Setting:
    found = _object(body.get("result"))
    if "value" not in found:
        raise ApiError(f"Cloudflare gives the setting {name} without a value")
    return Setting(name, found["value"], bool(found.get("editable", True)))


def _object(value: t.Any) -> t.Mapping[str, t.Any]:
    """The object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _rows(body: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any]]:
    """The objects of an answer's list. Raises ApiError when something else came."""
    rows = body.get("result") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ApiError("Cloudflare answers with something else than a list of objects")
    return rows


def _whole(value: t.Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value else default


def _verdict(
    state: str, account: str, message: str, expires: str = "", missing: t.Sequence[str] = ()
) -> dict[str, t.Any]:
    return {"state": state, "account": account, "message": message, "expires": expires, "missing_scopes": list(missing)}
