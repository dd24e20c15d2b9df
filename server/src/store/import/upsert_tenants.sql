insert into tenant as present (id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code,
                               -- Parameters: $1 to $7 the columns of the tenants, $8 now (null: the clock of the database).
                               created_at, updated_at)
select id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code,
       coalesce($8, now()), coalesce($8, now())
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    as wanted (id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code)
 order by id
    on conflict (id) do update
   set display_name = excluded.display_name,
       organization_id = coalesce(excluded.organization_id, present.organization_id),
       gbp_account = coalesce(excluded.gbp_account, present.gbp_account),
       gbp_location = coalesce(excluded.gbp_location, present.gbp_location),
       region_code = excluded.region_code,
       language_code = excluded.language_code,
       updated_at = excluded.updated_at
 where (normalize(present.display_name), present.region_code, present.language_code)
         <> (excluded.display_name, excluded.region_code, excluded.language_code)
    or present.organization_id is distinct from coalesce(excluded.organization_id, present.organization_id)
    or present.gbp_account is distinct from coalesce(excluded.gbp_account, present.gbp_account)
    or present.gbp_location is distinct from coalesce(excluded.gbp_location, present.gbp_location)
returning id, xmax = 0
