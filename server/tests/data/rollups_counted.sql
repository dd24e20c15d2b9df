-- The same by a full count of the history.
select format('%s of %s from %s on, scope "%s"', what, grain, start_at at time zone 'UTC', scope),
       count(*)
  from run_history
 cross join lateral (values (''), (organization_id)) as scopes (scope)
  join (values ('minute'), ('ten_minutes'), ('hour'), ('day'), ('week')) as grains (grain)
    on scope = '' or (scope is not null and grain not in ('minute', 'ten_minutes'))
 cross join lateral (select case when grain = 'ten_minutes' then to_timestamp(floor(extract(epoch from ended_at) / 600) * 600)
                                 else date_trunc(grain, ended_at, 'UTC') end) as sums (start_at)
 cross join lateral (select case when dry_run then 'dry' else state end
                     union all
                     select 'out_of_sync' where out_of_sync
                     union all
                     select 'duration ' || duration_bucket(ended_at - started_at) where not dry_run and state in ('succeeded', 'failed')
                     union all
                     select 'reason ' || reason where not dry_run and state = 'failed') as things (what)
 group by scope, grain, start_at, what
