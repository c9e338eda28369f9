# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The stages of a whole deploy, and what a check of them comes to. Pure: nothing here runs or reads anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from smos import deploy_work, exitcodes, frontend_work, play
from smos.redact import STARS, is_secret

ALL = "all"
ACTIONS = ("create", "update", "delete")
# What a stage came to. Of a check: pending, nothing, unavailable, failed, stopped
PENDING, NOTHING, UNAVAILABLE, FAILED, STOPPED = "pending", "nothing to do", "unavailable", "failed", "stopped"
# Of a deploy besides
DONE, SKIPPED, NOT_RUN = "done", "skipped", "not run"
DNS_ROW = "DNS"  # where a name that does not lead to the machine is at fault, as deploy_preflight says

Row = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One playbook of a deploy. ``service`` is whose the changes are that name none; ``variable`` takes the release."""

    name: str
    title: str
    playbook: str
    service: str
    on_machine: bool = False
    keeps_books: bool = False
    """Whether it writes down more than a check can foresee (a ledger, a tenant's status), and so always runs."""
    variable: str = ""


DNS = Stage("dns", "DNS of the zone", "zone.yml", "cloudflare")
BACKEND = Stage("backend", "services on the machine", "deploy.yml", "host", True, True, "deploy_release")
MIGRATIONS = Stage("migrations", "database of the tenants", "migrate.yml", "supabase")
FRONTEND = Stage("frontend", "frontends", "deploy_frontend.yml", "vercel", variable="deploy_release")
TENANTS = Stage("tenants", "tenants", "apply_tenants.yml", "registry", keeps_books=True)
PLANNED = (DNS, BACKEND, MIGRATIONS, FRONTEND, TENANTS)
"""Those that a check foresees, in the order in which a deploy runs them."""

# Beside them a deploy has these
PREFLIGHT, BACKUP, HEALTH, NOTICE = "preflight", "backup", "health", "notice"
NAMES = (BACKUP, *(each.name for each in PLANNED), HEALTH, NOTICE)
"""What may be skipped, in the order of a deploy."""
PARTS = (ALL, *(each.name for each in PLANNED))


def of_part(part: str) -> tuple[Stage, ...]:
    """The stages that `smos plan PART` looks at."""
    return tuple(each for each in PLANNED if part in (ALL, each.name))


@dataclass(frozen=True)
class Foreseen:
    """What a check of a stage found. ``previous`` is the release that runs; None where that is not known."""

    stage: Stage
    state: str
    changes: tuple[Row, ...] = ()
    errors: tuple[Mapping[str, str], ...] = ()
    code: int = exitcodes.DONE
    seconds: float = 0.0
    message: str = ""
    release: str = ""
    previous: str | None = None
    services: Mapping[str, Row] = field(default_factory=dict)

    def as_row(self) -> Row:
        """The row of `stages` in a result; it names no change, those stand in `changes`."""
        return {
            "stage": self.stage.name,
            "state": self.state,
            "changes": counts(self.changes),
            "duration_s": round(self.seconds, 3),
            "message": self.message or "; ".join(row["why"] for row in self.errors[:1]),
        }


def foreseen(stage: Stage, played: play.Played, seconds: float) -> Foreseen:
    """Read a play in check mode."""
    told = _releases(stage, played)
    changes = tuple(complete(change, stage) for change in played.changes)
    if played.interrupted:
        state = STOPPED
    elif played.code != exitcodes.DONE or played.errors:
        state = FAILED
    else:
        state = PENDING if changes else NOTHING
    code = exitcodes.FAILED if state == FAILED and played.code == exitcodes.DONE else played.code
    return Foreseen(stage, state, changes, tuple(played.errors), code, seconds, **told)


def unavailable(stage: Stage, why: str) -> Foreseen:
    """A stage that cannot be looked at here, which is no fault."""
    return Foreseen(stage, UNAVAILABLE, message=why)


def _releases(stage: Stage, played: play.Played) -> Row:
    if stage not in (BACKEND, FRONTEND):
        return {}
    work = deploy_work if stage is BACKEND else frontend_work
    found = work.result_of(played)
    known = [result["previous"] for action, result in played.results if "previous" in result]
    previous = str(known[-1]) if known else None
    return {"release": found["release"], "previous": previous, "services": found["services"]}


def complete(change: Mapping[str, Any], stage: Stage) -> Row:
    """A change with all keys of the contract, and no secret's value."""
    empty = {"service": stage.service, "tenant": None, "action": "update", "what": "", "before": None, "after": None}
    found = {**empty, **change}
    if is_secret(str(found["what"])):
        found.update({key: STARS for key in ("before", "after") if isinstance(found[key], str) and found[key]})
    return found


def counts(changes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many there are of each action."""
    found = Counter(change["action"] for change in changes)
    return {action: found[action] for action in ACTIONS}


def code_of(found: Sequence[Foreseen], pending: int = exitcodes.DONE) -> int:
    """What a check of these ends with: the least of the failures' codes, else ``pending`` where something changes."""
    codes = [each.code for each in found if each.state in (FAILED, STOPPED)]
    if exitcodes.INTERRUPTED in codes:
        return exitcodes.INTERRUPTED
    if codes:
        return min(codes)
    return pending if any(each.changes for each in found) else exitcodes.DONE


# --- what an earlier stage of the same deploy will put right


def held_back(error: Mapping[str, str], stage: Stage, others: Mapping[str, Foreseen]) -> str:
    """The stage that sees to what this error of ``stage`` is about; empty where none does.

    A name that does not resolve may be what stage dns is about to make. A tenant's service on the machine does not
    answer before it is deployed.
    """
    dns, backend = others.get(DNS.name), others.get(BACKEND.name)
    if stage is BACKEND and dns and error["where"] == DNS_ROW and _is_made(error["what"], dns.changes):
        return DNS.name
    deployed = {change["service"] for change in backend.changes} if backend else set()
    return BACKEND.name if stage is TENANTS and error["what"] in deployed else ""


def _is_made(name: str, changes: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one of these changes makes or corrects a record of this name, or of all names beside it."""
    wild = f"*.{name.partition('.')[2]}"
    words = {
        word
        for change in changes
        if change["action"] != "delete"
        for word in re.split(r"[\s,;:()]+", str(change["what"]))
    }
    return bool({name, wild} & words)


def is_tenants_own(found: Foreseen) -> bool:
    """Whether single tenants will fail: they fail alone, then as now, and are no reason to hold up the rest.

    What concerns all of them (input, providers, locks) is refused with a code of its own.
    """
    return found.stage is TENANTS and found.code == exitcodes.FAILED


def judged(found: Sequence[Foreseen]) -> tuple[list[Mapping[str, str]], int, list[str]]:
    """(problems that stand against beginning, their exit code, notices about what is held back)."""
    others = {each.stage.name: each for each in found}
    problems: list[Mapping[str, str]] = []
    codes: list[int] = []
    notices: list[str] = []
    for each in found:
        against = []
        for error in each.errors:
            sees_to_it = held_back(error, each.stage, others)
            if sees_to_it:
                notices.append(f"{error['what']}: {error['why']}; stage {sees_to_it} sees to it")
            elif is_tenants_own(each):
                notices.append(f"{error['what']} will fail: {error['why']}")
            else:
                against.append(error)
        if against:
            problems += [row for row in against if row not in problems]
            codes.append(each.code if each.code != exitcodes.FAILED else exitcodes.UNUSABLE)
    return problems, min(codes, default=exitcodes.DONE), notices
