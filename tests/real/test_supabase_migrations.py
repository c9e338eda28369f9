"""Migrations and readers on a real PostgreSQL, directly: from empty, from each older state, killed midway, and two at once."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ansible_collections.smartercl.smarteros.plugins.module_utils import derive
from ansible_collections.smartercl.smarteros.plugins.modules import supabase_migrations as module
from ansible_collections.smartercl.smarteros.plugins.modules import supabase_readers
from real import supabase_db
from real.postgres import Postgres
from real.supabase_db import FOLDER, OWNER_PASSWORD, Project
from unit.plugins.wire import run_module

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path.name for path in FOLDER.glob("*.sql"))
MASTER = "master-secret-of-the-tests"
RUT, OTHER = "76086428-5", "96790240-3"
# What a database consists of, as far as our files make it.
SHAPE = """
select 'column ' || table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
from information_schema.columns where table_schema in ('public', 'smarteros')
union all select 'policy ' || schemaname || '.' || tablename || ' ' || policyname || ' ' || cmd || ' ' || roles::text
    || ' ' || coalesce(qual, '') || ' ' || coalesce(with_check, '') from pg_policies
union all select 'grant ' || table_schema || '.' || table_name || ' ' || grantee || ' ' || privilege_type
from information_schema.role_table_grants where table_schema in ('public', 'smarteros')
union all select 'function ' || p.oid::regprocedure::text || ' ' || md5(p.prosrc) || ' ' || coalesce(p.proacl::text, '')
from pg_proc p where p.pronamespace in ('public'::regnamespace, 'smarteros'::regnamespace)
union all select 'index ' || indexdef from pg_indexes where schemaname in ('public', 'smarteros')
union all select 'trigger ' || tgrelid::regclass::text || ' ' || tgname from pg_trigger where not tgisinternal
order by 1"""
_numbers = count()


@pytest.fixture
def project(real_postgres: Postgres) -> Project:
    """An empty project."""
    return supabase_db.create(real_postgres, f"migrations_{next(_numbers)}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations, to be changed."""
    return Path(shutil.copytree(FOLDER, tmp_path / "database"))


def migrate(project: Project, folder: Path = FOLDER, check: bool = False) -> dict[str, Any]:
    return run_module(module, check, folder=str(folder), database_url=project.url)


def recorded(project: Project) -> list[str]:
    return [str(version) for version in project.rows("select version from smarteros.migrations order by 1")]


def test_from_empty_all_are_applied_once_and_check_mode_foretells_it(project: Project) -> None:
    foretold = migrate(project, check=True)
    assert project.rows("select to_regclass('smarteros.migrations')::text") == [None]
    done = migrate(project)
    assert (foretold["changed"], foretold["applied"], foretold["diff"]) == (True, FILES, done["diff"])
    assert done["applied"] == FILES
    again = migrate(project)
    assert (again["changed"], again["applied"], again["requests"]) == (False, [], 1)


@pytest.mark.parametrize("old", range(1, len(FILES)))
def test_from_each_older_state_one_arrives_at_the_same_database(project: Project, folder: Path, old: int) -> None:
    complete = supabase_db.create(project.server, f"{project.database}_whole")
    migrate(complete)
    for name in FILES[old:]:
        (folder / name).unlink()
    assert migrate(project, folder)["applied"] == FILES[:old]
    assert migrate(project)["applied"] == FILES[old:]
    assert project.rows(SHAPE) == complete.rows(SHAPE)
    assert len(project.rows(SHAPE)) > 100


def test_a_file_that_was_changed_after_it_was_applied_is_refused_by_name_and_checksums(
    project: Project, folder: Path
) -> None:
    migrate(project)
    was = project.rows("select checksum from smarteros.migrations where version = '0002'")[0]
    with (folder / FILES[1]).open("a") as file:
        file.write("drop table public.tenants;\n")
    (folder / "0006_more.sql").write_text("create table public.more (id text);\n")
    answer = migrate(project, folder)
    assert answer["failed"]
    assert FILES[1] in answer["msg"]
    assert f"recorded checksum {was}" in answer["msg"]
    found = hashlib.sha256((folder / FILES[1]).read_bytes()).hexdigest()
    assert f"found {found}" in answer["msg"]
    assert project.rows("select to_regclass('public.more')::text") == [None]


