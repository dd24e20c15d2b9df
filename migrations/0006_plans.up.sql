-- What a run was asked for beyond its strategy: a plan to apply, a run to take back, guards to lift. And categories that came from Google.

alter table run
    -- Null: nothing. One value, because most runs have none, and what is accepted most often shall not pay for more.
    add column orders jsonb,
    add constraint run_override_gives_a_reason check (orders is null or (orders ? 'override_guards') = (orders ? 'reason'));
alter table run_history
    add column orders jsonb;
create or replace view every_run as
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

alter table platform_category
    -- The language and region of the name that Google gave it, such as en-US. Null: it is the platform's own.
    add column imported_locale text
        constraint platform_category_imported_stands_for_something check (imported_locale is null or gcid is not null);

-- From Google's side to the platform's.
create index platform_category_by_gcid on platform_category (gcid) where gcid is not null;
