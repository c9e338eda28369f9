# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One Supabase project: its rows through the data API, its buckets, its SQL, and what key and token are good for."""

from __future__ import annotations

import re
import time
import typing as t
from urllib.parse import quote, urlsplit

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase_keys, supabase_sql
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_http import (
    MISSING_TABLE,
    NO_GRANT,
    Lacking,
    SupabaseHttp,
    header,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Pages, Policy

Row = dict[str, t.Any]
NO_MANAGEMENT = "none"  # as access token: a stack of one's own, which has no management API
PAGE = 1000  # rows asked for at once; a project may give fewer (max_rows)
DEEPEST = 100  # folders within folders; storage allows paths of 1,024 characters
NAMES = 100  # values in one filter, so that addresses stay short
CACHE_PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0)  # seconds for the data API to hear of new tables
_CLOUD = re.compile(r"([a-z]{20})\.supabase\.(?:co|in|red)")
_STORED = """select pg_catalog.split_part(o.name, '/', 1) as tenant,
    coalesce(sum((o.metadata ->> 'size')::bigint), 0)::text as bytes
from storage.objects o where o.bucket_id like 'tenant-%' group by 1"""
_GIGABYTE = 10**9


class Supabase:
    """The data plane of one project, and where configured its management. Raises ApiError; never holds a key itself."""

    def __init__(
        self,
        data: SupabaseHttp,
        management: SupabaseHttp | None = None,
        project: str = "",
        flaws: t.Sequence[tuple[str, str]] = (),
        about: supabase_keys.Key | None = None,
        database: supabase_sql.DirectSql | None = None,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        """``flaws``: (state, why) of keys that by their form cannot be good; with one, nothing is ever sent.

        ``database``: where SQL goes instead of to the management.
        """
        self.http = data
        self.management = management
        self.project = project
        self._flaws = tuple(flaws)
        self._about = about or supabase_keys.Key(supabase_keys.UNKNOWN)
        self._database = database
        self._sleep = sleep

    @property
    def sent(self) -> int:
        """Requests so far, of all planes."""
        return self.http.sent + (self.management.sent if self.management else 0)

    # --- rows ----------------------------------------------------------------------------------------------------

    def rows(
        self, table: str, key: t.Sequence[str], columns: t.Sequence[str] = (), where: t.Mapping[str, str] | None = None
    ) -> list[Row]:
        """Every row of a table, or those of a filter (``{"id": "in.(…)"}``), ordered and told apart by ``key``.

        Reads all pages, however few rows a project gives at once.
        """
        query = {"select": ",".join(columns) or "*", "order": ",".join(key), "limit": str(PAGE), **(where or {})}
        found: dict[tuple[t.Any, ...], Row] = {}
        offset, total = 0, 1
        pages = self.http.pages(f"/rest/v1/{table}")
        while offset < total:
            pages.turn()
            page, total = self._page(table, query, offset)
            fresh = {tuple(str(row.get(name)) for name in key): row for row in page}
            if not page or (offset and set(fresh) <= set(found)):
                break  # rows went meanwhile, or the project repeats itself: either way there is nothing new
            found.update(fresh)
            offset += len(page)
        return list(found.values())

    def rows_of(self, table: str, key: t.Sequence[str], column: str, tenants: t.Sequence[str]) -> list[Row]:
        """The rows of some tenants: by name where they are few, else all rows of the table."""
        if len(tenants) > NAMES:
            wanted = set(tenants)
            return [row for row in self.rows(table, key) if row.get(column) in wanted]
        return self.rows(table, key, where={column: among(tenants)})

    def upsert(self, table: str, rows: t.Sequence[Row], key: t.Sequence[str], ignore: bool = False) -> None:
        """Insert rows (all with the same columns); existing ones are overwritten, or left as they are with ``ignore``."""
        how = "ignore-duplicates" if ignore else "merge-duplicates"
        self._data("POST", f"/rest/v1/{table}", {"on_conflict": ",".join(key)}, list(rows), f"resolution={how}", True)

    def insert(self, table: str, rows: t.Sequence[Row]) -> None:
        """Insert rows that have no key of their own. Raises ApiError ``unanswered`` where it may have happened."""
        self._data("POST", f"/rest/v1/{table}", None, list(rows), "return=minimal", False)

    def change(self, table: str, where: t.Mapping[str, str], values: Row) -> None:
        """Overwrite columns of the rows of a filter; without a filter nothing is sent."""
        self._data("PATCH", f"/rest/v1/{table}", _filter(where), values, "return=minimal", True)

    def delete(self, table: str, where: t.Mapping[str, str]) -> None:
        """Delete the rows of a filter; without a filter nothing is sent."""
        self._data("DELETE", f"/rest/v1/{table}", _filter(where), None, "return=minimal", True)

    def wait_for(self, table: str) -> None:
        """Wait until the data API knows a table that was just made. Raises ApiError ``missing``, naming the next step."""
        for pause in (*CACHE_PAUSES, None):
            try:
                self._page(table, {"select": "*", "limit": "0"}, 0)
                return
            except ApiError as exc:
                if exc.code not in MISSING_TABLE:
                    raise
                if pause is None:
                    why = f"there is no table {table}: apply the migrations first (role supabase, entry main)"
                    raise ApiError(why, errors.MISSING, exc.status, exc.code, exc.where) from None
                self._sleep(pause)

    # --- storage -------------------------------------------------------------------------------------------------

    def buckets(self) -> dict[str, Row]:
        """Every bucket by its id."""
        found: dict[str, Row] = {}
        pages = self.http.pages("/storage/v1/bucket")
        while True:
            pages.turn()
            query = {"limit": "100", "offset": str(len(found)), "sortColumn": "id", "sortOrder": "asc"}
            body = self._rows(self._data("GET", "/storage/v1/bucket", query), "GET /storage/v1/bucket")
            fresh = {str(row["id"]): row for row in body if isinstance(row.get("id"), str)}
            if set(fresh) <= set(found):  # the end, or a server that knows no offset
                return found
            found.update(fresh)
            if len(body) < 100:
                return found

    def create_bucket(self, name: str, settings: Row) -> None:
        """Make a bucket; one that somebody made meanwhile is as good."""
        body = {"id": name, "name": name, **settings}
        try:
            self.http.create("/storage/v1/bucket", body, lambda: self.buckets().get(name))
        except ApiError as exc:
            if exc.kind != errors.CONFLICT:
                raise

    def update_bucket(self, name: str, settings: Row) -> None:
        """Overwrite a bucket's settings (public, file_size_limit, allowed_mime_types)."""
        self._data("PUT", f"/storage/v1/bucket/{quote(name, safe='')}", None, settings)

    def files(self, bucket: str, folder: str) -> list[str]:
        """The paths of all files below a folder of a bucket, with their folders."""
        found: list[str] = []
        waiting = [folder]
        pages = self.http.pages(f"/storage/v1/object/list/{bucket}")
        while waiting:
            here = waiting.pop()
            for row in self._listed(bucket, here, pages):
                name = row.get("name")
                if not isinstance(name, str) or not name or here.count("/") > DEEPEST:
                    raise ApiError(f"bucket {bucket}: the list of {folder} makes no sense", where=self.http.base_url)
                # What has no id is a folder
                (found if row.get("id") else waiting).append(f"{here}/{name}")
        return found

    def remove_files(self, bucket: str, paths: t.Sequence[str]) -> None:
        """Remove files by their paths; those that are gone are as good."""
        for start in range(0, len(paths), PAGE):
            body = {"prefixes": list(paths[start : start + PAGE])}
            self._data("DELETE", f"/storage/v1/object/{quote(bucket, safe='')}", None, body)

    # --- what every client offers --------------------------------------------------------------------------------

    def check(self) -> dict[str, t.Any]:
        """What key and token are good for: state, account, message; ``expires`` and ``missing_scopes`` where known.

        Reads only. The worse of the two decides; a key that is none by its form is never sent anywhere.
        """
        if self._flaws:
            return _verdict(*self._flaws[0], expires=self._about.until)
        work = {"data": self._check_data, "management": self._check_management}
        if self._database is not None:
            work["database"] = self._check_database
        found = {name: _judged(answer) for name, answer in reconcile.run_all(work, concurrency=2).items()}
        worst = min(found.values(), key=lambda each: _ORDER.index(each["state"]))
        account = next((each["account"] for each in found.values() if each["account"]), self.project)
        if worst["state"] == "valid":
            message = "; ".join(each["message"] for each in found.values() if each["message"])
        else:
            message = worst["message"]
        return _verdict(worst["state"], message, account, self._about.until, worst["missing_scopes"])

    def claimed(self, wishes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """For new tenants (merged tenants): id -> why their slug or domain cannot be theirs."""
        try:
            rows = self.rows("tenants", ("id",), ("id", "slug", "domain", "custom_domain"))
        except ApiError as exc:
            if exc.code in MISSING_TABLE:  # a project that is still empty
                return {}
            raise
        found: dict[str, str] = {}
        for column in ("slug", "domain", "custom_domain"):
            taken = {row.get(column): str(row.get("id")) for row in rows if row.get(column)}
            for tenant in wishes:
                holder = taken.get(tenant.get(column))
                if holder not in (None, tenant["id"]):
                    found.setdefault(tenant["id"], f"the {column} {tenant[column]} belongs to tenant {holder}")
        return found

    def usage(self, tenants: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, dict[str, int]]:
        """By tenant id: ``storage_gb`` of its files, rounded up. Empty without a way to SQL."""
        if not tenants or (self.management is None and self._database is None):
            return {}
        rows = self._read_sql(_STORED)
        used = {str(row.get("tenant")): _number(row.get("bytes")) for row in rows}
        return {str(each["id"]): {"storage_gb": -(-used.get(str(each["id"]), 0) // _GIGABYTE)} for each in tenants}

    # --- inside --------------------------------------------------------------------------------------------------

    def _read_sql(self, query: str) -> list[t.Any]:
        """The rows of a query, on whichever way there is to SQL; none where there is no way."""
        if self._database is not None:
            missing = supabase_sql.psycopg_missing()
            if missing is not None:
                raise ApiError(
                    f"a database address needs the Python package psycopg: {missing}", where=self._database.where
                )
            try:
                return self._database.read(query)
            finally:
                self._database.close()
        if self.management is None or not self.project:
            return []
        return supabase_sql.ManagementSql(self.management, self.project).read(query)

    def _check_data(self) -> dict[str, t.Any]:
        try:
            self._page("tenants", {"select": "id", "limit": "1"}, 0)
        except ApiError as exc:
            if exc.code in MISSING_TABLE:
                return _verdict("valid", "the secret key is good; the migrations are not applied yet")
            if exc.code == NO_GRANT:
                return _verdict("insufficient", f"the key may not read tenants: {exc.message}")
            if exc.kind == errors.REFUSED:
                return _verdict("invalid", f"the secret key is refused: {exc.message}")
            raise
        return _verdict("valid", "the secret key reads the tenants")

    def _check_management(self) -> dict[str, t.Any]:
        if self.management is None:
            return _verdict("valid", "")
        if not self.project:
            self._rows(self.management.request("GET", "/v1/projects"), "GET /v1/projects")
            return _verdict("valid", "the access token lists projects, and none is configured")
        where = f"GET {self.management.base_url}/v1/projects/{self.project}"
        try:
            body = self.management.request("GET", f"/v1/projects/{quote(self.project, safe='')}").body
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return _verdict("insufficient", f"the access token sees no project {self.project}")
            raise
        if not isinstance(body, dict):
            raise ApiError(f"expected a project, got {self.management.shown(body)}", where=where)
        account, status = self.management.shown(body.get("name") or self.project), str(body.get("status") or "")
        if status in ("INACTIVE", "PAUSING"):
            return _verdict("unreachable", f"the project {account} is paused: restore it", account)
        supabase_sql.ManagementSql(self.management, self.project).read("select 1 as one")
        return _verdict("valid", f"the access token reaches the database of {account}", account)

    def _check_database(self) -> dict[str, t.Any]:
        self._read_sql("select 1 as one")
        return _verdict("valid", "the database answers")

    def _page(self, table: str, query: t.Mapping[str, str], offset: int) -> tuple[list[Row], int]:
        """(rows, number of all rows) from an offset on."""
        path = f"/rest/v1/{table}"
        answer = self._data("GET", path, {**query, "offset": str(offset)}, None, "count=exact")
        rows = self._rows(answer, f"GET {self.http.base_url}{path}")
        told = header(answer.headers, "content-range").rpartition("/")[2]
        # Without a total there may be more as long as rows come
        return rows, int(told) if told.isdigit() else offset + len(rows) + bool(rows)

    def _listed(self, bucket: str, folder: str, pages: Pages) -> t.Iterator[Row]:
        path, offset = f"/storage/v1/object/list/{quote(bucket, safe='')}", 0
        while True:
            pages.turn()
            body = {
                "prefix": f"{folder}/",
                "limit": PAGE,
                "offset": offset,
                "sortBy": {"column": "name", "order": "asc"},
            }
            rows = self._rows(self._data("POST", path, None, body, repeat=True), f"POST {self.http.base_url}{path}")
            yield from rows
            if len(rows) < PAGE:
                return
            offset += len(rows)

    def _data(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, str] | None = None,
        body: t.Any = None,
        prefer: str = "",
        repeat: bool | None = None,
    ) -> Answer:
        if self._flaws:
            raise ApiError(self._flaws[0][1], errors.REFUSED, where=f"{method} {self.http.base_url}{path}")
        headers = {"Prefer": prefer} if prefer else None
        return self.http.request(method, path, params=query, json=body, headers=headers, repeat=repeat)

    def _rows(self, answer: Answer, where: str) -> list[Row]:
        if isinstance(answer.body, list) and all(isinstance(row, dict) for row in answer.body):
            return answer.body
        raise ApiError(f"expected rows, got {self.http.shown(answer.body)}", where=where)


_ORDER = ("unreachable", "invalid", "insufficient", "valid")


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Supabase:
    """A client; sends nothing yet. ``connection`` has url and secret_key, and for SQL access_token and project.

    ``management_url`` may be left out: it is Supabase's own for a project there, and ``url`` for any other address.
    ``access_token`` ``none`` says that there is no management API. ``database_url`` (postgresql://…) takes SQL past it.
    """
    url = base_of(connection["url"])
    project = connection.get("project") or project_of(url)
    secret = connection["secret_key"]
    flaws = []
    flaw = supabase_keys.flaw_of_data_key(secret, project, time.time())
    if flaw:
        flaws.append(flaw)
    data = SupabaseHttp(url, {} if flaw else supabase_keys.headers_of(secret), secrets=(secret,), policy=policy)
    token = connection.get("access_token") or NO_MANAGEMENT
    management = None
    if token != NO_MANAGEMENT:
        wrong = supabase_keys.flaw_of_access_token(token)
        if wrong:
            flaws.append(("invalid", wrong))
        management = management_http(
            connection.get("management_url") or management_of(url), "" if wrong else token, policy
        )
    address = connection.get("database_url")
    database = supabase_sql.DirectSql(address, policy.read if policy else 30.0) if address else None
    return Supabase(data, management, project, flaws, supabase_keys.key_of(secret), database)


def lacking(connection: t.Mapping[str, t.Any]) -> list[str]:
    """The variables that are not set and have to be: a database address stands in for access token and project."""
    needed = ["url", "secret_key"]
    if not connection.get("database_url") and connection.get("access_token") != NO_MANAGEMENT:
        needed += ["access_token", "project"]
    return [name for name in needed if not connection.get(name)]


def sql_of(connection: t.Mapping[str, t.Any], policy: Policy | None = None) -> supabase_sql.Sql:
    """Where SQL is run: at ``database_url`` where it is given, else through the Management API.

    Raises ApiError where there is neither, or the token can be none.
    """
    if connection.get("database_url"):
        return supabase_sql.DirectSql(str(connection["database_url"]), policy.read if policy else 30.0)
    token, project = connection.get("access_token"), connection.get("project")
    url = str(connection.get("management_url") or supabase_sql.URL)
    if not has_sql(connection):
        why = "SQL needs an access token and a project's ref, or a database address (postgresql://…)"
        raise ApiError(why, errors.REFUSED, where=url)
    wrong = supabase_keys.flaw_of_access_token(str(token))
    if wrong:
        raise ApiError(wrong, errors.REFUSED, where=url)
    return supabase_sql.ManagementSql(management_http(url, str(token), policy), str(project))


def has_sql(connection: t.Mapping[str, t.Any]) -> bool:
    """Whether there is a way to run SQL at all."""
    token = connection.get("access_token")
    return bool(connection.get("database_url") or (token and token != NO_MANAGEMENT and connection.get("project")))


def management_http(url: str, token: str, policy: Policy | None) -> SupabaseHttp:
    """The Management API; ``url`` with or without its ``/v1``."""
    base = url.rstrip("/").removesuffix("/v1")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return SupabaseHttp(base, headers, secrets=(token,), policy=policy)


def base_of(url: str) -> str:
    """A project's address without the path of one of its APIs."""
    return re.sub(r"/(rest|storage|auth)/v1/?$", "", url.strip().rstrip("/"))


def project_of(url: str) -> str:
    """The ref that a project's address at Supabase begins with, else empty."""
    found = _CLOUD.fullmatch(urlsplit(url).hostname or "")
    return found.group(1) if found else ""


def management_of(url: str) -> str:
    """Where the management API of a project is: at Supabase, or under the same address as the project."""
    return supabase_sql.URL if project_of(url) else url


def among(values: t.Iterable[str]) -> str:
    """A filter for one of some values."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "in.({})".format(",".join(f'"{value}"' for value in quoted))


def _filter(where: t.Mapping[str, str]) -> t.Mapping[str, str]:
    if not where:  # PostgREST would take every row
        raise ValueError("a change of rows needs a filter")
    return where


def _judged(answer: t.Any) -> dict[str, t.Any]:
    if not isinstance(answer, ApiError):
        return t.cast("dict[str, t.Any]", answer)
    if isinstance(answer, Lacking):
        return _verdict("insufficient", answer.message, scopes=answer.scopes)
    states = {errors.REFUSED: "insufficient" if answer.status == 403 else "invalid", errors.INVALID: "invalid"}
    return _verdict(states.get(answer.kind, "unreachable"), answer.message)


def _verdict(
    state: str, message: str, account: str = "", expires: str = "", scopes: t.Sequence[str] = ()
) -> dict[str, t.Any]:
    return {
        "state": state,
        "account": account,
        "message": message,
        "expires": expires,
        "missing_scopes": list(scopes),
    }


def _number(value: t.Any) -> int:
    text = str(value)
    return int(text) if text.isdigit() else 0
