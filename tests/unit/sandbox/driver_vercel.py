"""Drives the sandbox's Vercel in this process, as the team that the sandbox has."""

from __future__ import annotations

from typing import Any

from smos.sandbox.engine import Outcome
from smos.sandbox.vercel import PROVIDER
from smos.sandbox.vercel_wire import TEAM
from unit.sandbox.driver import Driver

TOKEN = "sandbox-vercel-token"


class TeamDriver(Driver):
    """A call by hand names the team, unless it names another one; a client's, with headers of its own, is left as it is."""

    def outcome(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Outcome:
        team = {} if "slug" in query or headers is not None else {"teamId": TEAM}
        return super().outcome(method, path, body, headers=headers, **{**team, **query})


def vercel() -> TeamDriver:
    """A driver over an empty state, with the usual token."""
    return TeamDriver(PROVIDER, {"authorization": f"Bearer {TOKEN}"}, TOKEN)
