-- Batches: many runs made by one request.
--
-- A batch is one small row, whatever it touches. Its runs are made a chunk at a time, by whichever server has a moment: the row of
-- `batch_work` is claimed with a row lock, and its cursor moves in the transaction that makes the runs. Nobody owns a batch, so nobody's
-- death stops it, and none of its runs is made twice or left out.

create table batch (
    -- A UUIDv7, so ids sort by the time of acceptance.
    id uuid primary key,
    -- Null: every tenant.
    organization_id text collate "C",
    strategy text not null constraint batch_strategy_is_known check (strategy in ('platform_to_gbp', 'gbp_to_platform')),
    dry_run boolean not null,
    -- The tenants that the caller may see; null: all. Others do not exist for the batch either.
    only_tenants text[],
    -- The feature flag as it was then: whom it was on for is whom the batch touches.
    admission jsonb not null,
    -- How many tenants it touches: counted, and confirmed, when it was accepted. What happens to tenants later makes it no larger.
    tenants bigint not null constraint batch_touches_somebody check (tenants > 0),
    without_location bigint not null,
    not_admitted bigint not null,
    max_attempts integer not null,

    -- How many runs may change something, and how many the primary category; null: any number.
    change_limit bigint,
    primary_limit bigint,
    overrides text[] not null,
    -- How many runs were let through to a write.
    changing bigint not null default 0,
    changing_primary bigint not null default 0,

    -- Runs made, and those of them that ended.
    made bigint not null default 0,
    succeeded bigint not null default 0,
    failed bigint not null default 0,
    skipped bigint not null default 0,
    joined bigint not null default 0,
    cancelled bigint not null default 0,
    over bigint not null generated always as (succeeded + failed + skipped + joined + cancelled) stored,
    -- Of the ended ones: those that found differences, and those that found another primary category.
    out_of_sync bigint not null default 0,
    out_of_primary bigint not null default 0,
    created bigint not null default 0,
    updated bigint not null default 0,
    deleted bigint not null default 0,
    unmapped bigint not null default 0,

    caller text not null,
    request_id text,
    reason text not null,
    created_at timestamptz not null,
    cancel_requested_at timestamptz,
    -- When the last of its runs was made, or it was cancelled before that.
    expanded_at timestamptz,
    ended_at timestamptz,

    constraint batch_makes_what_was_confirmed check (made <= tenants),
    constraint batch_ends_what_was_made check (over <= made),
    constraint batch_keeps_its_limits check (changing <= change_limit and changing_primary <= primary_limit),
    constraint batch_ends_when_all_is_over check (ended_at is null or (expanded_at is not null and over = made))
) with (fillfactor = 50);

-- What is left to do of a batch: runs to make, or to cancel.
create table batch_work (
    batch_id uuid primary key references batch (id),
    -- The last tenant that was looked at.
    cursor text collate "C" not null default '',
    -- Batches take turns.
    turn_at timestamptz not null
);

alter table run
    add column batch_id uuid,
    -- Its batch has let it through to a write; a later attempt does not count again.
    add column let_through boolean not null default false;

alter table run_history add column batch_id uuid;

-- Runs of no batch, which are most, pay for neither.
create index run_by_batch on run (batch_id, id) where batch_id is not null;
create index run_history_by_batch on run_history (batch_id, id) where batch_id is not null;

create or replace view every_run as
select id, tenant_id, organization_id, strategy, dry_run, state, revision, attempt, handed_back, max_attempts, due_at,
       cancel_requested, plan, plan is not null and plan -> 'changes' <> '[]' as found_differences, intent, attempts,
       written, created, updated, deleted, skipped, reason, error, caller, request_id, created_at, started_at, attempted_at,
       null::timestamptz as ended_at, orders, batch_id
  from run
union all
select id, tenant_id, organization_id, strategy, dry_run, state, revision, attempt, handed_back, max_attempts, null::timestamptz,
       cancel_requested, plan, found_differences, intent, attempts,
       written, created, updated, deleted, skipped, reason, error, caller, request_id, created_at, started_at, attempted_at,
       ended_at, orders, batch_id
  from run_history;

-- The one place where ends are counted, so that no way to end a run can forget it. The runs are deleted already; batches are locked in one
-- order for all, because whoever ends runs ends some of several batches at once. A statement that ends runs of no batch goes no further
-- than the first look at them. Batches are named by an array, which an index is good for whatever else the planner is told.
create function batch_counts_ends() returns trigger language plpgsql as $$
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
           out_of_primary = batch.out_of_primary + counted.out_of_primary,
           created = batch.created + counted.created,
           updated = batch.updated + counted.updated,
           deleted = batch.deleted + counted.deleted,
           unmapped = batch.unmapped + counted.unmapped,
           ended_at = case when batch.expanded_at is not null and batch.over + counted.runs = batch.made then counted.ended_at end
      from (select batch_id,
                   count(*) as runs,
                   count(*) filter (where state = 'succeeded') as succeeded,
                   count(*) filter (where state = 'failed') as failed,
                   count(*) filter (where state = 'skipped' and reason <> 'JOINED') as skipped,
                   count(*) filter (where state = 'skipped' and reason = 'JOINED') as joined,
                   count(*) filter (where state = 'cancelled') as cancelled,
                   count(*) filter (where found_differences) as out_of_sync,
                   count(*) filter (where plan @? '$.changes[*] ? (@.before.place == "primary")') as out_of_primary,
                   sum(created) as created,
                   sum(updated) as updated,
                   sum(deleted) as deleted,
                   sum(ended.skipped) as unmapped,
                   max(ended_at) as ended_at
              from ended
             where batch_id is not null
             group by batch_id) counted
     where batch.id = any (batches) and batch.id = counted.batch_id;
    return null;
end
$$;

create trigger run_is_counted_by_its_batch after insert on run_history
    referencing new table as ended for each statement execute function batch_counts_ends();
