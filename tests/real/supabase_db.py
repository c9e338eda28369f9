"""A plain PostgreSQL database as a new Supabase project has it: roles, `auth` and `storage`, as far as our SQL leans on them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from real.postgres import Postgres

FOLDER = Path(__file__).resolve().parents[2] / "specs" / "database"
OWNER, OWNER_PASSWORD = "postgres", "owner-on-loopback"
# Supabase's `postgres` is no superuser; storage belongs to another role that lets it write policies.
ROLES = f"""
do $roles$ begin
    if not exists (select from pg_roles where rolname = 'anon') then
        create role anon nologin noinherit;
        create role authenticated nologin noinherit;
        create role service_role nologin noinherit bypassrls;
        create role authenticator login noinherit password '{OWNER_PASSWORD}';
        create role supabase_storage_admin nologin noinherit;
        create role {OWNER} login createrole createdb bypassrls password '{OWNER_PASSWORD}';
        grant anon, authenticated, service_role to authenticator, {OWNER};
        grant supabase_storage_admin to {OWNER};
    end if;
end $roles$;
"""
PROJECT = f"""
alter schema public owner to {OWNER};
grant usage on schema public to anon, authenticated, service_role;
create schema auth;
create table auth.users (id uuid primary key default gen_random_uuid(), email text);
grant usage on schema auth to anon, authenticated, service_role, {OWNER};
grant all on auth.users to {OWNER};
create function auth.jwt() returns jsonb language sql stable as
    $$ select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                       nullif(current_setting('request.jwt.claims', true), ''))::jsonb $$;
create function auth.uid() returns uuid language sql stable as
    $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
create schema storage authorization supabase_storage_admin;
grant usage on schema storage to anon, authenticated, service_role, {OWNER};
create table storage.buckets (id text primary key, name text not null, public boolean default false);
create table storage.objects (
    id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets (id), name text,
    metadata jsonb, unique (bucket_id, name));
alter table storage.buckets owner to supabase_storage_admin;
alter table storage.objects owner to supabase_storage_admin;
alter table storage.objects enable row level security;
grant all on storage.buckets, storage.objects to anon, authenticated, service_role, {OWNER};
"""
# What projects did for every new table until 2026, and what makes a forgotten REVOKE a hole.
OLD_GRANTS = f"""
alter default privileges for role {OWNER} in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role {OWNER} in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges for role {OWNER} in schema public grant all on sequences to anon, authenticated, service_role;
"""


@dataclass(frozen=True)
class Project:
    """One database. ``url`` is the owner's, as an operator would give it."""

    server: Postgres
    database: str

    @property
    def url(self) -> str:
        return f"postgresql://{OWNER}:{OWNER_PASSWORD}@{self.server.host}:{self.server.port}/{self.database}"

    def connect(self, user: str = OWNER, password: str = OWNER_PASSWORD) -> psycopg.Connection[Any]:
        info = make_conninfo(
            host=self.server.host, port=self.server.port, dbname=self.database, user=user, password=password
        )
        return psycopg.connect(info, autocommit=True)

    def rows(self, query: str) -> list[Any]:
        """What the owner reads: one value per row where the row has one, else tuples."""
        with self.connect() as connection:
            found = connection.execute(query).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    @contextmanager
    def caller(self, role: str, claims: Mapping[str, Any] | None = None) -> Iterator[psycopg.Connection[Any]]:
        """A transaction as PostgREST opens it for a request; what it wrote is undone at its end."""
        with self.connect("authenticator") as connection:
            connection.autocommit = False
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            if claims is not None:
                connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(dict(claims))])
            yield connection
            connection.rollback()


def create(server: Postgres, name: str, *, old_grants: bool = True) -> Project:
    """An empty project; `old_grants` for one from before Supabase closed new tables by default."""
    server.create_database(name)
    admin = make_conninfo(host=server.host, port=server.port, dbname=name, user=server.user, password=server.password)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(ROLES)
        connection.execute(sql.SQL("alter database {} owner to {}").format(sql.Identifier(name), sql.Identifier(OWNER)))
        connection.execute(PROJECT)
        if old_grants:
            connection.execute(OLD_GRANTS)
    return Project(server, name)
