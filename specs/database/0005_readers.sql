-- Read-only database roles, one per tenant, for reports. All are members of one group, which the policies name; which tenant
-- a reader belongs to is written in a table that it cannot see, by the name that it signed in with. That name cannot be
-- changed with SET ROLE, and SET SESSION AUTHORIZATION is for superusers.

do $group$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'tenant_reader_group') then
        create role tenant_reader_group nologin;
    end if;
    execute pg_catalog.format('grant connect on database %I to tenant_reader_group', pg_catalog.current_database());
end
$group$;

create table smarteros.tenant_readers (
    role_name name primary key,
    tenant_id text not null references public.tenants (id) on update cascade on delete cascade
);
comment on table smarteros.tenant_readers is 'The tenant of each read-only role that is in use.';
create index tenant_readers_tenant on smarteros.tenant_readers (tenant_id);
alter table smarteros.tenant_readers enable row level security;
alter table smarteros.tenant_readers force row level security;
revoke all on smarteros.tenant_readers from public, anon, authenticated;
grant select on smarteros.tenant_readers to service_role;

create function smarteros.reader_tenant() returns text
language sql stable security definer
set search_path = ''
as $body$
    select t.id
    from smarteros.tenant_readers r
    join public.tenants t on t.id = r.tenant_id
    where r.role_name = session_user and t.status = 'active'
$body$;
revoke all on function smarteros.reader_tenant() from public, anon, authenticated;
grant execute on function smarteros.reader_tenant() to tenant_reader_group;

grant usage on schema public, smarteros to tenant_reader_group;
grant select on public.tenants, public.tenant_settings, public.tenant_services, public.tenant_members,
    public.audit_events, public.tenant_overview to tenant_reader_group;

create policy tenants_select_reader on public.tenants for select to tenant_reader_group
    using (id = (select smarteros.reader_tenant()));
create policy tenant_settings_select_reader on public.tenant_settings for select to tenant_reader_group
    using (tenant_id = (select smarteros.reader_tenant()));
create policy tenant_services_select_reader on public.tenant_services for select to tenant_reader_group
    using (tenant_id = (select smarteros.reader_tenant()));
create policy tenant_members_select_reader on public.tenant_members for select to tenant_reader_group
    using (tenant_id = (select smarteros.reader_tenant()));
create policy audit_events_select_reader on public.audit_events for select to tenant_reader_group
    using (tenant_id = (select smarteros.reader_tenant()));
