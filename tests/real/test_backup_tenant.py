"""One tenant's rows and files brought back with real restic and real PostgreSQL: exactly, without a touch on anybody else's.

The Engine is a fake that knows volumes; the databases have the shape of Chatwoot's and n8n's, as far as it matters here.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config as configs
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import journal, tenant, tenant_exchange
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import RestoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_plan import Tenant
from real.bed import Bed, connected
from real.installs import Unavailable
from real.postgres import Postgres
from real.swarm import Swarm
from real.tools import needing_tools

ONE = Tenant("76543210-3", "acme", {"chatwoot": {"account_id": 1}, "n8n": {"orders": "wf-acme"}})
KEY = "abcdefgh{}"
CHATWOOT = """
CREATE TABLE users (id serial PRIMARY KEY, name text);
CREATE TABLE accounts (id serial PRIMARY KEY, name text NOT NULL, limits jsonb DEFAULT '{}');
CREATE TABLE account_users (id bigserial PRIMARY KEY, account_id bigint, user_id bigint, UNIQUE (account_id, user_id));
CREATE TABLE portals (id bigserial PRIMARY KEY, account_id int, slug text UNIQUE);
CREATE TABLE inboxes (id serial PRIMARY KEY, account_id int NOT NULL, name text, portal_id bigint REFERENCES portals);
CREATE TABLE inbox_members (id serial PRIMARY KEY, inbox_id int NOT NULL, user_id int NOT NULL);
CREATE TABLE conversations (id serial PRIMARY KEY, account_id int NOT NULL, inbox_id int, display_id int NOT NULL,
  made timestamptz DEFAULT '2026-01-01 12:00:00.123456-03', UNIQUE (account_id, display_id));
CREATE TABLE messages (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id int NOT NULL, conversation_id int,
  content text, value double precision, shout text GENERATED ALWAYS AS (upper(content)) STORED);
CREATE TABLE attachments (id serial PRIMARY KEY, account_id int NOT NULL, message_id bigint);
CREATE TABLE active_storage_blobs (id bigserial PRIMARY KEY, key text UNIQUE, service_name text);
CREATE TABLE active_storage_attachments (id bigserial PRIMARY KEY, name text, record_type text, record_id bigint,
  blob_id bigint REFERENCES active_storage_blobs);
CREATE TABLE tags (id serial PRIMARY KEY, name text UNIQUE);
CREATE TABLE taggings (id serial PRIMARY KEY, tag_id int, taggable_type text, taggable_id int);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a trigger'; END $$;
INSERT INTO users (name) VALUES ('Ana'), ('Both');
INSERT INTO tags (name) VALUES ('vip'), ('spam');
INSERT INTO accounts (name) VALUES ('Acme ñandú 🐦'), ('Beta');
INSERT INTO account_users (account_id, user_id) VALUES (1, 1), (1, 2), (2, 2);
INSERT INTO portals (account_id, slug) VALUES (1, 'acme'), (2, 'beta');
INSERT INTO inboxes (account_id, name, portal_id) VALUES (1, 'Web', 1), (2, 'Web', 2);
INSERT INTO inbox_members (inbox_id, user_id) VALUES (1, 1), (2, 2);
INSERT INTO conversations (account_id, inbox_id, display_id) SELECT a, a, n FROM generate_series(1, 2) a, generate_series(1, 40) n
  ORDER BY a, n;
INSERT INTO messages (account_id, conversation_id, content, value)
  SELECT c.account_id, c.id, E'línea\\t\\\\N ' || n || E'\\n日本', n / 3.0 FROM conversations c, generate_series(1, 5) n
  ORDER BY c.id, n;
