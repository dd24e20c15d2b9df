-- Without the triggers of the partitions, counted days miss late ends. So the days are counted
-- again after the next upgrade.
drop function count_late_run() cascade;
truncate tenant_rollup;
update tenant_rollup_watermark set day = null, counted_to = null;
drop function reduce_run_history_partition(text, date, integer, text);
drop function roll_up_next_chunk(date, integer);
drop function ensure_run_history_partition(date);
drop function configure_run_history_partition(text, date);
drop function is_run_history_partition(text);
