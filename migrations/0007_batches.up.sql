-- Batches: many runs made by one request.
--
-- A batch is one small row, whatever its size. Its runs are created one chunk at a time by any
-- server: the server locks the row of `batch_expansion`, and the cursor moves in the transaction
-- that creates the runs. No server owns a batch, so none that dies stops it, and no run is created
-- twice or missed.

create table batch (
    -- A UUIDv7, so ids sort by the time of acceptance.
    id uuid primary key,
    -- Null: all tenants.
    organization_id text collate "C",
    -- The tenants that the caller may see; null: all. For the batch, others do not exist.
    visible_tenants text[],
    strategy text not null constraint batch_strategy_is_known check (strategy in ('platform_to_gbp', 'gbp_to_platform')),
    dry_run boolean not null,
    -- The feature flag at the time of acceptance. The batch touches the tenants for which it was
    -- on.
    flag_at_acceptance jsonb not null,
    max_attempts integer not null,
    caller text not null,
    request_id text,

    -- The tenants that the batch touches, counted and confirmed at acceptance. Later changes of
    -- tenants cannot add any.
    tenants bigint not null constraint batch_has_tenants check (tenants > 0),
    without_location bigint not null,
    disabled bigint not null,

    -- Limits of the batch; null: none. They bound how many runs may write, how many of these may
    -- change a primary category, and for how many the guards of runs may be overridden.
    max_changes bigint,
    max_primary_changes bigint,
    max_overrides bigint,
    overridden_guards text[] not null,
    override_reason text not null,
    -- What the runs have reserved of these limits.
    changes_reserved bigint not null default 0,
    primary_changes_reserved bigint not null default 0,
    overrides_reserved bigint not null default 0,

    -- The created runs, and those of them that ended.
    runs_created bigint not null default 0,
    succeeded bigint not null default 0,
    failed bigint not null default 0,
    skipped bigint not null default 0,
    joined bigint not null default 0,
    cancelled bigint not null default 0,
    runs_ended bigint not null generated always as (succeeded + failed + skipped + joined + cancelled) stored,
    -- Of the ended runs: those that were out of sync, and those that found another primary
    -- category.
    out_of_sync bigint not null default 0,
    primary_changes bigint not null default 0,
    created bigint not null default 0,
    updated bigint not null default 0,
    deleted bigint not null default 0,
    unmapped bigint not null default 0,
    -- Runs by the guard rules that stop them, sorted and joined by commas: {"primary_change": 40,
    -- "primary_change,removals": 4}. In a dry run, that would stop them.
    stopped jsonb not null default '{}',
    -- Failed runs by reason.
    failure_reason_counts jsonb not null default '{}',

    created_at timestamptz not null,
    cancel_requested_at timestamptz,
    -- When the last run was created, or the batch was cancelled before that.
    expanded_at timestamptz,
    ended_at timestamptz,

    constraint batch_runs_within_tenants check (runs_created <= tenants),
    constraint batch_ended_within_created check (runs_ended <= runs_created),
    constraint batch_changes_within_limits
        check (changes_reserved <= max_changes and primary_changes_reserved <= max_primary_changes),
    constraint batch_overrides_within_limit check (overrides_reserved <= max_overrides),
    constraint batch_ended_has_no_live_runs check (ended_at is null or (expanded_at is not null and runs_ended = runs_created))
)
-- Counters change with each end of a run; half a page leaves room to do so in place.
with (fillfactor = 50);

-- The last dry batch of the same kind.
create index batch_dry on batch (strategy, id) where dry_run;
-- How many batches of a caller have not ended, and which of them is the older one.
create index batch_live_by_caller on batch (caller, id) where ended_at is null;

-- What is left to do of a batch: runs to create or to cancel.
create table batch_expansion (
    batch_id uuid primary key constraint batch_expansion_batch_exists references batch (id),
    -- The last tenant that was read.
    cursor text collate "C" not null default '',
    -- No tenant of the batch was created later, so one that was is another tenant with the same id.
    -- Null: `batch_tenant_page` has no tenants of the batch, which it does not need if it is
    -- cancelled.
    tenants_created_until timestamptz,
    caller text not null,
    cancelling boolean not null default false,
    -- The round in which the next chunk is processed; within a round, by `last_chunk_at`. The
    -- batches of one caller share a few turns of each round.
    fairness_rank bigint not null default 0,
    last_chunk_at timestamptz not null
);

create index batch_expansion_by_fairness_rank on batch_expansion (fairness_rank, last_chunk_at);
create index batch_expansion_by_caller on batch_expansion (caller, cancelling);

-- The tenants that a batch touches, as its acceptance saw them, in pages by id: each page has those
-- after the page before it, up to `last_tenant_id`. They are deleted when no run is left to create.
create table batch_tenant_page (
    -- Deferred, because the pages are written before their batch.
    batch_id uuid not null
        constraint batch_tenant_page_batch_exists references batch (id) deferrable initially deferred,
    last_tenant_id text collate "C" not null,
    tenant_ids text[] collate "C" not null,
    primary key (batch_id, last_tenant_id)
);
-- Pages are written once, read twice and deleted. Compressing them takes a third of the time of
-- accepting 1,000,000 tenants.
alter table batch_tenant_page alter column tenant_ids set storage external;

-- The guard rules that stop a plan, sorted and joined by commas; null: none.
create function stopping_rules(plan jsonb) returns text language sql immutable parallel safe as $$
    select string_agg(guard ->> 'rule', ',' order by guard ->> 'rule' collate "C")
      from jsonb_array_elements(plan -> 'guards') as guard
     where guard ->> 'outcome' = 'stopped'
$$;

-- Counts ended runs in their batches. As a trigger it covers every way in which runs end. Batches
-- are locked in one order, because statements that end runs of several batches would deadlock
-- otherwise. A statement that ends no run of a batch stops at the first check. Batches are compared
-- with an array, because then the index serves under any planner setting.
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
           stopped = case when counted.stopped is null then batch.stopped
                          else add_counts(batch.stopped, count_texts(counted.stopped)) end,
           failure_reason_counts = case when counted.failure_reason_counts is null then batch.failure_reason_counts
                                  else add_counts(batch.failure_reason_counts, count_texts(counted.failure_reason_counts)) end,
           ended_at = case when batch.expanded_at is not null and batch.runs_ended + counted.runs = batch.runs_created
                           then counted.ended_at end
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
                   -- A real run checks its guards before it writes. If it ended earlier, they did
                   -- not stop it.
                   array_agg(stopping_rules(plan))
                       filter (where (dry_run or reason = 'GUARD') and stopping_rules(plan) is not null) as stopped,
                   array_agg(reason) filter (where state = 'failed') as failure_reason_counts,
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
