"""The plan of a zone's own records: what is made, changed, taken over, left, refused and deleted."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.cloudflare import Record
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import SYSTEM
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import cloudflare_zone_records as carrying
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import zone_records as service

ZONE = "example.com"
TENANT = "76086428-5"


def wish(kind: str, name: str, content: str, **more: Any) -> Record:
    return service.wish_of({"type": kind, "name": name, "content": content, **more}, ZONE)


def there(record: Record, number: str = "1", owner: str | None = None, comment: str = "", **more: Any) -> Record:
    return replace(record, id=number, owner=owner, comment=comment, **more)


def ours(record: Record, number: str = "1", **more: Any) -> Record:
    return there(record, number, SYSTEM, service.MARK, **more)


def done(records: list[Record], todo: service.Plan) -> list[Record]:
    """The zone after the plan was carried out."""
    held = {record.id: record for record in records}
    fresh = count(1)
    for step in todo.steps:
        if step.before is not None:
            del held[step.before.id]
        if step.after is not None:
            number = step.after.id or f"new{next(fresh)}"
            held[number] = replace(step.after, id=number, owner=SYSTEM)
    return list(held.values())


A = wish("A", "n8n", "203.0.113.10", proxied=True)
ALIAS = wish("CNAME", "docs", "pages.example.net")
MX = wish("MX", "@", "mx.example.net", priority=10)
SPF = wish("TXT", "@", "v=spf1 mx -all")
PROOF = wish("TXT", "@", "proof=abc")
CAA = wish("CAA", "@", '0 issue "ca.example.net"')


@pytest.mark.parametrize(
    ("wishes", "zone", "options", "steps", "refused"),
    [
        pytest.param([A, MX], [], {}, ["create", "create"], 0, id="what is missing is made"),
        pytest.param([A], [ours(A)], {}, [], 0, id="what is so is left"),
        pytest.param(
            [A], [ours(A, content="192.0.2.1")], {}, ["update"], 0, id="what was changed by hand is changed back"
        ),
        pytest.param([A], [ours(A, proxied=False, ttl=300)], {}, ["update"], 0, id="proxied counts"),
        pytest.param([A], [ours(A, ttl=300)], {}, [], 0, id="the ttl of a proxied record does not count"),
        pytest.param([MX], [ours(MX, priority=20)], {}, ["update"], 0, id="a priority counts"),
        pytest.param([A], [ours(ALIAS)], {}, ["create"], 0, id="ours that is not wished stays without prune"),
        pytest.param([A], [ours(ALIAS)], {"prune": True}, ["create", "delete"], 0, id="and goes with it"),
        pytest.param([A], [there(ALIAS)], {"prune": True}, ["create"], 0, id="what is not ours never goes"),
        pytest.param([A], [there(ALIAS, owner=TENANT)], {"prune": True}, ["create"], 0, id="nor what is a tenant's"),
        pytest.param([A], [there(A)], {}, ["create"], 1, id="an equal one made by hand is refused"),
        pytest.param([A], [there(A)], {"adopt": True}, ["adopt"], 0, id="or taken over"),
        pytest.param([A], [there(A, content="192.0.2.1")], {"adopt": True}, ["adopt"], 0, id="a differing one as well"),
        pytest.param([A], [there(A, owner=TENANT)], {"adopt": True}, ["create"], 1, id="a tenant's never"),
        pytest.param([A], [ours(A), there(A, "2", content="192.0.2.1")], {}, [], 1, id="one made by hand beside ours"),
        pytest.param(
            [A],
            [there(A), there(A, "2", content="192.0.2.1")],
            {"adopt": True},
            ["adopt"],
            1,
            id="one more than is wished",
        ),
        pytest.param(
            [ALIAS], [there(replace(A, name=ALIAS.name))], {"adopt": True}, ["create"], 1, id="a type never changes"
        ),
        pytest.param(
            [ALIAS], [ours(replace(A, name=ALIAS.name))], {}, ["create", "delete"], 0, id="but ours is replaced"
        ),
        pytest.param([A], [there(Record(A.name, "NS", "ns.example.net"))], {}, ["create"], 1, id="a delegated name"),
        pytest.param(
            [SPF], [there(Record(ZONE, "NS", "ns.example.net"))], {}, ["create"], 0, id="the zone's own servers"
        ),
        pytest.param([SPF], [there(PROOF)], {}, ["create"], 0, id="texts of others stand beside ours"),
        pytest.param([PROOF], [there(PROOF)], {"adopt": True}, ["adopt"], 0, id="the same text is taken over"),
        pytest.param([SPF], [there(replace(SPF, content="v=spf1 -all"))], {}, ["create"], 1, id="but not a second SPF"),
        pytest.param(
            [CAA], [there(replace(CAA, content='0 issue "b.example.net"'))], {}, ["create"], 0, id="CAA of others"
        ),
        pytest.param(
            [MX], [there(replace(MX, content="b.example.net"))], {}, ["create"], 1, id="mail would go two ways"
        ),
    ],
)
def test_the_plan(
    wishes: list[Record], zone: list[Record], options: dict[str, bool], steps: list[str], refused: int
) -> None:
    todo = service.plan(wishes, zone, ZONE, **options)
    assert len(todo.refusals) == refused  # with one of them, no step is carried out
    names = {(True, True): "update", (False, True): "create", (True, False): "delete"}
    told = ["adopt" if step.adopted else names[bool(step.before), bool(step.after)] for step in todo.steps]
    assert told == steps


def test_a_refusal_says_what_is_there_what_is_wanted_and_what_to_do() -> None:
    (refusal,) = service.plan([A], [there(A, content="192.0.2.1", proxied=False, ttl=300)], ZONE).refusals
    row = carrying.refused(refusal)
    assert row["what"] == "DNS A n8n.example.com"
    assert row["why"].startswith("there is A 192.0.2.1, wanted is A 203.0.113.10 (proxied); it was made by hand")
    assert "zone_adopt" in row["next"]
    (refusal,) = service.plan([ALIAS], [there(replace(A, name=ALIAS.name))], ZONE).refusals
    assert "a CNAME record cannot stand beside an A record" in carrying.refused(refusal)["why"]


@pytest.mark.parametrize(
    ("note", "comment"),
    [("", service.MARK), ("by Ana", f"by Ana {service.MARK}"), ("x" * 99, service.MARK)],
)
def test_a_note_stays_beside_the_mark_where_there_is_room(note: str, comment: str) -> None:
    (step,) = service.plan([A], [there(A, comment=note)], ZONE, adopt=True).steps
    assert step.after is not None
    assert step.after.comment == comment


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([ALIAS, replace(A, name=ALIAS.name)], "an A beside a CNAME record"),
        ([replace(PROOF, name=ALIAS.name), ALIAS], "a CNAME beside a TXT record"),
        ([ALIAS, replace(ALIAS, content="b.example.net")], "a CNAME beside a CNAME record"),
        ([SPF, replace(SPF, content="v=spf1 ~all")], "two SPF records"),
        ([A, A], "wished twice"),
    ],
)
def test_wishes_that_exclude_each_other(items: list[Record], words: str) -> None:
    assert words in service.clashes(items)[1]


def test_wishes_that_stand_side_by_side() -> None:
    other = replace(A, content="203.0.113.11")
    assert service.clashes([A, other, replace(A, type="AAAA", content="2001:db8::1"), MX, SPF, PROOF, CAA]) == {}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"type": "A", "content": "n8n"}, "not an IP address"),
        ({"type": "A", "content": "192.0.2.1", "ttl": 5}, "ttl 5"),
        ({"type": "MX", "content": "mx.example.net"}, "needs its priority"),
        ({"type": "A", "content": "192.0.2.1", "priority": 1}, "no priority"),
        ({"type": "TXT", "content": "x", "proxied": True}, "cannot be proxied"),
        ({"type": "CAA", "content": "nonsense"}, "not the content of a CAA record"),
        ({"type": "SRV", "content": "1 2 3"}, "not the content of a SRV record"),
        ({"type": "CNAME", "content": "x.example.com"}, "the name itself"),
        ({"type": "TXT", "content": ""}, "empty"),
    ],
)
def test_an_item_that_can_be_no_record(item: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words):
        service.wish_of({"name": "x", **item}, ZONE)


KINDS: dict[str, tuple[str, ...]] = {
    "A": ("192.0.2.1", "192.0.2.2"),
    "AAAA": ("2001:db8::1",),
    "CNAME": ("a.example.net", "b.example.net"),
    "TXT": ("v=spf1 -all", "v=spf1 mx -all", "proof", "v=DMARC1; p=none"),
    "MX": ("mx1.example.net", "mx2.example.net"),
    "CAA": ('0 issue "a.example.net"', '0 issuewild "b.example.net"'),
    "SRV": ("1 2 443 a.example.net",),
}


@st.composite
def one(draw: st.DrawFn) -> Record:
    kind = draw(st.sampled_from(sorted(KINDS)))
    item: dict[str, Any] = {
        "type": kind,
        "name": draw(st.sampled_from(["@", "x", "y"])),
        "content": draw(st.sampled_from(KINDS[kind])),
    }
    if kind == "MX":
        item["priority"] = draw(st.sampled_from([10, 20]))
    if kind in ("A", "AAAA", "CNAME"):
        item["proxied"] = draw(st.booleans())
    return service.wish_of({**item, "ttl": draw(st.sampled_from([1, 300]))}, ZONE)


@st.composite
def zones(draw: st.DrawFn) -> list[Record]:
    """What a provider may hold: of each type, name and content one."""
    records = {(each.type, each.name, each.content): each for each in draw(st.lists(one(), max_size=9))}
    owners = st.sampled_from([SYSTEM, SYSTEM, None, TENANT])
    return [replace(each, id=str(n), owner=draw(owners), comment="") for n, each in enumerate(records.values())]


@given(st.lists(one(), max_size=7), zones(), st.booleans(), st.booleans())
def test_after_the_plan_nothing_is_left_to_do_and_others_lost_nothing(
    wishes: list[Record], zone: list[Record], adopt: bool, prune: bool
) -> None:
    bad = service.clashes(wishes)
    wishes = [each for position, each in enumerate(wishes) if position not in bad]
    todo = service.plan(wishes, zone, ZONE, adopt=adopt, prune=prune)
    assert all(step.before.owner == SYSTEM for step in todo.steps if step.before and not step.after)
    assert all(step.before.owner == SYSTEM or step.adopted for step in todo.steps if step.before)
    assert adopt or not any(step.adopted for step in todo.steps)
    if todo.refusals:
        return
    after = done(zone, todo)
    again = service.plan(wishes, after, ZONE, adopt=adopt, prune=prune)
    assert (again.steps, again.refusals, again.kept) == ([], [], len(wishes))
    contents = [(each.type, each.name, each.content) for each in after]
    assert len(set(contents)) == len(contents)
    foreign = {each.id: each for each in zone if each.owner != SYSTEM}
    taken = {step.before.id for step in todo.steps if step.adopted and step.before}
    assert {each.id: each for each in after if each.id in foreign.keys() - taken} == {
        number: each for number, each in foreign.items() if number not in taken
    }


def test_a_names_steps_share_a_transaction_and_none_is_too_large() -> None:
    plan = service.plan([wish("A", f"n{n // 3}", f"192.0.2.{n % 3}") for n in range(1000)], [], ZONE)
    parts = list(carrying.chunks(carrying.ordered(plan).steps))
    assert sum(map(len, parts)) == 1000
    assert max(map(len, parts)) <= carrying.BATCH
    names = [{step.name for step in part} for part in parts]
    assert sum(map(len, names)) == len(set().union(*names))
    crowded = service.plan([wish("TXT", "@", f"proof={n}") for n in range(450)], [], ZONE)
    assert [len(part) for part in carrying.chunks(crowded.steps)] == [200, 200, 50]


def test_changes_are_told_apart_where_they_are_about_the_same_name() -> None:
    changes = carrying.changes(service.plan([SPF, PROOF, A], [], ZONE).steps)
    assert [change.what for change in changes] == [
        "DNS TXT example.com (v=spf1 mx -all)",
        "DNS TXT example.com (proof=abc)",
        "DNS A n8n.example.com",
    ]
