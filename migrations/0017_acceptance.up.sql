-- What an answer promised: a joined run does what was asked for as things were at that moment, and a batch touches the tenants that were
-- confirmed, and no others.

-- When a request last joined the run, by the database's clock. An attempt that read its source at or before this time may neither begin a
-- write nor end the run: it goes back to the queue and plans anew. Null: nothing but the run's own request asked for it.
alter table run add column joined_at timestamptz;

-- The tenants that a batch touches, as the transaction that accepted it saw them, in pages by id: those from the last tenant of the page
-- before up to `last_tenant_id`. They are deleted when no run of the batch is left to make.
create table batch_tenant_page (
    batch_id uuid not null references batch (id) deferrable initially deferred,
    last_tenant_id text collate "C" not null,
    tenant_ids text[] collate "C" not null,
    primary key (batch_id, last_tenant_id)
);
-- Written once, read twice, deleted: compression takes a third of the time of accepting 1,000,000 tenants.
alter table batch_tenant_page alter column tenant_ids set storage external;

-- No tenant of the pages was created later, so one that was is another tenant with the same id. Null: the batch was accepted by a server of
-- an earlier version, and has no pages yet.
alter table batch_expansion add column tenants_created_until timestamptz;
