with affected as (
    -- Parameters: $1 region, $2 language, $3 renamed gcids, $4 the limit of the list.
    -- The platform categories that map, in the region, to a gcid that the newest version lacks or
    -- renames.
    select here.slug
      from categories_in_region($1) as here
     where here.gcid is not null
       and (here.gcid = any ($3)
             or not exists (select from taxonomy_category listed
                             where listed.region_code = $1 and listed.language_code = $2
                               and listed.gcid = here.gcid and listed.until_version is null))
)
select tenant.id, count(*) over ()
  from tenant
 where tenant.region_code = $1
   and exists (select from tenant_category chosen
                where chosen.tenant_id = tenant.id
                  and chosen.slug in (select slug from affected))
 order by tenant.id
 limit $4
