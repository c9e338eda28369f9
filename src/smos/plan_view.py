# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How a plan looks in a terminal: while it is made, and in the end by stage, service and tenant."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from gettext import gettext as _
from types import TracebackType
from typing import Any

from smos import stages
from smos.settings import Settings
from smos.stages import Foreseen, Stage

SIGNS = {"create": "+", "update": "~", "delete": "-"}
COLOURS = {"create": "32", "update": "33", "delete": "31", "heading": "1", "faint": "2", stages.FAILED: "31"}
WIDEST = 60  # characters of a value


class Progress:
    """One line per stage as it ends, on stderr, and on a terminal what is being looked at right now."""

    def __init__(self, title: str, settings: Settings) -> None:
        from rich.console import Console

        quiet = settings.quiet or settings.verbose > 0 or (settings.as_json and not sys.stderr.isatty())
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._warnings = Console(
            stderr=True, quiet=settings.quiet or settings.verbose > 0, highlight=False, soft_wrap=True
        )
        self._status = self._console.status("starting Ansible") if self._console.is_terminal and not quiet else None
        self._title, self._began = title, time.monotonic()
        self._doing: dict[str, str] = {}
        self._told: set[str] = set()

    def __enter__(self) -> Progress:
        self._console.print(self._title, markup=False)
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def take(self, stage: Stage, event: Mapping[str, Any]) -> None:
        """Show one event of a stage's play."""
        data = event.get("event_data", {})
        for notice in (data.get("res") or {}).get("notices") or []:
            if notice not in self._told:
                self._told.add(notice)
                self._warnings.print(f"! {stage.name}: {notice}", markup=False)
        if event["event"] == "playbook_on_task_start" and self._status is not None:
            self._doing[stage.name] = str(data.get("task"))
            self._show()

    def ended(self, found: Foreseen) -> None:
        """Show what a stage came to."""
        self._doing.pop(found.stage.name, None)
        self._console.print(f"  {found.stage.name:<10} {in_short(found)}  {found.seconds:.1f} s", markup=False)
        self._show()

    def _show(self) -> None:
        if self._status is not None:
            doing = "; ".join(f"{name}: {task}" for name, task in self._doing.items())
            self._status.update(f"{doing.replace('[', '(')}  {time.monotonic() - self._began:.0f} s")


def show(found: Sequence[Foreseen]) -> None:
    """Print a plan."""
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    sys.stdout.write("\n".join(lines(found, colours=colours)) + "\n")


def lines(found: Sequence[Foreseen], *, colours: bool = False) -> Iterator[str]:
    """The plan, line by line."""
    for each in found:
        kind = stages.FAILED if each.state == stages.FAILED else "heading"
        yield f"{painted(each.stage.name, kind, colours)}: {in_short(each)}"
        yield from _changes(each.changes, colours)
    total = sum(len(each.changes) for each in found)
    if total:
        counts = _counted(stages.counts([change for each in found for change in each.changes]))
        yield _("{total} changes pending: {counts}").format(total=total, counts=counts)
    elif all(each.state in (stages.NOTHING, stages.UNAVAILABLE) for each in found):
        yield _("nothing to change")


def in_short(found: Foreseen) -> str:
    """What a stage came to, in some words."""
    if found.state == stages.UNAVAILABLE:
        return _("not planned: {why}").format(why=found.message)
    if found.state == stages.FAILED:
        why = found.errors[0]["why"] if found.errors else _("see the messages")
        more = _(" (and {count} more)").format(count=len(found.errors) - 1) if len(found.errors) > 1 else ""
        return _("could not be planned: {why}").format(why=why) + more
    return _counted(stages.counts(found.changes)) or found.state


def painted(text: str, kind: str, colours: bool) -> str:
    """The text in its colour, where there are colours."""
    return f"\x1b[{COLOURS[kind]}m{text}\x1b[0m" if colours else text


def _counted(counts: Mapping[str, int]) -> str:
    words = {"create": _("{count} to create"), "update": _("{count} to update"), "delete": _("{count} to delete")}
    return ", ".join(words[action].format(count=count) for action, count in counts.items() if count)


def _changes(changes: Sequence[Mapping[str, Any]], colours: bool) -> Iterator[str]:
    by_service: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for change in changes:
        by_service.setdefault(str(change["service"]), {}).setdefault(str(change["tenant"] or ""), []).append(change)
    for service, by_tenant in by_service.items():
        every = [change for rows in by_tenant.values() for change in rows]
        yield f"  {painted(service, 'heading', colours)}: {_counted(stages.counts(every))}"
        for tenant, rows in by_tenant.items():
            if tenant:
                yield f"    {tenant}"
            indent = " " * (6 if tenant else 4)
            yield from (indent + line for change in rows for line in _change(change, colours))


def _change(change: Mapping[str, Any], colours: bool) -> Iterator[str]:
    action = str(change["action"])
    why = f"  [{change['cause']}; {change['owner']}]" if change.get("cause") else ""
    yield f"{painted(SIGNS.get(action, '?'), action, colours and action in COLOURS)} {change['what']}{_values(change)}{why}"


def _values(change: Mapping[str, Any]) -> str:
    """What it is and will be, where both are short; of what is made or removed the name says enough."""
    before, after = change["before"], change["after"]
    if change["action"] != "update" or before is None or after is None:
        return ""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        pairs = [f"{key} {_short(before.get(key))} → {_short(after.get(key))}" for key in keys]
        return f": {'; '.join(pairs)}" if pairs else ""
    return f": {_short(before)} → {_short(after)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
