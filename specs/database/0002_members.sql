-- The people of a tenant, and what those among them may write.

create table public.tenant_members (
    tenant_id text not null references public.tenants (id) on update cascade on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role text not null default 'agent',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, user_id),
    constraint tenant_members_role_is_known check (role in ('owner', 'admin', 'agent', 'viewer'))
);
comment on table public.tenant_members is 'Who works for a tenant, and as what. Written by the backend only.';

create index tenant_members_user on public.tenant_members (user_id);
create trigger touch before update on public.tenant_members for each row execute function smarteros.touch();

-- Looks at members past their policies, which would otherwise ask themselves.
create function smarteros.has_role(variadic wanted text []) returns boolean
language sql stable security definer
set search_path = ''
as $body$
    select exists (
        select from public.tenant_members m
        where m.tenant_id = smarteros.current_tenant() and m.user_id = auth.uid() and m.role = any (wanted)
    )
$body$;
revoke all on function smarteros.has_role(text []) from public, anon;
grant execute on function smarteros.has_role(text []) to authenticated, service_role;

revoke all on public.tenant_members from public, anon, authenticated;
grant select, insert, update, delete on public.tenant_members to service_role;
grant select on public.tenant_members to authenticated;

alter table public.tenant_members enable row level security;
alter table public.tenant_members force row level security;
create policy tenant_members_select_own on public.tenant_members for select to authenticated
    using (tenant_id = (select smarteros.current_tenant()));

-- A tenant's own settings: its owner and its administrators write them, and them only.
alter table public.tenant_settings alter column tenant_id set default smarteros.current_tenant();
grant insert (tenant_id, key, value), update (value), delete on public.tenant_settings to authenticated;

create policy tenant_settings_insert_own on public.tenant_settings for insert to authenticated
    with check (
        tenant_id = (select smarteros.current_tenant())
        and starts_with(key, 'app.')
        and (select smarteros.has_role('owner', 'admin'))
    );
create policy tenant_settings_update_own on public.tenant_settings for update to authenticated
    using (
        tenant_id = (select smarteros.current_tenant())
        and starts_with(key, 'app.')
        and (select smarteros.has_role('owner', 'admin'))
    )
    with check (tenant_id = (select smarteros.current_tenant()) and starts_with(key, 'app.'));
create policy tenant_settings_delete_own on public.tenant_settings for delete to authenticated
    using (
        tenant_id = (select smarteros.current_tenant())
        and starts_with(key, 'app.')
        and (select smarteros.has_role('owner', 'admin'))
    );

-- Both run with the caller's rights, so the policies above decide what they show.
create view public.tenant_overview with (security_invoker = true) as
select
    t.id,
    t.slug,
    t.name,
    t.plan,
    t.status,
    (select count(*) from public.tenant_members m where m.tenant_id = t.id) as members,
    (
        select coalesce(jsonb_object_agg(s.service, s.state), '{}'::jsonb)
        from public.tenant_services s
        where s.tenant_id = t.id
    ) as services
from public.tenants t;
revoke all on public.tenant_overview from public, anon, authenticated;
grant select on public.tenant_overview to authenticated, service_role;

create function public.my_tenant() returns setof public.tenants
language sql stable
set search_path = ''
as $body$
    select t.* from public.tenants t where t.id = smarteros.current_tenant()
$body$;
revoke all on function public.my_tenant() from public, anon, authenticated;
grant execute on function public.my_tenant() to authenticated, service_role;
