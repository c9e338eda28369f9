"""The live view of a run: a line per finished step, and on a terminal what is being done right now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from gettext import gettext as _
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape

COLLECTION = "smartercl.smarteros."
MARKS = {"ok": "[green]✓[/]", "changed": "[yellow]✓[/]", "failed": "[red]✗[/]"}


class View:
    """Writes to stderr, so that stdout is the result's alone. Colour and the moving line only on a terminal.

    ``quiet`` leaves out the steps, ``warnings`` says whether warnings are shown nevertheless.
    """

    def __init__(self, title: str, quiet: bool, warnings: bool = True) -> None:
        self._title = title
        self._warnings = Console(stderr=True, quiet=not warnings, highlight=False, soft_wrap=True)
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._status = self._console.status(_("starting Ansible")) if self._console.is_terminal and not quiet else None
        self._since = time.monotonic()
        self._started = self._since

    def __enter__(self) -> View:
        self._console.print(escape(self._title))
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def take(self, event: Mapping[str, Any]) -> None:
        """Show one event of the run."""
        data = event.get("event_data", {})
        if event["event"] == "playbook_on_task_start" and self._status is not None:
            elapsed = time.monotonic() - self._started
            self._status.update(f"{escape(_step(data))}  [dim]{elapsed:.0f} s[/]")
        elif event["event"] in ("runner_on_ok", "runner_on_failed") and not _is_plumbing(data):
            self._done(event["event"], data)
        for notice in (data.get("res") or {}).get("notices") or []:
            self._warnings.print(f"[yellow]![/] {escape(notice)}")

    def _done(self, kind: str, data: Mapping[str, Any]) -> None:
        result = data.get("res") or {}
        took = time.monotonic() - self._since
        self._since = time.monotonic()
        if result.get("steps"):
            self._together(result["steps"])
            return
        failed = kind == "runner_on_failed" or result.get("errors")
        state = "failed" if failed else "changed" if result.get("changed") else "ok"
        self._console.print(f"{MARKS[state]} {escape(_step(data))}{_counted(result)}  [dim]{took:.1f} s[/]")

    def _together(self, steps: list[Mapping[str, Any]]) -> None:
        """A line for each of the services that worked at the same time, in the order in which they ended."""
        for step in steps:
            state = "failed" if step["errors"] else "changed" if step["changes"] else "ok"
            counted = _in_brackets({key: step[key] for key in ("changes", "errors")})
            self._console.print(f"{MARKS[state]} {escape(step['service'])}{counted}  [dim]{step['seconds']:.1f} s[/]")


def _step(data: Mapping[str, Any]) -> str:
    """What is done, with the service in front: `odoo: Bring the tenants' companies …`."""
    role = str(data.get("role") or "").removeprefix(COLLECTION)
    return f"{role}: {data.get('task')}" if role else str(data.get("task"))


def _is_plumbing(data: Mapping[str, Any]) -> bool:
    """Whether a task is of no interest to a person: includes, the check of a role's arguments, orders not yet done."""
    action = str(data.get("task_action", "")).rpartition(".")[2]
    result = data.get("res") or {}
    is_order = "censored" in result or (action == "tenant_record" and "changes" not in result)
    return is_order or action.startswith("include_") or action in ("validate_argument_spec", "add_host", "set_fact")


def _counted(result: Mapping[str, Any]) -> str:
    """How many changes and failures a step had, in brackets; nothing where there is nothing to tell."""
    return _in_brackets({key: len(result.get(key) or ()) for key in ("changes", "errors")})


def _in_brackets(counts: Mapping[str, int]) -> str:
    words = {"changes": _("{count} changes"), "errors": _("{count} errors")}
    told = [words[key].format(count=count) for key, count in counts.items() if count]
    return f" ({', '.join(told)})" if told else ""
