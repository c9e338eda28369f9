# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Why reality differs from the specs."""

from __future__ import annotations

from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import drift


def merged(**wish: Any) -> dict[str, Any]:
    tenant = {"id": "12345678-5", "name": "Acme Corp", "plan": "starter", **wish}
    block = {"applied": drift.fingerprint(tenant), "services": {"odoo": {"state": "ready", "created_by": "run-1"}}}
    return {**tenant, "status": block, "phase": "active"}


def test_what_runs_have_seen_is_no_part_of_the_wish() -> None:
    tenant = merged()
    assert drift.fingerprint(tenant) == drift.fingerprint({**tenant, "status": {}, "phase": "failed"})
    assert drift.fingerprint(tenant) != drift.fingerprint({**tenant, "plan": "free"})


def test_a_difference_under_unchanged_specs_is_drift() -> None:
    assert drift.cause(merged(), "odoo") == drift.BY_HAND
    assert drift.cause({**merged(), "plan": "free"}, "odoo") == drift.WISHED
    assert drift.cause(merged(), "n8n") == drift.FIRST


def test_the_owner_is_named_with_the_run_that_made_it() -> None:
    assert drift.owner(merged(), "odoo") == "smarteros:12345678-5, made by run run-1"
    assert drift.owner(merged(), "n8n") == "smarteros:12345678-5"
