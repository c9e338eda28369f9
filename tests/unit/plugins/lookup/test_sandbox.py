# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where the embedded sandbox is, and its VPS."""

from __future__ import annotations

import json
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


def asked(*terms: str, **variables: Any) -> list[Any]:
    found: list[Any] = lookup_loader.get("smartercl.smarteros.sandbox").run(list(terms), variables)
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
    with pytest.raises(AnsibleLookupError, match=r"colour: a sandbox has url, smtp_port, .* and images"):
        asked("colour")


MACHINE = {"name": "vps1", "host": "127.0.0.1", "port": 40001, "key": "/k", "http_port": 40002, "https_port": 40003}


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with two machines."""
    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path))
    folder = tmp_path / "sandbox" / "vps"
    folder.mkdir(parents=True)
    rows = [{**MACHINE, "address": "203.0.113.11"}, {**MACHINE, "name": "vps2", "port": 40009}]
    (folder / "machines.json").write_text(json.dumps({"machines": rows, "made": {}}))
    return folder


def test_a_machine_is_reached_as_up_found_it(machines: Path) -> None:
    assert asked("vps_host", "vps_port", "vps_key") == ["127.0.0.1", "40001", "/k"]
    assert asked("vps_http_port", "vps_https_port", "vps_address") == ["40002", "40003", "203.0.113.11"]
    assert asked("vps_known_hosts") == [str(machines / "known_hosts")]


def test_each_machine_has_its_own_port(machines: Path) -> None:
    lookup = lookup_loader.get("smartercl.smarteros.sandbox")
    assert lookup.run(["vps_port"], {}, host="vps2") == ["40009"]
    with pytest.raises(AnsibleLookupError, match=r"no VPS vps3, only vps1, vps2; .* --nodes"):
        lookup.run(["vps_port"], {}, host="vps3")


def test_without_a_vps_the_way_to_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path))
    with pytest.raises(AnsibleLookupError, match=r"make it with: smos sandbox up --vps$"):
        asked("vps_port")


def test_the_images_that_were_made(machines: Path) -> None:
    assert asked("images") == [{}]
    (machines.parent / "images.json").write_text('{"n8n": "127.0.0.1:5000/n8n:1@sha256:0"}')
    assert asked("images") == [{"n8n": "127.0.0.1:5000/n8n:1@sha256:0"}]


def test_a_half_written_file_is_told(machines: Path) -> None:
    (machines / "machines.json").write_text("{")
    with pytest.raises(AnsibleLookupError, match=r"machines\.json cannot be read"):
        asked("vps_port")
