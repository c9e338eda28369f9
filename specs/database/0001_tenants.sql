-- Tenants, their settings and their services, and the answer to «whom does the caller work for?».
--
-- What the data API shows lies in `public`; helpers lie in `smarteros`, which it does not show. Grants are explicit in both
-- directions: older projects grant every new table to anon and authenticated, newer ones to nobody.

do $check$
begin
    if not (select rolbypassrls or rolsuper from pg_catalog.pg_roles where rolname = current_user) then
        raise exception 'the migrations need a role that bypasses row level security (on Supabase: postgres)';
    end if;
end
$check$;

create schema if not exists smarteros;
revoke all on schema smarteros from public;
grant usage on schema smarteros to authenticated, service_role;

create table public.tenants (
    id text primary key,
    slug text not null unique,
    name text not null,
    domain text not null unique,
    custom_domain text unique,
    plan text not null,
    template text not null default 'default',
    industry text not null default '',
    owner_name text not null default '',
    owner_email text not null default '',
    owner_phone text not null default '',
    status text not null default 'active',
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint tenants_id_is_a_rut check (id ~ '^[0-9]{1,8}-[0-9K]$'),
    constraint tenants_slug_is_a_label check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint tenants_name_is_not_empty check (name <> ''),
    constraint tenants_status_is_known check (status in ('active', 'suspended', 'deleted')),
    constraint tenants_deleted_have_a_time check ((status = 'deleted') = (deleted_at is not null))
);
comment on table public.tenants is 'One row per tenant; the id is its canonical RUT. Written by the backend only.';

create table public.tenant_settings (
    tenant_id text not null references public.tenants (id) on update cascade on delete cascade,
    key text not null,
    value jsonb not null,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, key),
    constraint tenant_settings_key_is_a_name check (key ~ '^[a-z][a-z0-9_.]{0,63}$')
);
comment on table public.tenant_settings is
    'Settings by key. Keys that begin with «app.» belong to the tenant, all others to the backend.';

create table public.tenant_services (
    tenant_id text not null references public.tenants (id) on update cascade on delete cascade,
    service text not null,
    state text not null,
    updated_at timestamptz not null default now(),
    primary key (tenant_id, service),
    constraint tenant_services_state_is_known check (state in ('enabled', 'disabled'))
);
comment on table public.tenant_services is 'What the specs say of each service of a tenant. Written by the backend only.';

create index tenants_status on public.tenants (status);
create index tenant_services_service on public.tenant_services (service, state);

-- Who calls ---------------------------------------------------------------------------------------------------------

-- The claim comes from app_metadata, which only the backend writes; user_metadata is the user's own.
create function smarteros.claimed_tenant() returns text
language sql stable
set search_path = ''
as $body$
    select nullif(auth.jwt() -> 'app_metadata' ->> 'tenant_id', '')
$body$;

-- Looks at tenants past their policies, which call it. A suspended or deleted tenant is nobody's: tokens that were handed
-- out before stop working at once.
create function smarteros.current_tenant() returns text
language sql stable security definer
set search_path = ''
as $body$
    select t.id from public.tenants t where t.id = smarteros.claimed_tenant() and t.status = 'active'
$body$;

revoke all on function smarteros.claimed_tenant(), smarteros.current_tenant() from public, anon;
grant execute on function smarteros.claimed_tenant(), smarteros.current_tenant() to authenticated, service_role;

-- Times ---------------------------------------------------------------------------------------------------------------

create function smarteros.touch() returns trigger
language plpgsql
set search_path = ''
as $body$
begin
    new.updated_at := now();
    return new;
end
$body$;
revoke all on function smarteros.touch() from public, anon, authenticated;

create trigger touch before update on public.tenants for each row execute function smarteros.touch();
create trigger touch before update on public.tenant_settings for each row execute function smarteros.touch();
create trigger touch before update on public.tenant_services for each row execute function smarteros.touch();

-- Who may what ----------------------------------------------------------------------------------------------------------

revoke all on public.tenants, public.tenant_settings, public.tenant_services from public, anon, authenticated;
grant select, insert, update, delete on public.tenants, public.tenant_settings, public.tenant_services to service_role;
grant select on public.tenants, public.tenant_settings, public.tenant_services to authenticated;

alter table public.tenants enable row level security;
alter table public.tenants force row level security;
alter table public.tenant_settings enable row level security;
alter table public.tenant_settings force row level security;
alter table public.tenant_services enable row level security;
alter table public.tenant_services force row level security;

-- The scalar sub-select lets the planner ask once per statement instead of once per row.
create policy tenants_select_own on public.tenants for select to authenticated
    using (id = (select smarteros.current_tenant()));
create policy tenant_settings_select_own on public.tenant_settings for select to authenticated
    using (tenant_id = (select smarteros.current_tenant()));
create policy tenant_services_select_own on public.tenant_services for select to authenticated
    using (tenant_id = (select smarteros.current_tenant()));
