# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Messages to the owners of tenants, and a note to the admin: what is due, as a pure plan, and how it is sent once.

A message that may have been sent is not sent again: Meta knows no key that would make repeating harmless. Before each
message its intent is on the disk, after it the outcome. A message that fails does not fail its tenant.
"""

from __future__ import annotations

import hashlib
import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors, lifecycle
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import whatsapp_cloud
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.mail import Mail
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp import Messengers
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import messages_texts as texts_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.messages_outbox import (
    ACCEPTED,
    DEFERRED,
    REFUSED,
    SENDING,
    SKIPPED,
    Entry,
    Key,
    Outbox,
    ended,
)

WELCOME, RESUMED = "welcome", "resumed"
AWAY = ("suspended", "deleted")
WHATSAPP, EMAIL = "whatsapp", "email"
NOTE = "note:"  # before the kind of message that the admin is told of
NAMES_SHOWN = 5  # in the admin's note, which has room for little
_CALLED: t.Mapping[str, str] = {
    WELCOME: "welcome",
    RESUMED: "message of return",
    "suspended": "message of suspension",
    "deleted": "message of deletion",
}


@dataclass(frozen=True)
class Person:
    """Whom a message goes to: WhatsApp with a ``phone``, else mail."""

    name: str = ""
    email: str = ""
    phone: str = ""


@dataclass(frozen=True)
class Wish:
    """A tenant as messages see it.

    ``wish`` is active, suspended, deleted, or empty when nothing shall be written; ``since`` when it became so;
    ``known`` the entries that the tenant's status has, by kind.
    """

    tenant: str
    name: str
    slug: str
    domain: str
    url: str
    owner: Person
    wish: str = lifecycle.ACTIVE
    since: str = ""
    created_at: str = ""
    language: str = texts_of.DEFAULT_LANGUAGE
    timezone: str = "UTC"
    known: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    state: str = "present"

    @property
    def title(self) -> str:
        """How a person knows the tenant."""
        return f"{self.name} ({self.tenant})"


@dataclass(frozen=True)
class Setting:
    """What is the same for all messages of a run. ``newest`` days: older occasions are not written about."""

    texts: texts_of.Texts
    environment: str
    admin: Person = field(default_factory=Person)
    ways: frozenset[str] = frozenset()
    repeat_unanswered: bool = False
    as_text: bool = False
    newest: int = 30
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def route(self, person: Person) -> list[tuple[str, str]]:
        """(channel, address) of a person, the better way first; empty when there is none."""
        both = ((WHATSAPP, person.phone), (EMAIL, person.email))
        return [(way, address) for way, address in both if address and way in self.ways]


@dataclass(frozen=True)
class Due:
    """A message that shall be sent now, and the way it is meant to go."""

    kind: str
    occasion: str
    channel: str


@dataclass
class Plan:
    """What is due for one tenant, what was said before, and why something is not sent."""

    wish: Wish
    said: dict[tuple[str, str], Entry]
    due: list[Due] = field(default_factory=list)
    note: list[Due] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def changes(self) -> list[bulk.Change]:
        """The messages, as they are reported."""
        mine = [_change(self.wish, each) for each in self.due]
        return mine + [_change(self.wish, each) for each in self.note]


# --- planning


def plan(wish: Wish, written: t.Iterable[Entry], setting: Setting) -> Plan:
    """What shall be sent for one tenant; ``written`` are its entries of the outbox. Touches nothing."""
    from_disk = {(entry.kind, entry.occasion): entry for entry in written}
    result = Plan(wish, {**_known(wish), **from_disk})
    route = setting.route(wish.owner)
    for kind, occasion in _occasions(result, setting):
        entry = result.said.get((kind, occasion))
        if entry is not None and not _again(entry, route, setting):
            continue
        if route:
            result.due.append(Due(kind, occasion, route[0][0]))
        else:
            result.remarks.append(f"{_CALLED[kind]} not sent: {_no_way(wish.owner, setting)}")
    if wish.state == "absent":  # also an undone one: the admin is not told of a tenant that is no more
        return result
    way = setting.route(setting.admin)
    for kind, occasion in dict.fromkeys([*((each.kind, each.occasion) for each in result.due), *_untold(from_disk)]):
        if way and _note_due(result.said.get((NOTE + kind, occasion)), way, setting):
            result.note.append(Due(NOTE + kind, occasion, way[0][0]))
    return result


def predicted(planned: Plan) -> bulk.Result:
    """The result that sending will have, as far as it can be known before."""
    result = _result(planned)
    result.changes = planned.changes()
    return result


def by_tenant(entries: t.Mapping[Key, Entry]) -> dict[str, list[Entry]]:
    """The outbox by tenant."""
    found: dict[str, list[Entry]] = {}
    for entry in entries.values():
        found.setdefault(entry.tenant, []).append(entry)
    return found


def _occasions(planned: Plan, setting: Setting) -> list[tuple[str, str]]:
    """(kind, occasion) of all that the owner should have been told by now."""
    wish = planned.wish
    if wish.wish in AWAY:
        return [] if _stale(planned, wish.wish, wish.since, setting) else [(wish.wish, wish.since)]
    if wish.wish != lifecycle.ACTIVE:
        return []
    found = [] if _stale(planned, WELCOME, wish.created_at, setting) else [(WELCOME, wish.created_at)]
    away = [occasion for kind, occasion in planned.said if kind in AWAY]
    return [*found, (RESUMED, max(away))] if away else found


def _stale(planned: Plan, kind: str, moment: str, setting: Setting) -> bool:
    """Whether something is too long ago to write about now: messages may have been switched on only since."""
    then = _moment(moment)
    if (kind, moment) in planned.said or then is None or setting.now - then <= timedelta(days=setting.newest):
        return False
    planned.remarks.append(f"no {_CALLED[kind]}: it would be more than {setting.newest} days late")
    return True


def _again(entry: Entry, route: t.Sequence[tuple[str, str]], setting: Setting) -> bool:
    """Whether a message that was tried before is tried now."""
    if entry.state == SENDING:
        return setting.repeat_unanswered
    if entry.state == REFUSED:  # by this recipient; perhaps there is another one now
        return bool(route) and entry.to != _digest(*route[-1])
    return entry.state == DEFERRED


def _note_due(entry: Entry | None, way: t.Sequence[tuple[str, str]], setting: Setting) -> bool:
    return entry is None or _again(entry, way, setting)


def _untold(from_disk: t.Mapping[tuple[str, str], Entry]) -> list[tuple[str, str]]:
    """Messages that the run wrote and then died before the admin was told, or that he could not be told."""
    told = {key: entry.state for key, entry in from_disk.items() if key[0].startswith(NOTE)}
    owners = [key for key in from_disk if not key[0].startswith(NOTE)]
    return [key for key in owners if told.get((NOTE + key[0], key[1]), "") in ("", DEFERRED, SENDING)]


def _known(wish: Wish) -> dict[tuple[str, str], Entry]:
    """What the tenant's status says was sent: enough when the outbox is lost."""
    found = {}
    for kind, row in wish.known.items():
        if isinstance(row, t.Mapping) and kind in _CALLED:
            names = ("state", "channel", "id", "at", "to", "reason")
            fields = {name: str(row.get(name) or "") for name in names}
            occasion = str(row.get("occasion") or "")
            found[(kind, occasion)] = Entry(
                wish.tenant, kind, occasion, **{**fields, "state": fields["state"] or ACCEPTED}
            )
    return found


