drop index platform_category_by_gcid;
alter table platform_category drop column imported_locale;
alter table run drop column orders;
