# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A message as a person reads it: grouped, in one line for chat programs, in full for mail. Pure.

Names and reasons are data: what could break the line, look like markup or lead somewhere is taken out of them.
"""

from __future__ import annotations

import typing as t
from collections.abc import Sequence
from datetime import datetime

from ansible_collections.smartercl.smarteros.plugins.module_utils import plain_text
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_text
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_text import SPANISH, Words
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_plan import (
    NEW,
    OVER,
    RECOVERED,
    REMINDED,
    UNSTEADY,
    WORSE,
    Alert,
    Item,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_rules import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import CRITICAL, WARNING

LINE = 860  # characters; a template of WhatsApp has its own words around it, and 1,024 in all
WHAT = 90  # characters of a reason
ONE_BY_ONE = 3  # of a kind; more are counted, and the first named
LINES = 200  # of a mail
AGED_S = 900.0  # from when on something new is told with its age: to who comes second, or heard of it late
READ = 200  # characters of what others gave that are looked at: patterns take long over more

_HEADS: t.Mapping[str, t.Mapping[str, str]] = {
    "es": {
        CRITICAL: "CRÍTICO",
        WARNING: "Aviso",
        WORSE: "Empeoró",
        UNSTEADY: "Inestable",
        REMINDED: "Sigue sin resolverse",
        OVER: "Ya pasó",
        RECOVERED: "Resuelto",
    },
    "en": {
        CRITICAL: "CRITICAL",
        WARNING: "Warning",
        WORSE: "Worse",
        UNSTEADY: "Unsteady",
        REMINDED: "Still open",
        OVER: "Over already",
        RECOVERED: "Resolved",
    },
}
_KINDS: t.Mapping[str, t.Mapping[str, str]] = {
    "es": {
        "tenant": "tiendas",
        "service": "servicios",
        "host": "medidas de la máquina",
        "certificate": "certificados",
        "token": "tokens",
        "backup": "respaldos",
    },
    "en": {
        "tenant": "shops",
        "service": "services",
        "host": "figures of the machine",
        "certificate": "certificates",
        "token": "tokens",
        "backup": "backups",
    },
}
_WORDS: t.Mapping[str, t.Mapping[str, str]] = {
    "es": {
        "for": "{title} (desde hace {age})",
        "took": "{title} (duró {age})",
        "times": "{title} ({times} veces)",
        "new": "{title}: {what}",
        "many": "{count} {kind}: {names} y {more} más",
        "things": "asuntos",
        "cut": "… y más; está todo en smos status",
        "count_critical": "{count} crítico|{count} críticos",
        "count_warning": "{count} aviso|{count} avisos",
        "count_well": "{count} resuelto|{count} resueltos",
        "place": "SmarterOS, ambiente {environment}",
        "since": "desde el {moment}",
        "rest": "… y {count} más",
        "next": "Revisa el estado con: smos status --env {environment}",
    },
    "en": {
        "for": "{title} (for {age})",
        "took": "{title} (lasted {age})",
        "times": "{title} ({times} times)",
        "new": "{title}: {what}",
        "many": "{count} {kind}: {names} and {more} more",
        "things": "things",
        "cut": "… and more; all of it is in smos status",
        "count_critical": "{count} critical|{count} critical",
        "count_warning": "{count} warning|{count} warnings",
        "count_well": "{count} resolved|{count} resolved",
        "place": "SmarterOS, environment {environment}",
        "since": "since {moment}",
        "rest": "… and {count} more",
        "next": "Look at the state with: smos status --env {environment}",
    },
}


def words(alert: Alert, environment: str, rules: Rules, language: str = SPANISH) -> Words:
    """The message at three lengths; Spanish where the language is not known."""
    speaker = _Speaker(language if language in _HEADS else SPANISH, alert.at)
    sections = _sections(alert.items)
    line = speaker.line(sections)
    subject = line if len(alert.items) == 1 else speaker.counts(alert.items)
    body = speaker.letter(sections, environment, rules)
    return Words(f"SmarterOS {environment}: {_cut(subject, 120)}", line, body)


def state_of(alert: Alert) -> str:
    """The worst of what a message tells, for programs."""
    bad = [each.severity for each in alert.items if each.phase not in (OVER, RECOVERED)]
    return (CRITICAL if CRITICAL in bad else WARNING) if bad else RECOVERED


def lasting(seconds: float) -> str:
    """A span of time as a person says it."""
    minutes = max(0, round(seconds / 60))
    if minutes < 90:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 72 else f"{round(hours / 24)} d"


Section = tuple[str, Sequence[Item]]


def _sections(items: Sequence[Item]) -> list[Section]:
    """Items under their heads, in their order."""
    found: dict[str, list[Item]] = {}
    for each in items:
        found.setdefault(each.severity if each.phase == NEW else each.phase, []).append(each)
    return list(found.items())


class _Speaker:
    """In one language, at one moment."""

    def __init__(self, language: str, now: float) -> None:
        self._heads, self._kinds, self._words = _HEADS[language], _KINDS[language], _WORDS[language]
        self._now = now

    def line(self, sections: Sequence[Section]) -> str:
        """All in one line, as far as it fits: counts come first where there is more than one thing."""
        items = [each for _head, part in sections for each in part]
        said = f"{self.counts(items)}." if len(items) > 1 else ""
        for head, part in sections:
            pieces = self._pieces(part)
            for position, piece in enumerate(pieces):
                before = f" {self._heads[head]}: " if position == 0 else "; "
                longer = f"{said}{before}{piece}".strip()
                if len(longer) + len(self._words["cut"]) > LINE:
                    return f"{said}{self._words['cut']}"
                said = longer
            said = f"{said}."
        return said.rstrip(".")

    def counts(self, items: Sequence[Item]) -> str:
        """How many of what."""
        well = sum(1 for each in items if each.phase in (OVER, RECOVERED))
        bad = [each.severity for each in items if each.phase not in (OVER, RECOVERED)]
        numbers = {"critical": bad.count(CRITICAL), "warning": bad.count(WARNING), "well": well}
        forms = {name: self._words[f"count_{name}"].split("|") for name in numbers}
        return ", ".join(forms[name][count != 1].format(count=count) for name, count in numbers.items() if count)

    def letter(self, sections: Sequence[Section], environment: str, rules: Rules) -> str:
        """All of it, a line each, as far as a person reads."""
        lines, room = [], LINES
        for head, part in sections:
            lines += ["", f"{self._heads[head]}:"] if room > 0 else []
            lines += [self._row(each, rules) for each in part[: max(room, 0)]]
            room -= len(part)
        if room < 0:
            lines.append(self._words["rest"].format(count=-room))
        place, following = (self._words[name].format(environment=environment) for name in ("place", "next"))
        return "\n".join([place, *lines, "", following, ""])

    def _row(self, item: Item, rules: Rules) -> str:
        moment = datetime.fromtimestamp(item.opened, rules.zone).strftime("%Y-%m-%d %H:%M")
        what = f": {_what(item)}" if item.phase not in (NEW, WORSE) and item.what else ""
        return f"- {self._piece(item)}{what} ({self._words['since'].format(moment=moment)})"

    def _pieces(self, items: Sequence[Item]) -> list[str]:
        """Kind by kind: few one by one, many as a number with some names."""
        kinds: dict[str, list[Item]] = {}
        for each in items:
            kinds.setdefault(each.kind, []).append(each)
        found = []
        for kind, part in kinds.items():
            if len(part) <= ONE_BY_ONE:
                found += [self._piece(each) for each in part]
                continue
            names = ", ".join(_title(each) for each in part[:ONE_BY_ONE])
            values = {"count": len(part), "kind": self._kinds.get(kind, self._words["things"]), "names": names}
            found.append(self._words["many"].format(**values, more=len(part) - ONE_BY_ONE))
        return found

    def _piece(self, item: Item) -> str:
        title = _title(item)
        if item.phase in (NEW, WORSE):
            said = self._words["new"].format(title=title, what=_what(item)) if _what(item) else title
            age = self._now - item.opened
            return said if age < AGED_S else self._words["for"].format(title=said, age=lasting(age))
        if item.phase == UNSTEADY:
            return self._words["times"].format(title=title, times=item.times)
        if item.phase == REMINDED:
            return self._words["for"].format(title=title, age=lasting(self._now - item.opened))
        title = self._words["times"].format(title=title, times=item.times) if item.times > 1 else title
        return self._words["took"].format(title=title, age=lasting((item.ended or self._now) - item.opened))


def _title(item: Item) -> str:
    return plain_text.plain(notice_text.plain(item.title[:READ])) or plain_text.plain(item.subject)


def _what(item: Item) -> str:
    return plain_text.plain(notice_text.plain(item.what[:READ]), WHAT)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
