"""A drill touches nothing that runs, removes all that it made, and tells everything that it found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import drill, restore_places, restore_world
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Attachments, Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import (
    DATABASE,
    VOLUME,
    Manifest,
    Part,
    ServicePart,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_places import Source
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked, Plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError, Executed

ID = "20260101-020000"
ODOO = ServiceData(
    "odoo",
    databases={"odoo": ("adjuntos",)},
    volumes=["odoo-data"],
    attachments=Attachments("odoo", "SELECT ruta FROM adjuntos", "odoo-data", "filestore"),
)
N8N = ServiceData("n8n", databases={"n8n": ("workflow",)})
CONFIG = Config("production", "/backups", "/password", {"odoo": ODOO, "n8n": N8N}, release="0.2.0")
PARTS: Mapping[str, Sequence[Part]] = {
    "odoo": (
        Part(DATABASE, "odoo", "d", counts={"adjuntos": 2}),
        Part(VOLUME, "odoo-data", "v", bytes=2, files=2),
    ),
    "n8n": (Part(DATABASE, "n8n", "d2", counts={"workflow": 3}),),
}


class Docker:
    """An Engine with one running server, and what others and dead drills have made."""

    socket = "/nowhere"

    def __init__(self) -> None:
        self.containers = {"running": "", "left": drill.LABEL, "stranger": ""}
        self.volumes = {"postgresql-data": "", "left-data": drill.LABEL}
        self.commands: list[tuple[list[str], Mapping[str, str]]] = []
        self.code = 0
        self.stuck = False

    def container_of(self, service: str) -> str | None:
        return "running" if service == "postgresql_postgresql" else None

    def get(self, path: str, **filters: Any) -> Any:
        if path.startswith("/containers/json?all=1&"):
            assert "cl.smarteros.drill" in path
            return [{"Id": name} for name, label in self.containers.items() if label]
        if path == "/volumes":
            assert filters == {"label": [drill.LABEL]}
            return {"Volumes": [{"Name": name} for name, label in self.volumes.items() if label] or None}
        return {"Image": "sha256:abc", "Config": {"Image": "postgres:16", "Env": []}}

    def post(self, path: str, body: Any) -> Any:
        assert path == "/volumes/create"
        assert body["Labels"] == {drill.LABEL: ID}
        self.volumes[body["Name"]] = drill.LABEL
        return {"Name": body["Name"]}

    def delete(self, path: str) -> None:
        if self.stuck:
            raise EngineError("device or resource busy", 500)
        kind, name = path.strip("/").split("?")[0].split("/")
        if kind == "containers":
            assert path.endswith("?force=1&v=1")
        getattr(self, kind).pop(name)

    def command(self, words: Sequence[str], env: Mapping[str, str]) -> Executed:
        self.commands.append((list(words), env))
        self.containers["scratch"] = drill.LABEL
        return Executed(self.code, "scratch\n", "no space left on device\n" if self.code else "")


class Scratch:
    """The server in the scratch container."""

    service = "pg"

    def __init__(self, rows: Mapping[str, int]) -> None:
        self.found = rows
        self.ready = 2
        self.dropped: list[str] = []
        self.place = self

    def run(self, words: Sequence[str], timeout_s: float) -> Executed:
        assert tuple(words) == drill.READY
        assert timeout_s
        self.ready -= 1
        return Executed(1 if self.ready else 0, "", "")

    def wait(self, _timeout_s: float) -> None:
        assert not self.ready

    def counts(self, name: str, tables: Sequence[str]) -> dict[str, int]:
        return dict.fromkeys(tables, self.found[name])

    def rows(self, _script: str, _database: str) -> list[str]:
        return ["1", "2"]

    def drop(self, *names: str) -> None:
        self.dropped += names


class Bed:
    """A machine on which a drill can be tried."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.docker = Docker()
        self.server = Scratch({"odoo": 2, "n8n": 3})
        self.state = folder
        self.fail: dict[str, Exception] = {}
        self.refused: Refused | None = None
        self.locked = True
        patch.setattr(drill, "POLL_S", 0)
        patch.setattr(Server, "in_container", lambda *_: self.server)
        patch.setattr(restore_places, "fill_database", self._database)
        patch.setattr(restore_places, "fill_folder", self._folder)
        patch.setattr(restore_world, "Machine", lambda *_: self)

    def plan(self, asked: Asked, source: str) -> tuple[Plan, Source]:
        assert (asked.backup, source) == ("latest", "")
        if self.refused:
            raise self.refused
        services = {name: ServicePart(tuple(parts)) for name, parts in PARTS.items()}
        services["odoo"] = ServicePart(tuple(PARTS["odoo"]), attachments={"rows": 2, "missing": 0})
        manifest = Manifest(ID, "production", "0.2.0", "vps", services)
        return Plan(manifest, PARTS, [], [Check("key k", True, "a", "a")]), Source(cast("Any", self), manifest, {})

    def room(self, _plan: Plan) -> None:
        pass

    def unlock(self) -> None:
        """As the repository: a check that was killed has left its lock."""
        self.locked = False

    def _database(self, _server: Any, name: str, _source: Source, _part: Part) -> None:
        assert not self.locked
        if name in self.fail:
            raise self.fail[name]

    def _folder(self, folder: Path, _source: Source, part: Part) -> None:
        if part.name in self.fail:
            raise self.fail[part.name]
        (folder / "filestore").mkdir(parents=True)
        for each in ("1", "2"):
            (folder / "filestore" / each).write_text("x")

    def drill(self) -> dict[str, Any]:
        return drill.drill(CONFIG, cast("Engine", self.docker), "latest", state=self.state).report

    def clean(self) -> bool:
        """Whether there is nothing of a drill, and everything else."""
        rest = set(self.docker.containers) == {"running", "stranger"} and set(self.docker.volumes) == {
            "postgresql-data"
        }
        return rest and not (self.state / "drill").exists()


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bed:
    return Bed(tmp_path, monkeypatch)


