"""`smos validate` and `smos history`: looks that change nothing."""

from __future__ import annotations

import os
from gettext import gettext as _
from typing import Annotated, Any

import typer

from smos import exitcodes
from smos.cli import complete
from smos.outcome import Outcome, Speaker, failure
from smos.settings import Settings


def validate(ctx: typer.Context) -> int:
    """Judge all specs: schema and rules across files; each mistake with file, line, key and rule.

    Example: smos validate --specs ../our-specs
    """
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules
    from smos import work

    settings: Settings = ctx.obj
    project = work.project_for(settings)
    mistakes = rules.judge_specs(project.specs_dir, settings.env)
    errors = tuple(mistake.as_error() for mistake in mistakes)
    outcome = Outcome({"mistakes": len(errors)}, errors, code=exitcodes.INVALID if errors else exitcodes.DONE)

    def human() -> None:
        told = _("{count} mistakes in {folder}") if errors else _("{folder} is valid")
        print(told.format(count=len(errors), folder=project.specs_dir))

    return Speaker("validate", settings.env, settings.as_json).finish(outcome, human)


def history(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(help="The id of a run; without it, the newest runs are listed.", autocompletion=complete.runs),
    ] = None,
    limit: Annotated[int, typer.Option("--last", help="How many runs to list.")] = 20,
) -> int:
    """List the runs, or show one: who, what, arguments, changes, result, duration.

    Example: smos history 20261122-093000-a1b2
    """
    from smos import records, work
    from smos.redact import Redactor

    settings: Settings = ctx.obj
    book = records.Records(work.project_for(settings).state_dir, Redactor(os.environ))
    speaker = Speaker("history", settings.env, settings.as_json)
    if run is None:
        rows = list(book.all(limit))
        return speaker.finish(Outcome({"runs": rows}), lambda: _list(rows))
    try:
        record = book.read(run)
    except FileNotFoundError:
        raise failure(
            exitcodes.INVALID, f"run {run}", "there is no such record", str(book.folder), "See `smos history`"
        ) from None
    return speaker.finish(Outcome({"run": record}), lambda: _show(record))


def _list(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        took = f"{row['duration_s']:.1f} s" if "duration_s" in row else ""
        print(f"{row['run']}  {row['state']:<12} {took:>8}  {row['env']:<10} {row['command']:<14} {row['who']}")
    if not rows:
        print(_("no runs yet"))


def _show(record: dict[str, Any]) -> None:
    for key in ("run", "state", "command", "env", "who", "started_at", "ended_at", "duration_s"):
        if key in record:
            print(f"{key + ':':<12} {record[key]}")
    print(f"{'arguments:':<12} {' '.join(record['arguments'])}")
    for change in record.get("changes", []):
        print(f"  {change['action']:<7} {change['service']:<12} {change['what']}")
    for error in record.get("errors", []):
        print(f"  error   {error['what']}: {error['why']}")
