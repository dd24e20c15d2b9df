drop trigger run_is_counted_by_its_batch on run_history;
drop function batch_counts_ends();
-- A view keeps its columns: only one that is made anew has fewer.
drop view every_run;
create view every_run as
select id, tenant_id, organization_id, strategy, dry_run, state, revision, attempt, handed_back, max_attempts, due_at,
       cancel_requested, plan, plan is not null and plan -> 'changes' <> '[]' as found_differences, intent, attempts,
       written, created, updated, deleted, skipped, reason, error, caller, request_id, created_at, started_at, attempted_at,
       null::timestamptz as ended_at, orders
  from run
union all
select id, tenant_id, organization_id, strategy, dry_run, state, revision, attempt, handed_back, max_attempts, null::timestamptz,
       cancel_requested, plan, found_differences, intent, attempts,
       written, created, updated, deleted, skipped, reason, error, caller, request_id, created_at, started_at, attempted_at,
       ended_at, orders
  from run_history;
drop index run_by_batch, run_history_by_batch;
alter table run
    drop column let_through,
    drop column batch_id;
alter table run_history drop column batch_id;
drop table batch_work;
drop table batch;
