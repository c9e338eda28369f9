-- Files of tenants. A bucket per purpose is named tenant-<purpose>; within it a tenant's files lie below its id. The buckets
-- themselves are made through the storage API. Storage has row level security on already, and owns its tables.

create policy tenant_files_select_own on storage.objects for select to authenticated
    using (
        starts_with(bucket_id, 'tenant-')
        and starts_with(name, (select smarteros.current_tenant()) || '/')
    );
create policy tenant_files_insert_own on storage.objects for insert to authenticated
    with check (
        starts_with(bucket_id, 'tenant-')
        and starts_with(name, (select smarteros.current_tenant()) || '/')
        and (select smarteros.has_role('owner', 'admin', 'agent'))
    );
create policy tenant_files_update_own on storage.objects for update to authenticated
    using (
        starts_with(bucket_id, 'tenant-')
        and starts_with(name, (select smarteros.current_tenant()) || '/')
        and (select smarteros.has_role('owner', 'admin', 'agent'))
    )
    with check (
        starts_with(bucket_id, 'tenant-')
        and starts_with(name, (select smarteros.current_tenant()) || '/')
    );
create policy tenant_files_delete_own on storage.objects for delete to authenticated
    using (
        starts_with(bucket_id, 'tenant-')
        and starts_with(name, (select smarteros.current_tenant()) || '/')
        and (select smarteros.has_role('owner', 'admin', 'agent'))
    );