def _no_way(person: Person, setting: Setting) -> str:
    if WHATSAPP in setting.ways and not person.phone:
        return "the owner has no telephone number (owner.phone), and no mail server is configured (smtp_host)"
    return "neither WhatsApp nor mail leads to the owner"


# --- sending


class Post:
    """Sends what is planned, each message once."""

    def __init__(self, messengers: Messengers, outbox: Outbox, setting: Setting) -> None:
        self.messengers = messengers
        self.outbox = outbox
        self.setting = setting

    def probe(self, plans: t.Iterable[Plan]) -> None:
        """Look whether the ways that are needed can be used; nothing is sent. Raises ApiError."""
        needed = {each.channel for planned in plans for each in (*planned.due, *planned.note)}
        if WHATSAPP in needed and self.messengers.whatsapp is not None:
            self.messengers.whatsapp.probe()
        if EMAIL in needed and self.messengers.mail is not None:
            self.messengers.mail.probe()

    def carry_out(self, plans: t.Sequence[Plan], concurrency: int) -> list[bulk.Result]:
        """Write to the owners, side by side, then to the admin about all of them at once."""
        done = run_all({each.wish.tenant: partial(self._owner, each) for each in plans}, concurrency)
        results = {rut: result for rut, result in done.items() if isinstance(result, bulk.Result)}
        for planned in plans:
            failure = done[planned.wish.tenant]
            if isinstance(failure, ApiError):
                results[planned.wish.tenant] = _result(planned)
                results[planned.wish.tenant].fail(f"messages to {planned.wish.title}", failure)
        self._admin([each for each in plans if each.note], results)
        self._pass_over(plans)
        return [_finished(results[each.wish.tenant], each) for each in plans]

    def deliver(self, blank: Entry, person: Person, text: texts_of.Text) -> Entry:
        """Send one message to one person, on the first way that takes it; the entry as it is on the disk then.

        Raises ApiError where the outbox cannot be written: then nothing is sent.
        """
        (entry,), _refusal = self._delivered((blank,), self.setting.route(person), person.name, text)
        return entry

    def _owner(self, planned: Plan) -> bulk.Result:
        result, wish = _result(planned), planned.wish
        for due in planned.due:
            text = self._text(wish, due)
            blank = Entry(wish.tenant, due.kind, due.occasion, SENDING)
            (entry,), refusal = self._delivered((blank,), self.setting.route(wish.owner), wish.owner.name, text)
            planned.said[(due.kind, due.occasion)] = entry
            if entry.state == ACCEPTED:
                result.changes.append(_change(wish, replace(due, channel=entry.channel)))
            if refusal is not None:
                result.fail(f"{_CALLED[due.kind]} to the owner of {wish.title}", refusal)
        return result

    def _admin(self, plans: t.Sequence[Plan], results: t.Mapping[str, bulk.Result]) -> None:
        """One note about all tenants of the batch."""
        setting = self.setting
        about = [(planned, due) for planned in plans for due in planned.note]
        if not about:
            return
        blanks = tuple(Entry(planned.wish.tenant, due.kind, due.occasion, SENDING) for planned, due in about)
        try:
            entries, refusal = self._delivered(
                blanks, setting.route(setting.admin), setting.admin.name, self._note(about)
            )
        except ApiError as exc:
            entries, refusal = tuple(ended(each, DEFERRED, reason=exc.message) for each in blanks), exc
        for (planned, due), entry in zip(about, entries):
            planned.said[(due.kind, due.occasion)] = entry
            if entry.state == ACCEPTED:
                results[planned.wish.tenant].changes.append(_change(planned.wish, replace(due, channel=entry.channel)))
            if refusal is not None:
                results[planned.wish.tenant].fail("note to the admin", refusal)

    def _pass_over(self, plans: t.Sequence[Plan]) -> None:
        """Without an admin there is no note, also not when there is one later: he would be told of things long past."""
        if self.setting.route(self.setting.admin):
            return
        missed = [
            Entry(each.wish.tenant, NOTE + due.kind, due.occasion, SKIPPED, at=self._now())
            for each in plans
            for due in each.due
        ]
        if missed:
            self.outbox.write(*missed)

    def _delivered(
        self, blanks: tuple[Entry, ...], route: t.Sequence[tuple[str, str]], name: str, text: texts_of.Text
    ) -> tuple[tuple[Entry, ...], ApiError | None]:
        """The entries after trying one way after the other; the error where a provider refuses us as a whole."""
        entries = blanks
        why = ""
        for channel, address in route:
            entries = tuple(
                replace(each, channel=channel, to=_digest(channel, address), at=self._now(), reason=why)
                for each in entries
            )
            self.outbox.write(*(replace(each, state=SENDING) for each in entries))
            try:
                number = self._handed_over(channel, address, name, text, entries[0])
            except ApiError as exc:
                why = f"{_SPOKEN[channel]}: {exc.message}"
                entries = tuple(ended(each, _outcome(exc), reason=why) for each in entries)
                self.outbox.write(*entries)
                if exc.kind == errors.REFUSED:
                    return entries, exc
                if exc.kind == errors.UNANSWERED:  # it may have been sent: another way would make it two
                    break
            else:
                entries = tuple(ended(each, ACCEPTED, id=number) for each in entries)
                self.outbox.write(*entries)
                break
        return entries, None

    def _handed_over(self, channel: str, address: str, name: str, text: texts_of.Text, entry: Entry) -> str:
        """Give one message to one provider; its id there."""
        whatsapp, mail = self.messengers.whatsapp, self.messengers.mail
        if channel == WHATSAPP and whatsapp is not None:
            if self.setting.as_text:
                return whatsapp.send_text(address, text.text).id
            return whatsapp.send_template(address, text.template).id
        if mail is None:
            raise ApiError("there is no way to send it", errors.INVALID)
        return mail.send(Mail(address, name, text.subject, text.body, _mail_id(entry, self.setting.environment)))

    def _text(self, wish: Wish, due: Due) -> texts_of.Text:
        values = {
            "owner": wish.owner.name or wish.name,
            "tenant": wish.name,
            "slug": wish.slug,
            "domain": wish.domain,
            "url": wish.url,
            "email": wish.owner.email,
            "date": _date(due.occasion, wish.timezone),
            "environment": self.setting.environment,
        }
        return texts_of.chosen(self.setting.texts, due.kind, wish.language).filled(values)

    def _note(self, about: t.Sequence[tuple[Plan, Due]]) -> texts_of.Text:
        text = texts_of.chosen(self.setting.texts, texts_of.NOTE, texts_of.DEFAULT_LANGUAGE)
        kinds = [due.kind[len(NOTE) :] for _planned, due in about]
        words = {kind: text.events.get(kind, kind) for kind in kinds}
        names = list(dict.fromkeys(planned.wish.name for planned, _due in about))
        rest = len(names) - NAMES_SHOWN
        more = [text.filled({"count": str(rest)}).more] if rest > 0 else []
        values = {
            "environment": self.setting.environment,
            "event": ", ".join(f"{word}: {kinds.count(kind)}" for kind, word in words.items()),
            "count": str(len(names)),
            "names": ", ".join([*names[:NAMES_SHOWN], *more]),
            "list": "\n".join(_told_of(planned, due, words) for planned, due in about),
        }
        return text.filled(values)

    @staticmethod
    def _now() -> str:
        return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


