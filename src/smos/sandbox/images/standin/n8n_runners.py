"""Stand-in for n8n's task runners: `task-runner-launcher javascript python`. Source: n8nio/runners, 2.x."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence

from . import record
from .program import run
from .settings import Refused, Settings
from .web import Reply, Server

PRODUCT = "n8n-runners"
HEALTH = ("/healthz",)
KINDS = ("javascript", "python")
PAUSE_S = 5.0


def main(argv: Sequence[str]) -> int:
    """Wait for the broker, as the launcher does, and answer its own health check."""
    settings = Settings(os.environ)
    settings.need("N8N_RUNNERS_AUTH_TOKEN")
    strange = [kind for kind in argv if kind not in KINDS]
    if strange or not argv:
        raise Refused(f"runner types are {' and '.join(KINDS)}, not {', '.join(argv) or 'none'}")
    broker = settings.get("N8N_RUNNERS_TASK_BROKER_URI", "http://127.0.0.1:5679")
    threading.Thread(target=_look, args=(broker,), daemon=True).start()
    server = Server(PRODUCT, settings, HEALTH)
    server.route("GET", "/healthz", lambda _: Reply(200, {"status": "ok", "standIn": settings.version}))
    return server.serve(settings.number("N8N_RUNNERS_LAUNCHER_HEALTH_CHECK_PORT", 5680))


def _look(broker: str) -> None:
    """Say once whether the broker is there."""
    waiting = threading.Event()
    while True:
        try:
            with urllib.request.urlopen(f"{broker}/healthz", timeout=PAUSE_S):  # noqa: S310 - of our own settings
                break
        except (urllib.error.URLError, OSError):
            waiting.wait(PAUSE_S)
    record.note("broker", uri=broker)
    record.say(f"stand-in for n8n-runners: the task broker at {broker} is there")


if __name__ == "__main__":
    run(PRODUCT, main)
