# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The panel's commands in the run history, beside the runs that came of them; both tell for whom it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from smos import records
from smos.mcp.command import Commands


@dataclass(frozen=True)
class History:
    """The records of one environment."""

    book: records.Records
    env: str

    def begin(self, line: str, who: str, acts: bool) -> str:
        """Note down that a command begins; gives the id of its record."""
        run = records.new_id()
        words = ["panel", *line.split(), *(["confirmed"] if acts else [])]
        self.book.begin(run, f"{records.PANEL}{words[1]}", self.env, words, behalf(who))
        return run

    def end(self, run: str, name: str, document: Mapping[str, Any], took: float) -> None:
        """Complete the record. Of a run that the command made, its id is kept: that one tells the rest."""
        kept = {
            "command": f"{records.PANEL}{name}",
            "ok": document["ok"],
            "changed": document["changed"],
            "duration_s": took,
            "result": {"run": document["run"], "exit_code": document["exit_code"]},
            "errors": document["errors"],
        }
        self.book.end(run, kept, [], "done" if document["ok"] else "failed")

    def on_behalf(self, commands: Commands, who: str) -> Commands:
        """Commands whose records tell for whom they are."""
        return replace(commands, environ={**commands.environ, records.BEHALF: behalf(who)})


def behalf(who: str) -> str:
    """Who gave the command, as records show it."""
    return f"{records.PANEL}{who}"