_SPOKEN: t.Mapping[str, str] = {WHATSAPP: "WhatsApp", EMAIL: "mail"}


def _outcome(exc: ApiError) -> str:
    if exc.kind == errors.UNANSWERED:
        return SENDING
    personal = exc.code == "recipient" or whatsapp_cloud.is_personal(exc.code)
    return REFUSED if personal else DEFERRED


def _change(wish: Wish, due: Due) -> bulk.Change:
    told = due.kind.startswith(NOTE)
    kind = due.kind[len(NOTE) :] if told else due.kind
    what = f"note to the admin about the {_CALLED[kind]} of" if told else f"{_CALLED[kind]} to the owner of"
    return bulk.Change("create", f"{what} {wish.title}", None, {"channel": due.channel})


def _result(planned: Plan) -> bulk.Result:
    return _finished(bulk.Result(planned.wish.tenant, bulk.REACHED[planned.wish.state]), planned)


def _finished(result: bulk.Result, planned: Plan) -> bulk.Result:
    """The result with what all messages so far have come to."""
    if result.state == bulk.ABSENT:
        return result
    newest: dict[str, Entry] = {}
    for kind, occasion in sorted(planned.said):
        newest[kind] = planned.said[(kind, occasion)]
    result.ref = {kind: _as_ref(entry) for kind, entry in newest.items() if kind in _CALLED}
    if result.error is None:
        result.message = "; ".join([*planned.remarks, *filter(None, map(_spoken, _relevant(newest)))])
    return result


