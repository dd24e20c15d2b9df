-- Records what the runs that `moved` into the history have `found`. A tenant that has another location
-- by now is left out.
insert into tenant_sync as known (tenant_id, organization_id, gbp_location, cause, cause_at, observed_at, observed_run_id,
                                  observe_failed_at, observe_failed_run_id, digest, matches_baseline, desired, google, baseline, written,
                                  unresolved, overwritten_at, conflict_at)
select moved.tenant_id, tenant.organization_id, found.location, found.cause, moved.ended_at,
       case when found.cause <> 'unknown' then moved.ended_at end, case when found.cause <> 'unknown' then moved.id end,
       case when found.cause = 'unknown' then moved.ended_at end, case when found.cause = 'unknown' then moved.id end,
       found.digest, found.matches_baseline, found.desired, found.google,
       found.baseline || jsonb_build_object('run', moved.id, 'at', moved.ended_at),
       coalesce(found.written || jsonb_build_object('run', moved.id, 'at', moved.ended_at), found.resolved),
       found.unresolved || jsonb_build_object('run', moved.id, 'at', moved.ended_at),
       array_remove(array[found.overwritten_at], null),
       case when found.in_conflict then moved.ended_at end
  from found
  join moved on moved.id = found.run
  -- Locked until the commit, so that no concurrent transaction moves or deletes the tenant.
  join lateral (select organization_id from tenant
                 where id = moved.tenant_id and gbp_location = found.location
                   for key share) as tenant on true
 order by moved.tenant_id
on conflict (tenant_id) do update
   set cause_at = case when known.cause = excluded.cause then known.cause_at else excluded.cause_at end,
       cause = excluded.cause,
       observed_at = coalesce(excluded.observed_at, known.observed_at),
       observed_run_id = coalesce(excluded.observed_run_id, known.observed_run_id),
       observe_failed_at = excluded.observe_failed_at, observe_failed_run_id = excluded.observe_failed_run_id,
       digest = excluded.digest, matches_baseline = excluded.matches_baseline,
       desired = coalesce(excluded.desired, known.desired), google = coalesce(excluded.google, known.google),
       baseline = coalesce(excluded.baseline, known.baseline), written = coalesce(excluded.written, known.written),
       -- A run that observed the location has seen what there is to see of it.
       unresolved = case when excluded.unresolved is not null or excluded.cause <> 'unknown' then excluded.unresolved
                         else known.unresolved end,
       -- Older ones no longer count.
       overwritten_at = case when excluded.overwritten_at = '{}' then known.overwritten_at
                    else array(select overwrite from unnest(known.overwritten_at) as overwrite
                                where overwrite > excluded.cause_at - interval '7 days'
                                order by overwrite) || excluded.overwritten_at end,
       conflict_at = coalesce(known.conflict_at, excluded.conflict_at)
