-- Fairness among callers: what one caller has waiting does not keep the batches of the others.

-- Whose batch it is, and whether it is being cancelled. Batches of servers of an earlier version have the defaults, and get their turn at once.
alter table batch_work
    add column caller text not null default '',
    add column cancelling boolean not null default false,
    -- The round in which a chunk of it is worked on; within a round, by `turn_at`. A caller's batches share a few turns of each round.
    add column turn bigint not null default 0;

update batch_work
   set caller = batch.caller, cancelling = batch.cancel_requested_at is not null
  from batch
 where batch.id = batch_work.batch_id;

create index batch_work_by_turn on batch_work (turn, turn_at);
create index batch_work_by_caller on batch_work (caller, cancelling);

-- How many batches a caller has that have not ended, and which of them is older than another.
create index batch_live_by_caller on batch (caller, id) where ended_at is null;
