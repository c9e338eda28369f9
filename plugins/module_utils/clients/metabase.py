# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Metabase's API (open source, 0.58 and newer): groups, collections, connections, their permissions, and dashboards.

The API has no versions and describes no answers, so whatever is read is checked before it is used. Both permission
graphs are sparse in new releases and full in older ones: what is not there means "none" (collections) and "no" (data).
"""

from __future__ import annotations

import random
import re
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

PAGE = 500  # items of one list request, where Metabase has pages
GRAPH_ATTEMPTS = 60  # each refusal means that somebody else got through: many runs at once take as many turns
_PAUSE = 0.1  # seconds; grows with each attempt
_LONGEST_PAUSE = 1.0
ALL_USERS, ADMINISTRATORS = "all-internal-users", "admin"
_MAGIC_NAMES = {"All Users": ALL_USERS, "All internal users": ALL_USERS, "Administrators": ADMINISTRATORS}
ROOT = "root"
READ, NONE = "read", "none"
CLOSED = "no"  # create-queries: nobody writes queries of his own
_SESSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

Row = t.Mapping[str, t.Any]
Access = t.Mapping[int, t.Mapping[str, str]]
"""Group id -> collection id as text (or ``root``) -> read | write | none."""


@dataclass(frozen=True)
class Group:
    """A permission group; ``magic`` is ALL_USERS or ADMINISTRATORS for those two, else empty."""

    id: int
    name: str
    magic: str = ""


@dataclass(frozen=True)
class Collection:
    """A folder of the default namespace; ``parent`` is 0 at the top."""

    id: int
    name: str
    description: str
    archived: bool = False
    parent: int = 0


@dataclass(frozen=True)
class Database:
    """A connection. ``details`` holds host, port, dbname, user …; passwords come back masked. ``note`` is its caveats."""

    id: int
    name: str
    engine: str
    details: t.Mapping[str, t.Any] = field(repr=False)
    note: str


@dataclass(frozen=True)
class Card:
    """A question in native SQL; ``sql`` is empty for any other kind."""

    id: int
    name: str
    description: str
    collection: int
    database: int
    display: str
    sql: str
    settings: t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard as the list tells it; ``editor`` is the id of who edited it last, 0 when it is not told."""

    id: int
    name: str
    description: str
    collection: int
    editor: int = 0


@dataclass(frozen=True)
class Place:
    """Where a card stands on a dashboard, in cells of its grid (24 wide)."""

    card: int
    row: int
    col: int
    width: int
    height: int


@dataclass(frozen=True)
class DataGraph:
    """Who may write queries of his own: database id -> create-queries, for one group."""

    revision: int
    queries: t.Mapping[int, t.Any]


class MetabaseHttp(Http):
    """The common HTTP policy with Metabase's four shapes of an error."""

    def error(self, answer: Answer, where: str) -> ApiError:
        """The fields that are refused, or the text of the answer."""
        plain = super().error(answer, where)
        words = _refusal(answer.body)
        if not words:
            return plain
        return ApiError(f"{self.shown(words)} (HTTP {answer.status})", plain.kind, answer.status, where=where)


