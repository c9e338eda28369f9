# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A dump of a Supabase project through its database's address, with the `pg_dump` of this machine.

The password is in no argument, no variable of the environment and no file on a disk: `pg_dump` reads it from memory of
ours that it inherits (as a connection service file).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import typing as t
from urllib.parse import parse_qsl, unquote, urlsplit

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

TOOL = "pg_dump"
MOST = 64 * 1024 * 1024
"""Bytes of a dump that go through this process; a larger project needs a dump of its own."""
# What Supabase makes and keeps itself; a new project has it already. auth and storage hold accounts and files of ours.
MANAGED = (
    *("_analytics", "_realtime", "_supavisor", "cron", "extensions", "graphql", "graphql_public", "net", "pgbouncer"),
    *("pgmq", "pgsodium", "pgsodium_masks", "pgtle", "realtime", "supabase_functions", "vault"),
)
# Sessions and one-time links: of no use once they are old
PASSING = (
    *("auth.audit_log_entries", "auth.flow_state", "auth.mfa_amr_claims", "auth.one_time_tokens"),
    *("auth.refresh_tokens", "auth.saml_relay_states", "auth.sessions"),
)
_SERVICE = "smarteros"
_TOLD = ("sslmode", "options", "target_session_attrs")  # of the address's query, what a service file may say
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "TMPDIR")
_MOST_SHOWN = 300


def missing() -> bool:
    """Whether there is no `pg_dump` on this machine."""
    return shutil.which(TOOL) is None


def dump(url: str, timeout: float, most: int = MOST) -> str:
    """The project as SQL text. Raises ApiError, whose message never holds the password."""
    settings, password = connection_of(url)
    where = f"postgresql://{settings['host']}:{settings['port']}/{settings['dbname']}"
    memory = _in_memory(settings)
    try:
        raw, said, code = _run(memory, timeout, most)
    finally:
        os.close(memory)
    if len(raw) > most:
        why = f"the dump is larger than {most // 1024**2} MiB, which is too much for this way"
        raise ApiError(why, errors.INVALID, where=where)
    if code is None:
        raise ApiError(f"{TOOL} did not end within {timeout:g} s", errors.UNANSWERED, where=where)
    if code != 0:
        raise ApiError(_why(said, password), _kind(said), where=where)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ApiError("the dump is not UTF-8", errors.INVALID, where=where) from None


def connection_of(url: str) -> tuple[dict[str, str], str]:
    """An address as the lines of a service file, and the password. Raises ApiError for what is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 5432
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme not in ("postgresql", "postgres"):
        raise ApiError("the database address does not begin with postgresql://user@host", where="database")
    password = unquote(parts.password or "")
    query = {key: value for key, value in parse_qsl(parts.query) if key in _TOLD}
    found = {
        "host": host,
        "port": str(port),
        "dbname": unquote(parts.path.lstrip("/")) or "postgres",
        "user": unquote(parts.username or "postgres"),
        "password": password,
        **query,
    }
    for key, value in found.items():
        if not value.isprintable() or value != value.strip():
            raise ApiError(
                f"the {key} in the database address has a line break or a space at its end", where="database"
            )
    return found, password


def arguments() -> list[str]:
    """The command; its connection is in the service file."""
    left_out = [f"--exclude-schema={name}" for name in MANAGED]
    without_rows = [f"--exclude-table-data={name}" for name in PASSING]
    return [TOOL, "--format=plain", "--no-password", "--encoding=UTF8", *left_out, *without_rows, f"service={_SERVICE}"]


def _in_memory(settings: t.Mapping[str, str]) -> int:
    """A service file that lies in memory only, as a file descriptor."""
    text = "\n".join([f"[{_SERVICE}]", *(f"{key}={value}" for key, value in settings.items() if value), ""])
    if not hasattr(os, "memfd_create"):
        raise ApiError("a dump of Supabase needs a control node with Linux", errors.INVALID, where="database")
    memory = os.memfd_create(_SERVICE)
    os.fchmod(memory, 0o600)
    os.write(memory, text.encode())
    return memory


def _run(memory: int, timeout: float, most: int) -> tuple[bytes, str, int | None]:
    """Output (at most one byte more than ``most``), what was said on stderr, exit code (None where the time was over)."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment.update(PGSERVICEFILE=f"/proc/self/fd/{memory}", PGCONNECT_TIMEOUT="10", PGAPPNAME=_SERVICE)
    with subprocess.Popen(
        arguments(),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(memory,),
    ) as process:
        over = threading.Event()
        said: list[bytes] = []

        def stop() -> None:
            over.set()
            process.kill()

        watch = threading.Timer(timeout, stop)
        watch.daemon = True
        listener = threading.Thread(target=lambda: said.append(_stream(process.stderr).read(64 * 1024)), daemon=True)
        watch.start()
        listener.start()
        try:
            raw = _stream(process.stdout).read(most + 1)
            if len(raw) > most:
                process.kill()
            code = process.wait()
            listener.join(5)
        finally:
            watch.cancel()
            if process.poll() is None:
                process.kill()
    return raw, b"".join(said).decode("utf-8", "replace"), None if over.is_set() else code


def _stream(stream: t.IO[bytes] | None) -> t.IO[bytes]:
    if stream is None:
        raise AssertionError("both streams are pipes")
    return stream


def _why(said: str, password: str) -> str:
    """The first lines of what `pg_dump` said, fit to be shown."""
    text = said.replace(password, "***") if len(password) >= 4 else said
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split()) or "it said nothing"
    words = words if len(words) <= _MOST_SHOWN else f"{words[:_MOST_SHOWN]}…"
    if "server version mismatch" in said:
        return f"{words}: install a {TOOL} that is as new as the server"
    return words


def _kind(said: str) -> str:
    if "authentication failed" in said or "permission denied" in said:
        return errors.REFUSED
    return errors.UNREACHABLE if "connection to server" in said or "could not translate" in said else errors.INVALID
