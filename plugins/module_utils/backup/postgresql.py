# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The databases of one PostgreSQL server, through its own programs inside its container: over the socket, as the account that
the server knows as its superuser. No password is needed there, and none is asked for.

A dump and the counts of its rows belong to one moment: the snapshot of an open session.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
import time
import types
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import postgresql_sql as sql
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

ACCOUNT = "postgres"  # of the container's system, in the official image and all that are made from it
APPLICATION = "smarteros-backup"  # our sessions, for whoever looks at the server, and for the next run
PSQL = ("psql", "-X", "-q", "-A", "-t", "-0", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse")
BEGIN = "\\encoding UTF8\nSET client_min_messages TO error;\n"
# Settings of a role or a database must not cut off what takes long
PATIENT = "SET statement_timeout TO 0;\nSET idle_in_transaction_session_timeout TO 0;\nSET lock_timeout TO 0;\n"
LOCK_WAIT_S = 300  # for a table that somebody changes the columns of
ANSWER_S = 1800.0
NOT_CONNECTED = 2  # psql's exit code where it gets no connection
PAUSE_S = 0.5

Json = dict[str, t.Any]


class PostgresError(Exception):
    """The server did not do it. ``code`` is the exit code of its program."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Server:
    """The server of a Swarm service. Methods raise PostgresError and EngineError.

    ``place`` and ``superuser`` are for a server that is elsewhere: a scratch container (`in_container`), a test's own.
    """

    def __init__(self, engine: Engine, service: str, place: Place | None = None, superuser: str = "") -> None:
        self.service = service
        self._engine = engine
        self._place = place
        self._superuser = superuser

    @classmethod
    def in_container(cls, engine: Engine, container: str, name: str = "") -> Server:
        """The server in this very container."""
        there = Place.in_container(engine, container, ACCOUNT, {"PGAPPNAME": APPLICATION})
        return cls(engine, name or container, there, _superuser_in(engine, container))

    @property
    def present(self) -> bool:
        """Whether it runs on this machine."""
        return self._place is not None or self._engine.container_of(self.service) is not None

    @property
    def place(self) -> Place:
        """Where its programs run. Looked for anew after `forget`."""
        return self._found()[0]

    @property
    def superuser(self) -> str:
        """The role that it was made with."""
        return self._found()[1]

    @property
    def env(self) -> dict[str, str]:
        """The environment for the commands that the methods ``…_argv`` give."""
        return self.place.env

    def forget(self) -> None:
        """Its container may be another one now."""
        self._place = None

    # --- asking

    def rows(self, script: str, database: str = "postgres", timeout_s: float = ANSWER_S) -> list[str]:
        """What a script writes: one text per row. The script goes in by standard input."""
        words = [*PSQL, "-U", self.superuser, "-d", database]
        done = self.place.run(words, (BEGIN + PATIENT + script).encode(), timeout_s)
        if done.code != 0:
            raise PostgresError(_said(done.stderr) or f"psql ended with {done.code}", done.code)
        return done.stdout.split("\0")[:-1]

    def wait(self, timeout_s: float) -> None:
        """Until it takes connections."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                self.rows("SELECT 1;", timeout_s=30)
            except (PostgresError, EngineError) as exc:
                if time.monotonic() > until:
                    raise PostgresError(f"{self.service} takes no connections: {exc}") from exc
                time.sleep(PAUSE_S)
            else:
                return

    def version(self) -> str:
        """Its version, for example 16.4."""
        return self.rows("SHOW server_version;")[0].partition(" ")[0]

    def databases(self) -> dict[str, int]:
        """Size in bytes by database; templates are none."""
        found = self.rows(
            "SELECT json_build_array(datname, pg_database_size(oid)) FROM pg_database WHERE NOT datistemplate;"
        )
        return dict(json.loads(each) for each in found)

    def roles(self) -> set[str]:
        """The names of its roles."""
        return set(self.rows("SELECT rolname FROM pg_roles;"))

    def shape(self, database: str) -> Json:
        """How a database was made: owner, encoding, locale, rights, settings. Empty where it does not exist."""
        found = self.rows(sql.shape_of(database))
        return dict(json.loads(found[0])) if found else {}

    def counts(self, database: str, tables: t.Sequence[str]) -> dict[str, int]:
        """Rows by table, now; a table that is not there is left out."""
        return _counted(self.rows(sql.counts(tables), database)) if tables else {}

    def session(self, database: str) -> Session:
        """A session that keeps one moment of a database, as a context."""
        return Session(self, database)

    # --- streams

    def dump_argv(self, database: str, snapshot: str = "") -> list[str]:
        """Writes a database as an archive, not compressed: the repository does that, and only so finds what is the same."""
        words = ["pg_dump", "-Fc", "-Z0", f"--lock-wait-timeout={LOCK_WAIT_S}s", "-U", self.superuser]
        return self.place.argv(*words, *([f"--snapshot={snapshot}"] if snapshot else []), "-d", database)

    def globals_argv(self) -> list[str]:
        """Writes roles and their memberships, without what is kept of their passwords: these come from the vault."""
        return self.place.argv(
            "pg_dumpall", "--globals-only", "--no-role-passwords", "-U", self.superuser, "-l", "postgres"
        )

    def restore_argv(self, database: str) -> list[str]:
        """Reads an archive into a database that is empty; the first error ends it.

        From a stream there can be but one job: several would need the archive on a disk.
        """
        return self.place.argv("pg_restore", "--exit-on-error", "-U", self.superuser, "-d", database)

    # --- changing

    def create(self, database: str, shape: Json) -> None:
        """Make an empty database of this shape (see `shape`): owner, encoding, locale, rights, settings."""
        if shape["owner"] not in (roles := self.roles()):
            raise PostgresError(f"role {shape['owner']}, the owner of {database}, is not there")
        self.rows(sql.create(database, shape) + sql.dress(database, shape, roles))

    def create_roles(self, dumped: str) -> list[str]:
        """Make the roles of a dump of globals that are not there, without passwords; gives their names."""
        missing, script = sql.roles_of(dumped, self.roles())
        if missing:
            self.rows(script)
        return missing

    def analyze(self, database: str) -> None:
        """Gather the statistics that a restored database lacks."""
        self.rows("ANALYZE;", database)

    def drop(self, *databases: str) -> None:
        """Remove databases, whoever uses them; those that are not there are passed over."""
        self.rows("".join(f"DROP DATABASE IF EXISTS {sql.name(each)} WITH (FORCE);\n" for each in databases))

    def rename(self, *pairs: tuple[str, str]) -> None:
        """Give databases other names, in this order: all of them or none. Who is connected is thrown out.

        A failure leaves the old names, and connections allowed again.
        """
        old = [each for each, _new in pairs]
        new = [each for _old, each in pairs]
        try:
            self.rows(sql.shut(old) + sql.end_sessions(old) + sql.rename(pairs))
        finally:
            self.open(*old, *new)

    def open(self, *databases: str) -> None:
        """Allow connections (again), of those that exist."""
        self.rows(sql.shut(databases, is_open=True))

    def end_leftovers(self) -> int:
        """End our own sessions of runs that died; gives how many there were. Only under the lock."""
        found = self.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"  # noqa: S608 - the name is quoted
            f" AND application_name = {sql.text(APPLICATION)};"
        )
        return len(found)

    def _found(self) -> tuple[Place, str]:
        if self._place is None:
            container = self._engine.container_of(self.service)
            if container is None:
                raise PostgresError(f"no running container of {self.service} is on this machine", NOT_CONNECTED)
            self._place = Place.in_container(self._engine, container, ACCOUNT, {"PGAPPNAME": APPLICATION})
            self._superuser = _superuser_in(self._engine, container)
        return self._place, self._superuser or ACCOUNT