class Metabase:
    """One Metabase. Raises ApiError; never holds the key itself. Safe to use from many threads."""

    def __init__(self, http: Http, session_given: bool = False, sleep: t.Callable[[float], None] = time.sleep) -> None:
        self.http = http
        self._session_given = session_given
        self._sleep = sleep

    # --- what the preflight asks

    def check(self) -> dict[str, str]:
        """What the key is good for: state (valid | invalid | insufficient | unreachable), account, message. Reads only."""
        try:
            me = self._object("/api/user/current")
        except ApiError as exc:
            return self._unusable(exc)
        account = str(me.get("common_name") or me.get("email") or "")
        if me.get("is_superuser") is not True:
            why = "the key does not belong to the group Administrators: make one for that group in Admin > API keys"
            return _verdict("insufficient", account, why)
        return _verdict("valid", account, self._version())

    def claimed(self, _wishes: t.Iterable[Row]) -> dict[str, str]:
        """Nothing can be taken: names of collections and connections need not be unique, and a group's name bears our mark."""
        return {}

    def me(self) -> int:
        """The id of the user behind our key. Raises ApiError ``refused`` unless he is an administrator."""
        me = self._object("/api/user/current")
        if me.get("is_superuser") is not True:
            why = "the key is not an administrator's: permissions cannot be set with it"
            raise ApiError(why, errors.REFUSED, 403, where=self._where("GET", "/api/user/current"))
        return _number(me.get("id"))

    def _version(self) -> str:
        try:
            version = self._object("/api/session/properties").get("version")
        except ApiError:
            return "an administrator's key"
        tag = version.get("tag") if isinstance(version, dict) else ""
        return f"Metabase {tag}" if tag else "an administrator's key"

    def _unusable(self, exc: ApiError) -> dict[str, str]:
        if exc.status == 401 and self._session_given:
            why = "this is the id of a session, not an API key (those begin with mb_): make one in Admin > API keys"
            return _verdict("invalid", "", why)
        if exc.kind == errors.REFUSED:
            state = "invalid" if exc.status == 401 else "insufficient"
            return _verdict(state, "", exc.message)
        if exc.kind in (errors.INVALID, errors.MISSING):
            return _verdict("unreachable", "", f"this is not a Metabase: {exc.message}")
        return _verdict("unreachable", "", exc.message)

    # --- groups

    def groups(self) -> list[Group]:
        """All permission groups."""
        rows = self._rows("/api/permissions/group")
        return [Group(_number(row["id"]), _text(row.get("name")), _magic(row)) for row in rows]

    def create_group(self, name: str) -> int:
        """The id of a group of this name, made when it is not there (a name is unique, whatever its case)."""

        def find() -> t.Any:
            return next(({"id": group.id} for group in self.groups() if group.name.lower() == name.lower()), None)

        try:
            return self._made("/api/permissions/group", {"name": name}, find)
        except ApiError as exc:
            found = find() if exc.kind == errors.INVALID else None
            if found is None:
                raise
            return int(found["id"])

    def rename_group(self, number: int, name: str) -> None:
        """Give a group another name."""
        self.http.request("PUT", f"/api/permissions/group/{number}", json={"name": name})

    def delete_group(self, number: int) -> None:
        """Delete a group with its permissions; its members stay. Gone already is as good."""
        self._gone(f"/api/permissions/group/{number}")

    # --- collections

    def collections(self) -> list[Collection]:
        """Every collection that is not archived; personal ones of others are left out."""
        query = {"exclude-archived": "true", "exclude-other-user-collections": "true"}
        return list(_branches(self._rows("/api/collection/tree", query, numbered=False), 0, 0))

    def archived_collections(self) -> list[Collection]:
        """The collections in the trash."""
        rows = self._rows("/api/collection", {"archived": "true"}, numbered=False)
        return [_collection(row, 0, archived=True) for row in rows if _is_id(row.get("id")) and row.get("archived")]

    def create_collection(self, name: str, description: str, tenant: str) -> int:
        """Make a collection at the top; when the answer is lost, the one that bears the tenant's mark is looked for."""

        def find() -> t.Any:
            ours = (each for each in self.collections() if owner.holder_of(each.description) == tenant)
            return next(({"id": each.id} for each in ours), None)

        body = {"name": name, "description": description, "parent_id": None}
        return self._made("/api/collection", body, find)

    def change_collection(self, number: int, archived: bool = False, **values: str) -> None:
        """Write name or description, archive, or bring back from the trash."""
        self.http.request("PUT", f"/api/collection/{number}", json={"archived": archived, **values})

    def delete_collection(self, number: int) -> None:
        """Archive a collection and delete it for good: Metabase deletes only what is in the trash."""
        try:
            self.change_collection(number, archived=True)
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return
            raise
        self._gone(f"/api/collection/{number}")

    def items(self, collection: int, model: str) -> list[Row]:
        """The items (``card`` or ``dashboard``) of a collection, with id, name and description."""
        return self._pages(f"/api/collection/{collection}/items", {"models": model})

    # --- connections

    def databases(self) -> list[Database]:
        """All connections."""
        return [_database(row) for row in self._rows("/api/database")]

    def create_database(self, name: str, details: Row, tenant: str) -> int:
        """Make a PostgreSQL connection; Metabase tries it during the call. The name bears the tenant's mark."""

        def find() -> t.Any:
            ours = (each for each in self.databases() if owner.holder_of(each.name) == tenant)
            return next(({"id": each.id} for each in ours), None)

        body = {
            "name": name,
            "engine": "postgres",
            "details": dict(details),
            "is_full_sync": True,
            "is_on_demand": False,
            "connection_source": "admin",
        }
        return self._made("/api/database", body, find)

    def change_database(self, number: int, values: Row) -> None:
        """Write name, details or caveats of a connection."""
        self.http.request("PUT", f"/api/database/{number}", json=dict(values))

    def delete_database(self, number: int) -> None:
        """Delete a connection with its questions. Gone already is as good."""
        self._gone(f"/api/database/{number}")

    # --- permissions

    def access(self) -> tuple[int, Access]:
        """The revision of the collection graph, and who may open what."""
        body = self._object("/api/collection/graph")
        groups = {
            int(group): {str(place): str(level) for place, level in levels.items()}
            for group, levels in _mapping(body.get("groups")).items()
            if str(group).isdigit() and isinstance(levels, dict)
        }
        return _number(body.get("revision")), groups

    def change_access(self, revision: int, groups: Access) -> None:
        """Write these parts of the collection graph; the rest stays. Repeated when somebody else was faster."""

        def send(current: int) -> None:
            shown = {str(group): dict(levels) for group, levels in groups.items()}
            body = {"revision": current, "groups": shown}
            self.http.request("PUT", "/api/collection/graph", {"skip-graph": "true"}, body)

        self._graph(revision, send, lambda: self.access()[0])

    def queries(self, group: int) -> DataGraph:
        """Which databases a group may write queries of its own for."""
        body = self._object(f"/api/permissions/graph/group/{group}")
        of_group = _mapping(_mapping(body.get("groups")).get(str(group)))
        levels = {
            int(number): _mapping(level).get("create-queries", CLOSED)
            for number, level in of_group.items()
            if str(number).isdigit()
        }
        return DataGraph(_number(body.get("revision")), levels)

    def close_queries(self, revision: int, groups: t.Mapping[int, t.Iterable[int]]) -> None:
        """Take from groups the right to write queries of their own for databases; all in one request.

        The free edition knows nothing stricter: ``view-data`` is unrestricted, so that saved questions can be seen.
        """
        closed = {"view-data": "unrestricted", "create-queries": CLOSED}
        graph = {str(group): {str(each): closed for each in databases} for group, databases in groups.items()}

        def send(current: int) -> None:
            body = {"revision": current, "groups": graph}
            self.http.request("PUT", "/api/permissions/graph", {"skip-graph": "true"}, body)

        one = next(iter(groups))
        self._graph(revision, send, lambda: self.queries(one).revision)

    def _graph(self, revision: int, send: t.Callable[[int], None], reread: t.Callable[[], int]) -> None:
        for attempt in range(1, GRAPH_ATTEMPTS + 1):
            try:
                return send(revision)
            except ApiError as exc:
                # A lost answer to our own write has moved the revision, too: writing the same again does no harm
                if exc.kind != errors.CONFLICT or attempt == GRAPH_ATTEMPTS:
                    raise
            # By chance, so that those who were refused together do not meet again
            self._sleep(min(_PAUSE * attempt, _LONGEST_PAUSE) * random.uniform(0.1, 1.0))  # noqa: S311  # jitter
            revision = reread()
        raise AssertionError("the loop above returns or raises")

    # --- questions and dashboards

    def cards(self) -> list[Card]:
        """Every question that is not archived."""
        return [_card(row) for row in self._rows("/api/card", {"f": "all"})]

    def create_card(self, body: Row) -> int:
        """Make a question; when the answer is lost, ours of that name in the collection is looked for."""
        return self._made("/api/card", dict(body), self._finder("card", body))

    def change_card(self, number: int, body: Row) -> None:
        """Write a question."""
        self.http.request("PUT", f"/api/card/{number}", json=dict(body))

    def archive_card(self, number: int) -> None:
        """Put a question into the trash, from where people can take it back. Gone already is as good."""
        self._gone(f"/api/card/{number}", {"archived": True})

    def dashboards(self) -> list[Dashboard]:
        """Every dashboard that is not archived."""
        return [_dashboard(row) for row in self._rows("/api/dashboard", {"f": "all"})]

    def places(self, dashboard: int) -> list[Place]:
        """Where the cards of a dashboard stand; texts and headings have the card 0."""
        cards = self._object(f"/api/dashboard/{dashboard}").get("dashcards")
        rows = [row for row in cards if isinstance(row, dict)] if isinstance(cards, list) else []
        return [
            Place(*(_number(row.get(name)) for name in ("card_id", "row", "col", "size_x", "size_y"))) for row in rows
        ]

    def create_dashboard(self, body: Row) -> int:
        """Make an empty dashboard; when the answer is lost, ours of that name in the collection is looked for."""
        return self._made("/api/dashboard", dict(body), self._finder("dashboard", body))

    def change_dashboard(self, number: int, values: Row, places: t.Sequence[Place]) -> None:
        """Write a dashboard with its whole layout. New places have negative ids; those not named are taken away."""
        cards = [
            {
                "id": -place,
                "card_id": each.card,
                "row": each.row,
                "col": each.col,
                "size_x": each.width,
                "size_y": each.height,
                "parameter_mappings": [],
                "series": [],
            }
            for place, each in enumerate(places, start=1)
        ]
        self.http.request("PUT", f"/api/dashboard/{number}", json={**values, "dashcards": cards})

    def archive_dashboard(self, number: int) -> None:
        """Put a dashboard into the trash; its questions stay. Gone already is as good."""
        self._gone(f"/api/dashboard/{number}", {"archived": True})

    def delete_dashboard(self, number: int) -> None:
        """Delete a dashboard; its questions stay. Gone already is as good."""
        self._gone(f"/api/dashboard/{number}")

    def _finder(self, model: str, body: Row) -> t.Callable[[], t.Any]:
        def find() -> t.Any:
            rows = self.items(_number(body["collection_id"]), model)
            mine = (row for row in rows if row.get("name") == body["name"] and owner.holder_of(row.get("description")))
            return next(mine, None)

        return find

    # --- inside

    def _made(self, path: str, body: t.Any, find: t.Callable[[], t.Any]) -> int:
        answer = self.http.create(path, body, find)
        if not isinstance(answer, dict) or not _is_id(answer.get("id")):
            raise ApiError("Metabase answers without the new id", errors.INVALID, 200, where=self._where("POST", path))
        return int(answer["id"])

    def _gone(self, path: str, instead: Row | None = None) -> None:
        """Delete it, or write these values instead."""
        try:
            self.http.request("PUT" if instead else "DELETE", path, json=instead)
        except ApiError as exc:
            if exc.kind != errors.MISSING:
                raise

    def _object(self, path: str) -> Row:
        body = self.http.request("GET", path).body
        if isinstance(body, dict):
            return body
        raise ApiError(
            f"expected an object, got {self.http.shown(body)}", errors.INVALID, 200, where=self._where("GET", path)
        )

    def _rows(self, path: str, query: Row | None = None, numbered: bool = True) -> list[Row]:
        """The rows of a plain list, or of the list in ``data``; ``numbered``: each must have an id."""
        body = self.http.request("GET", path, query).body
        rows = body.get("data") if isinstance(body, dict) else body
        if isinstance(rows, list) and all(_sound(row, numbered) for row in rows):
            return rows
        raise ApiError(
            f"expected a list, got {self.http.shown(body)}", errors.INVALID, 200, where=self._where("GET", path)
        )

    def _pages(self, path: str, query: Row) -> list[Row]:
        found: dict[int, Row] = {}
        offset = 0
        while True:
            rows = self._rows(path, {**query, "limit": PAGE, "offset": offset})
            fresh = {int(row["id"]): row for row in rows if int(row["id"]) not in found}
            found.update(fresh)
            if len(rows) < PAGE or not fresh:  # a list that repeats itself has an end, too
                return list(found.values())
            offset += len(rows)

    def _where(self, method: str, path: str) -> str:
        return f"{method} {self.http.base_url}{path}"


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Metabase:
    """A client. ``connection`` has url (without ``/api``) and api_key; sends nothing yet."""
    key = connection["api_key"]
    http = MetabaseHttp(connection["url"], {"x-api-key": key}, secrets=(key,), policy=policy)
    return Metabase(http, session_given=bool(_SESSION_ID.fullmatch(key.strip())))


