"""Start, stop and ask the sandbox from outside. Standard library only: the command line imports this at every start.

A sandbox belongs to one state directory (``<state>/sandbox/``): ``state.db`` its memory, ``url`` its address once it
listens, ``pid.json`` its process, ``server.log`` its output. One server per directory, ensured by a lock that the
server itself holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import smos
from smos.sandbox import process

DEFAULT_PORT = 8321
START_SECONDS = 15.0
LOG_LIMIT = 1024 * 1024
LOG_LINES = 15
BASES = {
    "cloudflare": "/cloudflare/client/v4",
    "odoo": "/odoo",
    "chatwoot": "/chatwoot",
    "n8n": "/n8n",
    "metabase": "/metabase",
    "botpress": "/botpress",
    "vercel": "/vercel",
    "whatsapp": "/whatsapp/v23.0",
    "smtp": "/smtp",
    "hostinger": "/hostinger",
    "dokploy": "/dokploy",
    "shopify": "/shopify/{shop}",
    "supabase": "/supabase",
}
# All of the environment that the server gets: no token of a real provider is among it.
KEPT_NAMES = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT"})
KEPT_PREFIXES = ("SMOS_SANDBOX_", "PYTHON", "LC_")


class SandboxError(Exception):
    """The sandbox cannot be started or did not do what it was asked; the message says why and what to do."""


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox: its address without a slash at the end, and its process."""

    url: str
    pid: int

    def provider_url(self, name: str) -> str:
        """What a client of the provider takes as its base URL."""
        return self.url + BASES[name]


def up(
    state_dir: Path | str,
    port: int | None = None,
    *,
    latency_ms: float | None = None,
    rate_limits: bool | None = None,
    n8n_version: str | None = None,
) -> Sandbox:
    """Have a sandbox run for this state directory, and return it; the one that runs already when there is one.

    ``port``: ask for exactly this one; else 8321, or the next that is free. The other settings are kept with the
    state and left as they are when ``None``: ``latency_ms`` per answer, ``rate_limits`` of the real providers
    (off at first, because they would dominate a load test), ``n8n_version`` ``"1"`` or ``"2"``.
    Raises :class:`SandboxError`.
    """
    home = _home(state_dir)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(home / "up.lock"):
        sandbox = _running(home) or _start(home, port)
    if port is not None and urlsplit(sandbox.url).port != port:
        raise SandboxError(
            f"the sandbox runs on {sandbox.url} already; stop it first (smos sandbox down) to use port {port}"
        )
    wanted = {"latency_ms": latency_ms, "rate_limits": rate_limits, "n8n_version": n8n_version}
    changes = {key: value for key, value in wanted.items() if value is not None}
    if changes:
        _ask(sandbox, "POST", "settings", changes)
    return sandbox


def ensure(state_dir: Path | str) -> Sandbox:
    """The sandbox of this state directory, started when it does not run."""
    return up(state_dir)


def down(state_dir: Path | str) -> bool:
    """Stop the sandbox; returns whether it ran. Its state stays. Never touches a process that is not ours."""
    home = _home(state_dir)
    if not home.is_dir():
        return False
    with _lock(home / "up.lock"):
        known = _known(home)
        stopped = known is not None and process.stop(known["pid"], known["born"])
        for name in ("url", "pid.json"):
            (home / name).unlink(missing_ok=True)
        return stopped


def status(state_dir: Path | str) -> dict[str, Any] | None:
    """What runs: ``url, pid, state, providers, settings, faults``; ``None`` when nothing runs."""
    sandbox = _running(_home(state_dir))
    return None if sandbox is None else {"url": sandbox.url, **_ask(sandbox, "GET", "status")}


def requests(
    state_dir: Path | str,
    *,
    provider: str | None = None,
    operation: str | None = None,
    since: int | None = None,
    writes: bool = False,
    limit: int = 100,
) -> dict[str, Any]:
    """The newest requests, oldest first: ``{"requests": [...], "matching": int, "last": int}``.

    Each has ``id, at, provider, operation, method, path, query, body, status, ms, write, fault``; ``status`` is 0 where
    no answer was sent. ``since`` is the id of the last one already seen; ``operation`` may be a pattern.
    """
    query: dict[str, Any] = {"provider": provider, "operation": operation, "since": since, "limit": limit}
    query = {key: value for key, value in query.items() if value is not None}
    return _ask(_needed(state_dir), "GET", "requests?" + urlencode({**query, "writes": int(writes)}))


def outbox(state_dir: Path | str, *, provider: str | None = None, limit: int = 100) -> dict[str, Any]:
    """The newest messages that the sandbox was given to send, oldest first: ``{"messages": [...], "matching": int}``.

    Each has ``provider`` (whatsapp or smtp), ``at, to, id, template, language, subject, text``.
    """
    query: dict[str, Any] = {"limit": limit, **({"provider": provider} if provider else {})}
    return _ask(_needed(state_dir), "GET", "outbox?" + urlencode(query))


