drop index platform_category_by_gcid;
alter table platform_category drop column imported_locale;
drop view every_run;
alter table run drop column orders;
alter table run_history drop column orders;
create view every_run as
select id, tenant_id, organization_id, strategy, dry_run, state, revision, attempt, handed_back, max_attempts, due_at,
       cancel_requested, plan, plan is not null and plan -> 'changes' <> '[]' as found_differences, intent, attempts,
       written, created, updated, deleted, skipped, reason, error, caller, request_id, created_at, started_at, attempted_at,
       null::timestamptz as ended_at
  from run
union all
select id, tenant_id, organization_id, strategy, dry_run, state, revision, attempt, handed_back, max_attempts, null::timestamptz,
       cancel_requested, plan, found_differences, intent, attempts,
       written, created, updated, deleted, skipped, reason, error, caller, request_id, created_at, started_at, attempted_at,
       ended_at
  from run_history;
