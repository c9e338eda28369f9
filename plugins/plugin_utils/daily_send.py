# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Hand the digest of a day to the founder and to owners, each message once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_text, notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_text import News, Words
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_ways import Unsent
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import whatsapp
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import messages, messages_texts
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.messages_outbox import (
    ACCEPTED,
    DEFERRED,
    SENDING,
    Entry,
    Outbox,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import daily_text, notice_channels

FOUNDER = "founder"  # in the place of a tenant
JOB = "daily"
SENT, BEFORE, NOT_SENT, NO_WAY = "sent", "already sent", "not sent", "no way"
_AT_ONCE = 8
_AGAIN = (DEFERRED,)

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Sender:
    """What sending needs. ``force`` sends again what went already, or may have gone."""

    outbox: Outbox
    environment: str
    zone: str
    day: str
    force: bool = False

    def is_due(self, written: Mapping[tuple[str, str, str], Entry], whose: str, kind: str) -> bool:
        """Whether a message was not handed over yet, as far as anybody can know."""
        entry = written.get((whose, kind, self.day))
        return self.force or entry is None or entry.state in _AGAIN

    def founder(
        self, known: notice_channels.Channels, names: Sequence[str], text: messages_texts.Text
    ) -> dict[str, dict[str, str]]:
        """By way: what became of the message to the founder. One that fails does not keep the others from going out."""
        written = self.outbox.read()
        told: dict[str, dict[str, str]] = {}
        for name in names:
            if not self.is_due(written, FOUNDER, name):
                told[name] = {"state": BEFORE, "at": written[(FOUNDER, name, self.day)].at}
                continue
            entry = Entry(FOUNDER, name, self.day, SENDING, channel=name, at=_now())
            self.outbox.write(entry)
            why = self._handed_over(name, known, text)
            self.outbox.write(replace(entry, state=DEFERRED if why else ACCEPTED, reason=why, at=_now()))
            told[name] = {"state": NOT_SENT, "why": why} if why else {"state": SENT}
        return told

    def _handed_over(self, name: str, known: notice_channels.Channels, text: messages_texts.Text) -> str:
        """Why it could not be handed over; empty when it was."""
        settings = dict(known.notices[name])
        if name == notice_ways.WHATSAPP:
            settings.update(template=text.template.name, language=text.template.language)
        news = News(notice_text.SAID, JOB, text.text, time.time(), self.environment, self.zone)
        words = Words(text.subject, text.text, text.body, tuple(text.template.parameters))
        try:
            notice_ways.way_of(name, settings, lambda path: known.files[path].strip()).send(news, words)
        except Unsent as exc:
            return str(exc)
        return ""

    def owners(
        self, tenants: Iterable[Json], connection: Json, told: Callable[[Json], messages_texts.Text]
    ) -> dict[str, dict[str, str]]:
        """By RUT: what became of the message to the tenant's owner. ``told`` is the message about a merged tenant."""
        chosen = list(tenants)
        messengers = whatsapp.connect(connection, Policy())
        ways = {messages.WHATSAPP: messengers.whatsapp, messages.EMAIL: messengers.mail}
        usable = frozenset(name for name, way in ways.items() if way is not None)
        setting = messages.Setting({}, self.environment, messages.Person(), usable)
        post = messages.Post(messengers, self.outbox, setting)
        written = self.outbox.read()
        jobs: dict[str, Callable[[], dict[str, str]]] = {}
        found: dict[str, dict[str, str]] = {}
        for each in chosen:
            owner = each["owner"]
            person = messages.Person(owner.get("name") or "", owner.get("email") or "", owner.get("phone") or "")
            if not self.is_due(written, each["id"], JOB):
                found[each["id"]] = {"state": BEFORE}
            elif not setting.route(person):
                found[each["id"]] = {"state": NO_WAY, "why": "neither WhatsApp nor mail leads to the owner"}
            else:
                jobs[each["id"]] = partial(self._owner, post, each, person, told)
        try:
            for rut, outcome in reconcile.run_all(jobs, _AT_ONCE).items():
                if isinstance(outcome, ApiError):
                    found[rut] = {"state": NOT_SENT, "why": outcome.message}
                else:
                    found[rut] = outcome
        finally:
            if messengers.mail is not None:
                messengers.mail.close()
        return found

    def _owner(
        self, post: messages.Post, tenant: Json, person: messages.Person, told: Callable[[Json], messages_texts.Text]
    ) -> dict[str, str]:
        entry = post.deliver(Entry(tenant["id"], JOB, self.day, SENDING), person, told(tenant))
        if entry.state == ACCEPTED:
            return {"state": SENT, "channel": entry.channel}
        return {"state": NOT_SENT, "why": entry.reason}


def changes(day: str, names: Iterable[str], owners: Iterable[Json]) -> list[dict[str, Any]]:
    """What sending would do, as every prediction is told."""
    rows = [(name, None) for name in names] + [("whatsapp", each["id"]) for each in owners]
    what = f"digest of {day}"
    return [{**bulk.Change("create", what).as_dict(), "service": service, "tenant": tenant} for service, tenant in rows]


def shown_owner(tenant: Json) -> str:
    """Who is greeted."""
    return daily_text.plain(str(tenant["owner"].get("name") or tenant["name"]))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
