# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a machine is told of whom to tell, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import alerts_rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.timed_program import TimedProgram
from ansible_collections.smartercl.smarteros.plugins.modules import health_setup
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import alert_config, alert_units
from unit.plugins.plugin_utils.test_notice_channels import ALL

ROOT = Path(__file__).resolve().parents[4]
SPEC = yaml.safe_load((ROOT / "specs" / "infra" / "monitoring.yml").read_text(encoding="utf-8"))["alerts"]
EVERYBODY: dict[str, Any] = {
    **ALL,
    "smos_deputy_phone": "+56900000001",
    "smos_deputy_email": "deputy@example.com",
    "smos_deputy_webhook": "https://chat.example.com/hooks/deputys-path",
    "smos_health_ping": "https://ping.example.com/secret-uuid",
}


def test_everybody_has_his_ways_and_no_secret_is_in_the_section() -> None:
    made = alert_config.alert_config(SPEC, EVERYBODY, "/etc/x")
    assert sorted(made.section["ways"]) == [
        *("admin/email", "admin/webhook", "admin/whatsapp", "deputy/email", "deputy/webhook", "deputy/whatsapp"),
    ]
    assert made.section["ways"]["deputy/email"]["to"] == "deputy@example.com"
    assert made.section["ways"]["deputy/whatsapp"]["to"] == "+56900000001"
    assert made.section["silent_after_s"] == 1200
    shown = json.dumps(made.section)
    assert not any(each in shown for each in ("secret", "hooks", "uuid"))
    assert made.files["/etc/x/ping-url"] == "https://ping.example.com/secret-uuid\n"
    assert made.files["/etc/x/deputy-webhook-url"] == "https://chat.example.com/hooks/deputys-path\n"
    assert made.files["/etc/x/notice-webhook-url"] == "https://chat.example.com/hooks/secret-path\n"
    assert "secret" not in repr(made)


def test_the_machine_understands_the_rules() -> None:
    made = alert_config.alert_config(SPEC, EVERYBODY)
    rules = alerts_rules.of(json.loads(json.dumps(made.section["rules"])), ZoneInfo("America/Santiago"))
    assert rules.routes["critical"] == ("admin/whatsapp", "admin/email", "admin/webhook")
    assert rules.routes["warning"] == ("admin/email", "admin/webhook")
    assert rules.escalation == (alerts_rules.Step(1800.0, ("deputy/whatsapp", "deputy/email")),)
    assert (rules.quiet, rules.flaps, rules.calm_s, rules.per_hour) == ((1320, 480), 3, 3600.0, 6)
    assert set(rules.ways) <= set(made.section["ways"])


def test_where_no_named_channel_is_configured_the_others_are_used() -> None:
    only = {name: value for name, value in ALL.items() if not name.startswith(("smtp", "smos_notice"))}
    rules = alert_config.alert_config(SPEC, only).section["rules"]
    assert rules["routes"] == {"critical": ["admin/whatsapp"], "warning": ["admin/whatsapp"]}
    assert rules["escalation"] == []
    nothing = alert_config.alert_config(SPEC, {})
    assert (nothing.section["ways"], nothing.files) == ({}, {})


@pytest.mark.parametrize("url", ["http://ping.example.com/x", "ping.example.com", "https://ping.example.com/\u200bx"])
def test_a_ping_that_cannot_be_right_is_refused_without_its_address(url: str) -> None:
    with pytest.raises(ApiError, match="smos_health_ping") as caught:
        alert_config.alert_config(SPEC, {"smos_health_ping": url})
    assert "example" not in str(caught.value)


def test_quiet_hours_may_be_left_out() -> None:
    spec = {name: value for name, value in SPEC.items() if name not in ("quiet_hours", "escalation")}
    rules = alert_config.alert_config(spec, ALL).section["rules"]
    assert (rules["quiet_hours"], rules["escalation"]) == (None, [])
    assert alerts_rules.of(rules, ZoneInfo("UTC")).quiet is None


@pytest.mark.parametrize(("silent", "every"), [(5, 75), (20, 300), (240, 600)])
def test_the_watch_comes_often_enough(silent: int, every: int) -> None:
    units = alert_units.units(silent)
    assert set(units) == {"smos-health-watch.service", "smos-health-watch.timer"}
    assert f"OnUnitActiveSec={every}s" in units["smos-health-watch.timer"]
    assert f"ExecStart={alert_units.PROGRAM}\n" in units["smos-health-watch.service"]


def test_the_module_puts_it_where_the_unit_looks_and_takes_away_what_is_secret_no_longer() -> None:
    place: TimedProgram = health_setup.PLACE
    assert place.others == {"watch_program": alert_units.PROGRAM}
    assert tuple(place.ours) == alert_config.PATTERNS
    assert set(notice_ways.NAMES) == {"webhook", "email", "whatsapp"}
