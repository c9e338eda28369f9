# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From where a tenant is in its life to what a service does with it; and the secrets that services agree on."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import derive, lifecycle


def tenant(wish: str = "active", enabled: bool = True, seen: str = "") -> dict[str, Any]:
    services = {"odoo": {"state": seen}} if seen else {}
    return {"wish": wish, "services": {"odoo": {"enabled": enabled}}, "status": {"services": services}}


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (tenant(), "present"),
        (tenant("suspended"), "suspended"),
        (tenant("deleted"), "suspended"),
        (tenant("purged"), "absent"),
        (tenant("purged", enabled=False), "absent"),
        (tenant(enabled=False), ""),
        (tenant(enabled=False, seen="ready"), "suspended"),
        (tenant(enabled=False, seen="suspended"), ""),
    ],
)
def test_the_state_follows_from_the_wish(one: dict[str, Any], state: str) -> None:
    assert lifecycle.state_of(one, "odoo") == state


def test_a_service_may_let_go_of_a_deleted_tenant_at_once() -> None:
    assert lifecycle.state_of(tenant("deleted"), "odoo", deleted="absent") == "absent"


def test_an_undo_asks_for_absence_whatever_the_wish() -> None:
    assert lifecycle.state_of(tenant(enabled=False), "odoo", "absent") == "absent"
    assert lifecycle.state_of(tenant(enabled=False), "odoo", "suspended") == ""


def test_a_run_reaches_only_services_that_a_tenant_has_or_had() -> None:
    assert lifecycle.concerns(tenant(), "odoo")
    assert not lifecycle.concerns(tenant(enabled=False), "odoo")
    assert not lifecycle.concerns(tenant("purged"), "odoo")
    assert lifecycle.concerns(tenant("purged", seen="suspended"), "odoo")
    assert lifecycle.is_made(tenant(seen="failed"), "odoo")
    assert not lifecycle.is_made(tenant(seen="disabled"), "odoo")


def test_secrets_differ_by_tenant_purpose_and_master() -> None:
    master = "a master secret of some length"
    made = derive.secret(master, "reader", "12345678-5")
    assert made == derive.secret(master, "reader", "12345678-5")
    assert len(made) == 43
    others = [
        ("another master secret", "reader", "12345678-5"),
        (master, "writer", "12345678-5"),
        (master, "reader", "1-9"),
    ]
    assert made not in {derive.secret(*other) for other in others}


def test_a_short_master_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16"):
        derive.secret("short", "reader", "12345678-5")
