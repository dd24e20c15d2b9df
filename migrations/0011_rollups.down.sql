create index run_history_failure on run_history (id) where state = 'failed' and not dry_run;
create index run_history_by_age on run_history using brin (created_at) with (pages_per_range = 16, autosummarize = on);
drop index run_history_by_organization, run_history_by_caller, run_history_by_state, run_history_by_reason,
    run_history_out_of_sync, run_history_dry, run_history_gbp_to_platform;
drop function retain_failed_run_history(text, date);
drop table rollup;
drop table rollup_delta;
drop function append_attempt(jsonb, integer, timestamptz, timestamptz, text, jsonb);
drop function sum_counts(jsonb, jsonb);
drop function duration_bucket(interval);
