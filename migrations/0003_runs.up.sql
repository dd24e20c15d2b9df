-- Live runs. The table is the queue and the state machine: the lease is a column, the fencing token
-- is the fence, and the constraints are the machine. A run that ends moves to `run_history`.

-- An id for a time: a UUIDv7 (RFC 9562, section 6.2, method 3). The 12 bits after the version are
-- the fraction of the millisecond, the next 14 bits are `nth`, which orders the ids of one
-- statement. The database creates the ids of everything that is accepted, because the clocks of
-- servers differ and ids decide what is newest, what is in a window and where a stream resumes.
create function run_id_at(at timestamptz, nth bigint) returns uuid language sql volatile parallel safe as $$
    select (lpad(to_hex((date_part('epoch', at) * 1000000)::bigint / 1000), 12, '0')
            || '7' || lpad(to_hex((date_part('epoch', at) * 1000000)::bigint % 1000 * 4096 / 1000), 3, '0')
            || to_hex(32768 + nth % 16384)
            || right(gen_random_uuid()::text, 12))::uuid
$$;

-- The lowest id of a time. Immutable, because seconds since 1970 depend on no time zone.
create function run_id_floor(at timestamptz) returns uuid language sql immutable strict parallel safe as $$
    select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- The time of an id, to the millisecond.
