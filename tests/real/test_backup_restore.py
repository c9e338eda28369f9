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
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, journal, machine
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config as configs
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Attachments, Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import (
    Restoration,
    Restored,
    RestoreError,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine
from real import restic
from real.bed import Bed, connected
from real.postgres import Postgres

KILLS = 2
UNREAD = "unread"
BEGUN = "it begins"  # said by a process that is to be killed
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


@dataclass(frozen=True)
class Shop(Bed):
    """A shop whose rows refer to files, and a second service that has nothing to do with it."""

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / "restore.json")

    @property
    def files(self) -> Path:
        return self.folder / "volumes" / "odoo-data" / "_data"

    def connected(self, database: str = SHOP) -> AbstractContextManager[psycopg.Connection[Any]]:
        return connected(self.postgres, database)

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
def bed(real_postgres: Postgres, tmp_path: Path, templates: restic.Templates) -> Iterator[Shop]:
    made = Shop(real_postgres, _config(templates.plant(tmp_path)), tmp_path)
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


def _config(repository: Repository) -> Config:
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
        repository.location,
        repository.password_file,
        {"odoo": odoo, "n8n": n8n},
        release="0.2.0",
        fingerprints={"odoo_master_password": "ab12"},
    )


def _fill_folders(bed: Shop) -> None:
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


def test_what_comes_back_is_what_was_there_and_nothing_else_is_touched(bed: Shop) -> None:
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


def test_what_a_restore_replaced_can_be_brought_back_as_well_and_is_never_the_latest(bed: Shop) -> None:
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


def test_databases_roles_and_volumes_that_are_gone_are_made_again(bed: Shop) -> None:
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


def test_what_is_not_healthy_is_taken_back(bed: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    bed.take()
    bed.spoil()
    spoilt = bed.look()
    monkeypatch.setattr(machine, "healthy", lambda *_: "it answers 502")
    with pytest.raises(RestoreError, match=r"502.*; what was there before runs again"):
        bed.restore("latest", "odoo")
    assert bed.look() == spoilt
    assert bed.journal.read() is None


def test_a_dump_that_is_not_what_the_manifest_says_never_takes_the_place(bed: Shop) -> None:
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


def test_what_cannot_be_is_refused_and_touches_nothing(bed: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    backup = bed.take()
    before = bed.look()

    def refused(code: int, words: str, wanted: str = backup, **change: Any) -> None:
        here = Shop(bed.postgres, replace(bed.config, **change), bed.folder)
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


def test_killed_at_moments_of_chance_the_same_command_restores(bed: Shop) -> None:
    before = bed.look()
    backup = bed.take()
    bed.spoil()
    chance = random.Random(5)
    began = time.monotonic()
    bed.restore(backup, "odoo")
    took = time.monotonic() - began
    for _ in range(KILLS):
        bed.spoil()
        _killed(bed, backup, chance.uniform(0.1, 0.9) * took)
        bed.restore(backup, "odoo")
        assert bed.look() == before
        assert bed.journal.read() is None
    repository = bed.ways.repository
    assert repository is not None
    repository.unlock()  # as the next backup does: who was killed while reading has left a lock
    repository.check("100%")


def test_killed_at_each_stage_the_same_command_restores(bed: Shop) -> None:
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


def test_a_connection_that_ends_in_the_middle_brings_back_what_was_there(bed: Shop) -> None:
    backup = bed.take()
    bed.spoil()
    spoilt = bed.look()
    other = _started(bed, backup, UNREAD)
    with other:
        restic.until(lambda: _stage(bed) == journal.FILLING, "the filling")
        assert other.stdout is not None
        other.stdout.close()
        other.wait(120)
    assert bed.look() == spoilt
    assert bed.journal.read() is None
    bed.restore(backup, "odoo")


def _stage(bed: Shop) -> str:
    there = bed.journal.read()
    return there.stage if there else ""


def _killed(bed: Shop, backup: str, after_s: float | None = None, stage: str = "") -> str:
    """Restore in another process and kill it so long after it began, or in a stage; gives the stage that the journal then
    tells.
    """
    other = _started(bed, backup, stage)
    with other:
        with suppress(subprocess.TimeoutExpired):
            other.wait(after_s)
        with suppress(ProcessLookupError):
            os.killpg(other.pid, signal.SIGKILL)
    assert bed.ways.repository is not None
    restic.until_nobody_uses(bed.ways.repository)
    return _stage(bed)


def _started(bed: Shop, backup: str, stage: str) -> subprocess.Popen[str]:
    """Another process that has begun to restore."""
    given = {"folder": str(bed.folder), "config": asdict(bed.config), "postgres": asdict(bed.postgres)}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, __file__, json.dumps({**given, "backup": backup, "stage": stage}, default=str)]
    other = subprocess.Popen(words, env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == f"{BEGUN}\n"
    return other


def be_killed(given: dict[str, Any]) -> None:
    """What the tests above kill: a process that restores on the same machine, and ends itself in a stage that is named, or
    fills for ever, for as long as somebody reads what it says.
    """
    there = Postgres(**{**given["postgres"], "bin": Path(given["postgres"]["bin"])})
    bed = Shop(there, configs.of(given["config"]), Path(given["folder"]))
    write = Journal.write

    def and_die(self: Journal, state: journal.State) -> None:
        write(self, state)
        if state.stage == given["stage"]:
            os.killpg(os.getpgid(0), signal.SIGKILL)

    if given["stage"] == UNREAD:
        Server.restore_argv = lambda *_: ["sleep", "600"]  # type: ignore[method-assign] # in a process that ends here
        lifeline.heed()
    print(BEGUN, flush=True)
    Journal.write = and_die  # type: ignore[method-assign] # in a process that ends here
    bed.restore(given["backup"], "odoo")


if __name__ == "__main__":
    be_killed(json.loads(sys.argv[1]))
