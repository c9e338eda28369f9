"""What a deploy backs up first, and which steps it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.deploy_safety import Safety

LOADED = specs.load(Path(__file__).resolve().parents[4] / "specs")
CURRENT = LOADED.versions["release"]["version"]
LIVE: dict[str, Any] = {"n8n": {}, "odoo": {}, "traefik": {}}


def record(version: str, data: str = "") -> dict[str, Any]:
    return {"components": {"n8n": {"version": version, "image": ""}}, "data": {"n8n": data or version}}


def safety(*, before: dict[str, Any] | None = None, **more: Any) -> Safety:
    entries = [{"release": CURRENT, "services": before or {"n8n": record("2.40.0")}}]
    given: dict[str, Any] = {"visited": {"n8n": {}}, "live": LIVE, "kept": ["n8n", "odoo"], **more}
    return Safety(specs=LOADED, release=CURRENT, entries=entries, **given)


def test_only_what_is_visited_and_there_and_has_data_is_backed_up() -> None:
    visited: dict[str, Any] = {"n8n": {}, "traefik": {}, "metabase": {}}
    assert safety(visited=visited).to_back_up() == ["n8n"]
    assert safety(visited={}).to_back_up() == []


def test_where_the_environment_wants_none_a_step_that_needs_one_gets_it() -> None:
    assert safety(policy=False).to_back_up() == ["n8n"]
    assert safety(policy=False, before={"n8n": record("2.41.1")}).to_back_up() == []
    assert safety(policy=False, backup=True, before={"n8n": record("2.41.1")}).to_back_up() == ["n8n"]


def test_a_step_needs_no_other_backup_than_the_one_that_is_made() -> None:
    assert safety().hazards(None, []) == []
    (error,) = safety(backup=False).hazards(None, [])
    assert "needs a recent backup" in error["why"]
    assert safety(backup=False).hazards(1.0, []) == []
    assert safety(kept=[]).hazards(None, [])  # nothing says what to back up of it


def test_data_that_a_newer_version_wrote_stop_an_older_one_unless_it_runs_already() -> None:
    (error,) = safety(before={"n8n": record("2.40.0", "2.50.0")}).hazards(None, [])
    assert "--with-data" in error["next"]
    assert safety(before={"n8n": record("2.41.1", "2.50.0")}).hazards(None, []) == []


def test_what_is_not_visited_is_in_no_danger() -> None:
    assert safety(visited={"odoo": {}}, before={"n8n": record("1.62.0")}).hazards(None, []) == []


def test_a_breaking_step_wants_its_name() -> None:
    old = {"n8n": record("1.62.0")}
    (error,) = safety(before=old).hazards(None, [])
    assert error["next"].endswith("--acknowledge n8n")
    assert safety(before=old).hazards(None, ["n8n"]) == []


def test_an_old_entry_is_as_its_release_was() -> None:
    entries = [{"release": "0.1.0", "services": {"n8n": {"config": "a", "images": {}}}}]
    old = Safety(LOADED, CURRENT, entries, {"n8n": {}}, LIVE, ["n8n"])
    assert old.before["n8n"]["data"]["n8n"] == "1.62.0"
    assert [each["what"] for each in old.hazards(None, [])] == ["n8n"]
