# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The system's own records of a zone: what is wished against what the zone holds. Pure, and of no provider.

Records meet in a slot. A name has one slot for each type, since all its addresses (or mail servers) work together. Texts
and CAA have one for each content, because those of others stand beside ours and harm nobody; but of SPF, DKIM and DMARC a
name has one slot each, as two of a kind make both void.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.cloudflare import (
    AUTOMATIC,
    PROXIABLE,
    Record,
    named,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.dns_spelling import normal_content, normal_name
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import SYSTEM, mark

MARK = mark(SYSTEM)
COMMENT = 100  # characters that the smallest plan allows
TTL = (30, 86400)
_SINGLE = {"v=spf1": "SPF", "v=dmarc1": "DMARC", "v=dkim1": "DKIM"}  # by how the text begins

Slot = tuple[str, str, str]  # type, name, and what keeps several apart


@dataclass(frozen=True)
class Refusal:
    """A record that keeps ours out, and may not be touched. ``wanted`` is what we would have there."""

    there: Record
    wanted: Record
    why: str
    following: str


@dataclass(frozen=True)
class Step:
    """A difference. ``before`` is None for what is made, ``after`` for what is deleted; ``adopted`` had no mark before."""

    before: Record | None
    after: Record | None
    adopted: bool = False

    @property
    def name(self) -> str:
        """The name that it is about."""
        return (self.after or self.before or _NOBODY).name


@dataclass
class Plan:
    """What the zone needs. With refusals nothing of it may be done."""

    steps: list[Step] = field(default_factory=list)
    kept: int = 0
    foreign: int = 0  # records of others, which stay as they are
    refusals: list[Refusal] = field(default_factory=list)


_NOBODY = Record("", "", "")


def wish_of(item: t.Mapping[str, t.Any], apex: str) -> Record:
    """An item of the module as a record. Raises ApiError for what can be none."""
    kind, name = item["type"], normal_name(item["name"], apex)
    if name != apex and not name.endswith(f".{apex}"):
        name = f"{name}.{apex}"  # as it stands in the specs: below the zone
    content = normal_content(kind, item["content"], apex)
    if not content or (kind == "CNAME" and content == name):
        raise ApiError("the content is empty or the name itself")
    ttl = item.get("ttl") or AUTOMATIC
    if ttl != AUTOMATIC and not TTL[0] <= ttl <= TTL[1]:
        raise ApiError(f"ttl {ttl} is neither 1 (automatic) nor {TTL[0]} to {TTL[1]} seconds")
    priority = item.get("priority")
    if (kind == "MX") != (priority is not None):
        raise ApiError(
            "an MX record needs its priority" if kind == "MX" else f"a {kind} record has no priority of its own"
        )
    proxied = bool(item.get("proxied"))
    if proxied and kind not in PROXIABLE:
        raise ApiError(f"a {kind} record cannot be proxied")
    # Cloudflare reports every proxied record as automatic
    lasting = AUTOMATIC if proxied else ttl
    return Record(name, kind, content, proxied, lasting, SYSTEM, priority=priority, comment=MARK)


def clashes(wishes: t.Sequence[Record]) -> dict[int, str]:
    """Wishes that cannot stand beside an earlier one: position -> why."""
    found: dict[int, str] = {}
    at_name: dict[str, dict[str, None]] = {}  # types by name, in their order
    slots: dict[Slot, Record] = {}
    contents: set[tuple[str, str, str]] = set()
    for position, wish in enumerate(wishes):
        beside = at_name.setdefault(wish.name, {})
        other = next(iter(beside), "") if wish.type == "CNAME" else "CNAME" if "CNAME" in beside else ""
        slot = slot_of(wish)
        if (wish.type, wish.name, wish.content) in contents:
            found[position] = f"the {wish.type} record {wish.name} -> {short(wish.content)} is wished twice"
        elif other:
            found[position] = (
                f"{wish.name} has {_article(wish.type)} {wish.type} beside {_article(other)} {other} record"
            )
        elif slot[2] in _SINGLE.values() and slot in slots:
            found[position] = f"{wish.name} has two {slot[2]} records, which makes both void"
        contents.add((wish.type, wish.name, wish.content))
        slots.setdefault(slot, wish)
        beside.setdefault(wish.type)
    return found


def slot_of(record: Record) -> Slot:
    """Where a record meets others."""
    if record.type == "TXT":
        begin = record.content[:8].lower()
        for text, what in _SINGLE.items():
            if begin.startswith(text):
                return record.type, record.name, what
        if "._domainkey." in record.name:  # the version may be left out there
            return record.type, record.name, "DKIM"
    if record.type in ("TXT", "CAA"):
        return record.type, record.name, record.content
    return record.type, record.name, ""


def plan(
    wishes: t.Sequence[Record], records: t.Sequence[Record], apex: str, *, adopt: bool = False, prune: bool = False
) -> Plan:
    """What brings the zone to the wishes. What does not bear our mark is never deleted, and changed only by ``adopt``.

    The wishes have no `clashes`.
    """
    result = Plan()
    wanted: dict[Slot, list[Record]] = {}
    for wish in wishes:
        wanted.setdefault(slot_of(wish), []).append(wish)
    there: dict[Slot, list[Record]] = {}
    for record in sorted(records, key=lambda each: (each.content, each.id)):
        there.setdefault(slot_of(record), []).append(record)
    by_name = named(records)
    gone: set[str] = set()
    for slot, group in wanted.items():
        gone.update(_mind_rivals(result, group[0], by_name.get(group[0].name, ()), apex))
        gone.update(_settle(result, group, there.get(slot, ()), adopt))
    for slot, group in there.items():
        for record in group:
            spare = prune and slot not in wanted and record.owner == SYSTEM
            if spare or record.id in gone:
                result.steps.append(Step(record, None))
    result.foreign = sum(record.owner != SYSTEM for record in records) - sum(step.adopted for step in result.steps)
    return result


def _settle(result: Plan, group: t.Sequence[Record], there: t.Sequence[Record], adopt: bool) -> set[str]:
    """Bring one slot about; gives the ids of those of our records that are too many in it."""
    ours = [record for record in there if record.owner == SYSTEM]
    theirs = [record for record in there if record.owner is None]
    free = theirs if adopt else []
    left = list(group)
    pairs: list[tuple[Record, Record]] = []
    for pool, equal in ((ours, True), (free, True), (ours, False), (free, False)):
        for wish in list(left):
            found = next((each for each in pool if not equal or each.content == wish.content), None)
            if found is not None:
                pairs.append((found, wish))
                pool.remove(found)
                left.remove(wish)
    for was, wish in pairs:
        _compare(result, was, wish)
    result.steps += [Step(None, wish) for wish in left]
    tenants = [record for record in there if record.owner not in (None, SYSTEM)]
    result.refusals += [_refusal(record, group, adopt) for record in [*theirs, *tenants]]
    return {record.id for record in ours}


def _compare(result: Plan, was: Record, wish: Record) -> None:
    adopted = was.owner != SYSTEM
    same = (was.content, was.proxied, was.priority) == (wish.content, wish.proxied, wish.priority)
    if same and not adopted and (wish.proxied or was.ttl == wish.ttl):
        result.kept += 1
        return
    comment = _marked(was.comment) if adopted else was.comment
    result.steps.append(Step(was, replace(wish, id=was.id, comment=comment), adopted))


def _marked(comment: str) -> str:
    """A comment with our mark; what somebody noted stays where there is room for both."""
    both = f"{comment.strip()} {MARK}".strip()
    return both if len(both) <= COMMENT else MARK


def _mind_rivals(result: Plan, wish: Record, at_name: t.Iterable[Record], apex: str) -> set[str]:
    """What cannot stand beside a wish because of its type; gives the ids of those of our records that have to go."""
    gone = set()
    for record in at_name:
        if not _exclude(wish, record.type, apex):
            continue
        if record.owner == SYSTEM:
            gone.add(record.id)
            continue
        why = (
            f"{_article(wish.type)} {wish.type} record cannot stand beside {_article(record.type)} {record.type} record"
        )
        following = "Delete it by hand: Cloudflare does not change the type of a record"
        result.refusals.append(Refusal(record, wish, f"{_whose(record)}, and {why}", following))
    return gone


def _exclude(wish: Record, other: str, apex: str) -> bool:
    """Whether a record of another type keeps a wish away from its name."""
    if other == "NS":  # a part of the zone that others answer for
        return wish.name != apex
    return "CNAME" in (wish.type, other) and wish.type != other and {wish.type, other} <= PROXIABLE


def _refusal(record: Record, group: t.Sequence[Record], adopt: bool) -> Refusal:
    wish = next((each for each in group if each.content == record.content), group[0])
    why, kind = _whose(record), slot_of(record)[2]
    if record.owner is not None:
        return Refusal(record, wish, why, "Give that tenant another slug, or take the name out of the specs")
    if adopt:
        why = f"{why}, and is one more than is wished"
        return Refusal(record, wish, why, "Delete it by hand, or add it to specs/infra/dns.yml")
    if kind in _SINGLE.values() and record.content != wish.content:
        why = f"{why}, and two {kind} records at one name make both void"
    following = "Take it over with zone_adopt (see docs/dns.md), delete it by hand, or take the name out of the specs"
    return Refusal(record, wish, why, following)


def _whose(record: Record) -> str:
    return f"it belongs to tenant {record.owner}" if record.owner else "it was made by hand and does not bear our mark"


def _article(word: str) -> str:
    return "an" if word[0] in "AMNS" else "a"


def shown(record: Record) -> dict[str, t.Any]:
    """A record for people: in differences and refusals."""
    told: dict[str, t.Any] = {"content": record.content}
    if record.priority is not None:
        told["priority"] = record.priority
    if record.type in PROXIABLE:
        told["proxied"] = record.proxied
    if not record.proxied:
        told["ttl"] = "automatic" if record.ttl == AUTOMATIC else record.ttl
    return {**told, "owner": record.owner}


def short(text: str, longest: int = 60) -> str:
    """The beginning of a content."""
    return text if len(text) <= longest else f"{text[:longest]}…"
