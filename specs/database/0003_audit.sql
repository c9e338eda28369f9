-- What happened to a tenant. Events outlive it: when its row goes, they keep what happened and when, and lose whom it
-- concerned.

create table public.audit_events (
    id bigint generated always as identity primary key,
    tenant_id text,
    anonymous_id uuid,
    at timestamptz not null default now(),
    actor text not null default '',
    action text not null,
    subject text not null default '',
    details jsonb not null default '{}',
    constraint audit_events_concern_somebody check (num_nonnulls(tenant_id, anonymous_id) = 1),
    constraint audit_events_action_is_a_name check (action ~ '^[a-z][a-z0-9_.]{0,63}$')
);
comment on table public.audit_events is 'Append-only for everybody but the backend; anonymous once the tenant is gone.';

create index audit_events_tenant_at on public.audit_events (tenant_id, at);

create function smarteros.caller() returns text
language sql stable
set search_path = ''
as $body$
    select coalesce(nullif(auth.jwt() ->> 'sub', ''), nullif(auth.jwt() ->> 'role', ''), session_user)
$body$;

create function smarteros.audit_tenant() returns trigger
language plpgsql security definer
set search_path = ''
as $body$
declare
    nobody uuid;
    changed jsonb;
begin
    if tg_op = 'DELETE' then
        nobody := pg_catalog.gen_random_uuid();
        update public.audit_events
        set tenant_id = null, anonymous_id = nobody, actor = '', subject = '', details = '{}'
        where tenant_id = old.id;
        insert into public.audit_events (anonymous_id, action) values (nobody, 'tenant.purged');
        return null;
    end if;
    if tg_op = 'INSERT' then
        insert into public.audit_events (tenant_id, actor, action, details)
        values (new.id, smarteros.caller(), 'tenant.created', jsonb_build_object('plan', new.plan));
        return null;
    end if;
    select coalesce(jsonb_object_agg(now_.key, jsonb_build_array(was.value, now_.value)), '{}') into changed
    from jsonb_each(to_jsonb(new)) as now_
    join jsonb_each(to_jsonb(old)) as was using (key)
    where now_.value is distinct from was.value and now_.key <> 'updated_at';
    if changed <> '{}' then
        insert into public.audit_events (tenant_id, actor, action, details)
        values (
            new.id, smarteros.caller(),
            case when new.status is distinct from old.status then 'tenant.' || new.status else 'tenant.changed' end,
            changed
        );
    end if;
    return null;
end
$body$;

create trigger audit after insert or update or delete on public.tenants
    for each row execute function smarteros.audit_tenant();

-- The one way for a user to leave an event: tenant and actor are not the caller's to choose.
create function public.record_event(action text, subject text default '', details jsonb default '{}') returns bigint
language sql security definer
set search_path = ''
as $body$
    insert into public.audit_events (tenant_id, actor, action, subject, details)
    select current.id, smarteros.caller(), 'app.' || record_event.action, record_event.subject, record_event.details
    from (select smarteros.current_tenant() as id) as current
    where current.id is not null
    returning id
$body$;

revoke all on function smarteros.caller(), smarteros.audit_tenant() from public, anon, authenticated;
revoke all on function public.record_event(text, text, jsonb) from public, anon, authenticated;
grant execute on function public.record_event(text, text, jsonb) to authenticated, service_role;

revoke all on public.audit_events from public, anon, authenticated;
grant select, insert, update, delete on public.audit_events to service_role;
grant select on public.audit_events to authenticated;

alter table public.audit_events enable row level security;
alter table public.audit_events force row level security;
create policy audit_events_select_own on public.audit_events for select to authenticated
    using (tenant_id = (select smarteros.current_tenant()));
