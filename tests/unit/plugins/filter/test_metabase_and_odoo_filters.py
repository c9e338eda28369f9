"""From tenants to items of Metabase and Odoo, wherever a tenant is in its life."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import metabase, odoo
from ansible_collections.smartercl.smarteros.plugins.modules import metabase_objects, odoo_companies, odoo_users


def tenant(wish: str = "active", enabled: bool = True, **more: Any) -> dict[str, Any]:
    """A merged tenant, as the lookup gives it."""
    return {
        "id": "76086428-5",
        "name": "Acme",
        "slug": "acme",
        "rut_valid": True,
        "locale": {"timezone": "America/Santiago", "currency": "CLP", "language": "es", "country": "CL"},
        "owner": {"name": "Ana Pérez", "email": "ana@example.com"},
        "limits": {"users": 5},
        "services": {"odoo": {"enabled": enabled}, "metabase": {"enabled": enabled}},
        "status": {},
        "wish": wish,
        **more,
    }


FILTERS = [
    (metabase.FilterModule().filters()["metabase_objects"], metabase_objects.OBJECT),
    (odoo.FilterModule().filters()["odoo_companies"], odoo_companies.COMPANY),
    (odoo.FilterModule().filters()["odoo_users"], odoo_users.USER),
]
LIFE = [("active", "present"), ("suspended", "suspended"), ("deleted", "suspended"), ("purged", "absent")]


@pytest.mark.parametrize(("items", "options"), FILTERS, ids=["objects", "companies", "users"])
@pytest.mark.parametrize(("wish", "state"), LIFE)
def test_where_a_tenant_is_in_its_life_decides_the_state(items: Any, options: Any, wish: str, state: str) -> None:
    (item,) = items([tenant(wish)])
    assert item["state"] == state
    assert set(item) <= set(options)
    assert {name for name, option in options.items() if option.get("required")} <= set(item)


@pytest.mark.parametrize(("items", "_options"), FILTERS, ids=["objects", "companies", "users"])
def test_a_tenant_that_never_had_the_service_is_left_out(items: Any, _options: Any) -> None:
    assert items([tenant(enabled=False)]) == []
    assert items([tenant(enabled=False)], "absent")[0]["state"] == "absent"


@pytest.mark.parametrize(("items", "_options"), FILTERS, ids=["objects", "companies", "users"])
def test_a_service_that_was_switched_off_is_closed(items: Any, _options: Any) -> None:
    made = {"services": {name: {"state": "ready"} for name in ("odoo", "metabase")}}
    assert items([tenant(enabled=False, status=made)])[0]["state"] == "suspended"


def test_users_leave_before_their_companies_and_come_after_them() -> None:
    tenants = [tenant(), tenant("suspended"), tenant("purged")]
    assert [item["state"] for item in odoo.users(tenants, "", "leaving")] == ["suspended", "absent"]
    assert [item["state"] for item in odoo.users(tenants, "", "staying")] == ["present"]
    assert odoo.users(tenants, "absent", "staying") == []


def test_the_plans_limit_on_users_goes_along() -> None:
    assert odoo.users([tenant()])[0]["limit"] == 5
    assert odoo.users([tenant(limits={"users": None})])[0]["limit"] is None
