alter table batch_expansion drop column tenants_created_until;
drop table batch_tenant_page;
alter table run drop column joined_at;
