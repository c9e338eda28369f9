# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A request that was judged before another run changed the tenant is not carried out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import drift, requested

JUDGED = {"rut": "12345678-5", "slug": "acme", "plan": "starter"}
WANTED = {**JUDGED, "plan": "professional"}
MEANWHILE = {**JUDGED, "name": "Another Name"}


def variables(*changed: str) -> dict[str, Any]:
    """What a play knows when a plan was asked for; ``changed`` are the hosts that shall change."""
    host = {"tenant_document": {"spec": WANTED}, "tenant_judged": drift.digest(JUDGED)}
    return {"groups": {requested.CHANGED: [*changed]}, "hostvars": {"acme": host, "other": {"tenant": {}}}}


def entries(spec: dict[str, Any] | None) -> Any:
    return {} if spec is None else {"acme": SimpleNamespace(document={"spec": spec})}


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (JUDGED, None),
        (WANTED, None),  # somebody else asked for the same
        (MEANWHILE, "another run has changed its spec since this one began"),
        (None, "it has left the registry since this run began"),
    ],
)
def test_a_change_holds_for_the_spec_that_it_was_judged_by(spec: dict[str, Any] | None, why: str | None) -> None:
    expected = {} if why is None else {"acme": why}
    assert requested.outdated(["acme"], entries(spec), variables("acme")) == expected


def test_a_tenant_that_is_created_may_be_new_and_one_that_is_applied_may_have_been_edited() -> None:
    assert requested.outdated(["acme"], entries(None), variables()) == {}
    assert requested.outdated(["acme"], entries(MEANWHILE), variables()) == {}
    assert list(requested.outdated(["other"], {}, variables())) == ["other"]
