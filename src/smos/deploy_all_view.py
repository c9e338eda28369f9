# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How a deploy of everything looks in a terminal: what is ahead of it, and what became of each stage."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from gettext import gettext as _
from typing import Any

from smos import deploy_work, plan_view, stages
from smos.outcome import Outcome
from smos.settings import Settings
from smos.stages import Foreseen

MARKS = {stages.DONE: "✓", stages.NOTHING: "✓", stages.FAILED: "✗", stages.STOPPED: "✗", stages.UNAVAILABLE: "!"}


def ahead(found: Sequence[Foreseen], settings: Settings) -> None:
    """What a person is asked to agree to, on stderr."""
    if not settings.as_json and not settings.yes and sys.stdin.isatty():
        sys.stderr.write("\n".join(plan_view.lines(found)) + "\n")


def show(outcome: Outcome) -> None:
    """Print the stages and, in one line, the whole."""
    sys.stdout.write("\n".join(lines(outcome.result, changed=outcome.changed, failed=bool(outcome.errors))) + "\n")


def lines(result: Mapping[str, Any], *, changed: bool, failed: bool) -> list[str]:
    """The result, line by line."""
    told = [deploy_work.heading(result)]
    if result.get("backup"):
        told.append(_("backup {backup} was made first").format(backup=result["backup"]))
    for row in result["stages"]:
        mark, took = MARKS.get(row["state"], "-"), f"{row['duration_s']:.1f} s"
        message = "" if row["state"] == stages.UNAVAILABLE else row["message"]
        told.append(f"{mark} {row['stage']:<10} {row['state']:<13} {took:>8}  {message}".rstrip())
    away = [row for row in result["stages"] if row["state"] == stages.UNAVAILABLE]
    if away:  # the reason is the same for all of them
        names = ", ".join(row["stage"] for row in away)
        told.append(_("not run here: {names} ({why})").format(names=names, why=away[0]["message"]))
    if not failed:
        told.append(_("changed") if changed else _("nothing to change"))
    return told
