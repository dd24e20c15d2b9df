-- Long windows at the price of short ones: of many sums, durations and reasons are what takes long to read. So they are summed by weeks
-- too, and by ten minutes for windows that begin within an hour.

-- However many sums and runs there are by now.
set local statement_timeout = 0;

-- An older server that still runs sums up nothing any more, because it would leave the new sums out: it knows a function by its old name.
-- What ends there is counted all the same, and summed up by the others. One that is summing up now is waited for.
lock table rollup in access exclusive mode;
alter function sum_counts(jsonb, jsonb) rename to add_counts;

alter table rollup
    drop constraint rollup_grain_is_known,
    add constraint rollup_grain_is_known check (grain in ('minute', 'ten_minutes', 'hour', 'day', 'week'));

-- The begin (UTC) of the sum of a grain that has a moment in it. Weeks begin on Mondays.
create function rollup_start(grain text, moment timestamptz) returns timestamptz language sql stable parallel safe as $$
    select case grain when 'ten_minutes' then date_bin('10 minutes', moment, 'epoch') else date_trunc(grain, moment, 'UTC') end
$$;

create aggregate sum_counts(jsonb) (sfunc = add_counts, stype = jsonb, initcond = '{}');
insert into rollup (scope, grain, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync, duration_histogram, failure_reason_counts)
select scope, coarse.grain, rollup_start(coarse.grain, start_at), sum(succeeded), sum(failed), sum(skipped), sum(cancelled), sum(dry_runs),
       sum(out_of_sync), sum_counts(duration_histogram), sum_counts(failure_reason_counts)
  from rollup
  join (values ('minute', 'ten_minutes'), ('day', 'week')) as coarse (made_of, grain) on rollup.grain = made_of
 group by 1, 2, 3;
drop aggregate sum_counts(jsonb);
