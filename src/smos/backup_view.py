# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Backups and restores as a person sees them: the tables of the commands, and the lines in `smos status`."""

from __future__ import annotations

import calendar
import sys
import time
from collections.abc import Mapping, Sequence
from gettext import gettext as _
from typing import Any

from smos import tenant_work
from smos.outcome import Outcome

COMPLETE = "complete"
WIDE = 1000  # characters
GOOD, BAD, DOUBTFUL = "[green]✓[/]", "[red]✗[/]", "[yellow]![/]"
UNITS = ("B", "kB", "MB", "GB", "TB")
HOUR_S, DAY_H = 3600, 24


def begun(backup: str) -> float | None:
    """When the backup of this id began, in seconds since the epoch; None where it is no time."""
    try:
        return float(calendar.timegm(time.strptime(backup, "%Y%m%d-%H%M%S")))
    except ValueError:
        return None


def age(backup: str, now: float) -> str:
    """How long ago the backup of this id began."""
    at = begun(backup)
    return "" if at is None else lasting((now - at) / HOUR_S)


def lasting(hours: float) -> str:
    """A time span in the unit that a person would use."""
    if hours < 1:
        return f"{max(0.0, hours) * 60:.0f} min"
    return f"{hours:.0f} h" if hours < 2 * DAY_H else f"{hours / DAY_H:.0f} d"


def size(count: float) -> str:
    """A number of bytes in the unit that a person would use."""
    unit = 0
    while count >= 1000 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.0f} {UNITS[unit]}" if unit < 2 else f"{count:.1f} {UNITS[unit]}"


def words(several: Any) -> str:
    """Names, however they come: one, a list of them, or the keys of a mapping."""
    return several if isinstance(several, str) else ", ".join(map(str, several or ()))


def show_taken(outcome: Outcome) -> None:
    """Print what a backup came to, or the changes that a check predicts."""
    result = outcome.result
    if "changes" in result:
        tenant_work.show_changes(result["changes"])
    elif result.get("backup"):
        state = result.get("state", COMPLETE)
        _say(
            _("backup {backup}: {state}, {size}, {files} files, {verified}").format(
                backup=result["backup"],
                state=state,
                size=size(result["bytes"]),
                files=result["files"],
                verified=_verified(result["verified"]),
            )
        )
        whose = ", " + _("for tenant {tenant}").format(tenant=result["tenant"]) if result.get("tenant") else ""
        _say(f"  {words(result['services'])}{whose}")
        _say_notes(result)


def show_all(rows: Sequence[Mapping[str, Any]], now: float) -> None:
    """Print the backups as a table, in the order in which they come."""
    from rich.markup import escape
    from rich.table import Table

    if not rows:
        _say(_("no backups yet: smos backup all"))
        return
    heads = (_("backup"), _("age"), _("release"), _("size"), _("state"), _("verified"), _("location"), _("services"))
    table = Table("", *heads, box=None, pad_edge=False, header_style="dim")
    for row in rows:
        state = str(row.get("state", COMPLETE))
        mark = BAD if state != COMPLETE else GOOD if row["verified"] else DOUBTFUL
        verified = _("yes") if row["verified"] else _("no")
        cells = [row["id"], age(row["id"], now), row["release"], size(row["bytes"]), state, verified]
        table.add_row(mark, *map(escape, [*cells, words(row["location"]), words(row["services"])]))
    _print(table)


def show_restored(outcome: Outcome) -> None:
    """Print what was checked and what came out, or the changes that a check predicts."""
    result = outcome.result
    if "changes" in result:
        tenant_work.show_changes(result["changes"])
        return
    if not result.get("backup"):
        return
    failed = sum(not each["ok"] for each in result["checks"])
    done = _("tried out") if result["drill"] else _("restored")
    done = _("not {done}").format(done=done) if outcome.errors else done
    took = " " + _("in {seconds} s").format(seconds=f"{result['seconds']:.0f}") if "seconds" in result else ""
    checked = _("{count} checks, {failed} failed").format(count=len(result["checks"]), failed=failed)
    whose = " " + _("of tenant {tenant}").format(tenant=result["tenant"]) if result.get("tenant") else ""
    of = _("backup {backup}").format(backup=result["backup"])
    _say(f"{of}: {words(result['services'])}{whose} {done}{took}; {checked}")
    if result.get("safety"):
        _say("  " + _("what was there before is in backup {backup}").format(backup=result["safety"]))
    _say_notes(result)
    _show_checks(result["checks"])


def _show_checks(checks: Sequence[Mapping[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table("", _("check"), _("expected"), _("found"), box=None, pad_edge=False, header_style="dim")
    for each in checks:
        cells = [str(each[key]) for key in ("what", "expected", "found")]
        table.add_row(GOOD if each["ok"] else BAD, *map(escape, cells))
    if checks:
        _print(table)


def _say_notes(result: Mapping[str, Any]) -> None:
    for text in [*result.get("notes", ()), *result.get("warnings", ())]:
        _say(f"  ! {text}")


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:  # a file or a pipe takes a line for each, however long it is
        console.width = WIDE
    console.print(table)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def lines(backups: Mapping[str, Any]) -> list[str]:
    """What `smos status` says of the backups; nothing where the machine was not asked."""
    if not backups:
        return []
    told = [f"backups  {_newest(backups)}"]
    target = backups.get("rpo_h")
    if backups.get("last") and target is not None and backups["age_h"] > target:
        late = _("the newest of everything is older than the {hours} h of work that may be lost: smos backup all")
        told.append("! backups  " + late.format(hours=f"{target:g}"))
    told += [f"! backups  {_in_words(each)}" for each in backups.get("errors") or ()]
    return told


def _newest(backups: Mapping[str, Any]) -> str:
    if not backups.get("last"):
        return _("none yet: smos backup all")
    drill = backups.get("drill_age_d")
    drilled = _("no drill yet") if drill is None else _("last drill {days} d ago").format(days=f"{drill:.0f}")
    return _("{backup}, {age} old, {verified}, in {place}; {drilled}").format(
        backup=backups["last"],
        age=lasting(backups["age_h"]),
        verified=_verified(backups["verified"]),
        place=words(backups.get("location")) or _("no place"),
        drilled=drilled,
    )


def _verified(so: bool) -> str:
    return _("verified") if so else _("NOT verified")


def _in_words(error: object) -> str:
    """An error of the machine's own jobs: a row as everywhere, or plain text."""
    if isinstance(error, Mapping):
        return ": ".join(str(error[key]) for key in ("what", "why") if error.get(key))
    return str(error)
