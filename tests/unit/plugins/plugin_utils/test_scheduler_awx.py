# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The credentials of jobs in AWX."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import scheduler_awx, scheduler_jobs

PLACES = {"SMOS_SPECS_REPO": "/srv/specs"}


def rows(given: dict[str, str], existing: tuple[dict[str, str], ...] = ()) -> dict[str, scheduler_awx.Row]:
    found = scheduler_awx.credentials("Ours", given, PLACES, existing)
    return {row["name"]: row for row in found}


def test_only_what_the_environment_has_becomes_a_credential() -> None:
    (places,) = rows({}).values()
    assert places["inputs"] == PLACES
    assert places["fields"] == [
        {"id": "SMOS_SPECS_REPO", "label": "SMOS_SPECS_REPO", "type": "string", "secret": False}
    ]


def test_keys_take_the_types_that_awx_has(tmp_path: Path) -> None:
    for name in ("ssh", "git", "vault"):
        (tmp_path / name).write_text(f"content of {name}\n", encoding="utf-8")
    given = {
        "SMOS_SCHEDULER_SSH_KEY_FILE": str(tmp_path / "ssh"),
        "SMOS_SCHEDULER_SSH_USER": "smarteros",
        "SMOS_SCHEDULER_GIT_KEY_FILE": str(tmp_path / "git"),
        "SMOS_SCHEDULER_VAULT_FILE": str(tmp_path / "vault"),
    }
    found = {row["type"]: row for row in rows(given).values() if not row["fields"]}
    assert found["Machine"]["inputs"] == {"username": "smarteros", "ssh_key_data": "content of ssh\n"}
    assert found["Source Control"]["inputs"] == {"username": "git", "ssh_key_data": "content of git\n"}
    assert found["Vault"]["inputs"] == {"vault_password": "content of vault"}


def test_other_fields_are_another_type() -> None:
    (one,) = (name for name in rows({"N8N_API_KEY": "token"}) if "n8n" in name)
    assert one in rows({"N8N_API_KEY": "other"})
    assert one not in rows({"N8N_API_KEY": "token", "N8N_URL": "https://n8n.example.com"})


def test_the_description_changes_with_what_is_held_and_only_then() -> None:
    first = rows({"N8N_API_KEY": "token"})
    there = tuple({"name": name, "description": row["description"]} for name, row in first.items())
    again, other = rows({"N8N_API_KEY": "token"}, there), rows({"N8N_API_KEY": "changed"}, there)
    assert [row["description"] for row in again.values()] == [row["description"] for row in first.values()]
    differing = [name for name, row in other.items() if row["description"] != first[name]["description"]]
    assert [name.split()[1] for name in differing] == ["n8n"]


@pytest.mark.parametrize("before", ["", "by hand", f"{scheduler_awx.MARK} garbage", scheduler_awx.MARK])
def test_a_description_that_fits_nothing_is_written_anew(before: str) -> None:
    (name,) = rows({})
    (row,) = rows({}, ({"name": name, "description": before},)).values()
    assert row["description"].startswith(f"{scheduler_awx.MARK} ")
    assert row["description"] != before


def test_no_description_holds_a_secret() -> None:
    assert not [row for row in rows({"N8N_API_KEY": "planted"}).values() if "planted" in row["description"]]


def test_a_key_that_cannot_be_read_is_told() -> None:
    with pytest.raises(scheduler_jobs.UnreadableKey, match="SMOS_SCHEDULER_VAULT_FILE"):
        rows({"SMOS_SCHEDULER_VAULT_FILE": "/no/such/file"})
