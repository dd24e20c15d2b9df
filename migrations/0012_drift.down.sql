drop trigger propagate_tenant_to_sync on tenant;
drop function propagate_tenant_to_sync();
drop table tenant_sync;
