"""Whole backups with real restic and real PostgreSQL: what is taken while everything is written to, and what fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, journal, manifest, take
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config as configs
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import (
    Attachments,
    Config,
    Retention,
    ServiceData,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, Part
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError
from real import restic
from real.bed import connected, server_of
from real.postgres import Postgres


class Machine:
    """As much of an Engine as a backup asks: the stacks that run, and where volumes are."""

    socket = "/nowhere"

    def __init__(self, folder: Path, *stacks: str) -> None:
        self.folder = folder
        self.stacks = stacks

    def get(self, path: str, **_: Any) -> Any:
        if path == "/services":
            return [self._service(name) for name in self.stacks]
        if path == "/tasks":
            return []
        name = path.removeprefix("/volumes/")
        if not (self.folder / name / "_data").is_dir():
            raise EngineError(f"get {name}: no such volume", 404)
        return {"Driver": "local", "Mountpoint": str(self.folder / name / "_data")}

    def _service(self, name: str) -> dict[str, Any]:
        labels = {
            stack_state.OWNER_LABEL: "smarteros",
            stack_state.SERVICE_LABEL: name,
            stack_state.CONFIG_LABEL: f"config-{name}",
            stack_state.NAMESPACE_LABEL: name,
        }
        container = {"Image": f"{name}:1@sha256:aa"}
        return {
            "ID": name,
            "Spec": {"Name": f"{name}_{name}", "Labels": labels, "TaskTemplate": {"ContainerSpec": container}},
        }


def ways_of(there: Postgres, config: Config, folder: Path) -> take.Ways:
    repository = Repository(config.path, config.password_file, {}, str(folder / "cache"))
    return take.Ways(
        repository=repository,
        server=lambda _: server_of(there),
        last=folder / "last.json",
        verified=folder / "verified.json",
        machine=(),
    )


@dataclass(frozen=True)
class Bed:
    """One machine with a shop whose rows refer to files, and a second service that has nothing to do with it."""

    postgres: Postgres
    config: Config
    engine: Any
    folder: Path
    ways: take.Ways

    @property
    def repository(self) -> Repository:
        assert self.ways.repository is not None
        return self.ways.repository

    def take(self, *wanted: str, **more: Any) -> take.Taken:
        config = more.pop("config", self.config)
        ways = more.pop("ways", self.ways)
        return take.take(config, self.engine, wanted, ways=ways, **more)

    def connected(self, database: str = "tienda_b") -> AbstractContextManager[psycopg.Connection[Any]]:
        return connected(self.postgres, database)

    def server(self) -> Server:
        return server_of(self.postgres)

    def found(self) -> list[catalogue.Found]:
        return catalogue.every(self.repository, {}, verified=self.ways.verified)

    def part(self, found: Manifest, service: str, key: str) -> Part:
        return next(each for each in found.services[service].parts if each.key == key)

    def write(self, number: int, connection: psycopg.Connection[Any]) -> None:
        """A file, then its row: as Odoo does."""
        name = f"{number % 7}/{number}"
        path = self.files / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"adjunto {number} ñ")
        connection.execute("INSERT INTO adjuntos (ruta) VALUES (%s)", [name])

    @property
    def files(self) -> Path:
        return self.folder / "volumes" / "odoo-data" / "_data" / "filestore" / "tienda_b"


@pytest.fixture
def bed(
    real_postgres: Postgres, tmp_path: Path, templates: restic.Templates, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bed]:
    repository = templates.plant(tmp_path)
    monkeypatch.setattr(journal, "unfinished", lambda *_: "")
    volumes = tmp_path / "volumes"
    (volumes / "odoo-data" / "_data" / "filestore" / "tienda_b").mkdir(parents=True)
    (volumes / "n8n-data" / "_data" / "cache").mkdir(parents=True)
    (volumes / "n8n-data" / "_data" / "config").write_text("{}")
    (volumes / "n8n-data" / "_data" / "cache" / "thrown away").write_text("x")
    odoo = ServiceData(
        "odoo",
        "test",
        {"tienda_b": ("adjuntos", "not_there")},
        ("odoo-data",),
        attachments=Attachments("tienda_b", "SELECT ruta FROM adjuntos", "odoo-data", "filestore/tienda_b"),
        keys=("odoo_master_password",),
    )
    n8n = ServiceData("n8n", "test", {}, ("n8n-data",), leave_out={"n8n-data": ("cache/*",)})
    config = Config(
        "production",
        repository.location,
        repository.password_file,
        {"odoo": odoo, "n8n": n8n, "chatwoot": ServiceData("chatwoot", "test", {"chatwoot": ()})},
        release="v0.2.0",
        fingerprints={"odoo_master_password": "ab12"},
    )
    ways = ways_of(real_postgres, config, tmp_path)
    made = Bed(real_postgres, config, Machine(volumes, "odoo", "n8n"), tmp_path, ways)
    made.server().drop("tienda_b", "tienda_c")
    with made.connected("postgres") as admin:
        admin.execute("CREATE DATABASE tienda_b TEMPLATE template0")
    with made.connected() as connection:
        connection.execute("CREATE TABLE adjuntos (id serial PRIMARY KEY, ruta text)")
        for number in range(20):
            made.write(number, connection)
    yield made
    made.server().drop("tienda_b", "tienda_c")


def restored(bed: Bed, part: Part) -> str:
    """Bring a dump back into a database of its own; gives the name."""
    server = bed.server()
    server.drop("tienda_c")
    server.create("tienda_c", dict(part.shape))
    bed.repository.stream_into(part.snapshot, f"{part.name}.dump", server.restore_argv("tienda_c"), server.env)
    return "tienda_c"


def snapshots(bed: Bed, *tags: str) -> list[Any]:
    return list(bed.repository.snapshots(*(tags or ("smos",))))


def test_a_whole_backup_is_found_verified_and_says_what_is_in_it(bed: Bed) -> None:
    said: list[str] = []
    taken = bed.take(progress=said.append, reason="timer", run="timer-1")
    assert taken.ok, taken.errors
    assert taken.verified
    found = bed.found()
    assert [(each.id, each.verified, each.locations) for each in found] == [(taken.manifest.id, True, ["local"])]
    kept = found[0].manifest
    assert kept == taken.manifest
    assert (kept.state, kept.release, kept.reason, kept.run) == ("complete", "v0.2.0", "timer", "timer-1")
    assert kept.keys == {"odoo_master_password": "ab12"}
    assert set(kept.services) == {"odoo", "n8n"}
    assert (kept.services["odoo"].image, kept.services["odoo"].config) == ("odoo:1@sha256:aa", "config-odoo")
    database = bed.part(kept, "odoo", "database:tienda_b")
    assert database.counts == {"adjuntos": 20}
    assert database.bytes > 1000
    assert [each.key for each in kept.services["odoo"].parts] == [
        "globals:test",
        "database:tienda_b",
        "volume:odoo-data",
    ]
    assert kept.services["odoo"].attachments == {"rows": 20, "missing": 0}
    volume = bed.part(kept, "n8n", "volume:n8n-data")
    assert volume.root["mode"] == 0o755
    assert not [node for node in bed.repository.ls(volume.snapshot) if "thrown away" in node.path]
    assert [node for node in bed.repository.ls(volume.snapshot) if node.path.lstrip("/") == "config"]
    assert "chatwoot does not run on this machine and is not in this backup" in taken.notes
    assert any("not_there" in each for each in taken.warnings)
    assert "odoo: database tienda_b" in said
    assert len(snapshots(bed)) == len(kept.parts) + 1
    told = json.dumps(taken.to_json())
    assert restic.PASSWORD not in told
    assert bed.postgres.password not in told


def test_what_is_restored_has_the_counts_of_the_manifest_though_it_was_written_to_all_the_time(bed: Bed) -> None:
    stop, wrote = threading.Event(), threading.Event()

    def write() -> None:
        number = 1000
        with bed.connected() as connection:
            while not stop.is_set():
                bed.write(number, connection)
                wrote.set()
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert wrote.wait(300)
        taken = bed.take()
        wrote.clear()
        assert wrote.wait(300)
    finally:
        stop.set()
        writer.join()
    assert taken.ok, taken.errors
    part = bed.part(taken.manifest, "odoo", "database:tienda_b")
    assert part.counts["adjuntos"] > 20
    assert taken.manifest.services["odoo"].attachments == {"rows": part.counts["adjuntos"], "missing": 0}
    with bed.connected() as connection:
        later = connection.execute("SELECT count(*) FROM adjuntos").fetchone()
    assert later is not None
    assert later[0] > part.counts["adjuntos"]
    name = restored(bed, part)
    assert bed.server().counts(name, ["adjuntos"]) == part.counts
    with bed.connected(name) as connection:
        rows = {row[0] for row in connection.execute("SELECT ruta FROM adjuntos")}
    volume = bed.part(taken.manifest, "odoo", "volume:odoo-data")
    target = bed.folder / "restored"
    bed.repository.restore(volume.snapshot, target)
    files = {str(each.relative_to(target / "filestore" / "tienda_b")) for each in target.rglob("*") if each.is_file()}
    assert rows <= files


@contextmanager
def held_up(bed: Bed) -> Iterator[Callable[[], list[tuple[int]]]]:
    """A dump is held up after the tables' data, at a sequence whose name is being changed. Gives what finds its server
    process, once it waits there.
    """
    with bed.connected() as connection, bed.connected("postgres") as admin, connection.transaction():
        connection.execute("ALTER SEQUENCE adjuntos_id_seq RENAME TO another")
        yield lambda: admin.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'smarteros-backup' AND wait_event_type = 'Lock'"
        ).fetchall()
        raise psycopg.Rollback


def test_a_dump_whose_server_dies_leaves_no_snapshot_and_spares_the_others(bed: Bed) -> None:
    with bed.connected() as connection:
        connection.execute("INSERT INTO adjuntos (ruta) SELECT '0/0' FROM generate_series(1, 100000)")

    def kill(waiting: Callable[[], list[tuple[int]]]) -> None:
        restic.until(waiting, "the dump")
        with bed.connected("postgres") as admin:
            for (pid,) in waiting():
                admin.execute("SELECT pg_terminate_backend(%s)", [pid])

    with held_up(bed) as waiting:
        killer = threading.Thread(target=kill, args=(waiting,))
        killer.start()
        taken = bed.take()
        killer.join()
    assert not taken.ok
    assert taken.manifest.state == manifest.PARTIAL
    assert "terminat" in taken.manifest.services["odoo"].error
    assert not taken.manifest.services["n8n"].error
    assert [each["where"] for each in taken.errors] == ["odoo"]
    assert not snapshots(bed, f"id={taken.manifest.id}", "part=database:tienda_b")
    assert [each.manifest.state for each in bed.found()] == ["partial"]
    again = bed.take()
    assert again.ok, again.errors


def test_a_dump_that_shrunk_is_doubted_until_somebody_says_it_is_right(bed: Bed) -> None:
    with bed.connected() as connection:
        connection.execute(
            "CREATE TABLE grande AS SELECT n, repeat(md5(n::text), 60) t FROM generate_series(1, 3000) n"
        )
    first = bed.take()
    assert first.ok, first.errors
    with bed.connected() as connection:
        connection.execute("TRUNCATE grande")
    config = replace(bed.config, retention=Retention(daily=1))
    doubted = bed.take(config=config)
    assert not doubted.ok
    assert "shrunk from" in doubted.manifest.services["odoo"].error
    assert "--accept-shrunk" in doubted.errors[0]["why"]
    assert not doubted.removed
    assert doubted.verified, "what there is of it is sound"
    assert first.manifest.id in [each.id for each in bed.found()]
    accepted = bed.take(config=config, accept_shrunk=True)
    assert accepted.ok, accepted.errors
    assert bed.take(config=config).ok


def test_an_odoo_file_that_is_missing_is_counted_and_said(bed: Bed) -> None:
    (bed.files / "3" / "3").unlink()
    taken = bed.take("odoo")
    assert taken.ok
    assert taken.manifest.services["odoo"].attachments == {"rows": 20, "missing": 1}
    assert any("filestore/tienda_b/3/3" in each for each in taken.warnings)


def test_one_service_alone_and_names_that_cannot_be(bed: Bed) -> None:
    shutil.rmtree(bed.config.path)  # where there has never been a repository, one is made
    taken = bed.take("n8n", "n8n")
    assert set(taken.manifest.services) == {"n8n"}
    assert taken.manifest.keys == {}
    assert not taken.notes
    for name, code, words in (("n8m", 2, "n8n"), ("chatwoot", 3, "does not run on this machine")):
        with pytest.raises(Refused, match=words) as refused:
            bed.take(name)
        assert refused.value.exit_code == code
    assert len(snapshots(bed)) == 2


def test_what_a_killed_run_left_is_swept_by_the_next(bed: Bed) -> None:
    bed.take("n8n")
    bed.repository.backup_bytes(
        b"half", "x.dump", bed.config.host, manifest.tags("20200101-000000", "odoo", "database:x")
    )
    left = bed.server().session("tienda_b")
    taken = bed.take("odoo")
    assert taken.swept == ["20200101-000000"]
    assert not snapshots(bed, "id=20200101-000000")
    assert len(bed.found()) == 2
    with pytest.raises(Exception, match="terminat"):
        left.rows("SELECT 1;")
    left.close()


def test_a_repository_that_is_gone_is_not_begun_anew(bed: Bed) -> None:
    repository = Path(bed.config.path)
    shutil.rmtree(repository)
    repository.mkdir()
    (bed.folder / "last.json").write_text(
        json.dumps({"backup": {"ok": True, "good": {"at": "2026-11-22", "id": "20261122-020000", "added": 1}}})
    )
    with pytest.raises(Refused, match="is gone; backup 20261122-020000") as refused:
        bed.take()
    assert refused.value.exit_code == 3
    assert not list(repository.iterdir())


def test_a_full_disk_is_refused_before_anything_is_written(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.take("n8n")
    before = len(snapshots(bed))
    monkeypatch.setattr(take.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 29})())
    with pytest.raises(Refused) as refused:
        bed.take()
    assert refused.value.exit_code == 4
    assert len(snapshots(bed)) == before


def test_a_restore_that_is_half_done_comes_first(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "unfinished", lambda *_: "the restore of 20261122-020000 was cut off")
    with pytest.raises(Refused, match="cut off") as refused:
        bed.take()
    assert refused.value.exit_code == 4
    assert bed.take(reason="restore").ok


def test_a_run_that_is_killed_leaves_no_backup_and_the_next_one_works(bed: Bed) -> None:
    with bed.connected() as connection:
        connection.execute("INSERT INTO adjuntos (ruta) SELECT '0/0' FROM generate_series(1, 100000)")
    given = {"folder": str(bed.folder), "config": asdict(bed.config), "postgres": asdict(bed.postgres)}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, __file__, json.dumps(given, default=str)]
    with held_up(bed) as waiting:
        other = subprocess.Popen(words, env=environment, start_new_session=True)
        restic.until(lambda: waiting() or other.poll() is not None, "the dump")
        assert other.poll() is None
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
        restic.until_nobody_uses(bed.repository)
    assert bed.found() == []
    taken = bed.take()
    assert taken.ok, taken.errors
    assert len(taken.swept) == 1
    bed.repository.check("100%")


def be_killed(given: dict[str, Any]) -> None:
    """What the test above kills: a process that takes a backup of the same machine."""
    folder, config = Path(given["folder"]), configs.of(given["config"])
    there = Postgres(**{**given["postgres"], "bin": Path(given["postgres"]["bin"])})
    engine: Any = Machine(folder / "volumes", "odoo", "n8n")
    take.take(config, engine, [], reason="restore", ways=ways_of(there, config, folder))


if __name__ == "__main__":
    be_killed(json.loads(sys.argv[1]))
