"""The promises of supabase_rows, kept against the sandbox's Supabase."""

from __future__ import annotations

from typing import Any

import pytest

from unit.plugins.supabase_world import BUCKET, World, item, rut, with_row
from unit.plugins.wire import CUT, LOST, Sent, once


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(monkeypatch)
    world.migrate()
    return world


def states(answer: dict[str, Any]) -> dict[str, str]:
    return {row["tenant"]: row["state"] for row in answer["results"]}


def held(world: World) -> dict[str, str]:
    return {row["slug"]: row["status"] for row in world.table("tenants")}


def patched(world: World, table: str, values: dict[str, Any], **where: str) -> None:
    """A change by hand, through the data API."""
    world.wire.driver.ok("PATCH", f"/rest/v1/{table}", values, **where)


SITUATIONS = {
    "new": [item(1), item(2)],
    "changed": [with_row(3, name="Another", custom_domain="shop.example.com"), item(4, settings={"locale": {}})],
    "services": [item(3, services={"odoo": "disabled"})],
    "suspended": [item(3, state="suspended"), item(4, state="deleted", deleted_at="2026-11-22T10:00:00-03:00")],
    "absent": [{"tenant": rut(3), "state": "absent"}, {"tenant": rut(9), "state": "absent"}],
    "disabled": [{"tenant": rut(3), "state": "disabled", "reason": "no store"}],
}


@pytest.mark.parametrize("items", SITUATIONS.values(), ids=SITUATIONS)
def test_check_mode_foretells_the_run_and_a_second_run_changes_nothing(
    world: World, items: list[dict[str, Any]]
) -> None:
    world.rows(item(3), item(4))
    before = [world.table(name) for name in ("tenants", "tenant_settings", "tenant_services")]
    foretold = world.rows(*items, check=True)
    assert [world.table(name) for name in ("tenants", "tenant_settings", "tenant_services")] == before
    done = world.rows(*items)
    assert (foretold["changed"], foretold["diff"], foretold["results"]) == (
        done["changed"],
        done["diff"],
        done["results"],
    )
    again = world.rows(*items)
    assert (again["changed"], again["diff"]) == (False, {"before": {}, "after": {}})


def test_a_thousand_unchanged_tenants_cost_a_few_pages_and_a_change_one_write(world: World) -> None:
    tenants = [item(n) for n in range(300)]
    made = world.rows(*tenants)
    assert set(states(made).values()) == {"ready"}
    assert made["requests"] <= 12
    assert world.rows(*tenants)["requests"] == 3
    world.wire.sent.clear()
    world.rows(*tenants[:-1], with_row(299, plan="free"))
    assert [(each.method, each.path) for each in world.wire.writes] == [("POST", "/rest/v1/tenants")]
    assert len(world.wire.writes[0].json) == 1


def test_more_rows_than_a_project_gives_at_once_are_all_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smos.sandbox.supabase_rest.MAX_ROWS", 7)
    tenants = [item(n) for n in range(120)]
    world.rows(*tenants)
    assert world.rows(*tenants)["changed"] is False
    assert len(held(world)) == 7  # what the project shows at once, to those who do not turn the page


def test_before_the_migrations_check_mode_counts_on_them_and_a_run_names_the_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)
    assert states(world.rows(item(1), check=True)) == {rut(1): "ready"}
    answer = world.rows(item(1))
    assert answer["exit_code"] == 3
    assert "apply the migrations first" in answer["msg"]


def test_tables_that_were_just_made_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.migrate()
    stale = (404, {"code": "PGRST205", "message": "Could not find the table in the schema cache"})
    left = [stale] * 4
    world.wire.trouble = lambda sent: left.pop() if left and sent.path.startswith("/rest/") else None
    assert states(world.rows(item(1))) == {rut(1): "ready"}


def test_what_is_the_tenants_own_is_never_touched(world: World) -> None:
    world.rows(item(1))
    world.wire.driver.ok("POST", "/rest/v1/tenant_settings", {"tenant_id": rut(1), "key": "app.theme", "value": "dark"})
    member = {"tenant_id": rut(1), "user_id": "00000000-0000-4000-8000-000000000001", "role": "owner"}
    world.wire.driver.ok("POST", "/rest/v1/tenant_members", member)
    assert world.rows(item(1))["changed"] is False
    world.rows(
        item(1, settings={"locale": {"currency": "USD"}}), item(1) | {"tenant": rut(2)} | {"row": item(2)["row"]}
    )
    assert {row["key"] for row in world.table("tenant_settings") if row["tenant_id"] == rut(1)} >= {"app.theme"}
    assert len(world.table("tenant_members")) == 1


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("tenants", {"plan": "enterprise"}),
        ("tenants", {"status": "suspended"}),
        ("tenant_settings", {"value": {"users": 999}}),
        ("tenant_services", {"state": "disabled"}),
    ],
)
def test_what_somebody_changed_by_hand_is_told_and_closed(world: World, table: str, values: dict[str, Any]) -> None:
    world.rows(item(1))
    before = world.table(table)
    patched(world, table, values)
    assert world.rows(item(1), check=True)["changed"] is True
    assert world.rows(item(1))["changed"] is True
    shown = [{key: value for key, value in row.items() if key != "updated_at"} for row in world.table(table)]
    assert shown == [{key: value for key, value in row.items() if key != "updated_at"} for row in before]


def test_a_row_that_was_deleted_by_hand_comes_back_with_all_that_hung_on_it(world: World) -> None:
    world.rows(item(1))
    world.wire.driver.ok("DELETE", "/rest/v1/tenants", id=f"eq.{rut(1)}")
    assert world.table("tenant_settings") == []
    answer = world.rows(item(1))
    assert answer["results"][0]["created"] is True
    assert len(world.table("tenant_settings")) == 2


