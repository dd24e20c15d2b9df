-- What a run was asked for beyond its strategy: a plan to apply, a run to take back, guards to override. And categories that came from Google.

alter table run
    -- Null: nothing. One value, because most runs have none, and what is accepted most often shall not pay for more.
    add column options jsonb,
    add constraint run_override_has_reason check (options is null or (options ? 'overridden_guards') = (options ? 'override_reason'));
alter table run_history
    add column options jsonb;
create or replace view all_runs as
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

alter table platform_category
    -- The language and region of the name that Google gave it, such as en-US. Null: it is the platform's own.
    add column imported_locale text
        constraint platform_category_imported_is_mapped check (imported_locale is null or gcid is not null);

-- From Google's side to the platform's.
create index platform_category_by_gcid on platform_category (gcid) where gcid is not null;
