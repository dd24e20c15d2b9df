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

create index run_by_batch on run (batch_id, id) where batch_id is not null;

-- The one place where ends are counted, so that no way to end a run can forget it.
create function batch_counts_an_end() returns trigger language plpgsql as $$
begin
    update batch
       set succeeded = succeeded + (new.state = 'succeeded')::integer,
           failed = failed + (new.state = 'failed')::integer,
           skipped = skipped + (new.state = 'skipped' and new.reason <> 'JOINED')::integer,
           joined = joined + (new.state = 'skipped' and new.reason = 'JOINED')::integer,
           cancelled = cancelled + (new.state = 'cancelled')::integer,
           out_of_sync = out_of_sync + new.found_differences::integer,
           out_of_primary = out_of_primary
               + coalesce(new.plan @? '$.changes[*] ? (@.before.place == "primary")', false)::integer,
           created = created + new.created,
           updated = updated + new.updated,
           deleted = deleted + new.deleted,
           unmapped = unmapped + new.skipped,
           ended_at = case when expanded_at is not null and over + 1 = made then new.ended_at end
     where id = new.batch_id;
    return null;
end
$$;

create trigger run_is_counted_by_its_batch after insert or update on run
    for each row when (new.batch_id is not null and new.ended_at is not null) execute function batch_counts_an_end();
