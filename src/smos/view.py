"""The live view of a run: a line per finished step, and on a terminal what is being done right now."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

COLLECTION = "smartercl.smarteros."
MARKS = {"ok": "✓", "changed": "✓", "failed": "✗"}
COLOURS = {"ok": "\033[32m", "changed": "\033[33m", "failed": "\033[31m"}
RESET, CLEAR_LINE = "\033[0m", "\r\033[2K"


class View:
    """Writes to stderr, so that stdout is the result's alone."""

    def __init__(self, title: str, quiet: bool) -> None:
        self._title = title
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._colour = self._live and not os.environ.get("NO_COLOR")
        self._started = time.monotonic()
        self._since = self._started

    def __enter__(self) -> View:
        if not self._quiet:
            self._line(self._title)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            sys.stderr.write(CLEAR_LINE)
            sys.stderr.flush()

    def take(self, event: Mapping[str, Any]) -> None:
        """Show one event of the run."""
        if self._quiet:
            return
        data = event.get("event_data", {})
        if event["event"] == "playbook_on_task_start":
            self._now(str(data.get("task", "")))
        elif event["event"] in ("runner_on_ok", "runner_on_failed"):
            self._done(event["event"], data)

    def _done(self, kind: str, data: Mapping[str, Any]) -> None:
        if _is_plumbing(data):
            return
        result = data.get("res") or {}
        step = str(data.get("role") or "").removeprefix(COLLECTION)
        took = time.monotonic() - self._since
        self._since = time.monotonic()
        state = "failed" if kind == "runner_on_failed" or result.get("errors") else "changed" if result.get("changed") else "ok"
        name = f"{step}: {data.get('task')}" if step else str(data.get("task"))
        self._line(f"{self._mark(state)} {name}{_counted(result)}  {took:.1f} s")

    def _mark(self, state: str) -> str:
        return f"{COLOURS[state]}{MARKS[state]}{RESET}" if self._colour else MARKS[state]

    def _now(self, task: str) -> None:
        if self._live:
            sys.stderr.write(f"{CLEAR_LINE}  … {task}  ({time.monotonic() - self._started:.0f} s)")
            sys.stderr.flush()

    def _line(self, text: str) -> None:
        sys.stderr.write(f"{CLEAR_LINE if self._live else ''}{text}\n")
        sys.stderr.flush()


def _is_plumbing(data: Mapping[str, Any]) -> bool:
    """Whether a task is of no interest to a person: includes, and the check of a role's arguments."""
    action = str(data.get("task_action", "")).rpartition(".")[2]
    return action.startswith("include_") or action in ("validate_argument_spec", "add_host", "set_fact")


def _counted(result: Mapping[str, Any]) -> str:
    """How many changes and failures a step had, in brackets; nothing where there is nothing to tell."""
    words = [f"{len(result[key])} {key}" for key in ("changes", "errors") if result.get(key)]
    return f" ({', '.join(words)})" if words else ""
