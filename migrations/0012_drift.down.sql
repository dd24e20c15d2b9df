drop trigger tenant_sync_follows on tenant;
drop function tenant_sync_follows();
drop table tenant_sync;
