drop table taxonomy_category;
drop table taxonomy_version;
drop table tenant_category;
drop function categories_in_region(text);
drop type category_in_region;
drop table regional_mapping;
drop table platform_category;
-- An extension that an administrator created is theirs and stays.
do $$
begin
    drop extension pg_trgm;
exception
    when insufficient_privilege or dependent_objects_still_exist then null;
end
$$;
