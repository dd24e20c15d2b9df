drop index platform_category_by_gcid;
alter table platform_category drop column imported_locale;
drop view all_runs;
alter table run drop column options;
alter table run_history drop column options;
create view all_runs as
select id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, next_attempt_at,
       cancel_requested, plan, plan is not null and plan -> 'changes' <> '[]' as out_of_sync, write_intent, attempts,
       written, created, updated, deleted, unmapped, reason, error, caller, request_id, created_at, started_at, attempt_started_at,
       null::timestamptz as ended_at
  from run
union all
select id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, null::timestamptz,
       cancel_requested, plan, out_of_sync, write_intent, attempts,
       written, created, updated, deleted, unmapped, reason, error, caller, request_id, created_at, started_at, attempt_started_at,
       ended_at
  from run_history;
