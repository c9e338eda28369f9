# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How the machine and everything on it are, right now: all questions at the same time."""

from __future__ import annotations

import calendar
import re
import time
import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger, probe, stack_state, vps_look
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, config, job
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.catalogue import LOCAL
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock

UP, DEGRADED, DOWN, UNKNOWN = "up", "degraded", "down", "unknown"
HOUR_S, DAY_S = 3600, 86400
_MOMENT, _ID = "%Y-%m-%dT%H:%M:%SZ", "%Y%m%d-%H%M%S"
SELF_MADE = b"TRAEFIK DEFAULT CERT"
# The two times of a certificate's validity, one after the other (RFC 5280, 4.1.2.5): UTCTime or GeneralizedTime
_VALIDITY = re.compile(rb"\x30.(?:\x17\x0d\d{12}Z|\x18\x0f\d{14}Z)(?:\x17\x0d(\d{12})Z|\x18\x0f(\d{14})Z)", re.DOTALL)

Json = dict[str, t.Any]


def status(engine: Engine, questions: t.Mapping[str, probe.Question], timeout_s: float) -> Json:
    """Services by id, host, certificates by name, release and lock. ``questions`` are asked through the reverse proxy."""
    answers = probe.ask_all(questions, timeout_s)
    about = vps_look.engine(engine)
    stacks = stack_state.look(engine) if about["manager"] else {}
    services = {name: _service(name, stack, answers.get(name)) for name, stack in stacks.items()}
    for name in questions:
        services.setdefault(name, _row(UNKNOWN, "", None, "it is not deployed"))
    last = ledger.read()[-1:]
    return {
        "services": services,
        "host": {**vps_look.host(), "engine": about["version"]},
        "certificates": {
            questions[name].host: certificate(answer.certificate, time.time())
            for name, answer in answers.items()
            if answer.certificate
        },
        "release": last[0]["release"] if last else "",
        "deployed_at": last[0]["at"] if last else "",
        "lock": TargetLock().holder(),
        "backups": backups(time.time(), here=stacks),
    }


def backups(
    now: float,
    configuration: Path = config.PATH,
    last: Path = job.LAST,
    verified: Path = catalogue.VERIFIED,
    here: t.Collection[str] = (),
) -> Json:
    """The newest backup that is good, and what fails; from the files that the jobs leave, so that no repository is asked.

    Each service has a newest one, and the oldest of those counts: the backup of a single service makes the others no younger.
    Empty where the machine was not set up for backups. ``location``: the places in which it was seen whole; ``here``: what
    runs on this machine.
    """
    if not configuration.is_file():
        return {}
    entries = job.read_last(last)
    held = entries.get(job.BACKUP, {}).get("held") or {}
    wanted, errors = _wanted(configuration, here)
    good = min((str(held[name]) for name in wanted or held if name in held), default="")
    lacking = [name for name in wanted if name not in held] if held else []
    drilled = _age_s((entries.get(job.DRILL, {}).get("good") or {}).get("at", ""), _MOMENT, now)
    places = catalogue.seen_sound(verified)
    age = _age_s(good, _ID, now)
    return {
        "last": good,
        "age_h": None if age is None else round(age / HOUR_S, 1),
        "verified": bool(good),
        "location": [LOCAL, *(name for name in places if name != LOCAL and good in places[name])] if good else [],
        "drill_age_d": None if drilled is None else round(drilled / DAY_S, 1),
        "errors": [
            *errors,
            *(_failed(name, each) for name, each in sorted(entries.items()) if not each.get("ok")),
            *(_lacking(name) for name in lacking),
        ],
    }


def _wanted(configuration: Path, here: t.Collection[str]) -> tuple[list[str], list[Json]]:
    """The services that run here and are backed up; with why that is not known."""
    try:
        return [name for name in config.read(configuration).services if name in here], []
    except config.ConfigError as exc:
        return [], [row("backups", str(exc), "", "smos deploy backend writes it anew")]


def _lacking(name: str) -> dict[str, str]:
    return row(f"backups: {name}", "it runs here, and no good backup holds it yet", "", f"smos backup {name}")


def _failed(name: str, entry: Json) -> dict[str, str]:
    why = f"the {name} of {entry.get('at', 'a time that is not known')} failed: {entry.get('message', '')}"
    return row(f"backups: {name}", why, "", "`journalctl -u 'smos-backup*'` on the machine tells more")


def _age_s(moment: t.Any, form: str, now: float) -> float | None:
    """How long ago a moment was, as the machine writes it down; None for what is none."""
    try:
        return max(0.0, now - calendar.timegm(time.strptime(str(moment), form)))
    except ValueError:
        return None


def _service(name: str, stack: t.Sequence[stack_state.Running], answer: probe.Probe | None) -> Json:
    told = stack_state.told(stack)
    image = next(iter(told["images"].values()), "")
    version = image.partition("@")[0].rpartition(":")[2]
    ill = [f"{each}: {one['error'] or 'not running'}" for each, one in told["containers"].items() if not one["running"]]
    if told["state"] == DOWN:
        return _row(DOWN, version, answer, "; ".join(ill))
    wrong = probe.what_is_wrong(name, answer) if answer and told["routed"] else ""
    message = "; ".join([*ill, *([wrong] if wrong else [])])
    if answer and told["routed"] and not answer.answers:
        return _row(DOWN if answer.status == 0 else DEGRADED, version, answer, message)
    return _row(told["state"] if not wrong else DEGRADED, version, answer, message)


def _row(state: str, version: str, answer: probe.Probe | None, message: str) -> Json:
    return {
        "state": state,
        "latency_ms": answer.latency_ms if answer and answer.status else None,
        "version": version,
        "message": message,
    }


def certificate(der: bytes, now: float) -> Json:
    """When a certificate ends, and whether it is the reverse proxy's own, shown where no real one could be had."""
    found = _VALIDITY.search(der)
    if not found:
        return {"expires": "", "days": None, "self_made": SELF_MADE in der}
    text = (found[1] and _century(found[1]) + found[1].decode()) or found[2].decode()
    ends = calendar.timegm(time.strptime(text, "%Y%m%d%H%M%S"))
    return {
        "expires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends)),
        "days": int((ends - now) // DAY_S),
        "self_made": SELF_MADE in der,
    }


def _century(digits: bytes) -> str:
    return "20" if int(digits[:2]) < 50 else "19"
