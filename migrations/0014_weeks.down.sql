drop index run_history_by_tenant_dry;

delete from rollup where grain in ('ten_minutes', 'week');
alter table rollup
    drop constraint rollup_grain_is_known,
    add constraint rollup_grain_is_known check (grain in ('minute', 'hour', 'day'));
drop function rollup_begin(text, timestamptz);
alter function tallies_added(jsonb, jsonb) rename to tally_sum;