def _verdict(state: str, account: str, message: str) -> dict[str, str]:
    return {"state": state, "account": account, "message": message}


def _refusal(body: t.Any) -> str:
    """What Metabase says: ``{"errors": {field: why}}``, ``{"message": …}``, both, or a plain text."""
    if isinstance(body, str):
        return body
    if not isinstance(body, dict):
        return ""
    fields = [f"{name}: {why}" for name, why in _mapping(body.get("errors")).items()]
    message = body.get("message")
    return "; ".join([*([message] if isinstance(message, str) and message else []), *fields])


def _is_id(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _sound(row: t.Any, numbered: bool) -> bool:
    return isinstance(row, dict) and (not numbered or _is_id(row.get("id")))


def _number(value: t.Any) -> int:
    return int(value) if _is_id(value) else 0


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: t.Any) -> Row:
    return value if isinstance(value, dict) else {}


def _magic(row: Row) -> str:
    """Newer releases tell what kind of group it is; before, only the name does."""
    kind = row.get("magic_group_type")
    return _text(kind) if kind or "magic_group_type" in row else _MAGIC_NAMES.get(_text(row.get("name")), "")


def _collection(row: Row, parent: int, archived: bool = False) -> Collection:
    return Collection(_number(row.get("id")), _text(row.get("name")), _text(row.get("description")), archived, parent)