def test_line_ends_of_another_system_are_no_change(project: Project, folder: Path) -> None:
    migrate(project)
    for path in folder.glob("*.sql"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert migrate(project, folder)["changed"] is False


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda folder: (folder / FILES[2]).unlink(), "consecutive"),
        (lambda folder: (folder / "0007_later.sql").write_text("select 1"), "consecutive"),
        (lambda folder: (folder / "0003_again.sql").write_text("select 1"), "consecutive"),
        (lambda folder: (folder / FILES[2]).rename(folder / "0003_renamed.sql"), "0003_audit.sql"),
        (lambda folder: (folder / FILES[-1]).unlink(), "older release"),
        (lambda folder: (folder / "6_short.sql").write_text("select 1"), "4 digits"),
        (lambda folder: (folder / "0006_empty.sql").write_text(" \n"), "empty"),
        (lambda folder: (folder / "0006_latin.sql").write_bytes(b"select '\xf1'"), "UTF-8"),
    ],
    ids=["gap", "gap at the end", "twice", "renamed", "taken away", "short number", "empty", "not utf-8"],
)
def test_a_history_that_does_not_fit_is_refused_before_anything_is_done(
    project: Project, folder: Path, change: Any, word: str
) -> None:
    migrate(project)
    before = project.rows(SHAPE)
    change(folder)
    answer = migrate(project, folder)
    assert answer["failed"], answer
    assert word in answer["msg"]
    assert project.rows(SHAPE) == before


def test_a_file_that_was_skipped_is_a_gap(project: Project) -> None:
    migrate(project)
    project.rows("delete from smarteros.migrations where version = '0003' returning version")
    assert "gap" in migrate(project)["msg"]


def test_a_file_that_fails_leaves_nothing_of_itself_and_what_came_before_stays(project: Project, folder: Path) -> None:
    (folder / "0006_good.sql").write_text("create table public.good (id text);\n")
    (folder / "0007_bad.sql").write_text("create table public.bad (id text);\ninsert into public.nowhere values (1);\n")
    answer = migrate(project, folder)
    assert answer["failed"]
    assert "0007_bad.sql" in answer["msg"]
    assert "nowhere" in answer["msg"]
    assert answer["applied"] == [*FILES, "0006_good.sql"]
    assert recorded(project)[-1] == "0006"
    assert project.rows("select to_regclass('public.bad')::text") == [None]
    (folder / "0007_bad.sql").write_text("create table public.bad (id text);\n")
    assert migrate(project, folder)["applied"] == ["0007_bad.sql"]


@pytest.mark.parametrize("statement", ["commit;", "begin;", "rollback;"])
def test_a_file_cannot_leave_its_transaction(project: Project, folder: Path, statement: str) -> None:
    (folder / "0006_out.sql").write_text(f"create table public.out (id text);\n{statement}\nselect 1/0;\n")
    assert migrate(project, folder)["failed"]
    assert recorded(project)[-1] == "0005"
    assert project.rows("select to_regclass('public.out')::text") == [None]


def test_two_runs_at_once_apply_everything_once(project: Project, folder: Path) -> None:
    (folder / "0006_slow.sql").write_text("select pg_sleep(0.5);\ncreate table public.slow (id text);\n")
    sql = [sys.executable, "-c", STARTER, str(folder), project.url]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: subprocess.run(sql, capture_output=True, text=True, timeout=300), range(4)))
    assert [each.returncode for each in done] == [0] * 4, [each.stdout + each.stderr for each in done]
    assert recorded(project) == [f"{n:04d}" for n in range(1, 7)]


# A run in a process of its own, as an operator's.
STARTER = f"""
import sys
sys.path[:0] = [{str(ROOT / "collections")!r}]
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_sql import DirectSql
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import supabase_migrations as service
sql = DirectSql(sys.argv[2], timeout=300)  # a stalled machine is not the subject
files = service.read_folder(sys.argv[1])
for each in service.apply(sql, service.pending(files, service.history(sql))):
    print(each.file, flush=True)
"""


@pytest.fixture
def gate(project: Project) -> Iterator[psycopg.Connection[Any]]:
    """Holds up whoever reads public.gate, until it is rolled back."""
    with project.connect() as holder:
        holder.execute("create table public.gate ()")
        holder.autocommit = False
        holder.execute("lock table public.gate in access exclusive mode")
        yield holder


def wait_for_waiting(project: Project, number: int) -> None:
    """Return when so many wait for a lock."""
    ends = time.monotonic() + 120
    while project.rows("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") != [number]:
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture
def slow(project: Project, folder: Path, gate: psycopg.Connection[Any]) -> Iterator[subprocess.Popen[bytes]]:
    """A run that is in the middle of its sixth migration, and stays there until the gate opens."""
    text = "create table public.slow (id text);\nselect from public.gate;\ncreate table public.slow_too (id text);\n"
    (folder / "0006_slow.sql").write_text(text)
    with subprocess.Popen([sys.executable, "-c", STARTER, str(folder), project.url]) as run:
        wait_for_waiting(project, 1)
        yield run
        run.kill()


