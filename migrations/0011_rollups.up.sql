-- Counts of ended runs, kept as they end, so that statistics cost the same however long the history is; and what lists of it go by.

-- The duration of a run as the number of a bin: four bins for each doubling, from 1 ms on. So a quantile is known to within a tenth.
create function duration_bucket(duration interval) returns smallint language sql immutable parallel safe as $$
    select least(greatest(floor(4 * ln(greatest(date_part('epoch', duration) * 1000, 1)) / ln(2::float8)), 0), 127)::smallint
$$;

-- The sum of two objects of counts.
create function sum_counts(one jsonb, other jsonb) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(key, count), '{}')
      from (select key, sum(value::bigint) as count
              from (select * from jsonb_each_text(one) union all select * from jsonb_each_text(other)) as counts
             group by key) as sums
$$;

-- The attempts of a run with one more that is over, the newest 50: an outage of days must not make a row of megabytes.
create function append_attempt(attempts jsonb, claim_number integer, started_at timestamptz, ended_at timestamptz, state text, error jsonb)
returns jsonb language sql immutable parallel safe as $$
    select case when jsonb_array_length(attempts) < 50 then attempts else attempts - 0 end
           || jsonb_build_array(jsonb_build_object('claim_number', claim_number, 'started_at', started_at, 'ended_at', ended_at,
                                                   'state', state, 'error', error))
$$;

-- What each statement that ends runs adds, in the same transaction: a row for all of them, and one for each organization among them.
-- Only inserted and taken away, so that those who end runs at the same time never wait for each other.
create table rollup_delta (
    -- Empty: all runs. Else an organization.
    scope text collate "C" not null,
    -- The minute of the ends; of an organization's, the hour.
    start_at timestamptz not null,
    succeeded integer not null,
    failed integer not null,
    skipped integer not null,
    cancelled integer not null,
    dry_runs integer not null,
    out_of_sync integer not null,
    -- The bin of each real run that succeeded or failed.
    duration_buckets smallint[] not null,
    -- The reason of each real run that failed.
    failure_reasons text[] not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- The same, summed by minutes, hours and days (UTC), each of them whole; of an organization by hours and days, because in a minute it ends
-- hardly more than one run. With the deltas that are not in it yet, it counts every end once.
create table rollup (
    scope text collate "C" not null,
    grain text collate "C" not null constraint rollup_grain_is_known check (grain in ('minute', 'hour', 'day')),
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

-- What has ended so far, to be summed up like everything else.
insert into rollup_delta (scope, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync, duration_buckets, failure_reasons)
select coalesce(organization_id, ''), coalesce(minute, hour),
       count(*) filter (where not dry_run and state = 'succeeded'),
       count(*) filter (where not dry_run and state = 'failed'),
       count(*) filter (where not dry_run and state = 'skipped'),
       count(*) filter (where not dry_run and state = 'cancelled'),
       count(*) filter (where dry_run),
       count(*) filter (where out_of_sync),
       coalesce(array_agg(duration_bucket(ended_at - started_at)) filter (where not dry_run and state in ('succeeded', 'failed')), '{}'),
       coalesce(array_agg(reason) filter (where not dry_run and state = 'failed'), '{}')
  from (select *, date_trunc('minute', ended_at, 'UTC') as minute, date_trunc('hour', ended_at, 'UTC') as hour from run_history) as ended
 group by grouping sets ((minute), (hour, organization_id))
having grouping(organization_id) = 1 or organization_id is not null;

-- Puts the failed runs of a day, which was taken out of the history, back into it, and drops the rest.
create function retain_failed_run_history(old text, day date) returns void language plpgsql as $$
declare
    kept text := 'run_history_' || to_char(day, 'YYYY_MM_DD') || '_failed';
    columns text := (select string_agg(quote_ident(attname), ', ')
                       from pg_attribute
                      where attrelid = 'run_history'::regclass and attnum > 0 and not attisdropped and attgenerated = '');
begin
    execute format('create table %I (like run_history including all)', kept);
    execute format('insert into %I (%s) select %s from %I where state = %L', kept, columns, columns, old, 'failed');
    execute format('alter table run_history attach partition %I for values from (%L) to (%L)', kept,
                   run_id_floor(day::timestamp at time zone 'UTC'), run_id_floor((day + 1)::timestamp at time zone 'UTC'));
    execute format('drop table %I', old);
end
$$;

-- What a list can be limited to, each in the order of the ids. A run that did what most do, and was asked for by itself, is in few of them.
create index run_history_by_organization on run_history (organization_id, id) where organization_id is not null;
create index run_history_by_caller on run_history (caller, id);
create index run_history_by_state on run_history (state, id) where state <> 'succeeded';
create index run_history_by_reason on run_history (reason, id) where reason is not null;
create index run_history_out_of_sync on run_history (id) where out_of_sync;
create index run_history_dry on run_history (id) where dry_run;
create index run_history_gbp_to_platform on run_history (id) where strategy = 'gbp_to_platform';
drop index run_history_by_age;
drop index run_history_failure;
