"""On a real PostgreSQL with Supabase's roles: nobody reads, writes, changes or deletes another tenant's row, by no way at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import derive
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_sql import DirectSql
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import (
    supabase_migrations as migrations,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import supabase_readers as readers
from real import supabase_db
from real.postgres import Postgres
from real.supabase_db import FOLDER, Project

MASTER = "master-secret-of-the-tests"
BUCKET = "tenant-documents"


@dataclass(frozen=True)
class Tenant:
    rut: str
    slug: str
    owner: str
    viewer: str

    def claims(self, user: str = "", **more: Any) -> dict[str, Any]:
        return {"sub": user or self.owner, "role": "authenticated", "app_metadata": {"tenant_id": self.rut}, **more}

    @property
    def reader(self) -> str:
        return readers.role_of(self.slug)


def user(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


ACME, UMBRELLA, STARK = TENANTS = tuple(
    Tenant(f"{76000000 + n}-{digit}", slug, user(2 * n), user(2 * n + 1))
    for n, (slug, digit) in enumerate([("acme", "1"), ("umbrella", "2"), ("stark-labs", "3")])
)
# Table -> the column that says whose a row is, and how to make another row there for a tenant.
TABLES = {
    "public.tenants": (
        "id",
        "insert into public.tenants (id, slug, name, domain, plan) values ('9-9', 'x', 'x', 'x', 'x')",
    ),
    "public.tenant_settings": (
        "tenant_id",
        "insert into public.tenant_settings (tenant_id, key, value) values ('{rut}', 'app.new', '1')",
    ),
    "public.tenant_services": (
        "tenant_id",
        "insert into public.tenant_services (tenant_id, service, state) values ('{rut}', 'new', 'enabled')",
    ),
    "public.tenant_members": (
        "tenant_id",
        f"insert into public.tenant_members (tenant_id, user_id, role) values ('{{rut}}', '{user(99)}', 'owner')",
    ),
    "public.audit_events": (
        "tenant_id",
        "insert into public.audit_events (tenant_id, action) values ('{rut}', 'forged')",
    ),
    "storage.objects": (
        "split_part(name, '/', 1)",
        f"insert into storage.objects (bucket_id, name) values ('{BUCKET}', '{{rut}}/new.pdf')",
    ),
}
CHANGES = {
    "public.tenants": "name = 'taken'",
    "public.tenant_settings": "value = '\"taken\"'",
    "public.tenant_services": "state = 'disabled'",
    "public.tenant_members": "role = 'owner'",
    "public.audit_events": "action = 'taken'",
    "storage.objects": "metadata = '{}'",
}
READABLE = [table for table in TABLES if table.startswith("public.")]
OWN_WRITES = {("public.tenant_settings", "insert"), ("storage.objects", "insert")}
ALL = sorted(tenant.rut for tenant in TENANTS)


def fill(project: Project) -> None:
    with project.connect() as connection:
        connection.execute("insert into auth.users (id) values (%s)", [user(99)])
        connection.execute("insert into storage.buckets (id, name) values (%s, %s)", [BUCKET, BUCKET])
        for tenant in TENANTS:
            for person in (tenant.owner, tenant.viewer):
                connection.execute("insert into auth.users (id) values (%s)", [person])
            connection.execute(
                "insert into public.tenants (id, slug, name, domain, plan) values (%s, %s, %s, %s, 'starter')",
                [tenant.rut, tenant.slug, tenant.slug, f"{tenant.slug}.example.com"],
            )
            for key in ("locale", "app.theme"):
                connection.execute("insert into public.tenant_settings values (%s, %s, '1')", [tenant.rut, key])
            connection.execute("insert into public.tenant_services values (%s, 'odoo', 'enabled')", [tenant.rut])
            for person, role in ((tenant.owner, "owner"), (tenant.viewer, "viewer")):
                connection.execute("insert into public.tenant_members values (%s, %s, %s)", [tenant.rut, person, role])
            connection.execute(
                "insert into storage.objects (bucket_id, name) values (%s, %s)", [BUCKET, f"{tenant.rut}/a.pdf"]
            )
    sql = DirectSql(project.url)
    wishes = [readers.Wish(tenant.rut, tenant.reader) for tenant in TENANTS]
    results = readers.apply(sql, readers.plan(wishes, readers.observe(sql) or {}, MASTER))
    sql.close()
    assert [result.error for result in results] == [None] * len(TENANTS)


@pytest.fixture(scope="module", params=["old_grants", "new_grants"])
def project(request: pytest.FixtureRequest, real_postgres: Postgres) -> Iterator[Project]:
    """A project with all migrations and three tenants, as Supabase made projects until 2026 and as it does since."""
    made = supabase_db.create(real_postgres, f"rls_{request.param}", old_grants=request.param == "old_grants")
    sql = DirectSql(made.url)
    files = migrations.read_folder(str(FOLDER))
    assert len(list(migrations.apply(sql, files))) == len(files)
    sql.close()
    fill(made)
    yield made
    with made.connect() as connection:
        for tenant in TENANTS:
            connection.execute(f"drop role if exists {tenant.reader}")


def refused(connection: psycopg.Connection[Any], statement: str) -> str:
    """The code with which a statement is refused; «rows» where it is not, and «none» where it concerns no row."""
    connection.execute("savepoint before")
    try:
        cursor = connection.execute(statement)
    except psycopg.Error as exc:
        connection.execute("rollback to before")
        return exc.sqlstate or "?"
    return "rows" if cursor.rowcount else "none"


def others(connection: psycopg.Connection[Any], table: str) -> list[Any]:
    """Every row of the table that is not Acme's, past all policies; the caller's role is back afterwards."""
    connection.execute("set local role service_role")
    query = f"select to_jsonb(t) from {table} t where {TABLES[table][0]} is distinct from '{ACME.rut}' order by 1"
    rows = connection.execute(query).fetchall()
    connection.execute("set local role authenticated")
    return rows


def test_every_table_of_ours_has_row_level_security_enabled_and_forced(project: Project) -> None:
    rows = project.rows(
        "select c.oid::regclass::text, c.relrowsecurity and (c.relforcerowsecurity or c.relname = 'migrations')"
        " from pg_class c where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'smarteros'::regnamespace)"
    )
    assert len(rows) == 7
    assert [name for name, protected in rows if not protected] == []


def test_every_security_definer_function_has_an_empty_search_path_and_none_is_open_to_anon(project: Project) -> None:
    rows = project.rows(
        "select p.oid::regprocedure::text, p.prosecdef, coalesce(p.proconfig, '{}')::text[],"
        " has_function_privilege('anon', p.oid, 'execute') from pg_proc p"
        " where p.pronamespace in ('public'::regnamespace, 'smarteros'::regnamespace)"
    )
    assert len(rows) == 9
    for name, _definer, settings, open_to_anon in rows:
        assert 'search_path=""' in settings, name
        assert not open_to_anon, name


def test_every_view_runs_with_its_callers_rights(project: Project) -> None:
    rows = project.rows(
        "select relname, coalesce(reloptions, '{}')::text[] from pg_class"
        " where relkind in ('v', 'm') and relnamespace in ('public'::regnamespace, 'smarteros'::regnamespace)"
    )
    assert rows == [("tenant_overview", ["security_invoker=true"])]


@pytest.mark.parametrize("claims", [None, ACME.claims(), {"role": "anon"}], ids=["no claims", "a claim", "anon's"])
def test_anon_gets_nothing(project: Project, claims: dict[str, Any] | None) -> None:
    with project.caller("anon", claims) as connection:
        for table, (_column, insert) in TABLES.items():
            answers = [
                refused(connection, f"select * from {table}"),
                refused(connection, insert.format(rut=ACME.rut)),
                refused(connection, f"update {table} set {CHANGES[table]}"),
                refused(connection, f"delete from {table}"),
            ]
            # Storage grants its tables to everybody and leaves all to the policies
            allowed = {"none", "42501"} if table == "storage.objects" else {"42501"}
            assert set(answers) <= allowed, (table, answers)
        for statement in (
            "select * from public.tenant_overview",
            "select * from public.my_tenant()",
            "select public.record_event('x')",
            "select smarteros.current_tenant()",
            "select * from smarteros.migrations",
            "select * from smarteros.tenant_readers",
        ):
            assert refused(connection, statement) == "42501", statement


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda each: each.slug)
@pytest.mark.parametrize("table", TABLES)
def test_a_user_sees_the_own_tenants_rows_and_no_others(project: Project, tenant: Tenant, table: str) -> None:
    column = TABLES[table][0]
    with project.caller("authenticated", tenant.claims()) as connection:
        seen = {row[0] for row in connection.execute(f"select {column} from {table}").fetchall()}
    assert seen == {tenant.rut}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("other", [UMBRELLA, STARK], ids=lambda each: each.slug)
def test_a_user_can_neither_insert_for_nor_change_nor_delete_what_is_anothers(
    project: Project, table: str, other: Tenant
) -> None:
    column, insert = TABLES[table]
    with project.caller("authenticated", ACME.claims()) as connection:
        before = others(connection, table)
        assert len(before) >= 2
        assert refused(connection, insert.format(rut=other.rut)) == "42501"
        for statement in (
            f"update {table} set {CHANGES[table]} where {column} = '{other.rut}'",
            f"delete from {table} where {column} = '{other.rut}'",
        ):
            assert refused(connection, statement) in ("42501", "none"), statement
        # without a filter, too: what is in reach is changed, and that is never another's
        refused(connection, f"update {table} set {CHANGES[table]}")
        refused(connection, f"delete from {table}")
        assert others(connection, table) == before


@pytest.mark.parametrize("table", TABLES)
def test_a_user_writes_only_what_is_not_the_backends(project: Project, table: str) -> None:
    insert = TABLES[table][1].format(rut=ACME.rut)
    with project.caller("authenticated", ACME.claims()) as connection:
        own = refused(connection, insert) == "rows"
        assert own == ((table, "insert") in OWN_WRITES)
        changes = refused(connection, f"update {table} set {CHANGES[table]}")
        assert (changes == "rows") == (table in ("public.tenant_settings", "storage.objects"))
        deletes = refused(connection, f"delete from {table}")
        assert (deletes == "rows") == (table in ("public.tenant_settings", "storage.objects"))


def test_a_row_cannot_be_moved_to_another_tenant(project: Project) -> None:
    with project.caller("authenticated", ACME.claims()) as connection:
        moved = f"update storage.objects set name = '{UMBRELLA.rut}/stolen.pdf'"
        assert refused(connection, moved) == "42501"
        assert refused(connection, f"update public.tenant_settings set tenant_id = '{UMBRELLA.rut}'") == "42501"
        assert (
            refused(connection, "update public.tenant_settings set key = 'locale' where key = 'app.theme'") == "42501"
        )


def test_the_backends_settings_are_out_of_reach_even_for_an_owner(project: Project) -> None:
    with project.caller("authenticated", ACME.claims()) as connection:
        mine = f"insert into public.tenant_settings (tenant_id, key, value) values ('{ACME.rut}', 'limits', '1')"
        assert refused(connection, mine) == "42501"
        assert refused(connection, "update public.tenant_settings set value = '2' where key = 'locale'") == "none"
        assert refused(connection, "delete from public.tenant_settings where key = 'locale'") == "none"
        assert refused(connection, "insert into public.tenant_settings (key, value) values ('app.x', '1')") == "rows"


def test_a_viewer_reads_and_writes_nothing(project: Project) -> None:
    with project.caller("authenticated", ACME.claims(ACME.viewer)) as connection:
        assert refused(connection, "select * from public.tenant_settings") == "rows"
        for table in ("public.tenant_settings", "storage.objects"):
            assert refused(connection, TABLES[table][1].format(rut=ACME.rut)) == "42501"
            assert refused(connection, f"update {table} set {CHANGES[table]}") == "none"
            assert refused(connection, f"delete from {table}") == "none"


def test_an_owner_of_one_tenant_is_nobody_with_the_claim_of_another(project: Project) -> None:
    with project.caller("authenticated", UMBRELLA.claims(ACME.owner)) as connection:
        assert refused(connection, TABLES["public.tenant_settings"][1].format(rut=UMBRELLA.rut)) == "42501"
        assert refused(connection, TABLES["storage.objects"][1].format(rut=UMBRELLA.rut)) == "42501"


@pytest.mark.parametrize(
    "claims",
    [
        None,
        {"sub": ACME.owner, "role": "authenticated"},
        {"sub": ACME.owner, "app_metadata": {}},
        {"sub": ACME.owner, "app_metadata": {"tenant_id": ""}},
        {"sub": ACME.owner, "app_metadata": {"tenant_id": None}},
        {"sub": ACME.owner, "app_metadata": "acme"},
        {"sub": ACME.owner, "user_metadata": {"tenant_id": ACME.rut}},
        {"sub": ACME.owner, "tenant_id": ACME.rut},
        {"sub": ACME.owner, "app_metadata": {"tenant_id": "%"}},
        {"sub": ACME.owner, "app_metadata": {"tenant_id": "1-9"}},
    ],
    ids=[
        "no claims",
        "no app_metadata",
        "no tenant",
        "empty",
        "null",
        "a text",
        "user_metadata",
        "top level",
        "wildcard",
        "unknown",
    ],
)
def test_without_a_good_claim_a_user_sees_nothing(project: Project, claims: dict[str, Any] | None) -> None:
    with project.caller("authenticated", claims) as connection:
        for table in [*TABLES, "public.tenant_overview", "public.my_tenant()"]:
            assert connection.execute(f"select * from {table}").fetchall() == [], table
        assert connection.execute("select public.record_event('x')").fetchone() in (None, (None,))


def test_views_and_functions_show_the_own_tenant_only(project: Project) -> None:
    with project.caller("authenticated", ACME.claims()) as connection:
        overview = connection.execute("select id, members, services from public.tenant_overview").fetchall()
        assert overview == [(ACME.rut, 2, {"odoo": "enabled"})]
        assert connection.execute("select id from public.my_tenant()").fetchall() == [(ACME.rut,)]
        assert refused(connection, "update public.tenant_overview set name = 'x'") in ("42501", "55000")
        assert refused(connection, "select * from smarteros.tenant_readers") == "42501"
        assert refused(connection, "select * from smarteros.migrations") == "42501"
        assert refused(connection, "select smarteros.reader_tenant()") == "42501"


def test_an_event_that_a_user_leaves_is_the_own_tenants_and_names_its_user(project: Project) -> None:
    with project.caller("authenticated", ACME.claims()) as connection:
        made = connection.execute("select public.record_event('login', 'shop', '{\"tenant_id\": \"9-9\"}')").fetchone()
        assert made is not None
        row = connection.execute(
            "select tenant_id, actor, action, subject from public.audit_events where id = %s", made
        ).fetchone()
    assert row == (ACME.rut, ACME.owner, "app.login", "shop")


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_a_suspended_or_deleted_tenants_tokens_stop_working_at_once(project: Project, status: str) -> None:
    with project.connect() as connection:
        when = "now()" if status == "deleted" else "null"
        connection.execute(
            f"update public.tenants set status = '{status}', deleted_at = {when} where id = '{ACME.rut}'"
        )
        try:
            with project.caller("authenticated", ACME.claims()) as caller:
                for table in TABLES:
                    assert caller.execute(f"select * from {table}").fetchall() == [], table
                assert refused(caller, TABLES["storage.objects"][1].format(rut=ACME.rut)) == "42501"
            with project.connect(ACME.reader, derive.secret(MASTER, "reader", ACME.rut)) as reader:
                assert reader.execute("select * from public.tenants").fetchall() == []
            with project.caller("authenticated", UMBRELLA.claims()) as caller:
                assert caller.execute("select id from public.tenants").fetchall() == [(UMBRELLA.rut,)]
        finally:
            connection.execute(
                f"update public.tenants set status = 'active', deleted_at = null where id = '{ACME.rut}'"
            )


def test_the_service_role_sees_and_writes_everything(project: Project) -> None:
    with project.caller("service_role", {"role": "service_role"}) as connection:
        for table, (column, insert) in TABLES.items():
            if table == "storage.objects":
                continue  # storage's own business
            seen = {row[0] for row in connection.execute(f"select {column} from {table}").fetchall()}
            assert set(ALL) <= seen, table
            assert refused(connection, insert.format(rut=STARK.rut)) == "rows", table
            assert refused(connection, f"update {table} set {CHANGES[table]}") == "rows", table
        for table in reversed(READABLE):
            assert refused(connection, f"delete from {table}") == "rows", table


# --- readers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", TENANTS, ids=lambda each: each.slug)
def test_a_reader_sees_its_tenants_rows_and_can_write_nothing(project: Project, tenant: Tenant) -> None:
    with project.connect(tenant.reader, derive.secret(MASTER, "reader", tenant.rut)) as connection:
        for table in READABLE:
            column, insert = TABLES[table]
            seen = {row[0] for row in connection.execute(f"select {column} from {table}").fetchall()}
            assert seen == {tenant.rut}, table
            connection.execute("set default_transaction_read_only = off")
            for statement in (
                insert.format(rut=tenant.rut),
                f"update {table} set {CHANGES[table]}",
                f"delete from {table}",
                f"truncate {table}",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
        assert connection.execute("select id from public.tenant_overview").fetchall() == [(tenant.rut,)]


@pytest.mark.parametrize(
    "trick",
    [
        f"set role {UMBRELLA.reader}",
        f"set session authorization {UMBRELLA.reader}",
        "set role tenant_reader_group",
        "set role authenticated",
        "set role service_role",
        "set role postgres",
        f'set request.jwt.claims = \'{{"app_metadata": {{"tenant_id": "{UMBRELLA.rut}"}}}}\'',
        f"set request.jwt.claim.tenant_id = '{UMBRELLA.rut}'",
        "set row_security = off",
        f"insert into smarteros.tenant_readers values ('{ACME.reader}', '{UMBRELLA.rut}')",
        f"update smarteros.tenant_readers set tenant_id = '{UMBRELLA.rut}'",
        "create schema mine; create table mine.tenants (id text)",
        f"alter role {ACME.reader} bypassrls",
        "grant service_role to current_user",
        "create function public.reader_tenant() returns text language sql as 'select 1::text'",
    ],
)
def test_a_reader_cannot_switch_to_another_tenant(project: Project, trick: str) -> None:
    with project.connect(ACME.reader, derive.secret(MASTER, "reader", ACME.rut)) as connection:
        for setting in ("default_transaction_read_only = off", "search_path = public, smarteros"):
            connection.execute(f"set {setting}")
        try:
            connection.execute(trick)
        except psycopg.Error:
            connection.rollback()
        for table in READABLE:
            try:
                rows = connection.execute(f"select {TABLES[table][0]} from {table}").fetchall()
            except psycopg.Error:  # refused is as good as hidden
                continue
            assert {row[0] for row in rows} <= {ACME.rut}, (trick, table)


def test_a_reader_sees_neither_people_nor_files_nor_the_table_of_readers(project: Project) -> None:
    with project.connect(ACME.reader, derive.secret(MASTER, "reader", ACME.rut)) as connection:
        for table in ("auth.users", "storage.objects", "smarteros.tenant_readers", "smarteros.migrations"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {table}")


def test_a_readers_password_opens_no_other_reader(project: Project) -> None:
    with pytest.raises(psycopg.OperationalError):
        project.connect(UMBRELLA.reader, derive.secret(MASTER, "reader", ACME.rut))
