-- The history: a run that ends moves from `run`, which holds live runs only, to `run_history`, in the statement that ends it. So each run
-- is in one of the two, and what claims look at is as small as what is queued, however long the history is.

-- The lowest id of a time. Ids are UUIDv7: the first 48 bits are the milliseconds. Immutable: seconds since 1970 depend on no time zone.
create function run_id_floor(at timestamptz) returns uuid language sql immutable strict parallel safe as $$
    select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- The time of an id.
create function run_id_time(id uuid) returns timestamptz language sql immutable strict parallel safe as $$
    select to_timestamp(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint / 1000.0)
$$;

-- Ended runs, a partition for each day (UTC) on which runs were accepted.
--
-- No partition is the default one: beside such a one no other can be taken away without a lock that everybody waits for. A day that has
-- none gets it ahead of its time, or at the latest from the first end that misses it; see `ensure_run_history_partition`.
create table run_history (
    id uuid primary key,
    -- No foreign key: history outlives its tenant.
    tenant_id text collate "C" not null,
    organization_id text,
    strategy text not null constraint run_history_strategy_is_known check (strategy in ('platform_to_gbp', 'gbp_to_platform')),
    dry_run boolean not null,
    state text not null constraint run_history_state_is_known check (state in ('succeeded', 'failed', 'skipped', 'cancelled')),
    revision bigint not null,
    fencing_token integer not null,
    uncounted_attempts integer not null,
    max_attempts integer not null,
    cancel_requested boolean not null,
    plan jsonb,
    out_of_sync boolean not null generated always as (plan is not null and plan -> 'changes' <> '[]') stored,
    -- What the last attempt was about to write, where nobody lived to tell whether it did.
    write_intent jsonb,
    attempts jsonb not null,
    written jsonb not null,
    created integer not null,
    updated integer not null,
    deleted integer not null,
    unmapped integer not null,
    reason text,
    error jsonb,
    caller text not null,
    request_id text,
    created_at timestamptz not null,
    started_at timestamptz,
    attempt_started_at timestamptz,
    ended_at timestamptz not null,
    constraint run_history_uncounted_attempts_within_claims check (uncounted_attempts between 0 and fencing_token),
    constraint run_history_failed_has_reason check (state <> 'failed' or (reason is not null and error is not null)),
    constraint run_history_skipped_has_reason check (state <> 'skipped' or reason is not null),
    constraint run_history_dry_writes_nothing check (not dry_run or (written = '[]' and write_intent is null))
) partition by range (id);

-- Each index is paid for by every end.
create index run_history_by_tenant on run_history (tenant_id, id);
create index run_history_by_end on run_history (ended_at);
-- The rows lie in the order of their age.
create index run_history_by_age on run_history using brin (created_at) with (pages_per_range = 16, autosummarize = on);
create index run_history_failure on run_history (id) where state = 'failed' and not dry_run;

create trigger run_terminal_is_final before update on run_history for each row execute function reject_terminal_update();

-- Makes the partition of a day, unless it is there. Nobody who reads or ends runs waits for it.
create function ensure_run_history_partition(day date) returns void language plpgsql as $$
declare
    base text := 'run_history_' || to_char(day, 'YYYY_MM_DD');
    name text := base;
begin
    for look in 1..2 loop
        if exists (select from pg_inherits
                     join pg_class on pg_class.oid = inhrelid
                    where inhparent = 'run_history'::regclass and not inhdetachpending and starts_with(relname, base)) then
            return;
        end if;
        -- One at a time, and a second check: somebody else may just have made it.
        lock table run_history in share update exclusive mode;
    end loop;
    -- One that was taken away, and is not dropped yet, has the name still.
    if to_regclass(name) is not null then
        name := base || '_' || txid_current();
    end if;
    execute format('create table %I (like run_history including all)', name);
    execute format('alter table run_history attach partition %I for values from (%L) to (%L)', name,
                   run_id_floor(day::timestamp at time zone 'UTC'), run_id_floor((day + 1)::timestamp at time zone 'UTC'));
end
$$;

-- When a real run of a tenant and strategy last succeeded: the cooldown asks for it before every attempt, and it outlives the history.
create table last_success (
    tenant_id text collate "C" not null,
    strategy text not null,
    ended_at timestamptz not null,
    primary key (tenant_id, strategy)
) with (fillfactor = 80);

alter table run
    -- The attempts that are over, but for the one that ended the run, which the run itself tells of.
    add column attempts jsonb not null default '[]',
    -- When the attempt under way or made last began.
    add column attempt_started_at timestamptz;

-- What has ended moves.
select ensure_run_history_partition(day) from (
    select distinct (run_id_time(id) at time zone 'UTC')::date as day from run where ended_at is not null
) as days;
insert into run_history (id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts,
                         cancel_requested, plan, write_intent, attempts, written, created, updated, deleted, unmapped, reason, error,
                         caller, request_id, created_at, started_at, attempt_started_at, ended_at)
select id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts,
       cancel_requested, plan, write_intent, attempts, written, created, updated, deleted, unmapped, reason, error,
       caller, request_id, created_at, started_at, attempt_started_at, ended_at
  from run
 where ended_at is not null;
insert into last_success (tenant_id, strategy, ended_at)
select tenant_id, strategy, max(ended_at) from run where state = 'succeeded' and not dry_run group by tenant_id, strategy;
delete from run where ended_at is not null;

-- What is live stays. The indexes are those that claims, leases and the one live run of a tenant need.
drop trigger run_terminal_is_final on run;
drop index run_by_tenant, run_by_age, run_success, run_ended, run_failure, run_one_live_a_tenant;
alter table run
    drop constraint run_state_is_known,
    drop constraint run_end_when_terminal,
    drop constraint run_failed_has_reason,
    drop constraint run_skipped_has_reason,
    drop column ended_at,
    drop column out_of_sync,
    add constraint run_state_is_known check (state in ('queued', 'running'));
create unique index run_one_live_a_tenant on run (tenant_id);
-- Rows come and go all the time: a page keeps room for the next version of its rows, and what is gone is cleared away by its number,
-- however large the table is, without pauses.
alter table run set (
    fillfactor = 80,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0,
    toast.autovacuum_vacuum_threshold = 5000,
    toast.autovacuum_vacuum_cost_delay = 0
);

-- Runs, wherever they are. One statement sees each run once: it moves in one.
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
