-- Servers that know of weeks are to be stopped first: they would count on, but show durations and reasons of a part of a window only.

-- However many sums there are by now.
set local statement_timeout = 0;

-- A server that is summing up now is waited for: it would add sums that the older schema does not know.
lock table rollup in access exclusive mode;
delete from rollup where grain in ('ten_minutes', 'week');
alter table rollup
    drop constraint rollup_grain_is_known,
    add constraint rollup_grain_is_known check (grain in ('minute', 'hour', 'day'));
drop function rollup_start(text, timestamptz);
alter function add_counts(jsonb, jsonb) rename to sum_counts;
