alter table batch_work drop column tenants_created_until;
drop table batch_tenant_page;
alter table run drop column joined_at;
