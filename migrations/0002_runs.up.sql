-- Runs: the table is the queue, the history and the state machine.
-- The lease is a column, the fencing token fences, the constraints are the machine.

create table run (
    -- A UUIDv7, so ids sort by the time of acceptance.
    id uuid primary key,
    -- No foreign key: history outlives its tenant.
    tenant_id text collate "C" not null,
    organization_id text,
    strategy text not null constraint run_strategy_is_known check (strategy in ('platform_to_gbp', 'gbp_to_platform')),
    dry_run boolean not null,

    state text not null constraint run_state_is_known
        check (state in ('queued', 'running', 'succeeded', 'failed', 'skipped', 'cancelled')),
    revision bigint not null default 1,
    -- Grows with every claim and never shrinks, so a write that names it can only be the holder's.
    fencing_token integer not null default 0,
    -- Claims that a shutdown or a crash of ours cut short; the attempts that count are attempt - handed_back.
    uncounted_attempts integer not null default 0,
    max_attempts integer not null check (max_attempts > 0),
    -- When the next attempt may begin; without meaning once the run is claimed.
    next_attempt_at timestamptz not null,
    lease_expires_at timestamptz,
    cancel_requested boolean not null default false,

    plan jsonb,
    out_of_sync boolean not null generated always as (plan is not null and plan -> 'changes' <> '[]') stored,
    -- What an attempt set out to write, kept until it is known whether the write took effect.
    write_intent jsonb,
    written jsonb not null default '[]',
    created integer not null default 0,
    updated integer not null default 0,
    deleted integer not null default 0,
    unmapped integer not null default 0,
    reason text,
    error jsonb,

    caller text not null,
    request_id text,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,

    constraint run_lease_while_running check ((state = 'running') = (lease_expires_at is not null)),
    constraint run_end_when_terminal check ((state in ('queued', 'running')) = (ended_at is null)),
    constraint run_uncounted_attempts_within_claims check (uncounted_attempts between 0 and fencing_token),
    constraint run_failed_has_reason check (state <> 'failed' or (reason is not null and error is not null)),
    constraint run_skipped_has_reason check (state <> 'skipped' or reason is not null),
    constraint run_dry_writes_nothing check (not dry_run or (written = '[]' and write_intent is null))
);

-- One live run a tenant, whoever asks and however many servers there are.
create unique index run_one_live_a_tenant on run (tenant_id) where state in ('queued', 'running');
create index run_by_next_attempt on run (next_attempt_at, id) where state = 'queued';
create index run_lease on run (lease_expires_at) where state = 'running';
create index run_by_tenant on run (tenant_id, strategy, id);
create index run_by_age on run (created_at);
create index run_by_strategy on run (strategy, id);
-- The cooldown, and the last success.
create index run_success on run (tenant_id, strategy, ended_at) where state = 'succeeded' and not dry_run;
create index run_ended on run (ended_at) where ended_at is not null;
create index run_failure on run (id) where state = 'failed' and not dry_run;

create function reject_terminal_update() returns trigger language plpgsql as $$
begin
    raise exception 'run % is terminal and never changes', old.id using errcode = 'check_violation', constraint = 'run_terminal_is_final';
end
$$;

-- A check constraint cannot see the old row. The condition is evaluated without calling the function.
create trigger run_terminal_is_final before update on run
    for each row when (old.ended_at is not null) execute function reject_terminal_update();

-- First answers by request id, per caller, for 24 hours.
create table idempotency_key (
    -- The first half of the SHA-256 of caller and request id: a key of 16 bytes, whatever a caller sends.
    key uuid primary key,
    -- The first half of the SHA-256 of the arguments.
    fingerprint uuid not null,
    result_id uuid not null,
    joined boolean not null,
    created_at timestamptz not null
);

-- Only forgetting asks for the age. The rows lie in its order, and every accepted run would pay for a tree.
create index idempotency_key_by_age on idempotency_key using brin (created_at) with (pages_per_range = 16, autosummarize = on);
