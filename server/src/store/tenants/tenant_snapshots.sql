select wanted.run_id, tenant.id, tenant.display_name, tenant.organization_id, tenant.gbp_account, tenant.gbp_location,
       -- Parameters: $1 now (null: the clock of the database), $2 runs, $3 their tenants, $4 their
       -- strategies.
       tenant.region_code, tenant.language_code, tenant.created_at, tenant.updated_at, version.revision, version.rejected_at, version.rejected_since, version.reject_reason,
       success.ended_at as last_success_at, observation.digest, observation.matches_baseline, observation.failed, coalesce($1, now()) as read_at,
       chosen.slugs, chosen.names, chosen.gcids, chosen.locales, chosen.created, chosen.updated
  from unnest($2::uuid[], $3::text[], $4::text[]) as wanted (run_id, tenant_id, strategy)
 cross join lateral (select id, display_name, organization_id, gbp_account, gbp_location, region_code, language_code,
                            created_at, updated_at
                       from tenant
                      where tenant.id = wanted.tenant_id
                      limit 1) tenant
  left join lateral (select revision, rejected_at, rejected_since, reject_reason
                       from gbp_credentials
                      where account_id = tenant.gbp_account
                      limit 1) version on true
  left join lateral (select ended_at
                       from last_success
                      where last_success.tenant_id = tenant.id and last_success.strategy = wanted.strategy
                        and last_success.gbp_location is not distinct from tenant.gbp_location
                      limit 1) success on true
  left join lateral (select digest, matches_baseline, cause = 'unknown' as failed
                       from tenant_sync
                      where tenant_sync.tenant_id = tenant.id and tenant_sync.gbp_location = tenant.gbp_location
                      limit 1) observation on true
 cross join lateral (select array_agg(slug) as slugs, array_agg(display_name) as names, array_agg(gcid) as gcids,
                            array_agg(imported_locale) as locales, array_agg(created_at) as created,
                            array_agg(updated_at) as updated
                       from (select category.slug, category.display_name, category.gcid, category.imported_locale,
                                    category.created_at, category.updated_at
                               from tenant_category place
                              cross join lateral (select slug, display_name, gcid, imported_locale, created_at, updated_at
                                                    from categories_in_region(tenant.region_code)
                                                   where slug = place.slug
                                                   limit 1) category
                              where place.tenant_id = tenant.id
                              order by place.position) as placed) chosen