def _relevant(newest: t.Mapping[str, Entry]) -> list[Entry]:
    """The entries that still say something: the last word of each kind, and of coming and going only the latest."""
    moving = [newest[kind] for kind in (*AWAY, RESUMED) if kind in newest]
    last = max(moving, key=lambda entry: (entry.occasion, entry.kind == RESUMED), default=None)
    first = newest.get(WELCOME)
    owners = [entry for entry in (first, last) if entry is not None]
    notes = [newest.get(NOTE + entry.kind) for entry in owners]
    return [*owners, *(entry for entry in notes if entry is not None)]


def _spoken(entry: Entry) -> str:
    told = entry.kind.startswith(NOTE)
    what = "note to the admin" if told else _CALLED[entry.kind]
    if entry.state == SENDING:
        why = entry.reason or "the run ended before the outcome was known"
        return f"{what} may have been sent and is not sent again ({why})"
    if entry.state == REFUSED:
        return f"{what} not delivered: {entry.reason}"
    if entry.state == DEFERRED:
        return f"{what} not sent yet: {entry.reason}"
    if entry.state == ACCEPTED and entry.reason:
        return f"{what} went by {_SPOKEN[entry.channel]} ({entry.reason})"
    return ""


def _as_ref(entry: Entry) -> dict[str, str]:
    names = ("state", "channel", "id", "at", "occasion", "reason")
    row = {name: str(getattr(entry, name)) for name in names if getattr(entry, name)}
    return {**row, "to": entry.to} if entry.state == REFUSED else row


def _told_of(planned: Plan, due: Due, words: t.Mapping[str, str]) -> str:
    wish, kind = planned.wish, due.kind[len(NOTE) :]
    entry = planned.said.get((kind, due.occasion))
    trouble = _spoken(entry) if entry is not None else ""
    return f"- {wish.name} ({wish.slug}, {wish.domain}): {words[kind]}" + (f"; {trouble}" if trouble else "")


def _digest(channel: str, address: str) -> str:
    return hashlib.sha256(f"{channel}:{address.lower()}".encode()).hexdigest()[:16]


def _mail_id(entry: Entry, environment: str) -> str:
    """The same for the same message, so that a mailbox can see that it came twice."""
    made = hashlib.sha256("\n".join([environment, *entry.key]).encode()).hexdigest()[:16]
    return f"smarteros.{entry.tenant}.{entry.kind.replace(':', '-')}.{made}"


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def _date(text: str, zone: str) -> str:
    """The day of a moment where the tenant is, as people there write it; empty for what is no moment."""
    moment = _moment(text)
    if moment is None:
        return ""
    try:
        return moment.astimezone(ZoneInfo(zone)).strftime("%d-%m-%Y")
    except (ZoneInfoNotFoundError, ValueError):
        return moment.strftime("%d-%m-%Y")
