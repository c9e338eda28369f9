from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import supabase
from ansible_collections.smartercl.smarteros.plugins.modules import supabase_readers, supabase_rows


def tenant(**more: Any) -> dict[str, Any]:
    """A merged tenant, as the lookup gives it."""
    return {
        "id": "76086428-5",
        "name": "Acme",
        "slug": "acme-2",
        "domain": "acme-2.example.com",
        "custom_domain": None,
        "plan": "starter",
        "template": "default",
        "industry": "commerce",
        "owner": {"name": "Ana", "email": "ana@example.com", "phone": ""},
        "locale": {"currency": "CLP"},
        "branding": {},
        "features": {"analytics": False},
        "limits": {"users": None},
        "services": {"supabase": {"enabled": True}, "odoo": {"enabled": False}},
        "wish": "active",
        "wish_since": "",
        "status": {},
        **more,
    }


MADE = {"services": {"supabase": {"state": "ready"}}}
OFF = {"supabase": {"enabled": False}, "odoo": {"enabled": True}}


def test_items_have_only_options_that_the_modules_know() -> None:
    (row,), (reader,) = supabase.rows([tenant()]), supabase.readers([tenant()])
    assert set(row) <= set(supabase_rows.TENANT)
    assert set(row["row"]) == set(supabase_rows.ROW)
    assert set(reader) <= set(supabase_readers.READER)
    assert reader["role"] == "tenant_acme_2_reader"
    assert row["services"] == {"supabase": "enabled", "odoo": "disabled"}
    assert set(row["settings"]) == {"locale", "branding", "features", "limits"}


@pytest.mark.parametrize(
    ("more", "state", "rows", "readers"),
    [
        ({}, "", "present", "present"),
        ({"wish": "suspended"}, "", "suspended", "suspended"),
        ({"wish": "deleted", "wish_since": "2026-11-22T10:00:00Z"}, "", "deleted", "suspended"),
        ({"wish": "deleted", "wish_since": "2026-11-22T10:00:00Z"}, "suspended", "suspended", "suspended"),
        ({"wish": "purged"}, "", "absent", "absent"),
        ({}, "absent", "absent", "absent"),
        ({"services": OFF}, "", None, None),
        ({"services": OFF, "status": MADE}, "", "suspended", "suspended"),
        ({"services": OFF}, "absent", "absent", "absent"),
    ],
)
def test_the_state_follows_from_the_tenants_life(
    more: dict[str, Any], state: str, rows: str | None, readers: str | None
) -> None:
    assert [each["state"] for each in supabase.rows([tenant(**more)], state)] == ([rows] if rows else [])
    assert [each["state"] for each in supabase.readers([tenant(**more)], state)] == ([readers] if readers else [])


def test_a_deleted_tenant_takes_its_time_along() -> None:
    (item,) = supabase.rows([tenant(wish="deleted", wish_since="2026-11-22T10:00:00Z")])
    assert item["deleted_at"] == "2026-11-22T10:00:00Z"


def test_names_are_data_and_never_templates() -> None:
    assert supabase.rows([tenant(name="{{ 7 * 7 }}")])[0]["row"]["name"] == "{{ 7 * 7 }}"
