"""The modules that take, list and bring back backups, as Ansible calls them."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config, job, machine, take
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.catalogue import Found
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.copies import CopyOutcome
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, Part, ServicePart
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic_told import ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import Restored, RestoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.take import Taken
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock
from ansible_collections.smartercl.smarteros.plugins.modules import backup_restore, backup_take, backups_info
from unit.plugins.wire import run_module

ID = "20261122-050000"
PARTS = (Part("database", "n8n", "a1", bytes=100), Part("volume", "n8n-data", "b2", bytes=20, files=3))
MANIFEST = Manifest(ID, "staging", "0.2.0", "vps1", {"n8n": ServicePart(PARTS)}, reason="timer")
KNOWN = {
    "environment": "staging",
    "password_file": "/nonexistent",
    "services": {"n8n": {"databases": {"n8n": []}, "folders": []}, "files": {"folders": ["/etc"]}},
    "remotes": [{"name": "far", "repository": "/far"}],
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that was set up; its repository, lock and outcomes are below the folder."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**KNOWN, "path": str(tmp_path / "repository")}))
    known = config.read(path)
    for module in (backup_take, backup_restore, backups_info):
        monkeypatch.setattr(module.backup_module, "configured", lambda: known)
    monkeypatch.setattr(job, "TargetLock", lambda: TargetLock(folder=tmp_path / "locks"))
    monkeypatch.setattr(job, "settle", lambda *_given: None)
    monkeypatch.setattr(job, "gently", lambda: None)
    monkeypatch.setenv("SMOS_RUN", "")
    return tmp_path


def takes(monkeypatch: pytest.MonkeyPatch, found: Taken | Exception) -> list[dict[str, Any]]:
    """A backup comes to this; gives the list of how it was asked for."""
    asked: list[dict[str, Any]] = []

    def take(_known: Any, _engine: Any, wanted: list[str], **more: Any) -> Taken:
        asked.append({"wanted": wanted, **more})
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(backup_take.take, "take", take)
    return asked


# --- taking


def test_a_backup_is_told_with_the_places_that_it_reached(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = [CopyOutcome("far", (ID,)), CopyOutcome("farther", (), "no route")]
    asked = takes(monkeypatch, Taken(MANIFEST, True, copied, warnings=["not copied to farther: no route"]))
    told = run_module(backup_take, services=["n8n"], accept_shrunk=True, reason="deploy", run="run-1")
    assert told["changed"]
    assert not told.get("failed")
    expected = {
        "backup": ID,
        "state": "complete",
        "bytes": 120,
        "files": 4,
        "verified": True,
        "locations": ["local", "far"],
    }
    assert {key: told["backup"][key] for key in expected} == expected
    assert asked.pop().items() >= {"wanted": ["n8n"], "reason": "deploy", "run": "run-1", "accept_shrunk": True}.items()
    assert TargetLock(folder=state / "locks").holder() is None


@pytest.mark.usefixtures("state")
def test_a_partial_backup_fails_and_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    partial = Manifest(ID, "staging", "0.2.0", "vps1", {"n8n": ServicePart(PARTS, error="the dump has shrunk")})
    error = row("backup of n8n", "the dump has shrunk", "n8n", "--accept-shrunk")
    takes(monkeypatch, Taken(partial, True, errors=[error]))
    told = run_module(backup_take)
    assert (told["failed"], told["exit_code"], told["errors"]) == (True, 1, [error])
    assert told["backup"]["state"] == "partial"


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("exc", "code", "following"),
    [
        (Refused("there is no service x", 2, "Name one of them"), 2, "Name one"),
        (EngineError("no answer"), 3, "same command"),
        (ResticError("wrong password"), 3, ""),
        (config.ConfigError("it is not there"), 3, "smos deploy backend"),
        (RestoreError("rows are missing", "See there", "the old state runs", 1), 1, "See there"),
    ],
    ids=["refused", "engine", "repository", "configuration", "restore"],
)
def test_each_failure_says_what_it_means(
    exc: Exception, code: int, following: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes(monkeypatch, exc)
    told = run_module(backup_take)
    assert (told["failed"], told["exit_code"]) == (True, code)
    assert "backup" not in told
    assert following in told["errors"][0]["next"]
    assert told["errors"][0]["why"] == str(exc)


def test_another_run_is_named_and_nothing_is_taken(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = TargetLock(folder=state / "locks")
    lock.take({"run": "run-9", "holder": "ana@control", "reason": "deploy", "expires_at": time.time() + 900})
    asked = takes(monkeypatch, Taken(MANIFEST, True))
    told = run_module(backup_take, run="run-1")
    assert told["exit_code"] == 4
    for words in ("run-9", "ana@control", "deploy"):
        assert words in told["msg"]
    assert asked == []


def test_check_mode_tells_what_would_be_taken_and_takes_no_lock(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = takes(monkeypatch, Taken(MANIFEST, True))
    monkeypatch.setattr(machine, "look", lambda _engine: {"n8n": machine.Seen("n8n:2", "c")})
    monkeypatch.setattr(backup_take, "Server", lambda *_given: Sizes())
    monkeypatch.setattr(job, "read_last", lambda _path: {})
    told = run_module(backup_take, True)
    assert [(each["service"], each["action"]) for each in told["changes"]] == [("n8n", "create"), ("files", "create")]
    assert told["changes"][0]["after"] == {"bytes": 4096, "parts": ["n8n"]}
    assert asked == []
    assert not (state / "locks").exists()
    monkeypatch.setattr(job, "read_last", lambda _path: {"backup": {"good": {"added": 1 << 60}}})
    assert not run_module(backup_take, True).get("failed"), "what is enough for a first backup is enough for any"
    monkeypatch.setattr(take, "size", lambda *_given: 1 << 60)
    refused = run_module(backup_take, True)
    assert (refused["failed"], refused["exit_code"]) == (True, 4)
    assert "Free space" in refused["errors"][0]["next"]


def test_files_of_accounts_are_handed_on_and_never_shown(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = takes(monkeypatch, Taken(MANIFEST, True))
    error = row("export of vercel", "no answer", "", "Try again")
    secret = base64.b64encode(b"a-planted-secret").decode()
    given: dict[str, Any] = {"files": {"vercel.json": secret}, "files_errors": [error], "files_notes": ["a note"]}
    told = run_module(backup_take, **given)
    assert told["changed"]
    accounts = asked[0]["accounts"]
    assert {name: each.data for name, each in accounts.files.items()} == {"vercel.json": b"a-planted-secret"}
    assert (accounts.errors, accounts.notes) == ([error], ["a note"])
    assert secret not in json.dumps(told)
    monkeypatch.setattr(machine, "look", lambda _engine: {})
    foretold = run_module(backup_take, True, services=["accounts"], **given)["changes"]
    assert [(each["service"], each["after"]) for each in foretold] == [
        ("accounts", {"bytes": 16, "parts": ["vercel.json"]})
    ]
    broken = run_module(backup_take, files={"vercel.json": "not base64"})
    assert (broken["failed"], broken["exit_code"]) == (True, 2)
    assert not (state / "locks" / "machine.json").exists()


class Sizes:
    """A server of databases."""

    def databases(self) -> dict[str, int]:
        return {"n8n": 4096, "other": 1}


# --- listing


def test_a_machine_without_backups_fails_the_listing_only_where_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups_info.backup_module, "configured", lambda: config.read(tmp_path / "config.json"))
    refused = run_module(backups_info)
    assert (refused["failed"], refused["exit_code"]) == (True, 3)
    told = run_module(backups_info, needed=False)
    assert (told["backups"], [each["why"] for each in told["errors"]]) == ([], [refused["errors"][0]["why"]])


@pytest.mark.usefixtures("state")
def test_backups_are_listed_and_a_place_that_does_not_answer_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    silent = row("backups at far", "no answer", "far", "Wait")

    def every(_local: Any, remotes: dict[str, Any], errors: list[dict[str, str]]) -> list[Found]:
        assert list(remotes) == ["far"]
        errors.append(silent)
        return [Found(ID, MANIFEST, ["local"], True)]

    monkeypatch.setattr(backups_info.catalogue, "every", every)
    told = run_module(backups_info)
    assert not told.get("failed")
    assert not told["changed"]
    assert told["errors"] == [silent]
    assert told["backups"] == [
        {
            "id": ID,
            "release": "0.2.0",
            "services": ["n8n"],
            "bytes": 120,
            "verified": True,
            "location": ["local"],
            "state": "complete",
            "failed": [],
            "reason": "timer",
            "doubt": "",
        }
    ]


@pytest.mark.usefixtures("state")
def test_of_a_machine_that_took_another_one_s_place_it_is_said_what_its_backups_lack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def held(backup: str, machine_name: str, size: int) -> Found:
        parts = {"n8n": ServicePart((Part("database", "n8n", "a1", bytes=size),))}
        return Found(backup, Manifest(backup, "staging", "0.2.0", machine_name, parts, "timer"), ["far"], True)

    found = [held("20261123-050000", "vps1 (b)", 10), held(ID, "vps1 (a)", 1000)]
    monkeypatch.setattr(backups_info.catalogue, "every", lambda *_: found)
    new, old = run_module(backups_info)["backups"]
    assert ID in new["doubt"]
    assert old["doubt"] == ""


# --- bringing back


def test_what_was_restored_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def restore(_known: Any, _engine: Any, *wanted: Any, **more: Any) -> Restored:
        holder = TargetLock(folder=state / "locks").holder() or {}
        asked.append((*wanted, more["source"], more["safety"], more["run"], holder["reason"]))
        return Restored(ID, ["n8n"], [], safety="20261123-060000", seconds=2.0)

    monkeypatch.setattr(backup_restore.restore, "restore", restore)
    told = run_module(backup_restore, backup="latest", services=["n8n"], source="far", run="run-1")
    assert asked == [("latest", ["n8n"], "far", True, "run-1", "restore")]
    assert told["changed"]
    assert (told["restore"]["backup"], told["restore"]["drill"], told["restore"]["services"]) == (ID, False, ["n8n"])
    assert TargetLock(folder=state / "locks").holder() is None


@pytest.mark.usefixtures("state")
def test_a_restore_that_failed_says_how_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def restore(*_given: Any, **_more: Any) -> Restored:
        raise RestoreError("7 rows expected, 6 found", "Use another backup", "n8n runs as before")

    monkeypatch.setattr(backup_restore.restore, "restore", restore)
    told = run_module(backup_restore, backup=ID)
    assert (told["failed"], told["exit_code"]) == (True, 1)
    assert "n8n runs as before" in told["errors"][0]["why"]
    assert told["restore"]["checks"] == []