create function run_id_time(id uuid) returns timestamptz language sql immutable strict parallel safe as $$
    select to_timestamp(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
$$;

create table run (
    id uuid primary key,
    -- No foreign key: runs outlive their tenant.
    tenant_id text collate "C" not null,
    organization_id text,
    -- No foreign key: most runs have no batch, and every accepted run would pay for the check.
    batch_id uuid,

    -- The request.
    strategy text not null constraint run_strategy_is_known check (strategy in ('platform_to_gbp', 'gbp_to_platform')),
    dry_run boolean not null,
    -- A plan to apply, a run to revert, guards to override, a decision to execute. One value that
    -- is null for most runs, because accepting a plain run must not pay for these.
    options jsonb constraint run_override_has_reason
        check (options is null or (options ? 'overridden_guards') = (options ? 'override_reason')),
    max_attempts integer not null constraint run_max_attempts_is_positive check (max_attempts > 0),
    caller text not null,
    request_id text,
    -- When a request last joined the run, by the database's clock. An attempt that read its source
    -- at or before this time can neither begin a write nor end the run: it is queued and plans
    -- again.
    joined_at timestamptz,
    -- The caller's trace (W3C `traceparent`, `tracestate`), which attempts continue on any server.
    traceparent text constraint run_traceparent_is_valid check (traceparent ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$'),
    tracestate text constraint run_tracestate_is_bounded check (length(tracestate) <= 512),

    -- The state machine.
    state text not null constraint run_state_is_known check (state in ('queued', 'running')),
    -- Grows with each change that callers can see.
    revision bigint not null default 1,
    cancel_requested boolean not null default false,

    -- The place in the ready queue. Interactive runs are claimed before bulk ones, and these by
    -- rank: each round has one run of each fairness key, so that a key with 100,000 runs takes
    -- turns with a key of one. A tenant without an organization needs no key, because it has one
    -- live run.
    bulk boolean not null default false,
    fairness_key text collate "C",
    fairness_rank bigint not null default 0,
    -- Null: the run is in the ready queue, or running. Otherwise it is delayed until this time.
    next_attempt_at timestamptz,

    -- Attempts. The fencing token grows with each claim and never shrinks, so a write that names it
    -- can only be the lease holder's.
    fencing_token integer not null default 0,
    lease_expires_at timestamptz,
    -- The claim that the run was last claimed by; null if it was returned. A server that received
    -- no answer to a claim releases what it may have claimed, instead of leaving it until the lease
    -- ends.
    claim_id uuid,
    -- Bounded, because a run that crashes its servers has to end.
    lease_expirations integer not null default 0,
    -- Claims that do not use up `max_attempts`: the run was released, its lease expired, or Google
    -- was failing for all locations.
    uncounted_attempts integer not null default 0,
    -- The ended attempts, except for the one that ends the run, which the run itself records.
    attempts jsonb not null default '[]',

    -- What the attempts found and did.
    plan jsonb,
    -- What an attempt observed of both sides before its write, so that a later attempt can record
    -- it.
    observation jsonb,
    -- The intended write, kept until it is known whether it succeeded.
    write_intent jsonb,
    written jsonb not null default '[]',
    created integer not null default 0,
    updated integer not null default 0,
    deleted integer not null default 0,
    unmapped integer not null default 0,
    reason text,
    error jsonb,

    -- Which reservations of its batch the run has: a write, a change of a primary category, an
    -- overridden guard. A later attempt adds what it needs beyond these, so that no batch writes
    -- more than was confirmed.
    batch_write_reserved boolean not null default false,
    batch_primary_write_reserved boolean not null default false,
    batch_override_reserved boolean not null default false,

    created_at timestamptz not null,
    -- When the first, and when the current or last attempt started.
    started_at timestamptz,
    attempt_started_at timestamptz,

    constraint run_lease_while_running check ((state = 'running') = (lease_expires_at is not null)),
    constraint run_uncounted_attempts_within_claims check (uncounted_attempts between 0 and fencing_token),
    constraint run_dry_writes_nothing check (not dry_run or (written = '[]' and write_intent is null))
)
-- Rows come and go constantly. Each page has room for the next version of its rows, and vacuum goes
-- by the number of dead rows, however large the table is, without pauses.
with (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 5000,
    toast.autovacuum_vacuum_cost_delay = 0
);

-- Each run pays for its indexes when it is accepted, claimed and ended, so there are only those
-- that claims, leases and the one live run of a tenant need.
create unique index run_one_live_a_tenant on run (tenant_id);
create index run_ready on run (bulk, fairness_rank, id) where state = 'queued' and next_attempt_at is null;
create index run_ready_by_fairness_key on run (fairness_key, bulk, fairness_rank)
    where state = 'queued' and next_attempt_at is null and fairness_key is not null;
create index run_delayed on run (next_attempt_at) where state = 'queued' and next_attempt_at is not null;
-- By id and not by the lease's end: so a renewal of leases changes no index.
create index run_running on run (id) where state = 'running';
create index run_by_batch on run (batch_id, id) where batch_id is not null;

-- The fairness rank of the run that is claimed next; no row: the ready queue has none of this kind.
-- The planner inlines this function and the next two.
create function first_ready_rank(is_bulk boolean) returns setof bigint language sql stable parallel safe rows 1 as $$
    select fairness_rank from run
     where state = 'queued' and next_attempt_at is null and bulk = is_bulk
     order by fairness_rank, id
     limit 1
$$;

-- The highest fairness rank of the ready runs of a key; no row: it has none.
create function last_ready_rank(key text, is_bulk boolean) returns setof bigint language sql stable parallel safe rows 1 as $$
    select fairness_rank from run
     where state = 'queued' and next_attempt_at is null and fairness_key = key and bulk = is_bulk
     order by fairness_rank desc
     limit 1
$$;

-- The fairness rank of an interactive run that enters the ready queue now: in the round after the
-- one that is being claimed, or after the last run of its key. A key that is null has no other run.
create function next_interactive_rank(key text) returns setof bigint language sql stable parallel safe rows 1 as $$
    select 1 + greatest((select rank from first_ready_rank(false) as rank),
                        (select rank from last_ready_rank(key, false) as rank),
                        0)
$$;

-- Appends an ended attempt and keeps the newest 50: an outage of days must not create a row of
-- megabytes.
create function append_attempt(attempts jsonb, claim_number integer, started_at timestamptz, ended_at timestamptz, state text,
                               error jsonb)
returns jsonb language sql immutable parallel safe as $$
    select case when jsonb_array_length(attempts) < 50 then attempts else attempts - 0 end
           || jsonb_build_array(jsonb_build_object('claim_number', claim_number, 'started_at', started_at, 'ended_at', ended_at,
                                                   'state', state, 'error', error))
$$;

-- The recorded responses to requests with a request id, kept for 24 hours.
create table idempotency_key (
    -- The first half of the SHA-256 of caller and request id: 16 bytes, whatever the caller sends.
    key uuid primary key,
    -- The first half of the SHA-256 of the request's arguments.
    fingerprint uuid not null,
    -- The run or the batch.
    result_id uuid not null,
    joined boolean not null,
    created_at timestamptz not null
);

-- Only the deletion of old keys goes by age. Rows lie in that order, so a BRIN index is enough;
-- each accepted run would pay for a B-tree.
create index idempotency_key_by_age on idempotency_key using brin (created_at) with (pages_per_range = 16, autosummarize = on);
