# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Tell people what is wrong on this machine, after each pass of the collector; and tell a service elsewhere that it passed.

A message counts as failed from before it is sent until it is known to have gone out. So a collector that is killed in
between tries again later, ever more seldom, and neither forgets nor floods.
"""

from __future__ import annotations

import threading
import time
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_text, notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_text import News
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_ways import Unsent
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import (
    alerts_plan,
    alerts_rules,
    alerts_state,
    alerts_text,
    kept,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_plan import Alert
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_rules import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_state import Memory, State
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.config import Config
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import Incident

FOLDERS = (kept.FOLDER, kept.SPARE)
FILE = "alerts.json"
WHOLE_S = 25.0  # for one message; a mail alone takes several answers
JOB = "alerts"


@dataclass(frozen=True)
class Setting:
    """What telling needs. ``ways`` are the settings of each by its name, contact/channel."""

    environment: str
    language: str
    rules: Rules
    ways: Mapping[str, Mapping[str, t.Any]]


def tell(
    incidents: Sequence[Incident],
    config: Config,
    now: float,
    folders: Sequence[Path] = FOLDERS,
    file: str = FILE,
) -> list[str]:
    """Tell everybody what is new to him; gives what was told and what could not be, for the machine's log.

    ``incidents`` are all open ones and those closed in the last 24 hours. Never raises for a way. Raises OSError where
    what was told can be kept nowhere: nothing is sent then.
    """
    if not config.alerts.get("ways"):
        return ["nobody is told of incidents: no way to the admin is configured"] if incidents else []
    try:
        setting = _setting(config)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        return [f"nobody is told of incidents: the rules cannot be used ({type(exc).__name__}); deploy them anew"]
    memory = Memory(file, folders)
    known, said = _remembered(memory)
    alerts, after = alerts_plan.plan(incidents, known, setting.rules, now)
    if alerts:
        begun = alerts_plan.settled(after, alerts, [each.way for each in alerts], now)
        memory.write(alerts_state.as_json(begun))
        failed = _sent(alerts, setting)
        said += [_told(each, failed.get(each.way, "")) for each in alerts]
        after = alerts_plan.settled(after, alerts, failed, now)
    if alerts or after != known or said:
        memory.write(alerts_state.as_json(after))
    return said


def ping(config: Config) -> list[str]:
    """Tell the service that waits for it that a pass was made; gives what went wrong, for the machine's log."""
    path = config.alerts.get("ping_file")
    if not path:
        return []
    try:
        notice_ways.ping(notice_ways.secret_in(str(path)))
    except Unsent as exc:
        return [f"ping: {exc}; tried again with the next pass"]
    return []


def _setting(config: Config) -> Setting:
    found = config.alerts
    rules = alerts_rules.of(found["rules"], config.zone)
    language = str(found.get("language") or notice_text.SPANISH)
    return Setting(config.environment, language, rules, found["ways"])


def _remembered(memory: Memory) -> tuple[State, list[str]]:
    """What was told so far; nothing where nobody can say."""
    found, broken = memory.read()
    if found is not None:
        try:
            return alerts_state.of_json(found), []
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            broken = True
    return State(), ["what was told could not be read and is begun anew: what is open is told again"] if broken else []


def _told(alert: Alert, why: str) -> str:
    subjects = len(alert.items)
    if why:
        return f"{alert.way}: could not be told of {subjects}: {why}; tried again later"
    return f"{alert.way}: told of {subjects}"


# --- sending


def _sent(alerts: Sequence[Alert], setting: Setting) -> dict[str, str]:
    """Why it failed, by way. All are sent at once, and one that hangs keeps nobody."""
    threads: dict[str, tuple[threading.Thread, list[str]]] = {}
    for each in alerts:
        outcome: list[str] = []
        thread = threading.Thread(target=_hand_over, args=(each, setting, outcome), name=each.way, daemon=True)
        threads[each.way] = (thread, outcome)
        thread.start()
    ends = time.monotonic() + WHOLE_S
    failed = {}
    for name, (thread, outcome) in threads.items():
        thread.join(max(0.0, ends - time.monotonic()))
        why = outcome[0] if outcome else f"no answer within {WHOLE_S:g} s"
        if why:
            failed[name] = why
    return failed


def _hand_over(alert: Alert, setting: Setting, outcome: list[str]) -> None:
    """In a thread: send one message. The outcome is why it failed, empty where it did not."""
    try:
        words = alerts_text.words(alert, setting.environment, setting.rules, setting.language)
        since = min(each.opened for each in alert.items)
        news = News(alerts_text.state_of(alert), JOB, words.line, since, setting.environment)
        channel = alert.way.partition("/")[2]
        notice_ways.way_of(channel, setting.ways[alert.way]).send(news, words)
        outcome.append("")
    except Unsent as exc:
        outcome.append(str(exc))
    except Exception as exc:  # noqa: BLE001 - no way may end the pass; the text of an unknown exception may hold a secret
        outcome.append(f"an unforeseen {type(exc).__name__}")
