"""`smos notify`: have a text sent to the admin, and tell on which ways it went out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from smos import exitcodes, play, tenant_work, work
from smos.outcome import Outcome, Speaker, failure
from smos.settings import Settings

ACTION = "admin_notice"


def carry_out(text: str, channels: Sequence[str], settings: Settings) -> int:
    """Send it on these ways, or on all; gives the exit code. Raises Failure."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_ways import NAMES

    for name in channels:
        if name not in NAMES:
            why, following = "there is no such way to the admin", f"Choose from {', '.join(NAMES)}"
            raise failure(exitcodes.INVALID, f"--via {name}", why, "", following)
    job = work.Job(
        command="notify",
        playbook="notify.yml",
        title=f"notify the admin of {settings.env}",
        variables={"notice_text": text, "notice_channels": list(channels)},
        result=_result,
    )
    return work.carry_out(job, settings, Speaker("notify", settings.env, settings.as_json), _show)


def _result(played: play.Played) -> dict[str, Any]:
    found = [result["channels"] for action, result in played.results if action == ACTION and "channels" in result]
    return {"channels": dict(found[-1]) if found else {}}


def _show(outcome: Outcome) -> None:
    if "changes" in outcome.result:
        tenant_work.show_changes(outcome.result["changes"])
    for name, went in outcome.result.get("channels", {}).items():
        sys.stdout.write(f"{'✓' if went else '✗'} {name}\n")
