drop table regional_mapping;
drop table taxonomy_category;
drop table taxonomy_version;
-- Where an administrator had created it, it is theirs and stays.
do $$
begin
    drop extension pg_trgm;
exception
    when insufficient_privilege or dependent_objects_still_exist then null;
end
$$;
