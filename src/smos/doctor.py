"""`smos doctor`: what this machine and this environment lack before a command finds out. Only reads."""

from __future__ import annotations

import gettext
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from smos import doctor_checks, exitcodes, work
from smos.doctor_checks import FAIL, OK, WARN, Finding
from smos.lang import Said
from smos.outcome import Outcome, Speaker
from smos.project import Project
from smos.settings import Settings

MARKS = {OK: "✓", WARN: "!", FAIL: "✗"}
LookUp = Callable[[str], str]


def carry_out(settings: Settings) -> int:
    """Look at everything and tell; gives the exit code: 0, or 3 where something would stop a command."""
    project = work.project_for(settings)
    findings = _found(settings, project)
    look_up: LookUp = str if settings.as_json else gettext.gettext
    rows = [row(each, look_up) for each in findings]
    errors = tuple(_error(each) for each in rows if each["state"] == FAIL)
    outcome = Outcome({"checks": rows}, errors, code=exitcodes.UNUSABLE if errors else exitcodes.DONE)
    return Speaker("doctor", settings.env, settings.as_json).finish(outcome, lambda: show(outcome))


def _found(settings: Settings, project: Project) -> list[Finding]:
    """What all checks find, in their order. The machine's is a play, which needs the main thread for its signals."""
    checks = doctor_checks.ALL
    with ThreadPoolExecutor(len(checks)) as pool:
        others = {
            check: pool.submit(lambda check: list(check(settings, project)), check)
            for check in checks
            if check is not doctor_checks.machine
        }
        machine = list(doctor_checks.machine(settings, project))
    return [each for check in checks for each in (others[check].result() if check in others else machine)]


def row(finding: Finding, look_up: LookUp) -> dict[str, str]:
    """A finding in the words that ``look_up`` gives."""

    def said(text: Said | None) -> str:
        return text.by(look_up) if text else ""

    return {
        "what": finding.what,
        "state": finding.state,
        "message": said(finding.message),
        "next": said(finding.next),
        "command": finding.command,
    }


def show(outcome: Outcome) -> None:
    """Print each finding on a line, and what to do about it below; what fails has its own words in the end."""
    for each in outcome.result["checks"]:
        print(f"{MARKS[each['state']]} {each['what']:<14} {each['message']}")
        if each["state"] == WARN:
            for line in (each["next"], f"$ {each['command']}"):
                print(f"  {'':<14} {line}")


def _error(told: Mapping[str, Any]) -> dict[str, str]:
    return {"what": told["what"], "where": "", "why": told["message"], "next": f"{told['next']}: {told['command']}"}
