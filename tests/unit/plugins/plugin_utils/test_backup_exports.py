"""Exports of accounts elsewhere, where the sandbox cannot show it: settings of a zone, pages, accounts that misbehave."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import cloudflare
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import backup_exports as exports
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import supabase_dump
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.backup_exports import Export
from unit.plugins.supabase_world import REF, TOKEN, World
from unit.plugins.wire import Sent, Wire, wired
from unit.sandbox.driver import cloudflare as sandbox

POLICY = Policy(attempts=1, patience=0)
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(sandbox, monkeypatch)


def zone_of(wire: Wire) -> tuple[Export, Any]:
    connection = {"url": wire.base_url, "token": "sandbox-cloudflare-token", "zone": "smarterbot.cl"}
    found = exports.of_cloudflare(connection, POLICY)
    (text,) = found.files.values()
    return found, json.loads(text)


def of_settings(answer: Any) -> Any:
    return lambda sent: answer if "/settings/" in sent.path else None


def test_settings_of_a_zone_are_taken_along(wire: Wire) -> None:
    wire.trouble = of_settings((200, {"success": True, "result": {"id": "x", "value": "on"}}))
    found, content = zone_of(wire)
    assert content["settings"] == dict.fromkeys(exports.SETTINGS, "on")
    assert (found.notes, found.problems) == ([], [])
    assert wire.writes == []


def test_settings_that_the_token_may_not_read_are_a_note(wire: Wire) -> None:
    refused = {"success": False, "result": None, "errors": [{"code": 9109, "message": "Unauthorized"}]}
    wire.trouble = of_settings((403, refused))
    found, content = zone_of(wire)
    assert content["settings"] == {}
    assert content["records"]
    assert "Zone Settings Read" in found.notes[0]
    assert found.problems == []


def test_settings_that_do_not_answer_are_a_failure(wire: Wire) -> None:
    wire.trouble = of_settings((503, {"success": False, "errors": []}))
    with pytest.raises(ApiError):
        zone_of(wire)


def test_all_pages_of_a_zone_are_read_with_all_that_a_record_is(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = wire.driver.ok("GET", "/zones", name="smarterbot.cl")["result"][0]["id"]
    for number in range(5):
        body = {"type": "MX", "name": f"m{number}", "content": "mx.example.com", "ttl": 300, "priority": 10 + number}
        wire.driver.ok("POST", f"/zones/{zone}/dns_records", {**body, "comment": "by hand"})
    monkeypatch.setattr(cloudflare, "PAGE", 2)
    _found, content = zone_of(wire)
    mails = {each["name"]: (each["priority"], each["comment"]) for each in content["records"] if each["comment"]}
    assert mails == {f"m{number}.smarterbot.cl": (10 + number, "by hand") for number in range(5)}


def test_no_account_outside_its_time() -> None:
    stuck = threading.Event()

    def hangs() -> Export:
        stuck.wait(60)
        return Export()

    began = time.monotonic()
    found = exports.taken({"n8n": hangs, "vercel": lambda: Export({"v.json": "{}"})}, 0.3)
    stuck.set()
    assert time.monotonic() - began < 30
    assert (found.files, found.accounts) == ({"v.json": "{}"}, ["vercel"])
    assert [(each["what"], each["why"]) for each in found.errors] == [
        ("export of n8n", "no complete answer within 0.3 s")
    ]


def test_accounts_are_read_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=30)

    def waits() -> Export:
        together.wait()
        return Export({"x": ""})

    assert exports.taken(dict.fromkeys(("a", "b", "c"), waits), 30).errors == []


def test_what_nobody_foresaw_is_told_without_its_words() -> None:
    def breaks() -> Export:
        raise ValueError(SECRET)

    found = exports.taken({"n8n": breaks, "vercel": lambda: Export({"v.json": "{}"})}, 30)
    assert found.accounts == ["vercel"]
    assert "not understood (ValueError)" in found.errors[0]["why"]
    assert SECRET not in str(found.errors)


def test_a_file_beside_a_problem_is_kept() -> None:
    half = Export({"rows.json": "[]"}, [ApiError("no pg_dump", errors.INVALID)], ["a note"])
    found = exports.taken({"supabase": lambda: half}, 30)
    assert (found.accounts, list(found.files), found.notes) == (["supabase"], ["rows.json"], ["supabase: a note"])
    assert found.errors[0]["what"] == "export of supabase"


def test_only_what_is_configured_is_asked() -> None:
    connections = {
        "n8n": {"url": "https://n8n.example.com", "api_key": ""},
        "vercel": {"url": "https://api.vercel.com", "token": "x", "team": "", "project": ""},
    }
    assert exports.configured(connections) == ["vercel"]


# --- Supabase


def test_rows_are_taken_where_there_is_no_tool_and_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.migrate()
    url = f"postgresql://postgres:{SECRET}@127.0.0.1:9/postgres"
    monkeypatch.setattr(supabase_dump, "missing", lambda: True)
    found = exports.of_supabase({**world.connection, "database_url": url}, POLICY, 10)
    assert "there is no pg_dump on this machine" in found.problems[0].message
    assert list(json.loads(found.files["supabase-rows.json"])) == sorted(exports.TABLES)
    assert SECRET not in str(found.problems) + str(found.files)


def test_rows_alone_are_no_problem_where_no_address_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    found = exports.of_supabase(world.connection, POLICY, 10)  # not migrated yet
    assert (found.problems, json.loads(found.files["supabase-rows.json"])) == ([], {})
    assert "supabase_database_url" in found.notes[0]
    assert (TOKEN in str(found.files), REF in str(found.notes)) == (False, False)


def test_a_dump_goes_before_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(supabase_dump, "missing", lambda: False)

    def dump(*given: Any) -> str:
        seen.append(given)
        return "-- SQL\n"

    monkeypatch.setattr(supabase_dump, "dump", dump)
    found = exports.of_supabase({"database_url": "postgresql://x@y/z"}, POLICY, 10)
    assert (found.files, seen) == ({"supabase.sql": "-- SQL\n"}, [("postgresql://x@y/z", 10)])


# --- the registry


def specs(tmp_path: Path) -> Path:
    registry = tmp_path / "specs" / "tenants" / "registry"
    registry.mkdir(parents=True)
    (registry / "1-9.yml").write_text("spec: {name: Ñandú}\n")
    (registry.parent / "template.yml").write_text("a: 1\n")
    (registry / "gone.yml").symlink_to("/etc/hostname")
    (registry / ".locks").mkdir()
    (registry / ".locks" / "1-9.lock").write_text("held")
    return tmp_path / "specs"


def test_the_registry_without_version_control(tmp_path: Path) -> None:
    root = specs(tmp_path)
    (text,) = exports.of_registry(root, root / "tenants" / "registry").files.values()
    assert json.loads(text) == {
        "commit": "",
        "uncommitted": [],
        "files": {"tenants/registry/1-9.yml": "spec: {name: Ñandú}\n", "tenants/template.yml": "a: 1\n"},
    }


def test_what_is_not_committed_is_named(tmp_path: Path) -> None:
    root = specs(tmp_path)
    who = ["-c", "user.name=smos", "-c", "user.email=smos@example.com"]
    for words in (["init", "-q"], ["add", "tenants/template.yml"], ["commit", "-qm", "one"]):
        subprocess.run(["git", "-C", str(root), *who, *words], check=True)
    (root / "tenants" / "template.yml").write_text("a: 2\n")
    found = json.loads(exports.of_registry(root, root / "tenants" / "registry").files["tenants.json"])
    assert len(found["commit"]) == 40
    assert " M tenants/template.yml" in found["uncommitted"]
    assert "?? tenants/registry/1-9.yml" in found["uncommitted"]


def test_a_file_of_the_registry_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    root = specs(tmp_path)
    (root / "tenants" / "registry" / "2-7.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(ApiError, match=r"2-7\.yml cannot be read"):
        exports.of_registry(root, root / "tenants" / "registry")


def test_nothing_is_ever_written(wire: Wire) -> None:
    zone_of(wire)
    assert all(isinstance(each, Sent) and each.method == "GET" for each in wire.sent)
