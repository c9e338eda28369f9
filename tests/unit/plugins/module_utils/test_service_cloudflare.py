"""The plan for DNS records: what it does in each situation, and that carrying it out is enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.cloudflare import Record
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import cloudflare as service

ZONE = "example.com"
ACME, OTHER = "76086428-5", "96790240-3"
CONTENTS = {"A": ("192.0.2.1", "192.0.2.2"), "AAAA": ("2001:db8::1", "2001:db8::2"), "TXT": ("one", "two"),
            "CNAME": ("app.example.com", "old.example.com")}  # a table, easier to compare in rows  # fmt: skip


def item(name: str = "acme", kind: str = "CNAME", tenant: str = ACME, **more: Any) -> dict[str, Any]:
    return {"tenant": tenant, "type": kind, "name": f"{name}.{ZONE}", "content": CONTENTS[kind][0], **more}


def has(name: str = "acme", kind: str = "CNAME", owner: str | None = ACME, ident: str = "1", **more: Any) -> Record:
    return Record(
        **{"name": f"{name}.{ZONE}", "type": kind, "content": CONTENTS[kind][0], "owner": owner, "id": ident, **more}
    )


def planned(items: list[dict[str, Any]], records: list[Record], prune: bool = False) -> dict[str, service.Todo]:
    wishes, bad = service.wishes_of(items, ZONE)
    return service.plan(wishes, records, bad, prune)


def told(todo: service.Todo) -> list[str]:
    return [f"{change.action} {change.what.removeprefix('DNS ')}" for change in service.changes(todo)]


@pytest.mark.parametrize(
    ("items", "records", "prune", "expected"),
    [
        pytest.param([item()], [], False, ["create CNAME acme.example.com"], id="a missing record is made"),
        pytest.param([item()], [has()], False, [], id="a right record stays"),
        pytest.param([item(name="ACME")], [has()], False, [], id="case does not matter"),
        pytest.param([item()], [has(content="old.example.com")], False, ["update CNAME acme.example.com"], id="a wrong one is updated"),
        pytest.param([item(ttl=300)], [has()], False, ["update CNAME acme.example.com"], id="the ttl counts"),
        pytest.param([item(ttl=300, proxied=True)], [has(proxied=True)], False, [], id="the ttl of a proxied record does not"),
        pytest.param(
            [item(kind="A")], [has()], False,
            ["delete CNAME acme.example.com", "create A acme.example.com"], id="a type change is delete and create",
        ),
        pytest.param(
            [item()], [has(kind="A"), has(kind="AAAA", ident="2")], False,
            ["delete A acme.example.com", "delete AAAA acme.example.com", "create CNAME acme.example.com"],
            id="an alias replaces all addresses",
        ),
        pytest.param([item(kind="A")], [has(kind="A"), has(kind="AAAA", ident="2")], False, [], id="A and AAAA live together"),
        pytest.param(
            [item()], [has(ident="1", content="old.example.com"), has(ident="2")], False,
            ["delete CNAME acme.example.com"], id="of duplicates the right one stays",
        ),
        pytest.param([item(state="absent")], [has()], False, ["delete CNAME acme.example.com"], id="absent deletes ours"),
        pytest.param([item(state="absent")], [has(owner=None)], False, [], id="absent leaves what is not ours"),
        pytest.param([item(state="absent")], [has(owner=OTHER)], False, [], id="absent leaves another tenant's"),
        pytest.param([item()], [has(), has(name="old", ident="2")], False, [], id="without prune an unwished record stays"),
        pytest.param([item()], [has(), has(name="old", ident="2")], True, ["delete CNAME old.example.com"], id="prune deletes it"),
        pytest.param([item()], [has(), has(name="old", ident="2", owner=OTHER)], True, [], id="prune spares unlisted tenants"),
        pytest.param([item()], [has(), has(name="old", ident="2", owner=None)], True, [], id="prune spares what is not ours"),
        pytest.param([item()], [has(), has(kind="TXT", ident="2", owner=None)], False, [], id="a text beside is no rival"),
    ],
)  # a table, easier to compare in rows  # fmt: skip
def test_a_plan_holds_what_is_needed_and_no_more(
    items: list[dict[str, Any]], records: list[Record], prune: bool, expected: list[str]
) -> None:
    todo = planned(items, records, prune)[ACME]
    assert todo.error is None
    assert told(todo) == expected


@pytest.mark.parametrize(
    ("items", "records", "why"),
    [
        ([item()], [has(owner=None)], "does not bear our mark"),
        ([item()], [has(owner=OTHER)], f"belongs to tenant {OTHER}"),
        ([item()], [has(kind="A", owner=None)], "does not bear our mark"),
        ([item(kind="A")], [has(kind="AAAA", owner=OTHER)], "belongs to tenant"),
        ([item(), item(name="two")], [has(name="two", owner=None)], "two.example.com"),
        ([item(name="acme", content="acme.example.com")], [], "the name itself"),
        ([{**item(), "name": "acme.example.org"}], [], "not a name in the zone"),
        ([{**item(), "name": "evilexample.com"}], [], "not a name in the zone"),
        ([item(kind="A", content="nonsense")], [], "not an IP address"),
        ([item(ttl=7)], [], "ttl 7"),
        ([item(), item(content="old.example.com")], [], "otherwise by tenant"),
        ([item(), item(kind="A")], [], "otherwise by tenant"),
        ([item(), item(state="absent")], [], "otherwise by tenant"),
        ([item(), item(tenant=OTHER)], [], f"otherwise by tenant {OTHER}"),
    ],
)
def test_what_cannot_be_fails_its_tenant_and_touches_nothing(
    items: list[dict[str, Any]], records: list[Record], why: str
) -> None:
    todo = planned(items, records, prune=True)[ACME]
    assert todo.error is not None
    assert why in todo.error.message
    assert todo.size == 0


def test_a_tenant_that_fails_spares_the_others() -> None:
    todos = planned([item(), item(name="other", tenant=OTHER)], [has(owner=None)])
    assert todos[ACME].error is not None
    assert (todos[OTHER].error, told(todos[OTHER])) == (None, ["create CNAME other.example.com"])


def test_the_apex_is_a_name_too() -> None:
    todo = planned([{**item(kind="A"), "name": "@"}], [])[ACME]
    assert told(todo) == ["create A example.com"]


NAMES, OWNERS = ("a", "b"), (None, ACME, OTHER)
RECORD = st.builds(
    lambda name, kind, which, owner, proxied: has(name, kind, owner, content=CONTENTS[kind][which], proxied=proxied and kind != "TXT"),
    st.sampled_from(NAMES), st.sampled_from(sorted(CONTENTS)), st.sampled_from((0, 1)), st.sampled_from(OWNERS), st.booleans(),
)  # a table, easier to compare in rows  # fmt: skip
ITEM = st.builds(
    lambda name, kind, which, tenant, proxied, state: item(
        name, kind, tenant, content=CONTENTS[kind][which], proxied=proxied, state=state
    ),
    st.sampled_from(NAMES), st.sampled_from(sorted(CONTENTS)), st.sampled_from((0, 1)), st.sampled_from(OWNERS[1:]),
    st.booleans(), st.sampled_from(("present", "present", "absent")),
)  # a table, easier to compare in rows  # fmt: skip


def zone_of(records: list[Record]) -> list[Record]:
    """A zone that Cloudflare could hold: no identical records, no alias beside an address."""
    held: list[Record] = []
    for record in records:
        identical = any((each.key, each.content) == (record.key, record.content) for each in held)
        rival = any(each.name == record.name and service._exclude(each.type, record.type) for each in held)
        alias = record.type == "CNAME" and any(each.key == record.key for each in held)
        if not (identical or rival or alias):
            held.append(replace(record, id=str(len(held))))
    return held


def carried_out(records: list[Record], todos: dict[str, service.Todo]) -> list[Record]:
    after = {record.id: record for record in records}
    for todo in todos.values():
        for record in todo.delete:
            del after[record.id]
        for was, now in todo.patch:
            after[was.id] = now
        for n, record in enumerate(todo.post):
            after[f"{todo.tenant}/{n}"] = replace(record, id=f"{todo.tenant}/{n}")
    return list(after.values())


@given(items=st.lists(ITEM, max_size=5), records=st.lists(RECORD, max_size=8), prune=st.booleans())
def test_carrying_a_plan_out_reaches_the_wish_and_a_second_plan_is_empty(
    items: list[dict[str, Any]], records: list[Record], prune: bool
) -> None:
    before = zone_of(records)
    first = planned(items, before, prune)
    after = carried_out(before, first)

    foreign = [record for record in before if record.owner not in first or first[record.owner].error is not None]
    assert [record for record in after if record in foreign] == foreign
    assert zone_of(after) == [replace(record, id=str(n)) for n, record in enumerate(after)]
    second = planned(items, after, prune)
    for tenant, todo in second.items():
        if first[tenant].error is None:
            assert (todo.error, told(todo)) == (None, [])
