-- What the rollups say, with what is not summed up yet: each scope, sum of it, and thing that is counted.
with kept as (
    select scope, grain, start_at, what, count
      from rollup
     cross join lateral (values ('succeeded', succeeded), ('failed', failed), ('skipped', skipped), ('cancelled', cancelled),
                                ('dry', dry_runs), ('out_of_sync', out_of_sync)
                         union all
                         select 'duration ' || key, value::bigint from jsonb_each_text(duration_histogram)
                         union all
                         select 'reason ' || key, value::bigint from jsonb_each_text(failure_reason_counts)) as counts (what, count)
    union all
    select scope, grain, rollup_start(grain, start_at), what, count
      from rollup_delta
      join (values ('minute'), ('ten_minutes'), ('hour'), ('day'), ('week')) as grains (grain)
        on scope = '' or grain not in ('minute', 'ten_minutes')
     cross join lateral (values ('succeeded', succeeded), ('failed', failed), ('skipped', skipped), ('cancelled', cancelled),
                                ('dry', dry_runs), ('out_of_sync', out_of_sync)
                         union all
                         select 'duration ' || bucket, 1 from unnest(duration_buckets) bucket
                         union all
                         select 'reason ' || reason, 1 from unnest(failure_reasons) reason) as counts (what, count)
)
select format('%s of %s from %s on, scope "%s"', what, grain, start_at at time zone 'UTC', scope), sum(count)::bigint
  from kept
 group by scope, grain, start_at, what
having sum(count) <> 0
