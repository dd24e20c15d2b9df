-- The line: whose turn it is, fairly among organizations and batches.
--
-- A queued run is in the ready queue (`next_attempt_at` is null) or waits for its time (`next_attempt_at`). There, interactive runs go before bulk ones, and then
-- whoever has the lower rank. Each round has one run of a fairness key, so a key of 100,000 runs and a key of one take turns. A tenant
-- without an organization needs no fairness key: it has one live run.

alter table run
    -- Made by a batch, rather than by somebody who waits for this one run.
    add column bulk boolean not null default false,
    add column fairness_key text collate "C",
    add column fairness_rank bigint not null default 0,
    -- How often a lease expired. A run that kills its holders must end at last.
    add column lease_expirations integer not null default 0,
    alter column next_attempt_at drop not null;

create index run_ready on run (bulk, fairness_rank, id) where state = 'queued' and next_attempt_at is null;
create index run_ready_by_fairness_key on run (fairness_key, bulk, fairness_rank) where state = 'queued' and next_attempt_at is null and fairness_key is not null;
create index run_delayed on run (next_attempt_at) where state = 'queued' and next_attempt_at is not null;
-- By the id, and not by the lease: a heartbeat changes no index, so it writes no new entries into any.
create index run_running on run (id) where state = 'running';
drop index run_by_next_attempt;
drop index run_lease;

-- Each index is paid for three times in a life: accepted, claimed, ended. The rows lie in the order of their age, and two strategies
-- select nothing that the order of the ids does not find soon.
drop index run_by_age;
drop index run_by_strategy;
create index run_by_age on run using brin (created_at) with (pages_per_range = 16, autosummarize = on);
