"""Stand-in for Portainer CE 2.x: `portainer --admin-password-file FILE …`. Source: portainer/portainer, API 2.2x."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from .program import run
from .settings import Refused, Settings
from .state import InFile, State, fits, hashed
from .web import Reply, Request, Server

PRODUCT = "portainer"
HEALTH = ("/api/status", "/api/system/status")
SHORTEST = 12
OPEN_S = 300.0  # after that an instance without administrator closes until it is restarted


def main(argv: Sequence[str]) -> int:
    """Serve; every option is taken, those that matter here are obeyed."""
    settings, options = Settings(os.environ), _options(argv)
    folder = Path(options.get("data") or settings.get("STANDIN_DATA", "/data"))
    folder.mkdir(parents=True, exist_ok=True)
    state = InFile(folder / "portainer.json")
    with state.change() as memory:
        memory.setdefault("instance", str(uuid.uuid4()))
        given = _given(options)
        if given and not memory.get("admin"):
            memory["admin"] = hashed(given)
    port = int((options.get("bind") or ":9000").rpartition(":")[2])
    return Portainer(settings, state).server.serve(port)


def _options(argv: Sequence[str]) -> dict[str, str]:
    """`--name=value`, `--name value` and `-H value`."""
    found, words = {}, list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        takes = not equals and words and not words[0].startswith("-")
        found[{"p": "bind", "d": "data", "H": "host"}.get(name, name)] = words.pop(0) if takes else value
    return found


def _given(options: dict[str, str]) -> str:
    """The administrator's password; a hash from `--admin-password` cannot be undone and is kept as it is."""
    named = options.get("admin-password-file")
    if not named:
        return options.get("admin-password", "")
    try:
        password = Path(named).read_text(encoding="utf-8").rstrip("\n")
    except OSError as exc:
        raise Refused(f"failed getting admin password file: {exc}") from exc
    return password


class Portainer:
    """The server."""

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._state = state
        self._closes_at = time.monotonic() + OPEN_S
        self.server = Server(PRODUCT, settings, HEALTH)
        for method, path, handler in (
            ("GET", "/api/status", self._status),
            ("GET", "/api/system/status", self._status),
            ("GET", "/", lambda _: Reply(200, "<!DOCTYPE html><title>Portainer stand-in</title>", kind="text/html")),
            ("GET", "/api/users/admin/check", self._is_there),
            ("POST", "/api/users/admin/init", self._set_up),
            ("POST", "/api/auth", self._log_in),
        ):
            self.server.route(method, path, handler)

    def _status(self, _request: Request) -> Reply:
        return Reply(200, {"Version": self._settings.version, "InstanceID": self._state.read()["instance"]})

    def _is_there(self, _request: Request) -> Reply:
        if self._state.read().get("admin"):
            return Reply(204)
        return Reply(404, {"message": "No administrator account found inside the database"})

    def _set_up(self, request: Request) -> Reply:
        body = request.json()
        if time.monotonic() > self._closes_at:
            return Reply(303, "", (("Redirect-Reason", "AdminInitTimeout"), ("Location", "/timeout.html")))
        if len(str(body.get("Password") or "")) < SHORTEST:
            return Reply(
                400, {"message": "Invalid request payload", "details": "Password does not meet the requirements"}
            )
        with self._state.change() as memory:
            if memory.get("admin"):
                return Reply(409, {"message": "An administrator user already exists"})
            memory["admin"] = hashed(str(body["Password"]))
        return Reply(200, {"Id": 1, "Username": body.get("Username") or "admin", "Role": 1})

    def _log_in(self, request: Request) -> Reply:
        body = request.json()
        name, password = body.get("Username") or body.get("username"), body.get("Password") or body.get("password")
        if name != "admin" or not fits(str(password or ""), self._state.read().get("admin") or ":"):
            return Reply(422, {"message": "Invalid credentials", "details": "Unauthorized"})
        return Reply(200, {"jwt": secrets.token_urlsafe(48)})


if __name__ == "__main__":
    run(PRODUCT, main)
