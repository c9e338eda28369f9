# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How available everything was, as a person sees it: `smos status --history`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from gettext import gettext as _
from typing import Any

MOST_TENANTS = 20
MOST_INCIDENTS = 20
Row = Mapping[str, Any]


def show(history: Mapping[str, Any]) -> None:
    """Print availability against what is aimed at, the worst first, and the incidents."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    if not history["subjects"]:
        console.print(_("nothing was measured yet: the machine looks every few minutes"), markup=False)
        return
    table = Table("", _("what"), "%", _("aim"), _("down"), _("not known"), box=None, pad_edge=False, header_style="dim")
    shown, left = worst_first(history["subjects"])
    for each in shown:
        aim = "" if each["target"] is None else f"{each['target']:g}"
        percent = "" if each["percent"] is None else f"{each['percent']:.2f}"
        what = f"{each['kind']} {each['title']}"
        table.add_row(mark(each), *map(escape, (what, percent, aim, span(each["down_s"]), span(each["unknown_s"]))))
    console.print(table)
    if left:
        console.print(_("and {count} more, all as aimed at; --json has them").format(count=left), markup=False)
    for line in incidents(history["incidents"]):
        console.print(line, markup=False, soft_wrap=True)


def worst_first(subjects: Sequence[Row]) -> tuple[list[Row], int]:
    """Services and tenants, the worst first; of tenants that are as aimed at only some, and how many are left out."""
    rated = [each for each in subjects if each["kind"] in ("service", "tenant")]
    rated.sort(key=lambda each: (each["kind"] != "service", 101 if each["percent"] is None else each["percent"]))
    shown: list[Row] = []
    tenants = 0
    for each in rated:
        tenants += each["kind"] == "tenant"
        if each["kind"] == "service" or tenants <= MOST_TENANTS or missed(each):
            shown.append(each)
    return shown, len(rated) - len(shown)


def missed(subject: Row) -> bool:
    """Whether it was less available than is aimed at."""
    known = subject["percent"] is not None and subject["target"] is not None
    return bool(known and subject["percent"] < subject["target"])


def mark(subject: Row) -> str:
    """The sign before a subject."""
    if subject["percent"] is None:
        return "[dim]?[/]"
    return "[red]✗[/]" if missed(subject) else "[green]✓[/]"


def span(seconds: float) -> str:
    """A time span in the unit that a person would use; nothing for none."""
    if not seconds:
        return ""
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"


def incidents(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each incident, the newest first."""
    if not rows:
        yield _("no incidents")
    for each in rows[:MOST_INCIDENTS]:
        lasted, until = span(60 * each["minutes"]) or "0 min", each["closed_at"] or _("still open")
        yield f"{each['opened_at']}  {lasted}  {each['severity']}  {each['title']}: {each['what']}  ({until})"
    if len(rows) > MOST_INCIDENTS:
        yield _("and {count} more; --json has them").format(count=len(rows) - MOST_INCIDENTS)