def _branches(rows: t.Iterable[t.Any], parent: int, depth: int) -> t.Iterator[Collection]:
    """The tree as a list. The trash has an id of words in some releases; what is in it is not ours to look at here."""
    for row in rows:
        if not isinstance(row, dict) or not _is_id(row.get("id")) or row.get("type") == "trash" or depth > 50:
            continue
        yield _collection(row, parent, bool(row.get("archived")))
        children = row.get("children")
        if isinstance(children, list):
            yield from _branches(children, int(row["id"]), depth + 1)


def _database(row: Row) -> Database:
    return Database(
        int(row["id"]),
        _text(row.get("name")),
        _text(row.get("engine")),
        _mapping(row.get("details")),
        _text(row.get("caveats")),
    )


def _sql(query: Row) -> str:
    """The SQL of a native question: as written before Metabase 57, or as its stages since."""
    old = _mapping(query.get("native")).get("query")
    if isinstance(old, str):
        return old
    stages = query.get("stages")
    first = stages[0] if isinstance(stages, list) and len(stages) == 1 else None
    return _text(_mapping(first).get("native"))


def _card(row: Row) -> Card:
    query = _mapping(row.get("dataset_query"))
    return Card(
        id=int(row["id"]),
        name=_text(row.get("name")),
        description=_text(row.get("description")),
        collection=_number(row.get("collection_id")),
        database=_number(row.get("database_id")) or _number(query.get("database")),
        display=_text(row.get("display")),
        sql=_sql(query),
        settings=_mapping(row.get("visualization_settings")),
    )


def _dashboard(row: Row) -> Dashboard:
    return Dashboard(
        id=int(row["id"]),
        name=_text(row.get("name")),
        description=_text(row.get("description")),
        collection=_number(row.get("collection_id")),
        editor=_number(_mapping(row.get("last-edit-info")).get("id")),
    )