class Session:
    """One moment of a database: what is asked here, and a dump with this ``snapshot``, see the same rows."""

    def __init__(self, server: Server, database: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the session does
        words = [*PSQL, "-U", server.superuser, "-d", database]
        self._psql = server.place.start(words, self._errors)
        self._in = t.cast("t.IO[bytes]", self._psql.stdin)  # both are pipes: `start` asks for them
        self._out = t.cast("t.IO[bytes]", self._psql.stdout)
        self._rest = b""
        self._asked = 0
        try:
            self.rows(BEGIN + PATIENT + "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;")
            self.snapshot = self.rows("SELECT pg_export_snapshot();")[0]
        except PostgresError:
            self.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def counts(self, tables: t.Sequence[str]) -> dict[str, int]:
        """Rows by table; a table that is not there is left out."""
        return _counted(self.rows(sql.counts(tables))) if tables else {}

    def rows(self, script: str, timeout_s: float = ANSWER_S) -> list[str]:
        """What a script writes: one text per row. Raises PostgresError; the session is over then."""
        self._asked += 1
        mark = f"-- {self._asked}".encode()
        late = threading.Timer(timeout_s, self._psql.kill)
        late.start()
        try:
            return self._answer(f"{script}\nSELECT {sql.text(mark.decode())};\n".encode(), mark)
        finally:
            late.cancel()

    def close(self) -> None:
        """End it; what it held on to is free again."""
        with contextlib.suppress(OSError):  # it may have ended already
            self._in.close()
        try:
            self._psql.wait(10)
        except subprocess.TimeoutExpired:
            self._psql.kill()
            self._psql.wait()
        self._out.close()
        self._errors.close()

    def _answer(self, asked: bytes, mark: bytes) -> list[str]:
        try:
            self._in.write(asked)
            self._in.flush()
        except OSError:
            self._fail()
        found: list[str] = []
        pieces: list[bytes] = [self._rest]
        while True:
            *whole, last = b"".join(pieces).split(b"\0")
            for at, each in enumerate(whole):
                if each == mark:
                    self._rest = b"\0".join([*whole[at + 1 :], last])
                    return found
                found.append(each.decode(errors="surrogateescape"))
            piece = self._out.read1(1 << 20)  # type: ignore[attr-defined]  # a pipe is buffered
            if not piece:
                self._fail()
            pieces = [last, piece]

    def _fail(self) -> t.NoReturn:
        code = self._psql.wait()
        self._errors.seek(0)
        raise PostgresError(_said(self._errors.read().decode(errors="replace")) or f"psql ended with {code}", code)


def _superuser_in(engine: Engine, container: str) -> str:
    """The official image tells it by a variable."""
    for each in engine.get(f"/containers/{container}/json")["Config"].get("Env") or ():
        key, _equals, value = str(each).partition("=")
        if key == "POSTGRES_USER" and value:
            return value
    return ACCOUNT


def _counted(answers: t.Sequence[str]) -> dict[str, int]:
    return {table: int(rows) for table, rows in (json.loads(each) for each in answers)}


def _said(stderr: str) -> str:
    """The last lines of what a program complained about."""
    return " ".join(line.strip() for line in stderr.splitlines()[-4:] if line.strip())[-600:]
