# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Two ways to run SQL in a Supabase project: through the Management API, or directly on a PostgreSQL address.

Whatever changes something is sent as one single ``DO`` statement, so that it is atomic on both ways however an API splits
or wraps what it is given. The migrations endpoint of the Management API is left alone: it is meant for partner
applications, keeps no checksum, and would make a second history beside the one that works everywhere.
"""

from __future__ import annotations

import re
import typing as t
from urllib.parse import unquote, urlsplit

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_http import Lacking, SupabaseHttp
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

Row = t.Mapping[str, t.Any]
URL = "https://api.supabase.com"
LOCK = 1936551795  # of every change that we make to a database: the letters «smos» as a number
LOCK_WAIT = "30s"
_REF = re.compile(r"[a-z0-9_-]{1,64}")
_KINDS: t.Mapping[str, str] = {
    "28P01": errors.REFUSED,
    "28000": errors.REFUSED,
    "42501": errors.REFUSED,
    "23505": errors.CONFLICT,
    "55P03": errors.CONFLICT,
    "3D000": errors.MISSING,
}


class Sql(t.Protocol):
    """Where SQL is run."""

    @property
    def sent(self) -> int:
        """How many requests were sent."""

    def read(self, query: str) -> list[Row]:
        """The rows of one reading statement whose names are schema-qualified."""

    def change(self, statement: str) -> None:
        """Carry out one statement that does no harm when it is sent twice."""

    def close(self) -> None:
        """Let go of the connection."""


class ManagementSql:
    """SQL through the Management API. Raises ApiError; a scoped token that lacks a permission gives `Lacking`."""

    def __init__(self, http: SupabaseHttp, project: str) -> None:
        if not _REF.fullmatch(project):
            raise ApiError(f"not the ref of a project: {project!r}", where=http.base_url)
        self.http = http
        self._path = f"/v1/projects/{project}/database/query"

    @property
    def sent(self) -> int:
        """How many requests were sent."""
        return self.http.sent

    def read(self, query: str) -> list[Row]:
        """See `Sql`. Asks as the project's read-only role, which a read-only token may do as well."""
        body = self.http.request("POST", f"{self._path}/read-only", json={"query": query}, repeat=True).body
        if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
            where = f"POST {self.http.base_url}{self._path}/read-only"
            raise ApiError(f"expected rows, got {self.http.shown(body)}", where=where)
        return body

    def change(self, statement: str) -> None:
        """See `Sql`."""
        self.http.request("POST", self._path, json={"query": statement}, repeat=True)

    def close(self) -> None:
        """Nothing is held."""


class DirectSql:
    """SQL over a PostgreSQL connection (psycopg 3), opened at the first statement. For one thread only."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
            raise ApiError("the database address does not begin with postgresql://user@host", where="database")
        self.where = f"postgresql://{parts.hostname}:{parts.port or 5432}{parts.path}"
        self._sent = 0
        self._url = url
        self._secret = unquote(parts.password or "")
        self._timeout = timeout
        self._connection: t.Any = None

    @property
    def sent(self) -> int:
        """How many statements were sent."""
        return self._sent

    def read(self, query: str) -> list[Row]:
        """See `Sql`."""
        from psycopg.rows import dict_row

        with self._cursor(row_factory=dict_row) as cursor:
            self._run(cursor, query)
            return list(cursor.fetchall())

    def change(self, statement: str) -> None:
        """See `Sql`."""
        with self._cursor() as cursor:
            self._run(cursor, statement)

    def close(self) -> None:
        """See `Sql`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _cursor(self, **options: t.Any) -> t.Any:
        import psycopg

        if self._connection is None:
            try:
                # Poolers in transaction mode know no prepared statements
                self._connection = psycopg.connect(
                    self._url,
                    autocommit=True,
                    connect_timeout=max(2, int(min(self._timeout, 10))),
                    application_name="smarteros",
                    prepare_threshold=None,
                )
            except (psycopg.Error, ValueError) as exc:
                raise self._error(exc, errors.UNREACHABLE) from None
        return self._connection.cursor(**options)

    def _run(self, cursor: t.Any, statement: str) -> None:
        import psycopg

        self._sent += 1
        try:
            cursor.execute(statement)
        except psycopg.Error as exc:
            raise self._error(exc, errors.UNANSWERED) from None

    def _error(self, exc: Exception, without_code: str) -> ApiError:
        """The error in our words; without a code of PostgreSQL's own it is the connection that failed."""
        code = getattr(exc, "sqlstate", None) or ""
        primary = getattr(getattr(exc, "diag", None), "message_primary", None) or str(exc)
        if self._secret:
            primary = primary.replace(self._secret, "***")
        message = " ".join(primary.split())
        if not code and "authentication failed" in message:
            code = "28P01"  # libpq tells no code for a connection that is refused
        kind = _KINDS.get(code, errors.INVALID) if code else without_code
        return ApiError(f"{message} ({code})" if code else message, kind, code=code, where=self.where)


def psycopg_missing() -> ImportError | None:
    """Why the direct way cannot be used here; None where it can."""
    try:
        import psycopg  # noqa: F401  # asked for by its presence
    except ImportError as exc:
        return exc
    return None


def literal(text: str) -> str:
    """A text as an SQL literal. Raises ApiError for one that PostgreSQL cannot hold."""
    if "\0" in text:
        raise ApiError("a text for the database holds a zero byte")
    quoted = text.replace("'", "''")
    return f" E'{quoted}'".replace("\\", "\\\\") if "\\" in quoted else f"'{quoted}'"


def name(text: str) -> str:
    """A name as a quoted SQL identifier."""
    if "\0" in text or not text or len(text.encode()) > 63:
        raise ApiError(f"not a name for the database: {text!r}")
    quoted = text.replace('"', '""')
    return f'"{quoted}"'


def locked(statements: str, tag: str) -> str:
    """One statement that carries out all of ``statements`` (PL/pgSQL), or none, after everybody else who changes.

    ``tag`` marks the body's ends, and must not occur in it. Whoever waits for longer than `LOCK_WAIT` gives up.
    """
    mark = f"$smos_{tag}$"
    if mark in statements:
        raise ApiError(f"{mark} occurs in the statements themselves")
    return (
        f"do {mark}\nbegin\n"
        f"perform pg_catalog.set_config('lock_timeout', '{LOCK_WAIT}', true);\n"
        f"perform pg_catalog.pg_advisory_xact_lock({LOCK});\n"
        f"{statements}\nend\n{mark}"
    )


def read_if_there(sql: Sql, table: str, query: str) -> list[Row] | None:
    """The rows of a query about a table of ours, None where the table is not there yet (one request where it is)."""
    try:
        return sql.read(query)
    except ApiError as exc:
        if exc.kind not in (errors.INVALID, errors.MISSING) or isinstance(exc, Lacking):
            raise
    # Asked only now, and without looking for words in a message that may be worded anyhow
    rows = sql.read(f"select pg_catalog.to_regclass({literal(table)}) is null as missing")
    if rows and rows[0].get("missing") is True:
        return None
    return sql.read(query)  # another run has made the table in between; any other refusal is told once more
