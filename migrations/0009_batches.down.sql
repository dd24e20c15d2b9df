drop trigger run_history_count_batch on run_history;
drop function count_ended_batch_runs();
-- A view keeps its columns: only one that is made anew has fewer.
drop view all_runs;
create view all_runs as
select id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, next_attempt_at,
       cancel_requested, plan, plan is not null and plan -> 'changes' <> '[]' as out_of_sync, write_intent, attempts,
       written, created, updated, deleted, unmapped, reason, error, caller, request_id, created_at, started_at, attempt_started_at,
       null::timestamptz as ended_at, options
  from run
union all
select id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, null::timestamptz,
       cancel_requested, plan, out_of_sync, write_intent, attempts,
       written, created, updated, deleted, unmapped, reason, error, caller, request_id, created_at, started_at, attempt_started_at,
       ended_at, options
  from run_history;
drop index run_by_batch, run_history_by_batch;
alter table run
    drop column batch_write_reserved,
    drop column batch_id;
alter table run_history drop column batch_id;
drop table batch_expansion;
drop table batch;
