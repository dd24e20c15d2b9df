-- What the rollups say, with what is not summed up yet: each scope, minute, hour or day, and thing that is counted.
with kept as (
    select scope, grain, begin_at, what, count
      from rollup
     cross join lateral (values ('succeeded', succeeded), ('failed', failed), ('skipped', skipped), ('cancelled', cancelled),
                                ('dry', dry), ('out_of_sync', out_of_sync)
                         union all
                         select 'duration ' || key, value::bigint from jsonb_each_text(durations)
                         union all
                         select 'reason ' || key, value::bigint from jsonb_each_text(reasons)) as counts (what, count)
    union all
    select scope, grain, date_trunc(grain, begin_at, 'UTC'), what, count
      from rollup_delta
      join (values ('minute'), ('hour'), ('day')) as grains (grain) on scope = '' or grain <> 'minute'
     cross join lateral (values ('succeeded', succeeded), ('failed', failed), ('skipped', skipped), ('cancelled', cancelled),
                                ('dry', dry), ('out_of_sync', out_of_sync)
                         union all
                         select 'duration ' || bin, 1 from unnest(durations) bin
                         union all
                         select 'reason ' || reason, 1 from unnest(reasons) reason) as counts (what, count)
)
select format('%s of %s from %s on, scope "%s"', what, grain, begin_at at time zone 'UTC', scope), sum(count)::bigint
  from kept
 group by scope, grain, begin_at, what
having sum(count) <> 0
