with concerned as (
    -- Parameters: $1 region, $2 retired gcids, $3 now (null: the clock of the database).
    -- The tenants of the region with a platform category that maps to a retired gcid.
    select distinct chosen.tenant_id
      from categories_in_region($1) as here
      join tenant_category chosen on chosen.slug = here.slug
      join tenant on tenant.id = chosen.tenant_id and tenant.region_code = $1
     where here.gcid = any ($2)
), locked as (
    -- Their sync state, locked in one order for all, unless it is unknown or already names this cause.
    select tenant_id
      from tenant_sync
     where tenant_id in (select tenant_id from concerned) and cause not in ('unknown', 'category_retired')
     order by tenant_id
       for no key update
)
update tenant_sync
   set cause = 'category_retired', cause_at = coalesce($3, now()), digest = null
  from locked
 where tenant_sync.tenant_id = locked.tenant_id