def test_kill_9_in_the_middle_leaves_before_or_after_and_the_next_run_completes(
    project: Project, folder: Path, slow: subprocess.Popen[bytes], gate: psycopg.Connection[Any]
) -> None:
    slow.send_signal(signal.SIGKILL)
    slow.wait()
    assert project.rows("select to_regclass('public.slow')::text") == [None], "half a file can be seen"
    with ThreadPoolExecutor(1) as pool:
        next_run = pool.submit(migrate, project, folder)
        wait_for_waiting(project, 2)  # the next run too, for what the server still holds
        gate.rollback()
        answer = next_run.result()
    assert not answer.get("failed"), answer
    assert recorded(project) == [f"{n:04d}" for n in range(1, 7)]
    assert project.rows("select to_regclass('public.slow_too')::text") == ["slow_too"]
    assert migrate(project, folder)["changed"] is False


def test_a_server_process_that_dies_in_the_middle_leaves_the_state_before(
    project: Project, folder: Path, slow: subprocess.Popen[bytes], gate: psycopg.Connection[Any]
) -> None:
    project.rows("select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'")
    assert slow.wait(300) != 0
    gate.rollback()
    assert recorded(project)[-1] == "0005"
    assert project.rows("select to_regclass('public.slow')::text") == [None]
    assert migrate(project, folder)["applied"] == ["0006_slow.sql"]


def test_an_ordinary_role_is_told_what_is_missing(project: Project) -> None:
    with project.connect() as connection:
        connection.execute("drop role if exists plain_owner")
        connection.execute(f"create role plain_owner login password '{OWNER_PASSWORD}'")
        connection.execute(f"grant create on database {project.database} to plain_owner")
    url = project.url.replace("//postgres:", "//plain_owner:")
    answer = run_module(module, folder=str(FOLDER), database_url=url)
    assert "bypasses row level security" in answer["msg"]


def test_a_wrong_password_is_refused_and_never_shown(project: Project) -> None:
    answer = run_module(
        module, folder=str(FOLDER), database_url=project.url.replace(OWNER_PASSWORD, "planted-secret-8c1")
    )
    assert answer["exit_code"] == 3
    assert "planted-secret-8c1" not in str(answer)
    assert "authentication failed" in answer["msg"]


def test_nobody_there_is_unreachable(project: Project) -> None:
    answer = run_module(module, folder=str(FOLDER), database_url="postgresql://postgres@127.0.0.1:1/postgres")
    assert answer["errors"][0]["why"]
    assert answer["exit_code"] == 3


# --- readers ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(project: Project) -> Iterator[Project]:
    """A project with two tenants; readers are gone afterwards, because roles belong to the whole server."""
    migrate(project)
    with project.connect() as connection:
        for rut, slug in ((RUT, "acme"), (OTHER, "um-brella")):
            connection.execute(
                "insert into public.tenants (id, slug, name, domain, plan) values (%s, %s, %s, %s, 'free')",
                [rut, slug, slug, f"{slug}.example.com"],
            )
    yield project
    with project.connect() as connection:
        for (role,) in connection.execute("select rolname from pg_roles where rolname like 'tenant%reader'").fetchall():
            connection.execute(f'drop role "{role}"')


def readers(project: Project, *items: dict[str, Any], check: bool = False, master: str = MASTER) -> dict[str, Any]:
    return run_module(supabase_readers, check, database_url=project.url, master_secret=master, readers=list(items))


def reader(rut: str = RUT, role: str = "tenant_acme_reader", **more: Any) -> dict[str, Any]:
    return {"tenant": rut, "role": role, **more}


def login(project: Project, role: str = "tenant_acme_reader", rut: str = RUT, master: str = MASTER) -> list[Any]:
    with project.connect(role, derive.secret(master, "reader", rut)) as connection:
        return [row[0] for row in connection.execute("select id from tenants").fetchall()]


