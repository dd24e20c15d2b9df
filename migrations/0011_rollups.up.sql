-- Counts of ended runs, kept as they end, so that statistics cost the same however long the history is; and what lists of it go by.

-- The duration of a run as the number of a bin: four bins for each doubling, from 1 ms on. So a quantile is known to within a tenth.
create function duration_bin(duration interval) returns smallint language sql immutable parallel safe as $$
    select least(greatest(floor(4 * ln(greatest(date_part('epoch', duration) * 1000, 1)) / ln(2::float8)), 0), 127)::smallint
$$;

-- The sum of two tallies, objects of counts.
create function tally_sum(one jsonb, other jsonb) returns jsonb language sql immutable parallel safe as $$
    select coalesce(jsonb_object_agg(key, count), '{}')
      from (select key, sum(value::bigint) as count
              from (select * from jsonb_each_text(one) union all select * from jsonb_each_text(other)) as counts
             group by key) as sums
$$;

-- The attempts of a run with one more that is over, the newest 50: an outage of days must not make a row of megabytes.
create function attempts_with(attempts jsonb, number integer, began_at timestamptz, ended_at timestamptz, result text, error jsonb)
returns jsonb language sql immutable parallel safe as $$
    select case when jsonb_array_length(attempts) < 50 then attempts else attempts - 0 end
           || jsonb_build_array(jsonb_build_object('number', number, 'began_at', began_at, 'ended_at', ended_at,
                                                   'result', result, 'error', error))
$$;

-- What each statement that ends runs adds, in the same transaction: a row for all of them, and one for each organization among them.
-- Only inserted and taken away, so that those who end runs at the same time never wait for each other.
create table rollup_delta (
    -- Empty: all runs. Else an organization.
    scope text collate "C" not null,
    minute timestamptz not null,
    succeeded integer not null,
    failed integer not null,
    skipped integer not null,
    cancelled integer not null,
    dry integer not null,
    out_of_sync integer not null,
    -- The bin of each real run that succeeded or failed.
    durations smallint[] not null,
    -- The reason of each real run that failed.
    reasons text[] not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

-- The same, summed by minutes, hours and days (UTC), each of them whole. With the deltas that are not in it yet, it counts every end once.
create table rollup (
    scope text collate "C" not null,
    grain text collate "C" not null constraint rollup_grain_is_known check (grain in ('minute', 'hour', 'day')),
    begin_at timestamptz not null,
    succeeded bigint not null,
    failed bigint not null,
    skipped bigint not null,
    cancelled bigint not null,
    dry bigint not null,
    out_of_sync bigint not null,
    durations jsonb not null,
    reasons jsonb not null,
    primary key (scope, grain, begin_at)
) with (fillfactor = 70);

create index rollup_by_age on rollup (grain, begin_at);

-- What has ended so far, to be summed up like everything else.
insert into rollup_delta (scope, minute, succeeded, failed, skipped, cancelled, dry, out_of_sync, durations, reasons)
select coalesce(organization_id, ''), minute,
       count(*) filter (where not dry_run and state = 'succeeded'),
       count(*) filter (where not dry_run and state = 'failed'),
       count(*) filter (where not dry_run and state = 'skipped'),
       count(*) filter (where not dry_run and state = 'cancelled'),
       count(*) filter (where dry_run),
       count(*) filter (where found_differences),
       coalesce(array_agg(duration_bin(ended_at - started_at)) filter (where not dry_run and state in ('succeeded', 'failed')), '{}'),
       coalesce(array_agg(reason) filter (where not dry_run and state = 'failed'), '{}')
  from (select *, date_trunc('minute', ended_at, 'UTC') as minute from run_history) as ended
 group by grouping sets ((minute), (minute, organization_id))
having grouping(organization_id) = 1 or organization_id is not null;

-- Puts the failed runs of a day, which was taken out of the history, back into it, and drops the rest.
create function run_history_keep_failed(old text, day date) returns void language plpgsql as $$
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
create index run_history_out_of_sync on run_history (id) where found_differences;
create index run_history_dry on run_history (id) where dry_run;
create index run_history_gbp_to_platform on run_history (id) where strategy = 'gbp_to_platform';
drop index run_history_by_age;
drop index run_history_failure;