def bad(report: dict[str, Any]) -> list[str]:
    return [each["what"] for each in report["checks"] if not each["ok"]]


def test_all_is_looked_at_and_removed_and_written_down(bed: Bed) -> None:
    (bed.state / "drill" / "left by a dead one").mkdir(parents=True)
    report = bed.drill()
    assert report["ok"], bad(report)
    assert report["backup"] == ID
    assert set(report["services"]) == {"odoo", "n8n"}
    assert {each["what"] for each in report["checks"]} == {
        "key k",
        "rows of odoo.adjuntos",
        "files of volume odoo-data",
        "bytes of volume odoo-data",
        "rows of odoo that refer to a file",
        "files of odoo that rows refer to and that are missing",
        "rows of n8n.workflow",
    }
    assert bed.server.dropped == ["odoo", "n8n"]
    assert json.loads((bed.state / "drill.json").read_text()) == report
    assert bed.clean()


def test_its_server_is_that_which_runs_and_nobody_reaches_it(bed: Bed) -> None:
    bed.drill()
    [(words, env)] = bed.docker.commands
    assert words[-1] == "sha256:abc"
    for pair in (["--network", "none"], ["--memory", "512m"], ["--label", f"{drill.LABEL}={ID}"]):
        at = words.index(pair[0])
        assert words[at : at + 2] == pair
    assert not {"--publish", "-p", "--privileged"} & set(words)
    password = env["POSTGRES_PASSWORD"]
    assert password
    assert not any(password in each for each in words)


def test_one_that_cannot_be_brought_back_is_told_and_the_others_are_tried(bed: Bed) -> None:
    bed.fail["odoo"] = PostgresError("pg_restore of odoo ended with 1")
    report = bed.drill()
    assert not report["ok"]
    assert bad(report) == ["odoo can be brought back"]
    assert "rows of n8n.workflow" in [each["what"] for each in report["checks"]]
    assert json.loads((bed.state / "drill.json").read_text())["ok"] is False
    assert bed.clean()


def test_rows_that_lack_are_told(bed: Bed) -> None:
    bed.server.found = {"odoo": 2, "n8n": 0}
    assert bad(bed.drill()) == ["rows of n8n.workflow"]


def test_a_server_that_does_not_start_is_told_for_each_service(bed: Bed) -> None:
    bed.docker.code = 125
    report = bed.drill()
    assert bad(report) == ["odoo can be brought back", "n8n can be brought back"]
    assert "no space left on device" in report["checks"][-1]["found"]
    assert bed.clean()


@pytest.mark.parametrize("end", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_it_all_is_removed(bed: Bed, end: type[BaseException]) -> None:
    bed.fail["odoo-data"] = cast("Exception", end())
    with pytest.raises(end):
        bed.drill()
    assert bed.clean()
    assert not (bed.state / "drill.json").exists()


def test_what_cannot_be_removed_is_a_finding_beside_the_others(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = bed.server.counts

    def and_then_it_is_stuck(name: str, tables: Sequence[str]) -> dict[str, int]:
        bed.docker.stuck = True
        return counts(name, tables)

    monkeypatch.setattr(bed.server, "counts", and_then_it_is_stuck)
    bed.fail["n8n"] = PostgresError("x")
    assert bad(bed.drill()) == ["n8n can be brought back", "all of the drill is removed"]


def test_one_that_is_refused_writes_nothing(bed: Bed) -> None:
    bed.refused = Refused("there is none", 2, "List them")
    with pytest.raises(Refused):
        bed.drill()
    assert list(bed.state.iterdir()) == []
    assert bed.docker.commands == []
    assert bed.locked