def twice(project: Project, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Check mode foretells the run, and after it there is nothing to do."""
    foretold, done, again = (
        readers(project, *items, check=True, **more),
        readers(project, *items, **more),
        readers(project, *items, **more),
    )
    assert foretold["results"] == done["results"]
    assert not again["changed"], again
    return done


def test_readers_are_made_suspended_resumed_and_dropped(filled: Project) -> None:
    made = twice(filled, reader(), reader(OTHER, "tenant_um_brella_reader"))
    assert [row["state"] for row in made["results"]] == ["ready", "ready"]
    assert login(filled) == [RUT]
    assert login(filled, "tenant_um_brella_reader", OTHER) == [OTHER]
    with filled.connect("tenant_acme_reader", derive.secret(MASTER, "reader", RUT)) as session:
        assert session.execute("select id from tenants").fetchall() == [(RUT,)]
        twice(filled, reader(state="suspended"))
        assert session.execute("select id from tenants").fetchall() == [], "an open session still sees rows"
    with pytest.raises(psycopg.OperationalError):
        login(filled)
    twice(filled, reader())
    assert login(filled) == [RUT]
    twice(filled, reader(state="absent"))
    assert filled.rows("select rolname from pg_roles where rolname like 'tenant%reader'") == ["tenant_um_brella_reader"]


def test_a_new_master_secret_sets_new_passwords(filled: Project) -> None:
    twice(filled, reader())
    twice(filled, reader(), master="another-master-secret")
    assert login(filled, master="another-master-secret") == [RUT]
    with pytest.raises(psycopg.OperationalError):
        login(filled)


@pytest.mark.parametrize(
    "change",
    [
        "alter role tenant_acme_reader createdb",
        "alter role tenant_acme_reader bypassrls",
        "grant service_role to tenant_acme_reader",
        "grant postgres to tenant_acme_reader",
        "revoke tenant_reader_group from tenant_acme_reader",
        "alter role tenant_acme_reader connection limit 99",
        "alter role tenant_acme_reader set default_transaction_read_only = off",
        "alter role tenant_acme_reader nologin",
        "delete from smarteros.tenant_readers",
        f"update smarteros.tenant_readers set tenant_id = '{OTHER}'",
    ],
)
def test_what_somebody_changed_by_hand_is_told_and_closed(
    filled: Project, real_postgres: Postgres, change: str
) -> None:
    twice(filled, reader())
    server = {"host": real_postgres.host, "port": str(real_postgres.port), "dbname": filled.database}
    info = make_conninfo(user=real_postgres.user, password=real_postgres.password, **server)
    with psycopg.connect(info, autocommit=True) as admin:
        admin.execute(change)
    assert twice(filled, reader())["changed"] is True
    assert login(filled) == [RUT]
    assert filled.rows("select rolconnlimit from pg_roles where rolname = 'tenant_acme_reader'") == [5]


def test_a_role_of_somebody_else_is_never_touched(filled: Project) -> None:
    with filled.connect() as connection:
        connection.execute("create role tenant_acme_reader nologin")
    answer = readers(filled, reader(), reader(OTHER, "tenant_um_brella_reader"))
    states = {row["tenant"]: (row["state"], row["message"]) for row in answer["results"]}
    assert states[RUT][0] == "failed"
    assert "does not bear our mark" in states[RUT][1]
    assert states[OTHER][0] == "ready"
    readers(filled, reader(state="absent"))
    assert filled.rows("select rolcanlogin from pg_roles where rolname = 'tenant_acme_reader'") == [False]


def test_a_new_slug_takes_the_old_role_away(filled: Project) -> None:
    twice(filled, reader())
    twice(filled, reader(role="tenant_acme_2_reader"))
    assert filled.rows("select rolname from pg_roles where rolname like 'tenant%reader'") == ["tenant_acme_2_reader"]
    assert login(filled, "tenant_acme_2_reader") == [RUT]


def test_a_tenant_without_a_row_fails_alone(filled: Project) -> None:
    answer = readers(filled, reader("1-9", "tenant_none_reader"), reader())
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]
    assert filled.rows("select rolname from pg_roles where rolname = 'tenant_none_reader'") == []


def test_neither_password_nor_verifier_lies_open(filled: Project) -> None:
    answer = readers(filled, reader())
    password = derive.secret(MASTER, "reader", RUT)
    comment = filled.rows("select shobj_description('tenant_acme_reader'::regrole, 'pg_authid')")[0]
    assert password not in str(answer) + comment
    assert "SCRAM" not in str(answer) + comment
    assert comment.startswith(f"smarteros:{RUT} password:")


def test_purging_a_tenant_keeps_its_events_without_its_name(filled: Project) -> None:
    twice(filled, reader())
    with filled.connect() as connection:
        connection.execute("update public.tenants set owner_email = 'ana@example.com' where id = %s", [RUT])
        connection.execute("delete from public.tenants where id = %s", [RUT])
    rows = filled.rows("select action, tenant_id, actor, subject, details::text from public.audit_events order by id")
    gone = [row for row in rows if row[1] is None]
    assert [row[0] for row in gone] == ["tenant.created", "tenant.changed", "tenant.purged"]
    assert "ana@example.com" not in str(rows)
    assert len(set(filled.rows("select anonymous_id::text from public.audit_events where tenant_id is null"))) == 1
    twice(filled, reader(state="absent"))
