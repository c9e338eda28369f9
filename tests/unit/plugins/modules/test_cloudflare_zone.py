"""The promises of cloudflare_zone, kept against the sandbox's Cloudflare."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.filter.cloudflare import zone_settings
from ansible_collections.smartercl.smarteros.plugins.modules import cloudflare_zone as module
from smos.sandbox import cloudflare_settings
from smos.sandbox.cloudflare import LIMITED, ZONE_ID
from unit.plugins.wire import Sent, Wire, run_module, wired
from unit.sandbox.driver import cloudflare
from unit.test_repository import ROOT

ZONE, TOKEN = "smarterbot.cl", "sandbox-cloudflare-token"
WISHED = {"ssl": "full", "always_use_https": "on", "0rtt": "on", "http3": "on"}
CHANGED = {"ssl_automatic_mode": "custom", "ssl": "full", "always_use_https": "on", "0rtt": "on"}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(cloudflare, monkeypatch)


def run(wire: Wire, settings: dict[str, Any], check: bool = False, token: str = TOKEN) -> dict[str, Any]:
    return run_module(module, check, url=wire.base_url, token=token, zone=ZONE, settings=settings)


def held(wire: Wire, name: str) -> Any:
    return wire.driver.ok("GET", f"/zones/{ZONE_ID}/settings/{name}")["result"]["value"]


def written(wire: Wire) -> list[Sent]:
    return [sent for sent in wire.sent if sent.method == "PATCH"]


def test_what_differs_is_changed_once_and_nothing_else(wire: Wire) -> None:
    foretold = run(wire, WISHED, check=True)
    assert written(wire) == []
    done = run(wire, WISHED)
    assert foretold["changes"] == done["changes"]
    assert {row["what"].split()[-1]: row["after"] for row in done["changes"]} == CHANGED
    assert {name: held(wire, name) for name in CHANGED} == CHANGED
    again = run(wire, WISHED)
    assert (again["changed"], again["changes"], len(written(wire))) == (False, [], len(CHANGED))


def test_the_mode_that_would_change_ssl_is_ended_first(wire: Wire) -> None:
    run(wire, WISHED)
    assert [sent.path.rsplit("/", 1)[-1] for sent in written(wire)][:2] == ["ssl_automatic_mode", "ssl"]


def test_what_the_plan_does_not_allow_is_told_and_left(wire: Wire) -> None:
    done = run(wire, {"edge_cache_ttl": 14400})
    assert done["changed"] is False
    assert done["warnings"] == ["edge_cache_ttl stays 7200: the zone's plan does not let it be 14400"]


def test_on_and_zrt_are_the_same(wire: Wire) -> None:
    assert run(wire, {"tls_1_3": "zrt"})["changed"] is False


def test_an_unknown_setting_is_an_error_before_anything_is_written(wire: Wire) -> None:
    failed = run(wire, {"always_use_https": "on", "minify": "on"})
    assert (failed["failed"], failed["exit_code"], written(wire)) == (True, 3, [])
    assert "Invalid setting name" in failed["errors"][0]["why"]


def test_a_value_that_is_refused_tells_what_had_been_done(wire: Wire) -> None:
    failed = run(wire, {"always_use_https": "on", "min_tls_version": "0.9"})
    assert (failed["failed"], failed["exit_code"]) == (True, 1)
    assert [row["what"] for row in failed["changes"]] == ["zone setting always_use_https"]
    assert "min_tls_version" in failed["errors"][0]["why"]


def test_a_token_that_only_reads_changes_nothing(wire: Wire) -> None:
    failed = run(wire, WISHED, token=LIMITED)
    assert (failed["failed"], failed["changes"]) == (True, [])
    assert LIMITED not in str(failed)


def test_the_specs_ask_for_settings_that_exist(wire: Wire) -> None:
    spec = yaml.safe_load((ROOT / "specs/infra/dns.yml").read_text())
    settings = zone_settings(spec["settings"])
    assert {name: value for name, value in settings.items() if value not in cloudflare_settings.VALUES[name]} == {}
    assert "brotli" not in settings
    assert run(wire, settings).get("warnings", []) == []
