-- The line: whose turn it is, fairly among organizations and batches.
--
-- A queued run is in line (`due_at` is null) or waits for its time (`due_at`). In line, interactive runs go before bulk ones, and then
-- whoever has the lower turn. Each round of turns has one run of a lane, so a lane of 100,000 runs and a lane of one take turns. A tenant
-- without an organization needs no lane: it has one live run.

alter table run
    -- Made by a batch, rather than by somebody who waits for this one run.
    add column bulk boolean not null default false,
    add column lane text collate "C",
    add column turn bigint not null default 0,
    -- How often a lease expired. A run that kills its holders must end at last.
    add column rescues integer not null default 0,
    alter column due_at drop not null;

create index run_line on run (bulk, turn, id) where state = 'queued' and due_at is null;
create index run_lane on run (lane, bulk, turn) where state = 'queued' and due_at is null and lane is not null;
create index run_waiting on run (due_at) where state = 'queued' and due_at is not null;
-- By the id, and not by the lease: a heartbeat changes no index, so it writes no new entries into any.
create index run_running on run (id) where state = 'running';
drop index run_due;
drop index run_lease;

-- Each index is paid for three times in a life: accepted, claimed, ended. The rows lie in the order of their age, and two strategies
-- select nothing that the order of the ids does not find soon.
drop index run_by_age;
drop index run_by_strategy;
create index run_by_age on run using brin (created_at) with (pages_per_range = 16, autosummarize = on);
