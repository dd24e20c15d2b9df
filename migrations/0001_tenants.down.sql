drop table tenant_category;
drop table tenant;
drop table platform_category;