def test_a_tenant_whose_row_is_refused_fails_alone(world: World) -> None:
    world.rows(item(1))
    taken = with_row(2, slug="t1")
    bad = with_row(3, slug="Not A Label")
    answer = world.rows(taken, *(item(n) for n in range(10, 30)), bad)
    assert {tenant for tenant, state in states(answer).items() if state == "failed"} == {rut(2), rut(3)}
    assert len(held(world)) == 21
    errors = {row["tenant"]: row["error"] for row in answer["results"] if row["error"]}
    assert "duplicate key" in errors[rut(2)]["why"]
    assert "tenants_slug_is_a_label" in errors[rut(3)]["why"]
    assert all(not row["changes"] for row in answer["results"] if row["error"])


def test_suspending_changes_the_status_alone_and_present_brings_it_back(world: World) -> None:
    world.rows(item(1))
    patched(world, "tenants", {"name": "By hand"})
    world.rows(item(1, state="suspended"))
    row = world.table("tenants")[0]
    assert (row["status"], row["name"]) == ("suspended", "By hand")
    world.rows({"tenant": rut(1), "state": "deleted", "deleted_at": "2026-11-22T12:00:00Z"})
    row = world.table("tenants")[0]
    assert (row["status"], row["deleted_at"]) == ("deleted", "2026-11-22T12:00:00+00:00")
    world.rows(item(1))
    row = world.table("tenants")[0]
    assert (row["status"], row["deleted_at"], row["name"]) == ("active", None, "Tenant 1")


def test_suspending_a_tenant_that_is_not_there_makes_nothing(world: World) -> None:
    answer = world.rows(item(1, state="suspended"))
    assert (answer["changed"], states(answer)) == (False, {rut(1): "suspended"})
    assert held(world) == {}


def test_absent_takes_rows_and_files_of_that_tenant_only_and_leaves_its_events_nameless(world: World) -> None:
    world.buckets(BUCKET, {"name": "other"})
    world.rows(item(1), item(2))
    for path in (f"{rut(1)}/a.png", f"{rut(1)}/deep/er/b.png", f"{rut(2)}/a.png", f"{rut(1)}0/a.png"):
        world.upload(path)
    world.upload(f"{rut(1)}/a.txt", "other")
    answer = world.rows({"tenant": rut(1), "state": "absent"})
    whats = [change["what"] for change in answer["results"][0]["changes"]]
    assert whats == [f"files of {rut(1)} in tenant-assets", f"tenant row {rut(1)}"]
    client = world.client()
    assert client.files("tenant-assets", rut(1)) == []
    assert client.files("tenant-assets", rut(2)) == [f"{rut(2)}/a.png"]
    assert client.files("tenant-assets", f"{rut(1)}0") == [f"{rut(1)}0/a.png"]
    assert client.files("other", rut(1)) == [f"{rut(1)}/a.txt"]
    assert held(world) == {"t2": "active"}
    assert {row["tenant_id"] for row in world.table("tenant_settings")} == {rut(2)}
    nameless = [row for row in world.table("audit_events") if row["tenant_id"] is None]
    assert [row["action"] for row in nameless] == ["tenant.created", "tenant.purged"]
    assert rut(1) not in str(nameless)


def test_a_disabled_tenant_costs_no_request(world: World) -> None:
    world.wire.sent.clear()
    answer = world.rows({"tenant": rut(1), "state": "disabled", "reason": "why"})
    assert (states(answer), answer["results"][0]["message"], world.wire.sent) == ({rut(1): "disabled"}, "why", [])


def is_write(sent: Sent) -> bool:
    return sent.method != "GET" and sent.path.startswith("/rest/")


@pytest.mark.parametrize("trouble", [LOST, CUT])
@pytest.mark.parametrize("table", ["tenants", "tenant_settings", "tenant_services"])
def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_is_there_twice(
    world: World, table: str, trouble: str
) -> None:
    world.wire.trouble = once(lambda sent: is_write(sent) and sent.path.endswith(table), trouble)
    assert set(states(world.rows(item(1), item(2))).values()) == {"ready"}
    assert world.rows(item(1), item(2))["changed"] is False


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "after it is done"])
def test_a_run_that_dies_between_any_two_writes_is_completed_by_the_next(
    world: World, number: int, after: bool
) -> None:
    seen = [0]

    def die(sent: Sent) -> Any:
        if is_write(sent):
            seen[0] += 1
            if seen[0] == number + 1:
                if after:
                    world.wire.driver.send(sent.method, sent.path, sent.json, headers=HEADERS, **sent.params)
                raise Killed
        return None

    world.wire.trouble = die
    with pytest.raises(Killed):
        world.rows(item(1), concurrency=1)
    world.wire.trouble = lambda _sent: None
    assert states(world.rows(item(1))) == {rut(1): "ready"}
    assert world.rows(item(1))["changed"] is False
    assert (len(world.table("tenants")), len(world.table("tenant_settings"))) == (1, 2)


HEADERS = {"apikey": "sandbox-supabase-token", "prefer": "resolution=merge-duplicates"}


def test_the_same_tenant_twice_is_refused(world: World) -> None:
    assert world.rows(item(1), item(1))["failed"]


@pytest.mark.parametrize(
    "body",
    [None, "<html>sign in</html>", {"rows": []}, [1, 2], [[]], [{"id": None}], 7],
    ids=["empty", "html", "an object", "numbers", "lists", "no id", "a number"],
)
def test_an_answer_of_another_kind_is_one_clear_error(world: World, body: Any) -> None:
    world.wire.trouble = lambda sent: (200, body) if sent.method == "GET" else None
    answer = world.rows(item(1))
    assert answer.get("exit_code") == 3 or states(answer) == {rut(1): "ready"}, answer
