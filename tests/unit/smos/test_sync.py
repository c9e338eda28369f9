# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a commit of the specs says, and what is found in a patch."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_secrets import Known
from smos import exitcodes, sync_scan, sync_workflows
from smos.outcome import Failure
from smos.sync_message import LONGEST, Edit, message
from tools.commit_message import mistakes

PLANTED = "shpat_0123456789abcdef0123456789abcdef"


def tenant(slug: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Edit:
    action = "create" if before is None else "delete" if after is None else "update"
    rows = [None if each is None else {"slug": slug, "plan": "pro", **each} for each in (before, after)]
    return Edit(f"tenants/registry/{slug}.yml", action, *rows)


SUSPENDED = {"lifecycle": {"production": {"state": "suspended", "since": "2026-01-01T00:00:00Z"}}}
DELETED = {"lifecycle": {"production": {"state": "deleted", "since": "2026-01-01T00:00:00Z"}}}


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([tenant("acme", None, {})], "feat(tenants): add acme (pro)"),
        ([tenant("acme", {}, None)], "chore(tenants): remove acme"),
        ([tenant("acme", {}, {"plan": "free"})], "feat(tenants): move acme from pro to free"),
        ([tenant("acme", {}, {"name": "New"})], "chore(tenants): update acme"),
        ([tenant("acme", {}, SUSPENDED)], "chore(tenants): suspend acme"),
        ([tenant("acme", SUSPENDED, DELETED)], "chore(tenants): delete acme"),
        ([tenant("acme", SUSPENDED, {})], "chore(tenants): resume acme"),
        ([tenant("acme", {}, {})], "chore(tenants): record the state of acme"),
        ([tenant("a", None, {}), tenant("b", None, {})], "feat(tenants): add a (pro), b (pro)"),
        ([tenant(f"shop-{n:03}", None, {}) for n in range(40)], "feat(tenants): add 40 tenants"),
        ([tenant("a", None, {}), tenant("b", {}, None)], "feat(tenants): add 1, remove 1"),
        ([tenant(f"shop-{n:03}", {}, {}) for n in range(40)], "chore(tenants): record the state of 40 tenants"),
        ([Edit("infra/dns.yml", "update")], "chore(infra): update dns"),
        ([Edit("smos-version.yml", "update")], "chore(release): update smos-version"),
        ([Edit("index.yml", "update")], "chore(specs): update index"),
        ([Edit("bots/shop/bot.config.json", "create")], "feat(bots): add shop/bot.config"),
        ([Edit("tenants/registry/.gitkeep", "delete")], "chore(tenants): remove registry/.gitkeep"),
        ([Edit("infra/dns.yml", "update"), tenant("a", None, {})], "chore(specs): change infra and tenants"),
    ],
)
def test_the_first_line_says_what_changed(edits: list[Edit], expected: str) -> None:
    subject, *body = message(edits).split("\n")
    assert subject == expected
    assert len(subject) <= LONGEST
    assert mistakes(message(edits)) == []
    assert len(body) == (len(edits) + 1 if len(edits) > 1 else 0)


def test_a_long_name_does_not_make_a_long_line() -> None:
    subject = message([Edit(f"infra/{'x' * 100}.yml", "update")])
    assert len(subject) <= LONGEST


PATCH = f"""diff --git a/tenants/a.yml b/tenants/a.yml
--- a/tenants/a.yml
+++ b/tenants/a.yml
@@ -1,2 +7,4 @@
 same
-{PLANTED}
+++ looks like a head
+token: {PLANTED}
+the-secret-of-this-place
"""


def test_only_what_a_patch_adds_is_looked_at() -> None:
    rows = sync_scan.patch(PATCH, Known({"place": "the-secret-of-this-place"}))
    assert [(row["where"], row["why"]) for row in rows] == [
        ("tenants/a.yml:9", "this line holds a token of Shopify"),
        ("tenants/a.yml:10", "this line holds the value of place"),
    ]
    assert PLANTED not in str(rows)


def test_a_decision_names_a_file_and_a_side() -> None:
    assert sync_workflows.decided(["daily.json=n8n", "night=file"]) == {"daily": "n8n", "night": "file"}
    for word in ("daily", "daily=git", "=n8n"):
        with pytest.raises(Failure) as caught:
            sync_workflows.decided([word])
        assert caught.value.outcome.code == exitcodes.INVALID
