"""What a command has to say in the end, as one JSON document or as words for a person."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Any

from smos import exitcodes

Error = Mapping[str, str]
LONG = 100_000  # characters; ten thousand tenants are two million


@dataclass(frozen=True)
class Outcome:
    """The end of a command. ``errors`` are rows of what, where, why, next; ``result`` has the shape of the contract."""

    result: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[Error, ...] = ()
    changed: bool = False
    code: int = exitcodes.DONE
    run: str | None = None


class Failure(Exception):
    """Ends a command with an exit code and its reasons; nothing was touched unless the text says so."""

    def __init__(self, code: int, *errors: Error) -> None:
        super().__init__("; ".join(error["why"] for error in errors))
        self.outcome = Outcome(errors=errors, code=code)


def failure(code: int, what: str, why: str, where: str = "", following: str = "") -> Failure:
    """A failure with one reason."""
    return Failure(code, {"what": what, "where": where, "why": why, "next": following})


@dataclass
class Speaker:
    """Prints the outcome: ``as_json`` gives one document on stdout and nothing else there."""

    command: str
    env: str
    as_json: bool
    started: float = field(default_factory=time.monotonic)

    def finish(self, outcome: Outcome, human: Callable[[], None] | None = None) -> int:
        """Say it, and give the exit code. ``human`` prints the result for a person; errors follow on stderr."""
        if self.as_json:
            sys.stdout.write(_as_text(self.document(outcome)) + "\n")
            return outcome.code
        if human is not None:
            human()
        for error in outcome.errors:
            print(in_words(error), file=sys.stderr)
        return outcome.code

    def document(self, outcome: Outcome) -> dict[str, Any]:
        """The JSON document of the contract."""
        return {
            "command": self.command,
            "env": self.env,
            "run": outcome.run,
            "ok": outcome.code in (exitcodes.DONE, exitcodes.PENDING),
            "changed": outcome.changed,
            "duration_s": round(time.monotonic() - self.started, 3),
            "result": dict(outcome.result),
            "errors": [dict(error) for error in outcome.errors],
        }


def _as_text(document: Mapping[str, Any]) -> str:
    """The document as JSON; indented where a person might read it, in one line where that would take long."""
    text = json.dumps(document, ensure_ascii=False)
    return text if len(text) > LONG else json.dumps(document, ensure_ascii=False, indent=2)


def in_words(error: Error) -> str:
    """One error for a person: what failed and where, why, and what to do next."""
    where = f" ({error['where']})" if error.get("where") else ""
    why, following = f"{_('why')}:", f"{_('next')}:"
    width = max(len(why), len(following))
    lines = [f"{_('error')}: {error['what']}{where}", f"  {why:<{width}} {error['why']}"]
    if error.get("next"):
        lines.append(f"  {following:<{width}} {error['next']}")
    return "\n".join(lines)
