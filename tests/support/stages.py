"""The stages of `smos deploy all` and `smos plan`, as their documents tell them."""

from __future__ import annotations

from support.instance import Done


def states(done: Done) -> dict[str, str]:
    """The state of each stage."""
    return {row["stage"]: row["state"] for row in done.result["stages"]}


def messages(done: Done) -> dict[str, str]:
    """The message of each stage."""
    return {row["stage"]: row["message"] for row in done.result["stages"]}
