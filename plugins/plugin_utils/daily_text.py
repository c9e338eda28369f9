# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The digest of a day as a person reads it, out of the words in ``specs/messages/daily.yml``. Pure.

A WhatsApp message has one line of at most 1,024 characters. What does not fit is left out whole, the least urgent
first. Names are data: what could break the line, or look like markup, is taken out of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp_cloud import MAX_PARAMETER
from ansible_collections.smartercl.smarteros.plugins.module_utils.plain_text import plain
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.activity import CHATWOOT, N8N, UNKNOWN
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.messages_texts import Text
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.daily_digest import SALES

LIMIT = 1024  # characters of a WhatsApp message, its template's words and all
PROBLEMS = 4  # that are told one by one
_SIGNS: Mapping[str, str] = {"CLP": "$"}

Json = Mapping[str, Any]


def message(text: Text, digest: Json, link: str) -> Text:
    """The message about all shops, for the founder."""
    values = {"environment": digest["environment"], "date": shown_date(digest["date"]), "url": link}
    sentences = _Sentences(text.parts)
    return _fitted(text, values, sentences.of_all(digest), "\n".join(sentences.lines(digest)))


def owners(text: Text, digest: Json, tenant: Json, owner: str) -> Text:
    """The message about one shop, for its owner."""
    values = {"owner": plain(owner), "tenant": plain(tenant["name"]), "date": shown_date(digest["date"])}
    values["environment"] = digest["environment"]
    sentences = _Sentences(text.parts).of_one(tenant)
    return _fitted(text, values, sentences, "\n".join(sentences))


def _fitted(text: Text, values: Mapping[str, str], sentences: list[str], details: str) -> Text:
    """The text with as many of the sentences as fit, in their order."""
    room = LIMIT - max(len(text.filled({**values, "summary": ""}).text), _longest(text, values))
    room = min(room, MAX_PARAMETER)
    summary = ""
    for sentence in sentences:
        longer = f"{summary} {sentence}".strip()
        if len(longer) <= room:
            summary = longer
    return text.filled({**values, "summary": summary, "list": details})


def _longest(text: Text, values: Mapping[str, str]) -> int:
    """How long the template is as WhatsApp shows it, without the summary."""
    places = sum(len(each) for each in text.filled({**values, "summary": ""}).template.parameters)
    return len(text.template_body) + places


def shown_date(text: str) -> str:
    """2026-11-22 as people in Chile write it: 22-11-2026."""
    return "-".join(reversed(text.split("-")))


def money(currency: str, amount: str) -> str:
    """An amount as people in Chile write it: $1.234.567, or USD 1.234,50."""
    whole, _dot, cents = f"{Decimal(amount):f}".partition(".")
    minus, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    grouped = f"{int(digits):,}".replace(",", ".")
    shown = f"{grouped},{cents.ljust(2, '0')}" if cents.strip("0") else grouped
    sign = _SIGNS.get(currency)
    return f"{minus}{sign}{shown}" if sign else f"{plain(currency, 8)} {minus}{shown}".strip()


class _Sentences:
    """Sentences out of the parts of a message; a part that the file does not have says nothing."""

    def __init__(self, parts: Mapping[str, str]) -> None:
        self._parts = parts

    def of_all(self, digest: Json) -> list[str]:
        """What is wrong first, then what was sold, then the rest."""
        return [self._problems(digest), *self._figures(digest)]

    def _figures(self, digest: Json) -> list[str]:
        found = [self._sales(name, digest["totals"][name]) for name in SALES]
        found += [self._talks(digest["totals"][CHATWOOT]), self._workflows(digest["totals"][N8N])]
        found += [self._top(digest), self._system(digest), self._unknown(digest)]
        return [sentence for sentence in found if sentence]

    def of_one(self, tenant: Json) -> list[str]:
        """The figures of one shop. What is not known is left out: it is not the owner's to repair."""
        known = {name: each for name, each in tenant["services"].items() if UNKNOWN not in each}
        found = [self._sales(name, {**known[name], "tenants": 1}) for name in SALES if name in known]
        found += [self._talks({**known[CHATWOOT], "tenants": 1})] if CHATWOOT in known else []
        return [sentence for sentence in found if sentence] or [self._said("nothing")]

    def lines(self, digest: Json) -> list[str]:
        """Everything, a line each: for mail."""
        first = [f"- {self._problem(each)}" for each in digest["problems"]]
        head = [self._said("trouble"), *first] if first else [self._said("well")]
        return [*head, "", *self._figures(digest)]

    def _problems(self, digest: Json) -> str:
        rows = digest["problems"]
        if not rows:
            return self._said("well")
        told = [self._problem(each) for each in rows[:PROBLEMS]]
        more = [self._said("more", count=len(rows) - PROBLEMS)] if len(rows) > PROBLEMS else []
        return self._said("problems", list="; ".join(each for each in [*told, *more] if each))

    def _problem(self, row: Json) -> str:
        what = plain(row["what"])
        words = self._said(f"problem_{row['kind']}", what=what)
        return f"{plain(row['name'] or row['tenant'])}: {words}" if row["tenant"] else words

    def _sales(self, service: str, figures: Json) -> str:
        if not figures["tenants"] or figures.get(UNKNOWN) == figures["tenants"]:
            return ""
        amounts = " + ".join(money(currency, amount) for currency, amount in figures["totals"].items())
        return self._said(service, count=figures["orders"], amount=amounts or money("CLP", "0"))

    def _talks(self, figures: Json) -> str:
        if not figures["tenants"] or figures.get(UNKNOWN) == figures["tenants"]:
            return ""
        said = self._said("chatwoot", opened=figures["opened"], resolved=figures["resolved"])
        took = figures["first_response_s"]
        return said if took is None else f"{said} {self._said('response', time=lasting(took))}"

    def _workflows(self, figures: Json) -> str:
        if not figures["tenants"] or figures[UNKNOWN] == figures["tenants"]:
            return ""
        return self._said("n8n", count=figures["failed"])

    def _top(self, digest: Json) -> str:
        rows = [f"{plain(each['name'])} {money(each['currency'], each['amount'])}" for each in digest["top"]]
        return self._said("top", list=", ".join(rows)) if rows else ""

    def _system(self, digest: Json) -> str:
        parts, found = digest["system"], []
        if "hours" in parts["backup"]:
            found.append(self._said("backup", hours=round(parts["backup"]["hours"])))
        if "pending" in parts["drift"]:
            found.append(self._said("drift", count=parts["drift"]["pending"]))
        if "usd" in parts["cost"]:
            found.append(self._said("cost", amount=money("", amount_of(parts["cost"]["usd"]))))
        said = ", ".join(each for each in found if each)
        return self._said("system", list=said) if said else ""

    def _unknown(self, digest: Json) -> str:
        names = [self._said(f"part_{name}") for name, each in digest["system"].items() if UNKNOWN in each]
        said = ", ".join(each for each in names if each)
        return self._said("unknown", list=said) if said else ""

    def _said(self, part: str, **values: object) -> str:
        # One pass over the words of the file: what is put in is never looked through for places
        words = self._parts.get(part, "")
        return re.sub(r"\{([a-z_]+)\}", lambda match: str(values.get(match[1], "")), words)


def amount_of(value: float) -> str:
    """A number of the specs as an amount."""
    return f"{Decimal(str(value)).normalize():f}"


def lasting(seconds: int) -> str:
    """A span of time as a person says it: 45 s, 12 min, 3 h."""
    if seconds < 60:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"
