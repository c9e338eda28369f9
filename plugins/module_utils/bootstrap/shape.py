# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The common shape of the modules that make a fresh service safe: its first administrator and its key are ours before any
route leads to it. They speak to the service from inside its own container's network, and a former run may have died anywhere.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import SOCKET, Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.inside import Answer, Inside, Unreachable
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import keep_alive

OPTIONS: dict[str, dict[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "socket": {"type": "path", "default": SOCKET},
    "timeout": {"type": "float", "default": 300.0},
}
# As the fragments of the same names document them
LOGIN: dict[str, dict[str, t.Any]] = {
    "email": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
}
KEY: dict[str, dict[str, t.Any]] = {"api_key": {"type": "str", "default": "", "no_log": True}}
KEEP: dict[str, dict[str, t.Any]] = {"keep": {"type": "str", "default": ""}}  # done by the action plugins
NAME: dict[str, dict[str, t.Any]] = {
    "first_name": {"type": "str", "default": "SmarterOS"},
    "last_name": {"type": "str", "default": "Admin"},
}
AGAIN = "Repair that, then run the same command again"
KEY_NAME = "smarteros"  # what our key is called in every service
PAUSE_S = 1.0
TEXT = 300  # characters of an answer that are ever shown

Json = dict[str, t.Any]


class Trouble(Exception):
    """Why the service cannot be made safe, and what the operator does about it."""

    def __init__(self, why: str, following: str = AGAIN) -> None:
        super().__init__(why)
        self.why = why
        self.following = following


class Caller(t.Protocol):
    """What is needed of Ansible's module object."""

    params: dict[str, t.Any]
    check_mode: bool

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        """End well."""

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        """End as failed."""


@dataclass
class Outcome:
    """What became of it. ``facts`` are further keys of the module's result."""

    service: str
    changes: list[Json] = field(default_factory=list)
    facts: Json = field(default_factory=dict, repr=False)

    def change(self, action: str, what: str, before: t.Any = None, after: t.Any = None) -> None:
        """Note a difference that is, or in check mode would be, closed; no secrets in it."""
        said = {"service": self.service, "tenant": None, "action": action, "what": what}
        self.changes.append({**said, "before": before, "after": after})


@dataclass(frozen=True)
class Room:
    """A running container and who asks."""

    engine: Engine
    container: str
    web: Inside
    params: t.Mapping[str, t.Any] = field(repr=False)
    check_mode: bool
    outcome: Outcome


def run(
    module: Caller,
    product: str,
    service: str,
    work: t.Callable[[Room], None],
    foretold: t.Mapping[str, t.Any] | None = None,
) -> t.NoReturn:
    """Find the container, do the work, report. ``service`` is the id in the catalogue.

    ``foretold`` is what a question finds in check mode where nothing runs yet; without it, something would be made.
    """
    lifeline.hold()
    keep_alive()
    outcome = Outcome(service)
    try:
        room = _room(module, outcome)
        if room is None and foretold is not None:
            outcome.facts.update(foretold)
        elif room is None:
            outcome.change("create", f"first administrator of {product}")
        else:
            work(room)
    except (Trouble, EngineError, Unreachable) as exc:
        why = exc.why if isinstance(exc, Trouble) else str(exc)
        following = exc.following if isinstance(exc, Trouble) else AGAIN
        module.fail_json(
            msg=f"{product}: {why}. {following}",
            errors=[row(product, why, "bootstrap", following)],
            exit_code=1,
            changes=[] if module.check_mode else outcome.changes,
        )
    module.exit_json(changed=bool(outcome.changes), changes=outcome.changes, **outcome.facts)


def _room(module: Caller, outcome: Outcome) -> Room | None:
    """None in check mode where nothing runs yet: there may be no Engine either."""
    name = module.params["service"]
    engine = Engine(module.params["socket"])
    try:
        container = engine.container_of(name) if module.check_mode else _running(engine, name, module.params["timeout"])
    except EngineError:
        if module.check_mode:
            return None
        raise
    if container is None:
        if module.check_mode:
            return None
        raise Trouble(f"no running container of {name} is on this machine", f"See `smos logs {outcome.service} 100`")
    web = Inside(engine, container)
    return Room(engine, container, web, module.params, module.check_mode, outcome)


def _running(engine: Engine, name: str, patience_s: float) -> str | None:
    """The container; one that is about to start is waited for."""
    deadline = time.monotonic() + patience_s
    while True:
        container = engine.container_of(name)
        coming = (
            any(task["DesiredState"] in ("running", "ready") for task in engine.tasks(name)) if not container else False
        )
        if container or not coming or time.monotonic() > deadline:
            return container
        time.sleep(PAUSE_S)


class Browser:
    """Asks a service as a browser would: keeps cookies, and turns refusals into words."""

    def __init__(self, room: Room, product: str, port: int, headers: t.Mapping[str, str] | None = None) -> None:
        self._web = room.web
        self._product = product
        self._port = port
        self._patience_s = float(room.params["timeout"])
        self.headers: dict[str, str] = {"Accept": "application/json", **(headers or {})}
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, body: t.Any = None, timeout_s: float = 30.0, **headers: str) -> Answer:
        """One request; whatever the answer's status is."""
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        whole = {**self.headers, **({"Cookie": cookie} if cookie else {}), **more}
        answer = self._web.request(method, self._port, path, json=body, headers=whole, timeout_s=timeout_s)
        self.cookies.update(answer.cookies)
        return answer

    def good(self, method: str, path: str, body: t.Any = None, timeout_s: float = 30.0, **headers: str) -> t.Any:
        """The JSON of an answer that must be good."""
        answer = self.ask(method, path, body, timeout_s, **headers)
        if answer.status >= 400:
            raise Trouble(self.refusal(method, path, answer))
        return answer.json()

    def with_key(self, path: str, header: str, key: str) -> Answer | None:
        """The answer to somebody with this API key; None where there is no key or it is not good."""
        if not key:
            return None
        answer = self.ask("GET", path, None, 30.0, **{header: key})
        if answer.status in (401, 403):
            return None
        if answer.status != 200:
            raise Trouble(self.refusal("GET", path, answer))
        return answer

    def refusal(self, method: str, path: str, answer: Answer) -> str:
        """An answer that is no good, in words."""
        return f"{self._product} answered {answer.status} to {method} {path}: {words(answer)}"

    def until(self, ready: t.Callable[[], bool], what: str) -> None:
        """Wait until it is so. A service that has just started refuses connections for a while."""
        deadline = time.monotonic() + self._patience_s
        last = ""
        while True:
            try:
                if ready():
                    return
            except Unreachable as exc:
                last = f" ({exc})"
            if time.monotonic() > deadline:
                raise Trouble(f"{what} within {self._patience_s:.0f} s{last}")
            time.sleep(PAUSE_S)


def words(answer: Answer) -> str:
    """What a refusal says, in short."""
    body = answer.json()
    if isinstance(body, dict):
        said = body.get("message") or body.get("errors") or body.get("error")
        if said:
            return str(said)[:TEXT]
    return answer.text.strip()[:TEXT] or "nothing"
