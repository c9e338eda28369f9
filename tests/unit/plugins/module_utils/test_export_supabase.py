"""A tenant's rows go into an archive and come back, once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.exports import supabase as export
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy
from unit.plugins.supabase_world import TOKEN, World, item, rut

TENANT = {"id": rut(1), "slug": "t1"}
USER = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(monkeypatch)
    world.migrate()
    world.rows(item(1), item(2))
    own = {"tenant_id": rut(1), "key": "app.theme", "value": {"dark": True}}
    world.wire.driver.ok("POST", "/rest/v1/tenant_settings", own)
    world.wire.driver.ok("POST", "/rest/v1/tenant_members", {"tenant_id": rut(1), "user_id": USER, "role": "owner"})
    return world


def collect(world: World) -> dict[str, bytes]:
    return export.collect(world.connection, TENANT, Policy())


def rows_of(files: dict[str, bytes]) -> dict[str, Any]:
    """Without what the database makes of its own."""
    own = ("created_at", "updated_at", "id", "at", "actor")
    found = {}
    for name, raw in files.items():
        rows = [{key: value for key, value in row.items() if key not in own} for row in json.loads(raw)]
        found[name] = sorted(rows, key=str)
    return found


def test_every_table_is_in_it_and_nothing_of_another_tenant_or_secret(world: World) -> None:
    files = collect(world)
    assert set(files) == {f"{table}.json" for table in export.TABLES}
    text = b"".join(files.values()).decode()
    assert rut(2) not in text
    assert TOKEN not in text
    assert collect(world) == files


def test_after_a_purge_everything_comes_back_and_only_once(world: World) -> None:
    files = collect(world)
    world.rows({"tenant": rut(1), "state": "absent"})
    said = export.bring_back(world.connection, TENANT, files, Policy())
    assert any("1 rows of tenants" in line for line in said)
    assert f"member {USER} as owner" in said
    after = rows_of(collect(world))
    # its row is made anew, and that is an event of its own
    for name in export.TABLES:
        expected = rows_of(files)[f"{name}.json"]
        assert [row for row in expected if row not in after[f"{name}.json"]] == []
    assert export.bring_back(world.connection, TENANT, files, Policy()) == []
    assert rows_of(collect(world)) == after


def test_what_is_there_already_stays_as_it_is(world: World) -> None:
    files = collect(world)
    world.wire.driver.ok("PATCH", "/rest/v1/tenants", {"name": "Newer"}, id=f"eq.{rut(1)}")
    assert [line for line in export.bring_back(world.connection, TENANT, files, Policy()) if "tenants" in line] == []
    assert {row["name"] for row in world.table("tenants")} == {"Newer", "Tenant 2"}


def test_a_member_whose_account_is_gone_is_told_of(world: World) -> None:
    files = collect(world)
    world.rows({"tenant": rut(1), "state": "absent"})
    gone = (409, {"code": "23503", "message": "violates foreign key constraint"})
    world.wire.trouble = lambda sent: gone if sent.method == "POST" and sent.path.endswith("tenant_members") else None
    said = export.bring_back(world.connection, TENANT, files, Policy())
    assert f"member {USER} not brought back: there is no such account any more" in said


def test_rows_of_another_tenant_in_an_archive_are_left_out(world: World) -> None:
    stranger = json.dumps([{"tenant_id": rut(2), "key": "app.evil", "value": 1}]).encode()
    assert export.bring_back(world.connection, TENANT, {"tenant_settings.json": stranger}, Policy()) == []
    assert "app.evil" not in str(world.table("tenant_settings"))


@pytest.mark.parametrize("raw", [b"{", b"{}", b"[1]", b"\xff"])
def test_a_file_that_is_no_list_of_rows_is_refused_by_name(world: World, raw: bytes) -> None:
    with pytest.raises(ApiError, match=r"tenants\.json"):
        export.bring_back(world.connection, TENANT, {"tenants.json": raw}, Policy())