INSERT INTO attachments (account_id, message_id) SELECT account_id, id FROM messages WHERE id % 50 = 0 ORDER BY id;
INSERT INTO active_storage_blobs (id, key, service_name) SELECT id, 'abcdefgh' || id, 'local' FROM attachments;
SELECT setval('active_storage_blobs_id_seq', 100);
INSERT INTO active_storage_attachments (name, record_type, record_id, blob_id) SELECT 'file', 'Attachment', id, id FROM attachments;
INSERT INTO taggings (tag_id, taggable_type, taggable_id) SELECT 1, 'Conversation', id FROM conversations WHERE display_id < 4;
INSERT INTO taggings (tag_id, taggable_type, taggable_id) VALUES (2, 'Conversation', 2);
CREATE SEQUENCE conv_dpid_seq_1; SELECT setval('conv_dpid_seq_1', 40);
CREATE SEQUENCE conv_dpid_seq_2; SELECT setval('conv_dpid_seq_2', 40);
CREATE TRIGGER no_more BEFORE INSERT OR DELETE ON conversations FOR EACH ROW EXECUTE FUNCTION refuse();
"""
N8N = """
CREATE TABLE project (id text PRIMARY KEY);
CREATE TABLE tag_entity (id text PRIMARY KEY, name text UNIQUE);
CREATE TABLE workflow_entity (id text PRIMARY KEY, name text, nodes json);
CREATE TABLE workflows_tags ("workflowId" text REFERENCES workflow_entity ON DELETE CASCADE,
  "tagId" text REFERENCES tag_entity ON DELETE CASCADE, PRIMARY KEY ("workflowId", "tagId"));
CREATE TABLE shared_workflow ("workflowId" text REFERENCES workflow_entity ON DELETE CASCADE,
  "projectId" text REFERENCES project ON DELETE CASCADE, PRIMARY KEY ("workflowId", "projectId"));
