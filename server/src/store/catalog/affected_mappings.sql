with affected as (
    -- Parameters: $1 region, $2 language, $3 renamed gcids, $4 the limit of the list.
    -- The mappings to a gcid that the newest version lacks or renames. `is_listed` is null where no
    -- version has the gcid.
    select here.slug, here.gcid, bool_or(known.until_version is null) filter (where known.gcid is not null)
               as is_listed
      from categories_in_region($1) as here
      left join taxonomy_category known
        on known.region_code = $1
       and known.language_code = $2
       and known.gcid = here.gcid
     where here.gcid is not null
     group by here.slug, here.gcid
    having bool_or(known.until_version is null and known.gcid is not null) is not true
        or here.gcid = any ($3)
)
select slug, gcid, is_listed, count(*) over () as mapping_count,
       (select count(*)
          from tenant_category chosen
          join tenant on tenant.id = chosen.tenant_id
         where chosen.slug = affected.slug
           and tenant.region_code = $1) as tenants
  from affected
 order by slug
 limit $4
