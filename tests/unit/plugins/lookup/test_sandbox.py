# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where the embedded sandbox is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader

NAMES = ("SMOS_STATE_DIR", "SMOS_PROJECT_DIR", "SMOS_SANDBOX_URL", "SMOS_SANDBOX_SMTP_PORT")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def asked(*terms: str, **variables: Any) -> list[str]:
    found: list[str] = lookup_loader.get("smartercl.smarteros.sandbox").run(list(terms), variables)
    return found


def written(folder: Path) -> Path:
    """A state folder in which a sandbox has said where it is."""
    (folder / "sandbox").mkdir(parents=True)
    (folder / "sandbox" / "url").write_text("http://127.0.0.1:9001\n")
    (folder / "sandbox" / "smtp_port").write_text("9002\n")
    return folder


def test_the_state_folder_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMOS_STATE_DIR", str(written(tmp_path / "state")))
    assert asked("url", "smtp_port") == ["http://127.0.0.1:9001", "9002"]


def test_the_environment_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMOS_STATE_DIR", str(written(tmp_path / "state")))
    monkeypatch.setenv("SMOS_SANDBOX_URL", "http://127.0.0.1:7")
    assert asked("url", "smtp_port") == ["http://127.0.0.1:7", "9002"]


@pytest.mark.parametrize(
    "variables", [{"inventory_dir": "P/inventories/sandbox"}, {"playbook_dir": "P/playbooks"}, {"project": "P"}]
)
def test_without_a_state_folder_it_is_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    written(tmp_path / ".smos")
    placed = {name: value.replace("P", str(tmp_path), 1) for name, value in variables.items()}
    if "project" in placed:
        monkeypatch.setenv("SMOS_PROJECT_DIR", placed.pop("project"))
    assert asked("url", **placed) == ["http://127.0.0.1:9001"]


def test_where_nothing_says_it_it_is_the_usual_one(tmp_path: Path) -> None:
    assert asked("url", "smtp_port", playbook_dir=str(tmp_path / "x")) == ["http://127.0.0.1:8321", "8322"]


def test_what_a_sandbox_does_not_have_is_refused() -> None:
    with pytest.raises(AnsibleLookupError, match="url and smtp_port"):
        asked("colour")
