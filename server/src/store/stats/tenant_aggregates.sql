select ended_on::timestamp at time zone 'UTC' as start_at, succeeded::bigint, failed::bigint, skipped::bigint,
       -- Parameters: $1 tenants, $2 the start of the window, $3 organization (null: any), $4 the grain, $5
       -- the first day that is counted from the runs, $6 the first id of the runs to read.
       cancelled::bigint, dry_runs::bigint, out_of_sync::bigint, null::smallint[], case when failed > 0 then failure_reasons end,
       case when failed > 0 then recent_failure_ids end, duration_histogram
  from tenant_rollup
 where tenant_id = any ($1) and accepted_on < $5 and ended_on >= ($2 at time zone 'UTC')::date
   and ($3::text is null or organization_id = $3)
union all
select date_trunc($4, ended_at, 'UTC'),
       count(*) filter (where not dry_run and state = 'succeeded'),
       count(*) filter (where not dry_run and state = 'failed'),
       count(*) filter (where not dry_run and state = 'skipped'),
       count(*) filter (where not dry_run and state = 'cancelled'),
       count(*) filter (where dry_run),
       count(*) filter (where out_of_sync),
       array_agg(duration_bucket(ended_at - started_at)) filter (where not dry_run and state in ('succeeded', 'failed')),
       array_agg(reason) filter (where not dry_run and state = 'failed'),
       (array_agg(id order by id desc) filter (where not dry_run and state = 'failed'))[:5], null
  from run_history
 where tenant_id = any ($1) and id >= $6
   -- Written so that the index to go by is the tenants', which have few runs.
   and ended_at + interval '0' >= $2
   and ($3::text is null or organization_id = $3)
 group by 1
union all
select null, count(*) filter (where not dry_run), 0, 0, 0, count(*) filter (where dry_run), 0, null, null, null, null
  from run
 where tenant_id = any ($1)
   and ($3::text is null or organization_id = $3)
