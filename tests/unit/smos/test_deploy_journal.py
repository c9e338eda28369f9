# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The journal of a deploy: what a later run may rely on, and what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smos import deploy_journal
from smos.deploy_journal import opened

WISH = {"release": "0.2.0", "specs": "aa", "skipped": []}
SPEC = b"spec:\n  rut: 76086428-5\n"
STATUS = b"status:\n  sandbox:\n    phase: active\n\n    services: {}\n"


def begun(state: Path, run: str, wish: dict[str, Any] = WISH) -> dict[str, Any]:
    with opened(state, "sandbox") as journal:
        return journal.begin(run, wish, "2026-11-23T10:00:00Z")


def stopped_after_dns(state: Path, end: str) -> None:
    with opened(state, "sandbox") as journal:
        journal.begin("one", WISH, "2026-11-23T10:00:00Z")
        journal.stage("dns", state="done", run="one", changed=True)
        journal.stage("frontend", state="running", run="one", changed=False)
        if end != deploy_journal.RUNNING:
            journal.end(end)


@pytest.mark.parametrize("end", [deploy_journal.FAILED, deploy_journal.STOPPED, deploy_journal.RUNNING])
def test_what_was_done_is_kept_for_the_next_run_of_the_same_wish(tmp_path: Path, end: str) -> None:
    stopped_after_dns(tmp_path, end)
    assert begun(tmp_path, "two") == {"dns": {"state": "done", "run": "one", "changed": True}}
    assert list(begun(tmp_path, "three")) == ["dns"]  # and for the one after it


@pytest.mark.parametrize("other", [{"specs": "bb"}, {"release": "0.3.0"}, {"skipped": ["dns"]}])
def test_another_wish_begins_anew(tmp_path: Path, other: dict[str, Any]) -> None:
    stopped_after_dns(tmp_path, deploy_journal.FAILED)
    assert begun(tmp_path, "two", {**WISH, **other}) == {}


def test_a_deploy_that_has_ended_well_is_no_beginning_of_the_next(tmp_path: Path) -> None:
    stopped_after_dns(tmp_path, deploy_journal.DONE)
    assert begun(tmp_path, "two") == {}


def test_a_journal_that_was_cut_off_counts_as_none(tmp_path: Path) -> None:
    stopped_after_dns(tmp_path, deploy_journal.FAILED)
    (tmp_path / "deploys" / "sandbox.json").write_text('[{"run": "o')
    assert begun(tmp_path, "two") == {}


def test_only_one_has_it_and_the_other_hears_who(tmp_path: Path) -> None:
    with opened(tmp_path, "sandbox") as journal:
        journal.begin("one", WISH, "2026-11-23T10:00:00Z")
        with pytest.raises(deploy_journal.Busy) as busy, opened(tmp_path, "sandbox"):
            pass
        with opened(tmp_path, "staging"):
            pass
    assert busy.value.entry["run"] == "one"
    assert begun(tmp_path, "two") == {}


def test_the_newest_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path, "sandbox") as journal:
        for number in range(deploy_journal.KEPT + 3):
            journal.begin(str(number), WISH, "2026-11-23T10:00:00Z")
    with opened(tmp_path, "sandbox") as journal:
        assert [each["run"] for each in journal.entries][-1] == str(deploy_journal.KEPT + 2)
        assert len(journal.entries) == deploy_journal.KEPT


@pytest.mark.parametrize(
    "text", [SPEC + STATUS, STATUS + SPEC, SPEC + STATUS.removesuffix(b"\n")], ids=["behind", "before", "no line end"]
)
def test_the_wish_is_the_file_without_its_status(text: bytes) -> None:
    assert deploy_journal.without_status(text) == SPEC


def test_the_hash_is_of_the_wish_and_not_of_what_runs_write(tmp_path: Path) -> None:
    registry = tmp_path / "tenants" / "registry"
    (registry / ".locks").mkdir(parents=True)
    tenant, index = registry / "76086428-5.yml", tmp_path / "index.yml"
    tenant.write_bytes(SPEC)
    index.write_text("specs: 1\n")
    before = deploy_journal.fingerprint(tmp_path)
    tenant.write_bytes(SPEC + STATUS)
    (registry / ".locks" / "a.lock").write_text("held")
    assert deploy_journal.fingerprint(tmp_path) == before
    tenant.write_bytes(SPEC.replace(b"6086", b"6087"))
    changed = deploy_journal.fingerprint(tmp_path)
    index.write_text("specs: 2\n")
    assert len({before, changed, deploy_journal.fingerprint(tmp_path)}) == 3
