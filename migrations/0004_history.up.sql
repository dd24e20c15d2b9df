-- The run history. The statement that ends a run moves it from `run` to `run_history`, so each run
-- is in exactly one of the two, and claims read a table that is as small as the queue.

-- Ended runs, in a partition for each day (UTC) on which runs were accepted.
--
-- There is no default partition: beside one, no other partition could be detached without a lock
-- that every reader waits for. A day gets its partition in advance, or from the first end that
-- misses it.
create table run_history (
    id uuid primary key,
    -- No foreign keys: history outlives its tenants and batches.
    tenant_id text collate "C" not null,
    organization_id text,
    batch_id uuid,

    strategy text not null
        constraint run_history_strategy_is_known check (strategy in ('platform_to_gbp', 'gbp_to_platform')),
    dry_run boolean not null,
    options jsonb,
    max_attempts integer not null,
    caller text not null,
    request_id text,

    state text not null
        constraint run_history_state_is_known check (state in ('succeeded', 'failed', 'skipped', 'cancelled')),
    revision bigint not null,
    cancel_requested boolean not null,

    fencing_token integer not null,
    uncounted_attempts integer not null,
    attempts jsonb not null,

    plan jsonb,
    out_of_sync boolean not null generated always as (plan is not null and plan -> 'changes' <> '[]') stored,
    -- The last attempt's intended write, if it is unknown whether it took effect.
    write_intent jsonb,
    written jsonb not null,
    created integer not null,
    updated integer not null,
    deleted integer not null,
    unmapped integer not null,
    reason text,
    error jsonb,

    created_at timestamptz not null,
    started_at timestamptz,
    attempt_started_at timestamptz,
    ended_at timestamptz not null,

    constraint run_history_uncounted_attempts_within_claims check (uncounted_attempts between 0 and fencing_token),
    constraint run_history_failed_has_reason check (state <> 'failed' or (reason is not null and error is not null)),
    constraint run_history_skipped_has_reason check (state <> 'skipped' or reason is not null),
    constraint run_history_dry_writes_nothing check (not dry_run or (written = '[]' and write_intent is null)),
    -- A run that wrote was neither skipped nor cancelled, and one whose write is unknown has
    -- failed.
    constraint run_history_written_has_effect check (written = '[]' or state in ('succeeded', 'failed')),
    constraint run_history_unknown_write_failed check (write_intent is null or state = 'failed')
) partition by range (id);

-- What a list can be limited to, each in the order of ids. Every end pays for each index that it is
-- in; an interactive run that succeeded and was in sync is in few of them.
create index run_history_by_tenant on run_history (tenant_id, id);
create index run_history_by_tenant_and_state on run_history (tenant_id, state, id) where state <> 'succeeded';
create index run_history_by_tenant_dry on run_history (tenant_id, id) where dry_run;
create index run_history_by_organization on run_history (organization_id, id) where organization_id is not null;
create index run_history_by_organization_and_state on run_history (organization_id, state, id)
    where state <> 'succeeded' and organization_id is not null;
create index run_history_by_organization_out_of_sync on run_history (organization_id, id)
    where out_of_sync and organization_id is not null;
create index run_history_by_batch on run_history (batch_id, id) where batch_id is not null;
create index run_history_by_caller on run_history (caller, id);
create index run_history_by_state on run_history (state, id) where state <> 'succeeded';
create index run_history_by_reason on run_history (reason, id) where reason is not null;
create index run_history_out_of_sync on run_history (id) where out_of_sync;
create index run_history_dry on run_history (id) where dry_run;
create index run_history_gbp_to_platform on run_history (id) where strategy = 'gbp_to_platform';
-- For the run feed, which reads the ends since its last poll, and for the newest failures of a
-- window.
create index run_history_by_end on run_history (ended_at);

create function reject_terminal_update() returns trigger language plpgsql as $$
begin
    raise exception 'run % is terminal and never changes', old.id
        using errcode = 'check_violation', constraint = 'run_terminal_is_final';
end
$$;

-- A trigger, because a check constraint cannot see the old row.
create trigger run_terminal_is_final before update on run_history for each row execute function reject_terminal_update();

-- All runs, live and ended. A statement sees each run once, because a run moves in one statement.
create view all_runs as
select id, tenant_id, organization_id, batch_id, strategy, dry_run, options, max_attempts, caller, request_id,
       state, revision, cancel_requested, next_attempt_at, fencing_token, uncounted_attempts, attempts,
       plan, plan is not null and plan -> 'changes' <> '[]' as out_of_sync, write_intent, written, created, updated, deleted,
       unmapped, reason, error, created_at, started_at, attempt_started_at, null::timestamptz as ended_at
  from run
union all
select id, tenant_id, organization_id, batch_id, strategy, dry_run, options, max_attempts, caller, request_id,
       state, revision, cancel_requested, null::timestamptz, fencing_token, uncounted_attempts, attempts,
       plan, out_of_sync, write_intent, written, created, updated, deleted,
       unmapped, reason, error, created_at, started_at, attempt_started_at, ended_at
  from run_history;

-- When a real run of a tenant and strategy last succeeded. Each attempt checks it for the cooldown.
-- It is a table of its own, because it outlives the history.
create table last_success (
    tenant_id text collate "C" not null,
    strategy text not null,
    ended_at timestamptz not null,
    -- The location of that run. A tenant that moved has not succeeded at its new location yet.
    gbp_location text,
    primary key (tenant_id, strategy)
) with (fillfactor = 80);

-- A tenant that is created again under the same id has no success. This is a trigger and not a
-- foreign key, because the end of a run must not lock its tenant.
create function delete_last_success() returns trigger language plpgsql as $$
begin
    delete from last_success where tenant_id = old.id;
    return null;
end
$$;

create trigger delete_last_success after delete on tenant for each row execute function delete_last_success();
