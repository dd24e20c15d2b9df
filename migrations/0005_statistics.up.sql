-- Counts of ended runs, added when runs end, so that statistics cost the same however long the
-- history is: rollups for all runs and for each organization, and daily counts for each tenant.

-- The bucket of a duration: four buckets for each doubling, from 1 ms on, so that a quantile is
-- known to within a tenth.
create function duration_bucket(duration interval) returns smallint language sql immutable parallel safe as $$
    select least(greatest(floor(4 * ln(greatest(date_part('epoch', duration) * 1000, 1)) / ln(2::float8)), 0), 127)::smallint
$$;

-- Counts equal buckets: {"40": 2, "41": 1}.
create function count_duration_buckets(buckets smallint[]) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(bucket, count), '{}')
      from (select bucket, count(*) from unnest(buckets) as bucket group by bucket) as counts
$$;

-- Counts equal texts: {"GUARD": 2}.
create function count_texts(texts text[]) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(text, count), '{}')
      from (select text, count(*) as count from unnest(texts) as text group by text) as counts
$$;

-- The sum of two objects of counts.
create function add_counts(one jsonb, other jsonb) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(key, count), '{}')
      from (select key, sum(value::bigint) as count
              from (select key, value from jsonb_each_text(one) union all select key, value from jsonb_each_text(other)) as counts
             group by key) as sums
$$;

-- The start (UTC) of the period of a grain that contains a moment. Weeks start on Mondays.
create function rollup_start(grain text, moment timestamptz) returns timestamptz language sql stable parallel safe as $$
    select case grain when 'ten_minutes' then date_bin('10 minutes', moment, 'epoch') else date_trunc(grain, moment, 'UTC') end
$$;

-- What the statements that end runs add, in the same transaction: each one row for all of its runs,
-- and one for each organization among them. Rows are only inserted and deleted, so concurrent ends
-- never wait for one another.
create table rollup_delta (
    -- Empty: all runs. Otherwise an organization.
    scope text collate "C" not null,
    -- The minute in which the runs ended; of an organization, the hour.
    start_at timestamptz not null,
    succeeded integer not null,
    failed integer not null,
    skipped integer not null,
    cancelled integer not null,
    dry_runs integer not null,
    out_of_sync integer not null,
    -- The bucket of each real run that succeeded or failed.
    duration_buckets smallint[] not null,
    -- The reason of each real run that failed.
    failure_reasons text[] not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- Adds the deltas of the runs that a statement ended. As a trigger it covers every way in which
-- runs end.
create function add_rollup_delta() returns trigger language plpgsql as $$
begin
    insert into rollup_delta (scope, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync,
                              duration_buckets, failure_reasons)
    select coalesce(organization_id, ''), coalesce(minute, hour),
           count(*) filter (where not dry_run and state = 'succeeded'),
           count(*) filter (where not dry_run and state = 'failed'),
           count(*) filter (where not dry_run and state = 'skipped'),
           count(*) filter (where not dry_run and state = 'cancelled'),
           count(*) filter (where dry_run),
           count(*) filter (where out_of_sync),
           coalesce(array_agg(duration_bucket(ended_at - started_at))
                        filter (where not dry_run and state in ('succeeded', 'failed')), '{}'),
           coalesce(array_agg(reason) filter (where not dry_run and state = 'failed'), '{}')
      from (select organization_id, dry_run, state, reason, out_of_sync, started_at, ended_at,
                   date_trunc('minute', ended_at, 'UTC') as minute, date_trunc('hour', ended_at, 'UTC') as hour
              from ended) as ended
     group by grouping sets ((minute), (hour, organization_id))
    having grouping(organization_id) = 1 or organization_id is not null;
    return null;
end
$$;

create trigger run_history_add_rollup_delta after insert on run_history
    referencing new table as ended for each statement execute function add_rollup_delta();

-- The deltas summed by whole periods. An organization has no sums below an hour, because it rarely
-- ends more than one run in a minute. Together with the deltas that are not summed yet, each grain
-- counts every end once.
create table rollup (
    scope text collate "C" not null,
    grain text collate "C" not null
        constraint rollup_grain_is_known check (grain in ('minute', 'ten_minutes', 'hour', 'day', 'week')),
    start_at timestamptz not null,
    succeeded bigint not null,
    failed bigint not null,
    skipped bigint not null,
    cancelled bigint not null,
    dry_runs bigint not null,
    out_of_sync bigint not null,
    duration_histogram jsonb not null,
    failure_reason_counts jsonb not null,
    primary key (scope, grain, start_at)
) with (fillfactor = 70);

create index rollup_by_age on rollup (grain, start_at);

-- The ended runs of each tenant by day. Only days that are over and have no live run are counted,
-- so runs do not pay for it when they end.
create table tenant_rollup (
    tenant_id text collate "C" not null,
    -- The day (UTC) on which the runs were accepted: the day of their partition.
    accepted_on date not null,
    -- The day (UTC) on which they ended.
    ended_on date not null,
    -- Empty: none.
    organization_id text collate "C" not null,
    succeeded integer not null,
    failed integer not null,
    skipped integer not null,
    cancelled integer not null,
    dry_runs integer not null,
    out_of_sync integer not null,
    -- The buckets of real runs that succeeded or failed. As an object, so that reading a day is
    -- bounded by the number of buckets and not by that of runs.
    duration_histogram jsonb not null,
    -- The reason of each real run that failed.
    failure_reasons text[] not null,
    -- The newest real runs that failed, up to 5.
    recent_failure_ids uuid[] not null,
    primary key (tenant_id, accepted_on, ended_on, organization_id)
);

-- Only the deletion of old counts goes by age, and rows lie in that order.
create index tenant_rollup_by_end on tenant_rollup using brin (ended_on) with (pages_per_range = 16, autosummarize = on);

-- One row: the days before `day` are counted in `tenant_rollup`, and of `day` itself the runs up to
-- `counted_to`. Readers go by `day` alone, so they never see a day that is half counted. Null:
-- nothing is counted.
create table tenant_rollup_watermark (
    day date,
    counted_to uuid
);
create unique index tenant_rollup_watermark_has_one_row on tenant_rollup_watermark ((true));
insert into tenant_rollup_watermark (day) values (null);

-- The statement that counts ended runs for their tenants. `ended` is a subquery that returns the
-- runs.
create function tenant_rollup_insert_sql(ended text) returns text language sql immutable as $$
    select 'insert into tenant_rollup as old (tenant_id, accepted_on, ended_on, organization_id, succeeded, failed, skipped,
                                              cancelled, dry_runs, out_of_sync, failure_reasons, recent_failure_ids,
                                              duration_histogram)
            select tenant_id, (run_id_time(id) at time zone ''UTC'')::date, (ended_at at time zone ''UTC'')::date,
                   coalesce(organization_id, ''''),
                   count(*) filter (where not dry_run and state = ''succeeded''),
                   count(*) filter (where not dry_run and state = ''failed''),
                   count(*) filter (where not dry_run and state = ''skipped''),
                   count(*) filter (where not dry_run and state = ''cancelled''),
                   count(*) filter (where dry_run),
                   count(*) filter (where out_of_sync),
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
                   recent_failure_ids = array(select id from unnest(old.recent_failure_ids || excluded.recent_failure_ids) id
                                               order by id desc
                                               limit 5)'
$$;
