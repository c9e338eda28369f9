# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Running a script of ours in a service's own interpreter, in its container: what no API of the service can do.

The script and all values go in by stdin, since arguments can be seen by everybody on the machine. The script prints one line
``SMARTEROS {json}`` among whatever else the service prints.
"""

from __future__ import annotations

import base64
import json
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import AGAIN, Json, Room, Trouble
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Executed

MARK = "SMARTEROS "
PLACE = "@VALUES@"  # in a script: the values, as JSON in base64, so that no quoting can go wrong
WRAPPER = ("/bin/sh", "-c")
WRAPPED = 4  # /bin/sh -c <source the secrets, exec "$@"> sh: what stands before a service's own entry point
LAST_LINES = 5
SECRET = "***"  # noqa: S105 - what is shown instead of one


def say(room: Room, argv: t.Sequence[str], script: str, values: Json, secrets: t.Iterable[str]) -> Json:
    """Run it; gives the JSON that it printed. ``secrets`` never appear in what is said of a failure."""
    packed = base64.b64encode(json.dumps(values).encode()).decode()
    stdin = script.replace(PLACE, packed).encode()
    command = [*with_secrets(room), *argv]
    done = room.engine.execute(room.container, command, stdin=stdin, timeout_s=float(room.params["timeout"]))
    found = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if not found or done.code != 0:
        raise Trouble(f"{argv[0]} ended with {done.code}: {_last(done, secrets)}", AGAIN)
    said: Json = json.loads(found[-1][len(MARK) :])
    return said


def with_secrets(room: Room) -> list[str]:
    """What a service's entry point is wrapped in where its secrets come from a file: a new process has none of them."""
    entrypoint = room.engine.get(f"/containers/{room.container}/json")["Config"].get("Entrypoint") or []
    wrapped = tuple(entrypoint[:2]) == WRAPPER and len(entrypoint) >= WRAPPED and 'exec "$@"' in entrypoint[2]
    return list(entrypoint[:WRAPPED]) if wrapped else []


def _last(done: Executed, secrets: t.Iterable[str]) -> str:
    text = " | ".join((done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:]) or "it said nothing"
    for secret in secrets:
        if secret:
            text = text.replace(secret, SECRET)
    return text