CREATE TABLE execution_entity (id serial PRIMARY KEY, "workflowId" text REFERENCES workflow_entity ON DELETE CASCADE);
CREATE TABLE execution_data ("executionId" int PRIMARY KEY REFERENCES execution_entity ON DELETE CASCADE, data text);
CREATE TABLE credentials_entity (id text PRIMARY KEY, data text);
INSERT INTO project VALUES ('p1'), ('p2');
INSERT INTO tag_entity VALUES ('t0', 'smarteros'), ('t1', 'rut:76543210-3'), ('t2', 'rut:11111111-1');
INSERT INTO workflow_entity VALUES ('wf-acme', 'orders', '[1]'), ('wf-hand', 'by hand', '[2]'), ('wf-beta', 'orders', '[3]');
INSERT INTO workflows_tags VALUES ('wf-acme', 't0'), ('wf-acme', 't1'), ('wf-hand', 't1'), ('wf-beta', 't0'), ('wf-beta', 't2');
INSERT INTO shared_workflow VALUES ('wf-acme', 'p1'), ('wf-hand', 'p2'), ('wf-beta', 'p1');
INSERT INTO execution_entity ("workflowId") VALUES ('wf-acme'), ('wf-beta'), ('wf-acme');
INSERT INTO execution_data SELECT id, 'data' || id FROM execution_entity;
INSERT INTO credentials_entity VALUES ('c1', 'of then');
"""
SPOIL_CHATWOOT = """
SET session_replication_role TO replica;
DELETE FROM messages WHERE account_id = 1 AND id % 3 = 0;
UPDATE messages SET content = 'overwritten' WHERE account_id = 1 AND id % 3 = 1;
INSERT INTO conversations (account_id, inbox_id, display_id) VALUES (1, 1, 41);
INSERT INTO messages (account_id, conversation_id, content) VALUES (1, 81, 'of later'), (2, 41, 'also of later');
UPDATE accounts SET name = name || ' later';
DELETE FROM inbox_members;
INSERT INTO inbox_members (inbox_id, user_id) VALUES (2, 1);
DELETE FROM active_storage_attachments WHERE blob_id IN (SELECT min(id) FROM active_storage_blobs);
DELETE FROM active_storage_blobs WHERE id IN (SELECT min(id) FROM active_storage_blobs);
DELETE FROM taggings WHERE taggable_id < 3;
DELETE FROM tags WHERE name = 'spam';
SELECT setval('conv_dpid_seq_1', 41);
"""
SPOIL_N8N = """
UPDATE workflow_entity SET nodes = '["broken"]';
INSERT INTO workflow_entity VALUES ('wf-new', 'of later', '[]');
INSERT INTO workflows_tags VALUES ('wf-new', 't1');
DELETE FROM workflow_entity WHERE id = 'wf-hand';
INSERT INTO execution_entity ("workflowId") VALUES ('wf-acme'), ('wf-beta');
UPDATE credentials_entity SET data = 'of now';
"""
# The rows of a tenant (account 1, tag t1), and those of everybody else
MINE = {
    "chatwoot": {
        "accounts": "id = 1",
        "account_users": "account_id = 1",
        "portals": "account_id = 1",
        "inboxes": "account_id = 1",
        "inbox_members": "inbox_id = 1",
        "conversations": "account_id = 1",
        "messages": "account_id = 1",
        "attachments": "account_id = 1",
        "active_storage_attachments": "record_id IN (SELECT id FROM attachments WHERE account_id = 1)",
        "taggings": "taggable_id IN (SELECT id FROM conversations WHERE account_id = 1)",
    },
    "n8n": {
        "workflow_entity": "id IN ('wf-acme', 'wf-hand', 'wf-new')",
        "workflows_tags": "\"workflowId\" IN ('wf-acme', 'wf-hand', 'wf-new')",
        "shared_workflow": "\"workflowId\" IN ('wf-acme', 'wf-hand', 'wf-new')",
        "execution_entity": "\"workflowId\" IN ('wf-acme', 'wf-hand', 'wf-new')",
        "execution_data": '"executionId" IN (SELECT id FROM execution_entity WHERE "workflowId" LIKE \'wf-acme\')',
    },
}
WHOLE = {"chatwoot": ("users",), "n8n": ("project", "credentials_entity")}


class Anew(Swarm):
    """An Engine whose services only begin anew: which ones did, and how often, is in a file."""

    @property
    def anew(self) -> list[str]:
        return self._beside.read_text().split() if self._beside.exists() else []

    def post(self, path: str, body: Any = None) -> Any:
        name = path.removeprefix("/services/").partition("/")[0]
        assert body["TaskTemplate"]["ForceUpdate"] == 1
        self._beside.write_text(" ".join([*self.anew, name]))

    @property
    def _beside(self) -> Path:
        return self.folder / "anew"


@dataclass(frozen=True)
class Shops(Bed):
    """Two tenants, acme and beta."""

    @property
    def swarm(self) -> Anew:
        return Anew(self.folder / "volumes", ("chatwoot", "n8n"))

    @property
    def files(self) -> Path:
        return self.folder / "volumes" / "chatwoot-storage" / "_data"

    def connected(self, database: str) -> AbstractContextManager[psycopg.Connection[Any]]:
        return connected(self.postgres, database)

    def run(self, database: str, script: str) -> None:
        with self.connected(database) as connection:
            connection.execute(script)

    def clear(self) -> None:
        """No database and no file of ours."""
        self.server.drop(*(each for each in self.server.databases() if each.startswith(("chatwoot", "n8n"))))
        if (self.folder / "volumes").exists():
            shutil.rmtree(self.folder / "volumes")
        (self.folder / "volumes").mkdir()

    def fill(self) -> None:
        """Both tenants as they were when the backup was taken."""
        self.clear()
        for each, script in (("chatwoot", CHATWOOT), ("n8n", N8N)):
            self.run("postgres", f"CREATE DATABASE {each} TEMPLATE template0")
            self.run(each, script)
        for number in range(1, 9):
            self.path(number).parent.mkdir(parents=True, exist_ok=True)
            self.path(number).write_text(f"file {number} ñ")

    def restore(self, backup: str, *services: str, of: Tenant = ONE, safety: bool = False) -> tenant.Restored:
        engine: Any = self.swarm
        world = tenant.TenantRestoration(self.config, engine, lambda _text: None, self.ways)
        return world.restore(tenant.Wish(of, backup, services, safety=safety))

    def spoil(self) -> None:
        """What both tenants do after the backup."""
        self.run("chatwoot", SPOIL_CHATWOOT)
        self.run("n8n", SPOIL_N8N)
        self.path(1).unlink()
        self.path(8).unlink()
        self.path(2).write_text("of now")

    def path(self, number: int) -> Path:
        return self.files / "ab" / "cd" / f"abcdefgh{number}"

    def look(self, *, mine: bool) -> dict[str, list[Any]]:
        """All rows of the tenant, or of everybody else."""
        found: dict[str, list[Any]] = {}
        for database, tables in MINE.items():
            with self.connected(database) as connection:
                for table, where in tables.items():
                    condition = where if mine else f"NOT ({where})"
                    asked: Any = f"SELECT t::text FROM {table} t WHERE {condition} ORDER BY 1"
                    found[table] = connection.execute(asked).fetchall()
                for table in () if mine else WHOLE[database]:
                    asked = f"SELECT t::text FROM {table} t ORDER BY 1"
                    found[table] = connection.execute(asked).fetchall()
        return found

    def number(self, sequence: str) -> int:
        """The next one."""
        with self.connected("chatwoot") as connection:
            found = connection.execute("SELECT nextval(%s)", [sequence]).fetchone()
        assert found
        return int(found[0])

    def beside(self) -> list[str]:
        """What is beside databases and volumes."""
        databases = [each for each in self.server.databases() if "_tenant_" in each]
        return databases + [each.name for each in self.files.parent.iterdir() if each != self.files]

    def remove(self) -> None:
        """The tenant is gone, and so are its numbers."""
        quiet = "SET session_replication_role TO replica;"
        for table, where in reversed(MINE["chatwoot"].items()):
            self.run("chatwoot", f"{quiet} DELETE FROM {table} WHERE {where}")
        self.run("chatwoot", "DROP SEQUENCE conv_dpid_seq_1; SELECT setval('conversations_id_seq', 3)")
        self.run("n8n", "DELETE FROM workflow_entity WHERE id <> 'wf-beta'; DELETE FROM tag_entity WHERE id = 't1'")

    def everything(self) -> dict[str, Any]:
        files = {str(each): each.read_bytes() for each in sorted(self.files.rglob("*")) if each.is_file()}
        beside = sorted(each.name for each in self.files.parent.iterdir())
        rows = (self.look(mine=True), self.look(mine=False))
        return {"rows": rows, "files": files, "beside": beside, "databases": sorted(self.server.databases())}


@pytest.fixture(scope="module")
def taken(real_postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shops, str]]:
    """The machine, and a backup of it as every test finds it: taking one costs more than all the rest."""
    with needing_tools():
        if shutil.which("restic") is None:
            raise Unavailable("restic is needed (Debian: apt install restic)")
    folder = tmp_path_factory.mktemp("tenant")
    made = Shops(real_postgres, _config(folder), folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(journal, "unfinished", lambda: "")
        made.fill()
        yield made, made.take()
    made.clear()


@pytest.fixture
def bed(taken: tuple[Shops, str]) -> Shops:
    taken[0].fill()
    return taken[0]


@pytest.fixture
def backup(taken: tuple[Shops, str]) -> str:
    return taken[1]


def _config(folder: Path) -> Config:
    (folder / "repository").mkdir()
    (folder / "password").write_text("of a repository in a test")
    chatwoot = ServiceData(
        "chatwoot", "test", {"chatwoot": ("messages",)}, ("chatwoot-storage",), writers=("chatwoot_chatwoot",)
    )
    n8n = ServiceData("n8n", "test", {"n8n": ("workflow_entity",)}, writers=("n8n_n8n",))
    places = str(folder / "repository"), str(folder / "password")
    return Config("production", *places, {"chatwoot": chatwoot, "n8n": n8n}, release="0.2.0")


def test_one_tenant_comes_back_exactly_and_nobody_else_is_touched(bed: Shops, backup: str) -> None:
    before = bed.look(mine=True)
    bed.spoil()
    others, spoilt = bed.look(mine=False), bed.look(mine=True)
    assert spoilt != before
    done = bed.restore(backup, safety=True)
    assert bed.look(mine=True) == before
    assert bed.look(mine=False) == others
    assert (done.backup, done.tenant, list(done.services)) == (backup, ONE.id, ["chatwoot", "n8n"])
    assert [one for one in done.checks if not one.ok] == []
    told = {one.what: one.found for one in done.checks}
    assert told["rows of the tenant in chatwoot.messages"] == 200
    assert told["rows of others in chatwoot.messages"] == 201
    assert told["health of n8n"] == "healthy"
    assert bed.swarm.anew == ["n8n"]
    # Files: what the tenant misses is there again, what is there is never replaced
    assert bed.path(1).read_text() == "file 1 ñ"
    assert bed.path(2).read_text() == "of now"
    assert not bed.path(8).exists()
    assert (bed.number("conv_dpid_seq_1"), bed.number("conversations_id_seq")) == (42, 82)
    with bed.connected("chatwoot") as connection:
        assert connection.execute("SELECT name FROM tags ORDER BY id").fetchall() == [("vip",), ("spam",)]
    assert bed.beside() == []
    # What was replaced is in the backup that was made of it, from which a tenant comes back who is gone altogether
    bed.remove()
    bed.restore(done.safety)
    assert bed.look(mine=True) == spoilt
    assert bed.look(mine=False) == others
    assert (bed.number("conv_dpid_seq_1"), bed.number("conversations_id_seq")) == (42, 82)


def test_stopped_once_all_rows_are_back_the_files_that_belong_to_them_stay(
    bed: Shops, backup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bed.look(mine=True)
    bed.spoil()

    def stopped(_exchange: tenant_exchange.Exchange, *_why: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tenant_exchange.Exchange, "__exit__", stopped)
    with pytest.raises(KeyboardInterrupt):
        bed.restore(backup, "chatwoot")
    monkeypatch.undo()
    assert bed.look(mine=True)["messages"] == before["messages"]
    assert bed.path(1).read_text() == "file 1 ñ"


def test_what_cannot_be_leaves_all_as_it_was(bed: Shops, backup: str) -> None:
    bed.spoil()

    def refused(code: int, words: str, script: str, service: str = "chatwoot", of: Tenant = ONE) -> None:
        bed.run(service, script)
        before = bed.everything()
        with pytest.raises((Refused, RestoreError), match=words) as caught:
            bed.restore(backup, service, of=of)
        assert isinstance(caught.value, (Refused, RestoreError))
        assert caught.value.exit_code == code
        assert caught.value.following
        assert bed.everything() == before

    later = replace(ONE, refs={"chatwoot": {"account_id": 3}})
    refused(2, "holds nothing of acme in chatwoot", "INSERT INTO accounts (name) VALUES ('of later')", of=later)
    words = "table messages of chatwoot has other columns in backup .* than here: mood"
    refused(3, words, "ALTER TABLE messages ADD COLUMN mood text")
    bed.run("chatwoot", "ALTER TABLE messages DROP COLUMN mood")
    # References, those that the database does not know of, and numbers that somebody else has by now
    refused(1, "account_users whose user_id is in users no more", "DELETE FROM users WHERE id = 1")
    bed.run("chatwoot", "INSERT INTO users VALUES (1, 'Ana')")
    gone = "DELETE FROM shared_workflow; DELETE FROM project WHERE id = 'p2'"
    refused(1, "refer to a row of project that is not there", gone, "n8n")
    bed.run("n8n", "INSERT INTO project VALUES ('p2')")
    taken = "UPDATE portals SET slug = 'mine' WHERE id = 1; UPDATE portals SET slug = 'acme' WHERE id = 2"
    refused(1, "portals_slug_key", taken)
    assert bed.swarm.anew == []


def test_killed_in_the_middle_all_is_as_it_was_and_the_next_run_restores(bed: Shops, backup: str) -> None:
    mine = bed.look(mine=True)
    bed.spoil()
    rows = (bed.look(mine=True), bed.look(mine=False))
    _killed(bed, backup, "measured")
    assert len(bed.beside()) == 2
    _settled(bed)
    assert (bed.look(mine=True), bed.look(mine=False)) == rows
    bed.restore(backup)
    assert (bed.look(mine=True), bed.look(mine=False)) == (mine, rows[1])
    assert bed.beside() == []


def _settled(bed: Shops) -> None:
    """The server ends a session whose client is gone as soon as it notices: until then the tables are locked."""
    with bed.connected("chatwoot") as connection:
        connection.execute("SET lock_timeout TO '60s'")
        connection.execute("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE; ROLLBACK")


def _killed(bed: Shops, backup: str, step: str) -> None:
    """Restore in another process, which ends itself right after a step of the exchange in the second database, n8n's."""
    given = {"folder": str(bed.folder), "config": asdict(bed.config), "postgres": asdict(bed.postgres)}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, __file__, json.dumps({**given, "backup": backup, "step": step}, default=str)]
    other = subprocess.run(words, env=environment, capture_output=True, timeout=600)
    assert other.returncode == -signal.SIGKILL, other.stderr.decode()


def be_killed(given: dict[str, Any]) -> None:
    """What the test above runs."""
    there = Postgres(**{**given["postgres"], "bin": Path(given["postgres"]["bin"])})
    bed = Shops(there, configs.of(given["config"]), Path(given["folder"]))
    journal.unfinished = lambda *_: ""
    made = getattr(tenant_exchange.sql, given["step"])
    ask = tenant_exchange.Exchange._ask
    last: list[str] = []

    def remembered(*args: Any) -> str:
        script: str = made(*args)
        last.append(script)
        return script

    def and_die(self: tenant_exchange.Exchange, script: str) -> list[str]:
        found = ask(self, script)
        if script in last and self._described.database == "n8n":
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(tenant_exchange.sql, given["step"], remembered)
    tenant_exchange.Exchange._ask = and_die  # type: ignore[method-assign] # in a process that ends here
    bed.restore(given["backup"])


if __name__ == "__main__":
    be_killed(json.loads(sys.argv[1]))
