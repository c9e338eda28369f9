"""Which backup a restore chooses, from what the places of this machine hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, machine, take
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import (
    DATABASE,
    Manifest,
    Part,
    ServicePart,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine

LOST, EMPTY = "20260101-020000", "20260102-020000"
CONFIG = Config("production", "/backups", "/password", {"odoo": ServiceData("odoo", "pg", {"odoo": ()})})


class Server:
    def version(self) -> str:
        return "16.4"


def backup(backup_id: str, of: str, size: int) -> catalogue.Found:
    part = Part(DATABASE, "odoo", "d", bytes=size)
    found = Manifest(backup_id, "production", "", of, {"odoo": ServicePart((part,))}, "timer")
    return catalogue.Found(backup_id, found, ["local"], True, {"local": {}})


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[catalogue.Found]:
    listed = [backup(EMPTY, "vps (b)", 40 << 10), backup(LOST, "vps (a)", 2 << 30)]
    monkeypatch.setattr(machine, "look", lambda _: {})
    monkeypatch.setattr(catalogue, "every", lambda *_given, **_more: listed)
    return listed


def chosen(wanted: str, folder: Path) -> str:
    repository: Any = object()
    server: Any = Server()
    ways = take.Ways(repository, lambda _name: server, verified=folder / "verified.json")
    engine: Any = object()
    plan, _source = Machine(CONFIG, engine, lambda _text: None, ways).plan(Asked(wanted), "")
    return plan.manifest.id


@pytest.mark.usefixtures("found")
def test_of_a_machine_that_took_another_one_s_place_the_latest_is_asked_for_by_its_id(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        chosen("latest", tmp_path)
    assert refused.value.exit_code == 4
    assert EMPTY in refused.value.why
    assert LOST in refused.value.why
    assert [chosen(each, tmp_path) for each in (LOST, EMPTY)] == [LOST, EMPTY]


def test_one_that_holds_as_much_is_the_latest(found: list[catalogue.Found], tmp_path: Path) -> None:
    found[0] = backup(EMPTY, "vps (b)", 2 << 30)
    assert chosen("latest", tmp_path) == EMPTY
    found[0] = replace(found[0], manifest=replace(found[0].manifest, machine="vps (a)"))
    assert chosen("latest", tmp_path) == EMPTY
