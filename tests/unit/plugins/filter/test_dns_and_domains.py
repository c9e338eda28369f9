"""From tenants to names: where a tenant is in its life decides what its record and its domains do."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.filter import cloudflare, vercel
from ansible_collections.smartercl.smarteros.plugins.modules import cloudflare_dns_records, vercel_domains

ZONE, APP = "smarterbot.cl", "app.smarterbot.cl"


def tenant(wish: str = "active", on: bool = True, vercel_state: str = "ready", **more: Any) -> dict[str, Any]:
    """A merged tenant whose services cloudflare and vercel are on or off, and were seen in a state."""
    seen: dict[str, Any] = {"cloudflare": {"state": "ready"}}
    if vercel_state:
        seen["vercel"] = {"state": vercel_state, "ref": {"domains": {"acme.smarterbot.cl": "ok"}}}
    return {
        "id": "76086428-5",
        "slug": "acme",
        "domain": "acme.smarterbot.cl",
        "custom_domain": None,
        "wish": wish,
        "services": {"cloudflare": {"enabled": on}, "vercel": {"enabled": on}},
        "status": {"services": seen},
        **more,
    }


def record(one: dict[str, Any], **more: Any) -> tuple[str, str]:
    (item,) = cloudflare.dns_records([one], ZONE, APP, **more)
    assert set(item) <= set(cloudflare_dns_records.RECORD)
    return item["state"], item["content"]


def domains(one: dict[str, Any], state: str = "") -> dict[str, Any]:
    (item,) = vercel.domains([one], state)
    assert set(item) <= set(vercel_domains.TENANT)
    return item


@pytest.mark.parametrize(
    ("one", "wanted"),
    [
        (tenant(), ("present", APP)),
        (tenant("suspended"), ("suspended", APP)),
        (tenant("suspended", vercel_state="suspended"), ("suspended", APP)),
        (tenant("suspended", vercel_state=""), ("suspended", f"suspended.{ZONE}")),
        (tenant("suspended", vercel_state="disabled"), ("suspended", f"suspended.{ZONE}")),
        (tenant("deleted"), ("absent", APP)),
        (tenant("purged"), ("absent", APP)),
        (tenant(on=False), ("absent", APP)),
    ],
)
def test_a_record_follows_the_tenants_life(one: dict[str, Any], wanted: tuple[str, str]) -> None:
    state, content = record(one)
    assert (state, content if state != "absent" else APP) == wanted


def test_where_suspended_tenants_lead_can_be_chosen() -> None:
    one = tenant("suspended", vercel_state="")
    assert record(one, suspension_target="pause.example.com") == ("suspended", "pause.example.com")


def test_what_the_play_asks_for_wins_over_the_tenants_life() -> None:
    assert record(tenant("suspended"), state="present") == ("present", APP)
    assert record(tenant(), state="absent")[0] == "absent"
    assert domains(tenant("suspended"), "present")["state"] == "present"
    assert domains(tenant(on=False), "absent")["state"] == "absent"


def test_a_service_that_is_off_and_was_never_made_is_left_out() -> None:
    never = tenant(on=False, status={})
    assert cloudflare.dns_records([never], ZONE, APP) == []
    assert vercel.domains([never]) == []


@pytest.mark.parametrize(
    ("wish", "state"),
    [("active", "present"), ("suspended", "suspended"), ("deleted", "suspended"), ("purged", "absent")],
)
def test_domains_follow_the_tenants_life(wish: str, state: str) -> None:
    assert domains(tenant(wish))["state"] == state


def test_domains_are_the_tenants_own_its_custom_one_and_what_its_status_remembers() -> None:
    item = domains(tenant(custom_domain="shop.example.com"))
    assert item["domains"] == ["acme.smarterbot.cl", "shop.example.com"]
    assert (item["known"], item["late"]) == ({"acme.smarterbot.cl": "ok"}, ["acme.smarterbot.cl"])
    assert domains(tenant(services={"vercel": {"enabled": True}}))["late"] == []


def test_names_are_data_and_never_templates() -> None:
    assert domains(tenant(custom_domain="{{ 7 * 7 }}"))["domains"][1] == "{{ 7 * 7 }}"