def forget_requests(state_dir: Path | str) -> None:
    """Empty the request log."""
    _ask(_needed(state_dir), "DELETE", "requests")


def fault(state_dir: Path | str, rule: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Put a fault rule in force, given as a mapping or as keywords (the fields of ``faults.Rule``); returns it."""
    return _ask(_needed(state_dir), "POST", "faults", {**(rule or {}), **fields})


def faults(state_dir: Path | str) -> list[dict[str, Any]]:
    """The fault rules in force with their counts ``seen`` and ``fired``."""
    found: list[dict[str, Any]] = _ask(_needed(state_dir), "GET", "faults")["faults"]
    return found


def clear_faults(state_dir: Path | str) -> int:
    """Take all fault rules out of force; returns how many there were."""
    return int(_ask(_needed(state_dir), "DELETE", "faults")["cleared"])


def settings(state_dir: Path | str, **changes: Any) -> dict[str, Any]:
    """Change ``latency_ms``, ``rate_limits``, ``n8n_version`` while it runs; returns all settings."""
    return _ask(_needed(state_dir), "POST", "settings", changes)


def reset(state_dir: Path | str, provider: str | None = None) -> list[str]:
    """Empty all providers, or one, and seed them again; faults, settings and log stay. Returns their names."""
    changed: list[str] = _ask(_needed(state_dir), "POST", "reset", {"provider": provider})["reset"]
    return changed


# --- inside ----------------------------------------------------------------------------------------------------------


def _home(state_dir: Path | str) -> Path:
    return Path(state_dir).resolve()


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _needed(state_dir: Path | str) -> Sandbox:
    sandbox = _running(_home(state_dir))
    if sandbox is None:
        raise SandboxError("the sandbox does not run; start it with: smos sandbox up")
    return sandbox


def _known(home: Path) -> dict[str, Any] | None:
    """What ``pid.json`` says of a process that still is there."""
    try:
        known: dict[str, Any] = json.loads((home / "pid.json").read_text())
        alive = process.birth(known["pid"]) == known["born"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if alive else None


def _running(home: Path) -> Sandbox | None:
    """The sandbox of this directory when its process lives and answers."""
    known = _known(home)
    if known is None:
        return None
    sandbox = Sandbox(f"http://127.0.0.1:{known['port']}", known["pid"])
    try:
        answer = _ask(sandbox, "GET", "status")
    except SandboxError:
        return None
    return sandbox if answer.get("state") == str(home) else None


def _start(home: Path, port: int | None) -> Sandbox:
    stale = _known(home)
    if stale is not None:
        process.stop(stale["pid"], stale["born"])
    for name in ("url", "pid.json"):
        (home / name).unlink(missing_ok=True)
    log = home / "server.log"
    fresh = "w" if log.exists() and log.stat().st_size > LOG_LIMIT else "a"
    command = [sys.executable, "-P", "-m", "smos.sandbox", "--state", str(home)]
    with log.open(fresh) as output:
        began = output.tell()
        child = subprocess.Popen(
            command if port is None else [*command, "--port", str(port)],
            cwd=home,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        if child.poll() is not None:
            raise SandboxError(_why(log, began, f"the sandbox ended at once (code {child.returncode})"))
        sandbox = _running(home) if (home / "url").exists() else None
        if sandbox is not None:
            # The process outlives this one on purpose; without this the interpreter would warn about it.
            child.returncode = 0
            return sandbox
        time.sleep(0.005)
    child.kill()
    child.wait()
    raise SandboxError(_why(log, began, f"the sandbox did not answer within {START_SECONDS:g} s"))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in KEPT_NAMES or name.startswith(KEPT_PREFIXES)}
    source = str(Path(smos.__file__).resolve().parent.parent)
    kept["PYTHONPATH"] = os.pathsep.join([source, *filter(None, [kept.get("PYTHONPATH")])])
    return kept


def _why(log: Path, began: int, what: str) -> str:
    """``what`` with the last lines that the server wrote since it was started."""
    with log.open(errors="replace") as handle:
        handle.seek(began)
        lines = handle.read().splitlines()[-LOG_LINES:]
    return "\n".join([f"{what}; {log} ends with:", *lines]) if lines else f"{what}; {log} is empty"


def _ask(sandbox: Sandbox, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One call of the control API; raises :class:`SandboxError` with the sandbox's own message."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(sandbox.url).port, timeout=10)
    content = None if body is None else json.dumps(body)
    try:
        connection.request(method, f"/_sandbox/{path}", content, {"content-type": "application/json"})
        answer = connection.getresponse()
        raw = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise SandboxError(f"the sandbox at {sandbox.url} does not answer: {error}") from error
    finally:
        connection.close()
    try:
        data = json.loads(raw)
    except ValueError:
        raise SandboxError(f"{sandbox.url} answers, but is no sandbox") from None
    if answer.status >= 400 or not isinstance(data, dict):
        raise SandboxError(str(data.get("message", raw) if isinstance(data, dict) else raw))
    return data
