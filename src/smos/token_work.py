"""`smos test`: run the playbook that asks the providers, and show what their tokens are good for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from gettext import gettext as _
from typing import Any

from smos import exitcodes, play, view, work
from smos.outcome import Outcome, Speaker
from smos.settings import Settings

ACTION = f"{play.COLLECTION}token_check"
WIDE = 1000  # characters
GOOD, BAD, LEFT_OUT = "[green]✓[/]", "[red]✗[/]", "[yellow]![/]"


class Told:
    """Listens to a play and keeps what the action said of the tokens."""

    def __init__(self, onward: view.View) -> None:
        self.tokens: dict[str, Any] = {}
        self.code: int | None = None
        self._onward = onward

    def take(self, event: play.Event) -> None:
        """One event of the run."""
        self._onward.take(event)
        data = event.get("event_data", {})
        if event["event"] in ("runner_on_ok", "runner_on_failed") and ACTION in (
            data.get("resolved_action"),
            data.get("task_action"),
        ):
            result = data.get("res") or {}
            self.tokens = dict(result.get("providers") or {})
            self.code = result.get("exit_code")


def carry_out(names: Sequence[str], settings: Settings) -> int:
    """Ask these providers, or all of the catalogue, and tell; gives the exit code. Nothing is recorded: it only reads."""
    speaker = Speaker("test", settings.env, settings.as_json)
    project = work.project_for(settings)
    work.ready_sandbox(settings, project)
    quiet = settings.quiet or settings.verbose > 0 or settings.as_json or not sys.stderr.isatty()
    lines = view.View(f"test the tokens of {settings.env}", quiet, warnings=not settings.quiet)
    told = Told(lines)
    wish = play.Play("test_tokens.yml", "", {"token_providers": list(names)}, settings.limit)
    with lines:
        played = play.run(wish, project, settings, told.take)
    code = told.code if told.code is not None and played.code != exitcodes.INTERRUPTED else played.code
    outcome = Outcome({"tokens": told.tokens}, tuple(played.errors), code=code)
    return speaker.finish(outcome, lambda: show(outcome))


def show(outcome: Outcome) -> None:
    """Print the verdicts as a table; below it, what an optional provider without a token would need."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ansible_collections.smartercl.smarteros.plugins.module_utils.tokens import next_step

    tokens = outcome.result["tokens"]
    if not tokens:
        return
    failed = {error["what"] for error in outcome.errors}
    heads = (_("provider"), _("state"), _("account"), _("expires"), _("message"))
    table = Table("", *heads, box=None, pad_edge=False, header_style="dim")
    for provider, verdict in tokens.items():
        message = verdict["message"]
        if verdict["missing_scopes"]:
            message += " (" + _("it lacks {scopes}").format(scopes=", ".join(verdict["missing_scopes"])) + ")"
        cells = [provider, verdict["state"], verdict["account"], verdict["expires"][:10], message]
        mark = GOOD if verdict["state"] == "valid" else BAD if provider in failed else LEFT_OUT
        table.add_row(mark, *map(escape, cells))
    console = Console(highlight=False)
    if not console.is_terminal:  # a file or a pipe takes a line for each, however long it is
        console.width = WIDE
    console.print(table)
    for provider, verdict in tokens.items():
        if verdict["state"] == "missing" and provider not in failed:
            following = next_step(provider, "missing")
            told = _("{provider} is optional. To use it: {next}").format(provider=provider, next=following)
            console.print(told, markup=False)
