"""A real server that archives, a real repository, and a moment between two rows."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    volumes,
    wal,
    wal_plan,
    wal_restore,
    wal_store,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.checks import Check
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Wal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from real import postgres, restic
from real.postgres import Postgres
from real.processes import free_port, running
from real.tools import needing_tools
from support import stack_files


def archive_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """As the role starts its server, into another folder."""
    stack_files.known_secrets(monkeypatch)
    made = stack_files.stack("postgresql", postgresql_wal={"enabled": True})
    words = made.compose["services"]["postgresql"]["command"]
    found = dict(word.split("=", 1) for word in words if word.startswith("archive_"))
    return {name: value.replace("/wal", str(folder)) for name, value in found.items()}


def server_at(port: int, like: Postgres) -> Server:
    where = {"PGHOST": like.host, "PGPORT": str(port), "PGPASSWORD": like.password}
    return Server(Engine("/nowhere"), "test", Place((), where), like.user)


class LocalScratch:
    """The same server's programs on a port of its own: here there is no container."""

    def __init__(self, like: Postgres) -> None:
        self._like = like

    def recover(self, folder: Path, settings: Mapping[str, str], look: wal_restore.Look) -> list[Check]:
        with self.running(folder, {**settings, "listen_addresses": "127.0.0.1"}) as (server, process):

            def ended() -> str:
                return "" if process.poll() is None else f"({process.returncode})"

            wal_restore.await_recovery(server, ended, 120)
            return look(server)

    @contextmanager
    def running(self, folder: Path, settings: Mapping[str, str]) -> Iterator[tuple[Server, subprocess.Popen[bytes]]]:
        port = free_port()
        words = ["-c", f"port={port}", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        words += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        program = [*postgres.unprivileged(), str(self._like.bin / "postgres"), "-D", str(folder), *words]
        with running(program, log=folder.parent / f"log-{port}", cwd=folder) as process:
            yield server_at(port, self._like), process


@pytest.fixture
def roomy() -> Iterator[Path]:
    """A folder that the server's account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="smos-wal-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_moment_between_two_rows_has_the_first_and_not_the_second(
    roomy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = roomy / "wal"
    segments.mkdir()
    with needing_tools():
        restic.tool()
        with postgres.cluster(archive_settings(segments, monkeypatch)) as real:
            server = server_at(real.port, real)
            data = Path(server.rows("SHOW data_directory;")[0])
            password = tmp_path / "password"
            password.write_text("a password of the tests\n")
            local = wal_store.inside(Repository(str(tmp_path / "backups"), str(password), cache=tmp_path / "cache"))
            where = wal_store.Places(local, {})
            own = wal.Archive(Wal(True), "smos-test", server, segments, where, volumes.root_of(data), tmp_path / "gate")
            assert wal.push(own).due
            server.rows("CREATE TABLE sale (id int); INSERT INTO sale VALUES (0);")
            wal.base(own)
            first = added(server, 1)
            moment = next_second(first)
            added(server, 2)
            done = wal.push(own)
            assert (list(done.problems), done.due) == ([], "")
            assert not wal_plan.runs(each.name for each in segments.iterdir()), "what is kept goes from the folder"
            held = wal_store.held(local)
            restored(real, held, moment, roomy, local, data)
            with pytest.raises(wal_plan.PointError, match="what is there goes from"):
                wal_plan.choose(held, moment + 3600)


def added(server: Server, number: int) -> float:
    """When it was committed, at the latest."""
    return float(server.rows(f"INSERT INTO sale VALUES ({number}); SELECT extract(epoch FROM clock_timestamp());")[-1])


def next_second(moment: float) -> float:
    """A whole second that has passed since that moment, and before whatever comes next."""
    found = float(int(moment) + 1)
    while time.time() <= found:
        time.sleep(0.02)
    return found


def restored(real: Postgres, held: wal_plan.Held, moment: float, roomy: Path, local: Repository, data: Path) -> None:
    rows: list[list[str]] = []

    def look(server: Server) -> list[Check]:
        rows.append(server.rows("SELECT id FROM sale ORDER BY id;"))
        server.rows("INSERT INTO sale VALUES (9);")
        rows.append(server.rows("SELECT timeline_id FROM pg_control_checkpoint();"))
        return [Check("rows", True, "", "")]

    folder = roomy / ".smos-restore"
    choice = wal_plan.choose(held, moment)
    scratch = LocalScratch(real)
    recovery = wal_restore.Recovery(choice, local, 4, look, scratch)
    found = wal_restore.fill(folder, recovery, volumes.root_of(data), lambda _text: None)
    assert [one.ok for one in found] == [True]
    assert rows[0] == ["0", "1"]
    assert not (folder / wal_restore.SEGMENTS).exists()
    with scratch.running(folder, {"listen_addresses": "127.0.0.1"}) as (server, _process):
        server.wait(60)
        assert server.rows("SELECT id FROM sale ORDER BY id;") == ["0", "1", "9"], "it goes on as a server of its own"
        line = server.rows("SELECT pg_walfile_name(pg_current_wal_lsn());")[0]
        assert wal_plan.timeline(line) == 5, "no timeline that there was before has its number again"
