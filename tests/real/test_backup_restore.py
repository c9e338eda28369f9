"""Whole restores with real restic and real PostgreSQL: what comes back is what was there, a failure brings back what was there
before, and one that is killed is gone on with. The Engine is a fake that counts tasks; volumes are real folders.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, journal, machine, take
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config as configs
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Attachments, Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import (
    Restoration,
    Restored,
    RestoreError,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from real.installs import Unavailable
from real.postgres import Postgres
from real.tools import needing_tools

KILLS = 3
SHOP, OTHER = "tienda_r", "otra_r"
CONTENT = """
CREATE TABLE adjuntos (id serial PRIMARY KEY, ruta text);
CREATE TABLE pedidos (id bigserial PRIMARY KEY, cliente text NOT NULL, total numeric(12, 2), hecho timestamptz DEFAULT now());
INSERT INTO pedidos (cliente, total) SELECT 'Ñandú ' || n || ' 🐦', n * 1.19 FROM generate_series(1, 2000) n;
CREATE INDEX pedidos_cliente ON pedidos (lower(cliente));
CREATE VIEW caros AS SELECT * FROM pedidos WHERE total > 1000;
CREATE SEQUENCE folio START 4711;
SELECT nextval('folio');
SELECT lo_from_bytea(4242, decode(repeat('00ff', 5000), 'hex'));
ALTER TABLE pedidos OWNER TO dueno_r;
ALTER LARGE OBJECT 4242 OWNER TO dueno_r;
GRANT SELECT ON pedidos TO lector_r;
"""


class Swarm:
    """As much of an Engine as a restore asks. What shall run is in a file: it outlives a process that is killed."""

    socket = "/nowhere"

    def __init__(self, folder: Path, names: tuple[str, ...] = ("odoo", "n8n")) -> None:
        self.folder = folder
        self._file = folder / "swarm.json"
        if not self._file.exists():
            self.save({name: {"replicas": 1, "version": 1} for name in names})

    def load(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = json.loads(self._file.read_text())
        return found

    def save(self, services: dict[str, dict[str, int]]) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps(services))
        beside.replace(self._file)

    def get(self, path: str, **filters: Any) -> Any:
        services = self.load()
        if path == "/services":
            return [self._service(name, each) for name, each in services.items()]
        if path.startswith("/services/"):
            name = path.removeprefix("/services/").partition("_")[0]
            return self._service(name, services[name])
        if path == "/tasks":
            return [self._task(name) for name, each in services.items() if each["replicas"]]
        if path == "/containers/json":
            return [{"Id": n} for n, one in services.items() if one["replicas"] and f"{n}_{n}" in str(filters)]
        if path == "/info":
            return {"DockerRootDir": str(self.folder)}
        name = path.removeprefix("/volumes/")
        if not (self.folder / name).is_dir():
            raise EngineError(f"get {name}: no such volume", 404)
        return {"Driver": "local", "Mountpoint": str(self.folder / name / "_data")}

    def post(self, path: str, body: Any = None) -> Any:
        if path == "/volumes/create":
            (self.folder / body["Name"] / "_data").mkdir(parents=True)
            return {"Name": body["Name"]}
        name = path.removeprefix("/services/").partition("/")[0]
        services = self.load()
        count = body["Mode"]["Replicated"]["Replicas"]
        self.save({**services, name: {"replicas": count, "version": services[name]["version"] + 1}})
        return None

    def _service(self, name: str, each: dict[str, int]) -> dict[str, Any]:
        labels = {
            stack_state.OWNER_LABEL: "smarteros",
            stack_state.SERVICE_LABEL: name,
            stack_state.CONFIG_LABEL: f"config-{name}",
            stack_state.NAMESPACE_LABEL: name,
        }
        spec = {
            "Name": f"{name}_{name}",
            "Labels": labels,
            "TaskTemplate": {"ContainerSpec": {"Image": f"{name}:1"}},
            "Mode": {"Replicated": {"Replicas": each["replicas"]}},
        }
        return {"ID": name, "Version": {"Index": each["version"]}, "Spec": spec}

    def _task(self, name: str) -> dict[str, Any]:
        return {
            "ServiceID": name,
            "ID": f"task-{name}",
            "CreatedAt": "2026-01-01T00:00:00.1Z",
            "Status": {"State": "running", "Timestamp": "2026-01-01T00:00:00.1Z"},
            "DesiredState": "running",
            "Spec": {"ContainerSpec": {"Image": f"{name}:1"}},
        }


@dataclass(frozen=True)
class Bed:
    """One machine: a shop whose rows refer to files, and a second service that has nothing to do with it."""

    postgres: Postgres
    config: Config
    folder: Path

    @property
    def swarm(self) -> Swarm:
        return Swarm(self.folder / "volumes")

    @property
    def server(self) -> Server:
        where = {"PGHOST": self.postgres.host, "PGPORT": str(self.postgres.port), "PGPASSWORD": self.postgres.password}
        place = Place((), {**where, "PGAPPNAME": "smarteros-backup"})
        return Server(Engine("/nowhere"), "test", place, self.postgres.user)

    @property
    def ways(self) -> take.Ways:
        return take.Ways(
            repository=Repository(self.config.path, self.config.password_file, {}, str(self.folder / "cache")),
            server=lambda _name: self.server,
            last=self.folder / "last.json",
            verified=self.folder / "verified.json",
        )

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / "restore.json")

    @property
    def files(self) -> Path:
        return self.folder / "volumes" / "odoo-data" / "_data"

    @contextmanager
    def connected(self, database: str = SHOP) -> Iterator[psycopg.Connection[Any]]:
        there = self.postgres
        with psycopg.connect(
            host=there.host, port=there.port, user=there.user, password=there.password, dbname=database, autocommit=True
        ) as connection:
            yield connection

    def take(self) -> str:
        engine: Any = self.swarm
        taken = take.take(self.config, engine, [], ways=self.ways, reason="timer")
        assert taken.ok, taken.outcome
        return taken.manifest.id

    def restore(self, backup: str = "latest", *services: str) -> Restored:
        engine: Any = self.swarm
        world = Machine(self.config, engine, lambda _text: None, self.ways)
        return Restoration(world, self.journal, lambda _text: None).run(Asked(backup, services))

    def spoil(self) -> None:
        """What somebody wants to be rid of."""
        with self.connected() as connection:
            connection.execute("DELETE FROM pedidos WHERE id % 3 = 0")
            connection.execute("DROP VIEW caros")
            connection.execute("SELECT lo_unlink(4242)")
            connection.execute("INSERT INTO adjuntos (ruta) VALUES ('9/not there')")
        shutil.rmtree(self.files / "filestore" / SHOP / "1")
        (self.files / "new").write_text("of after the backup")
        with self.connected(OTHER) as connection:
            connection.execute("INSERT INTO cosas VALUES (99)")

    def look(self) -> dict[str, Any]:
        """All of the shop: the dump as text, every file with owner, mode and time, what runs."""
        return {
            "dump": self.dump(SHOP),
            "rights": self.server.shape(SHOP),
            "files": tree(self.files),
            "beside": sorted(path.name for path in self.files.parent.iterdir()),
            "databases": sorted(self.server.databases()),
            "running": {name: each["replicas"] for name, each in self.swarm.load().items()},
        }

    def dump(self, database: str) -> str:
        words = [str(self.postgres.bin / "pg_dump"), "-U", self.postgres.user, "-d", database]
        where = {"PGHOST": self.postgres.host, "PGPORT": str(self.postgres.port), "PGPASSWORD": self.postgres.password}
        done = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, **where})
        lines = done.stdout.splitlines()
        return "\n".join(each for each in lines if not each.startswith(("\\restrict", "\\unrestrict")))


def tree(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Every file and folder below, and what there is to say of it."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        about = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        link = str(path.readlink()) if path.is_symlink() else ""
        time_of = 0 if path == folder else about.st_mtime_ns
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_uid, about.st_gid, time_of, content, link)
    return found


@pytest.fixture
def bed(real_postgres: Postgres, tmp_path: Path) -> Iterator[Bed]:
    with needing_tools():
        if shutil.which("restic") is None:
            raise Unavailable("restic is needed (Debian: apt install restic)")
    made = Bed(real_postgres, _config(tmp_path), tmp_path)
    _fill_folders(made)
    databases = (SHOP, OTHER)
    made.server.drop(*databases)
    with made.connected("postgres") as admin:
        for role in ("dueno_r", "lector_r"):
            admin.execute(f"DROP ROLE IF EXISTS {role}")
            admin.execute(f"CREATE ROLE {role}")
        for each in databases:
            admin.execute(f"CREATE DATABASE {each} TEMPLATE template0 OWNER dueno_r")
        admin.execute(f"REVOKE ALL ON DATABASE {SHOP} FROM PUBLIC")
        admin.execute(f"ALTER DATABASE {SHOP} SET timezone TO 'America/Santiago'")
    with made.connected() as connection:
        connection.execute(CONTENT)
        for number in range(20):
            connection.execute("INSERT INTO adjuntos (ruta) VALUES (%s)", [f"{number % 3}/{number}"])
    with made.connected(OTHER) as connection:
        connection.execute("CREATE TABLE cosas (n int)")
    yield made
    made.server.drop(*(each for each in made.server.databases() if each.startswith(databases)))
    with made.connected("postgres") as admin:
        admin.execute("DROP ROLE dueno_r, lector_r")


def _config(folder: Path) -> Config:
    (folder / "repository").mkdir()
    (folder / "password").write_text("of a repository in a test")
    odoo = ServiceData(
        "odoo",
        "test",
        {SHOP: ("adjuntos", "pedidos")},
        ("odoo-data",),
        attachments=Attachments(SHOP, "SELECT ruta FROM adjuntos", "odoo-data", f"filestore/{SHOP}"),
        keys=("odoo_master_password",),
        writers=("odoo_odoo",),
    )
    n8n = ServiceData("n8n", "test", {OTHER: ("cosas",)}, ("n8n-data",), writers=("n8n_n8n",))
    return Config(
        "production",
        str(folder / "repository"),
        str(folder / "password"),
        {"odoo": odoo, "n8n": n8n},
        release="0.2.0",
        fingerprints={"odoo_master_password": "ab12"},
    )


def _fill_folders(bed: Bed) -> None:
    for number in range(20):
        path = bed.files / "filestore" / SHOP / str(number % 3) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"adjunto {number} ñ")
        os.utime(path, ns=(10**18 + number, 10**18 + number))
    (bed.files / "empty folder").mkdir(mode=0o700)
    (bed.files / "a link").symlink_to("filestore")
    (bed.files / "one").write_bytes(os.urandom(100_000))
    os.link(bed.files / "one", bed.files / "the same one")
    (bed.files / "one").chmod(0o4640)
    if os.geteuid() == 0:
        os.chown(bed.files / "one", 101, 102)
        os.chown(bed.files, 101, 101)
    bed.files.chmod(0o2750)
    (bed.folder / "volumes" / "n8n-data" / "_data").mkdir(parents=True)
    (bed.folder / "volumes" / "n8n-data" / "_data" / "config").write_text("{}")


def test_what_comes_back_is_what_was_there_and_nothing_else_is_touched(bed: Bed) -> None:
    before = bed.look()
    backup = bed.take()
    bed.spoil()
    other = bed.dump(OTHER), bed.swarm.load()["n8n"]
    assert bed.look() != before
    done = bed.restore("latest", "odoo")
    assert bed.look() == before
    assert done.backup == backup
    assert all(one.ok for one in done.checks)
    assert {one.what for one in done.checks} >= {
        "key odoo_master_password",
        f"rows of {SHOP}.pedidos",
        "files of volume odoo-data",
        "bytes of volume odoo-data",
        "owner and mode of volume odoo-data",
        "rows of odoo that refer to a file",
        "files of odoo that rows refer to and that are missing",
        "health of odoo",
    }
    assert (bed.dump(OTHER), bed.swarm.load()["n8n"]) == other
    assert bed.journal.read() is None
    with bed.connected() as connection:
        assert connection.execute("SELECT nextval('folio')").fetchone() == (4712,)


def test_what_a_restore_replaced_can_be_brought_back_as_well_and_is_never_the_latest(bed: Bed) -> None:
    backup = bed.take()
    bed.spoil()
    spoilt = bed.look()
    safety = bed.restore("latest", "odoo").safety
    assert bed.look() != spoilt
    done = bed.restore(safety, "odoo")
    assert bed.look() == spoilt
    assert safety > backup
    assert done.safety > safety
    assert bed.restore("latest", "odoo").backup == backup


def test_databases_roles_and_volumes_that_are_gone_are_made_again(bed: Bed) -> None:
    before = bed.look()
    shape = bed.server.shape(SHOP)
    backup = bed.take()
    bed.server.drop(SHOP)
    with bed.connected("postgres") as admin:
        admin.execute("DROP ROLE lector_r")
    shutil.rmtree(bed.files.parent)
    world = Machine(bed.config, bed.swarm, lambda _text: None, bed.ways)  # type: ignore[arg-type] # stands for an Engine
    Restoration(world, bed.journal, lambda _text: None, safety=False).run(Asked(backup, ("odoo",)))
    assert bed.look() == before
    assert bed.server.shape(SHOP) == shape


def test_what_is_not_healthy_is_taken_back(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.take()
    bed.spoil()
    spoilt = bed.look()
    monkeypatch.setattr(machine, "healthy", lambda *_: "it answers 502")
    with pytest.raises(RestoreError, match=r"502.*; what was there before runs again"):
        bed.restore("latest", "odoo")
    assert bed.look() == spoilt
    assert bed.journal.read() is None


def test_a_dump_that_is_not_what_the_manifest_says_never_takes_the_place(bed: Bed) -> None:
    backup = bed.take()
    bed.spoil()
    spoilt = bed.look()
    repository = bed.ways.repository
    assert repository is not None
    found = catalogue.every(repository, {}, verified=bed.ways.verified)[0]
    told = found.manifest
    parts = [
        replace(part, counts={"pedidos": 2001}) if part.name == SHOP else part for part in told.services["odoo"].parts
    ]
    services = {**told.services, "odoo": replace(told.services["odoo"], parts=tuple(parts))}
    forged = replace(found, manifest=replace(told, services=services))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(catalogue, "every", lambda *_, **__: [forged])
        with pytest.raises(RestoreError, match=f"rows of {SHOP}.pedidos: 2000 instead of 2001; what was there before"):
            bed.restore(backup, "odoo")
    assert bed.look() == spoilt


def test_what_cannot_be_is_refused_and_touches_nothing(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    backup = bed.take()
    before = bed.look()

    def refused(code: int, words: str, wanted: str = backup, **change: Any) -> None:
        here = Bed(bed.postgres, replace(bed.config, **change), bed.folder)
        with pytest.raises(RestoreError, match=words) as caught:
            here.restore(wanted, "odoo")
        assert (caught.value.exit_code, caught.value.back) == (code, "")
        assert caught.value.following

    refused(2, "of the environment production, this machine belongs to staging", environment="staging")
    refused(2, "newer than the installed 0.1.9", release="0.1.9")
    refused(3, "lacks the odoo_master_password", fingerprints={})
    refused(2, backup, wanted=f"{backup[:-1]}{(int(backup[-1]) + 1) % 10}")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    refused(3, "must be free where")
    assert bed.look() == before
    assert bed.swarm.load()["odoo"]["version"] == 1


def test_killed_at_moments_of_chance_the_same_command_restores(bed: Bed) -> None:
    before = bed.look()
    backup = bed.take()
    bed.spoil()
    chance = random.Random(5)
    began = time.monotonic()
    bed.restore(backup, "odoo")
    took = time.monotonic() - began
    stages = set()
    for _ in range(KILLS):
        bed.spoil()
        stages.add(_killed(bed, backup, chance.uniform(0.3, 1.3) * took))
        bed.restore(backup, "odoo")
        assert bed.look() == before
        assert bed.journal.read() is None
    repository = bed.ways.repository
    assert repository is not None
    repository.check("100%")
    assert len(stages) > 1, stages


def test_killed_at_each_stage_the_same_command_restores(bed: Bed) -> None:
    before = bed.look()
    backup = bed.take()
    for stage in (journal.STOPPING, journal.FILLING, journal.SWITCHING, journal.STARTING, journal.TIDYING):
        bed.spoil()
        assert _killed(bed, backup, stage=stage) == stage
        with pytest.raises(RestoreError, match="was cut off"):
            bed.restore("20200101-000000", "odoo")
        done = bed.restore(backup, "odoo")
        assert done.resumed
        assert bed.look() == before, stage


def _killed(bed: Bed, backup: str, after_s: float = 600, stage: str = "") -> str:
    """Restore in another process and kill it after so long, or in a stage; gives the stage that the journal then tells."""
    given = {"folder": str(bed.folder), "config": asdict(bed.config), "postgres": asdict(bed.postgres)}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, __file__, json.dumps({**given, "backup": backup, "stage": stage}, default=str)]
    other = subprocess.Popen(words, env=environment, start_new_session=True)
    try:
        other.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()
    there = bed.journal.read()
    return there.stage if there else ""


def be_killed(given: dict[str, Any]) -> None:
    """What the tests above kill: a process that restores on the same machine, and ends itself in a stage that is named."""
    there = Postgres(**{**given["postgres"], "bin": Path(given["postgres"]["bin"])})
    bed = Bed(there, configs.of(given["config"]), Path(given["folder"]))
    write = Journal.write

    def and_die(self: Journal, state: journal.State) -> None:
        write(self, state)
        if state.stage == given["stage"]:
            os.killpg(os.getpgid(0), signal.SIGKILL)

    Journal.write = and_die  # type: ignore[method-assign] # in a process that ends here
    bed.restore(given["backup"], "odoo")


if __name__ == "__main__":
    be_killed(json.loads(sys.argv[1]))
