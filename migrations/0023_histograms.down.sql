set local statement_timeout = 0;

-- The statement that counts ended runs for their tenants; `ended` gives them.
create or replace function tenant_rollup_insert_sql(ended text) returns text language sql immutable as $$
    select 'insert into tenant_rollup as old
            select tenant_id, (run_id_time(id) at time zone ''UTC'')::date, (ended_at at time zone ''UTC'')::date,
                   coalesce(organization_id, ''''),
                   count(*) filter (where not dry_run and state = ''succeeded''),
                   count(*) filter (where not dry_run and state = ''failed''),
                   count(*) filter (where not dry_run and state = ''skipped''),
                   count(*) filter (where not dry_run and state = ''cancelled''),
                   count(*) filter (where dry_run),
                   count(*) filter (where out_of_sync),
                   coalesce(array_agg(duration_bucket(ended_at - started_at))
                                filter (where not dry_run and state in (''succeeded'', ''failed'')), ''{}''),
                   coalesce(array_agg(reason) filter (where not dry_run and state = ''failed''), ''{}''),
                   coalesce((array_agg(id order by id desc) filter (where not dry_run and state = ''failed''))[:5], ''{}'')
              from ' || ended || ' as ended
             group by 1, 2, 3, 4
            on conflict (tenant_id, accepted_on, ended_on, organization_id) do update
               set succeeded = old.succeeded + excluded.succeeded, failed = old.failed + excluded.failed,
                   skipped = old.skipped + excluded.skipped, cancelled = old.cancelled + excluded.cancelled,
                   dry_runs = old.dry_runs + excluded.dry_runs, out_of_sync = old.out_of_sync + excluded.out_of_sync,
                   duration_buckets = old.duration_buckets || excluded.duration_buckets, failure_reasons = old.failure_reasons || excluded.failure_reasons,
                   recent_failure_ids = array(select id from unnest(old.recent_failure_ids || excluded.recent_failure_ids) id order by id desc limit 5)'
$$;

update tenant_rollup
   set duration_buckets = duration_buckets || array(select key::smallint
                                        from jsonb_each_text(duration_histogram), generate_series(1, value::bigint))
 where duration_histogram <> '{}';

alter table tenant_rollup drop column duration_histogram;
drop function count_duration_buckets(smallint[]);
