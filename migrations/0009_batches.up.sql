-- Batches: many runs made by one request.
--
-- A batch is one small row, whatever it touches. Its runs are made a chunk at a time, by whichever server has a moment: the row of
-- `batch_expansion` is claimed with a row lock, and its cursor moves in the transaction that makes the runs. Nobody owns a batch, so nobody's
-- death stops it, and none of its runs is made twice or left out.

create table batch (
    -- A UUIDv7, so ids sort by the time of acceptance.
    id uuid primary key,
    -- Null: every tenant.
    organization_id text collate "C",
    strategy text not null constraint batch_strategy_is_known check (strategy in ('platform_to_gbp', 'gbp_to_platform')),
    dry_run boolean not null,
    -- The tenants that the caller may see; null: all. Others do not exist for the batch either.
    visible_tenants text[],
    -- The feature flag as it was then: whom it was on for is whom the batch touches.
    flag_at_acceptance jsonb not null,
    -- How many tenants it touches: counted, and confirmed, when it was accepted. What happens to tenants later makes it no larger.
    tenants bigint not null constraint batch_has_tenants check (tenants > 0),
    without_location bigint not null,
    disabled bigint not null,
    max_attempts integer not null,

    -- How many runs may change something, and how many the primary category; null: any number.
    max_changes bigint,
    max_primary_changes bigint,
    overridden_guards text[] not null,
    -- How many runs were let through to a write.
    changes_reserved bigint not null default 0,
    primary_changes_reserved bigint not null default 0,

    -- Runs made, and those of them that ended.
    runs_created bigint not null default 0,
    succeeded bigint not null default 0,
    failed bigint not null default 0,
    skipped bigint not null default 0,
    joined bigint not null default 0,
    cancelled bigint not null default 0,
    runs_ended bigint not null generated always as (succeeded + failed + skipped + joined + cancelled) stored,
    -- Of the ended ones: those that found differences, and those that found another primary category.
    out_of_sync bigint not null default 0,
    primary_changes bigint not null default 0,
    created bigint not null default 0,
    updated bigint not null default 0,
    deleted bigint not null default 0,
    unmapped bigint not null default 0,

    caller text not null,
    request_id text,
    override_reason text not null,
    created_at timestamptz not null,
    cancel_requested_at timestamptz,
    -- When the last of its runs was made, or it was cancelled before that.
    expanded_at timestamptz,
    ended_at timestamptz,

    constraint batch_runs_within_tenants check (runs_created <= tenants),
    constraint batch_ended_within_created check (runs_ended <= runs_created),
    constraint batch_changes_within_limits check (changes_reserved <= max_changes and primary_changes_reserved <= max_primary_changes),
    constraint batch_ended_has_no_live_runs check (ended_at is null or (expanded_at is not null and runs_ended = runs_created))
) with (fillfactor = 50);

-- What is left to do of a batch: runs to make, or to cancel.
create table batch_expansion (
    batch_id uuid primary key references batch (id),
    -- The last tenant that was looked at.
    cursor text collate "C" not null default '',
    -- Batches take turns.
    last_chunk_at timestamptz not null
);

alter table run
    add column batch_id uuid,
    -- Its batch has let it through to a write; a later attempt does not count again.
    add column batch_write_reserved boolean not null default false;

alter table run_history add column batch_id uuid;

-- Runs of no batch, which are most, pay for neither.
create index run_by_batch on run (batch_id, id) where batch_id is not null;
create index run_history_by_batch on run_history (batch_id, id) where batch_id is not null;

create or replace view all_runs as
select id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, next_attempt_at,
       cancel_requested, plan, plan is not null and plan -> 'changes' <> '[]' as out_of_sync, write_intent, attempts,
       written, created, updated, deleted, unmapped, reason, error, caller, request_id, created_at, started_at, attempt_started_at,
       null::timestamptz as ended_at, options, batch_id
  from run
union all
select id, tenant_id, organization_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts, max_attempts, null::timestamptz,
       cancel_requested, plan, out_of_sync, write_intent, attempts,
       written, created, updated, deleted, unmapped, reason, error, caller, request_id, created_at, started_at, attempt_started_at,
       ended_at, options, batch_id
  from run_history;

-- The one place where ends are counted, so that no way to end a run can forget it. The runs are deleted already; batches are locked in one
-- order for all, because whoever ends runs ends some of several batches at once. A statement that ends runs of no batch goes no further
-- than the first look at them. Batches are named by an array, which an index is good for whatever else the planner is told.
create function count_ended_batch_runs() returns trigger language plpgsql as $$
declare
    batches uuid[] := array(select distinct batch_id from ended where batch_id is not null);
begin
    if batches = '{}' then
        return null;
    end if;
    perform 1 from batch where id = any (batches) order by id for update;
    update batch
       set succeeded = batch.succeeded + counted.succeeded,
           failed = batch.failed + counted.failed,
           skipped = batch.skipped + counted.skipped,
           joined = batch.joined + counted.joined,
           cancelled = batch.cancelled + counted.cancelled,
           out_of_sync = batch.out_of_sync + counted.out_of_sync,
           primary_changes = batch.primary_changes + counted.primary_changes,
           created = batch.created + counted.created,
           updated = batch.updated + counted.updated,
           deleted = batch.deleted + counted.deleted,
           unmapped = batch.unmapped + counted.unmapped,
           ended_at = case when batch.expanded_at is not null and batch.runs_ended + counted.runs = batch.runs_created then counted.ended_at end
      from (select batch_id,
                   count(*) as runs,
                   count(*) filter (where state = 'succeeded') as succeeded,
                   count(*) filter (where state = 'failed') as failed,
                   count(*) filter (where state = 'skipped' and reason <> 'JOINED') as skipped,
                   count(*) filter (where state = 'skipped' and reason = 'JOINED') as joined,
                   count(*) filter (where state = 'cancelled') as cancelled,
                   count(*) filter (where out_of_sync) as out_of_sync,
                   count(*) filter (where plan @? '$.changes[*] ? (@.before.role == "primary")') as primary_changes,
                   sum(created) as created,
                   sum(updated) as updated,
                   sum(deleted) as deleted,
                   sum(ended.unmapped) as unmapped,
                   max(ended_at) as ended_at
              from ended
             where batch_id is not null
             group by batch_id) counted
     where batch.id = any (batches) and batch.id = counted.batch_id;
    return null;
end
$$;

create trigger run_history_count_batch after insert on run_history
    referencing new table as ended for each statement execute function count_ended_batch_runs();
