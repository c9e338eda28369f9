"""The journal of a restore: whole or not there, and read by those who must wait."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal, JournalError, State

STATE = State(
    "latest",
    "20260101-020000",
    ["n8n"],
    "2026-01-02T03:04:05Z",
    stage=journal.FILLING,
    wanted=["n8n"],
    replicas={"n8n_n8n": 1},
    places=[{"service": "n8n", "kind": "database", "name": "n8n"}],
    checks=[],
)


@pytest.fixture
def kept(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "restore.json")


def test_what_is_written_is_read_and_what_is_cleared_is_gone(kept: Journal) -> None:
    assert kept.read() is None
    kept.clear()
    kept.write(STATE)
    assert kept.read() == STATE
    kept.write(replace(STATE, stage=journal.SWITCHING))
    again = kept.read()
    assert again is not None
    assert again.stage == "switching"
    kept.clear()
    assert kept.read() is None


def test_it_is_for_root_alone_and_nothing_is_left_beside_it(kept: Journal, tmp_path: Path) -> None:
    kept.write(STATE)
    assert [each.name for each in (tmp_path / "state").iterdir()] == ["restore.json"]
    assert (tmp_path / "state" / "restore.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_write_that_fails_leaves_the_one_before(kept: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.write(STATE)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        kept.write(replace(STATE, stage=journal.TIDYING))
    assert kept.read() == STATE


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": 1, "stage": "filling"}', '{"format": 1, "stage": "dancing"}', '{"format": 9}'],
)
def test_one_that_cannot_be_understood_is_told_and_never_taken_for_none(
    kept: Journal, tmp_path: Path, text: str
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "restore.json").write_text(text)
    with pytest.raises(JournalError, match=r"restore\.json"):
        kept.read()
    assert "cannot be read" in journal.unfinished(kept)


def test_others_are_told_which_command_goes_on(kept: Journal) -> None:
    assert journal.unfinished(kept) == ""
    kept.write(STATE)
    assert journal.unfinished(kept) == (
        "the restore of 20260101-020000 (n8n), begun at 2026-01-02T03:04:05Z, was cut off while filling: "
        "`smos restore 20260101-020000 --service n8n` goes on with it"
    )


def test_no_secret_has_a_place_in_it(kept: Journal, tmp_path: Path) -> None:
    kept.write(STATE)
    assert set(json.loads((tmp_path / "state" / "restore.json").read_text())) == {
        "asked", "backup", "services", "began", "stage", "wanted", "source", "run", "safety", "replicas", "places",
        "checks", "switched", "why", "format",
    }  # fmt: skip


def test_a_restore_to_a_moment_goes_on_by_its_own_command() -> None:
    state = State("", "point-20261122-170300", ("n8n",), "2026-11-22T18:00:00Z")
    assert (
        state.command == """ansible-playbook playbooks/restore_point.yml -e "restore_time='2026-11-22 17:03:00+00'\""""
    )
