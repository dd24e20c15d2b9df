-- A tenant's durations as a histogram: what a day of a tenant costs to read is bounded by the bins, of which there are some 4 for each doubling,
-- and no longer by its runs.

set local statement_timeout = 0;

-- How often each bin occurs, as `rollup` has it.
create function count_duration_buckets(buckets smallint[]) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(bucket, count), '{}') from (select bucket, count(*) from unnest(buckets) as bucket group by bucket) as counts
$$;

-- The bins of real runs that succeeded or failed, and how many there are of each. `duration_buckets` has those of runs that were counted before.
alter table tenant_rollup add column duration_histogram jsonb not null default '{}';

-- Days of a few runs cost the same either way, and most are of that kind.
update tenant_rollup set duration_histogram = count_duration_buckets(duration_buckets), duration_buckets = '{}' where cardinality(duration_buckets) > 64;

-- The statement that counts ended runs for their tenants; `ended` gives them.
create or replace function tenant_rollup_insert_sql(ended text) returns text language sql immutable as $$
    select 'insert into tenant_rollup as old (tenant_id, accepted_on, ended_on, organization_id, succeeded, failed, skipped, cancelled, dry_runs,
                                          out_of_sync, duration_buckets, failure_reasons, recent_failure_ids, duration_histogram)
            select tenant_id, (run_id_time(id) at time zone ''UTC'')::date, (ended_at at time zone ''UTC'')::date,
                   coalesce(organization_id, ''''),
                   count(*) filter (where not dry_run and state = ''succeeded''),
                   count(*) filter (where not dry_run and state = ''failed''),
                   count(*) filter (where not dry_run and state = ''skipped''),
                   count(*) filter (where not dry_run and state = ''cancelled''),
                   count(*) filter (where dry_run),
                   count(*) filter (where out_of_sync),
                   ''{}'',
                   coalesce(array_agg(reason) filter (where not dry_run and state = ''failed''), ''{}''),
                   coalesce((array_agg(id order by id desc) filter (where not dry_run and state = ''failed''))[:5], ''{}''),
                   count_duration_buckets(array_agg(duration_bucket(ended_at - started_at))
                                         filter (where not dry_run and state in (''succeeded'', ''failed'')))
              from ' || ended || ' as ended
             group by 1, 2, 3, 4
            on conflict (tenant_id, accepted_on, ended_on, organization_id) do update
               set succeeded = old.succeeded + excluded.succeeded, failed = old.failed + excluded.failed,
                   skipped = old.skipped + excluded.skipped, cancelled = old.cancelled + excluded.cancelled,
                   dry_runs = old.dry_runs + excluded.dry_runs, out_of_sync = old.out_of_sync + excluded.out_of_sync,
                   duration_histogram = add_counts(old.duration_histogram, excluded.duration_histogram),
                   failure_reasons = old.failure_reasons || excluded.failure_reasons,
                   recent_failure_ids = array(select id from unnest(old.recent_failure_ids || excluded.recent_failure_ids) id order by id desc limit 5)'
$$;
