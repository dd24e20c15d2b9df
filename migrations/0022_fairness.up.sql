-- Fairness among callers: what one caller has waiting does not keep the batches of the others.

-- Whose batch it is, and whether it is being cancelled. Batches of servers of an earlier version have the defaults, and get their turn at once.
alter table batch_expansion
    add column caller text not null default '',
    add column cancelling boolean not null default false,
    -- The round in which a chunk of it is worked on; within a round, by `last_chunk_at`. A caller's batches share a few turns of each round.
    add column fairness_rank bigint not null default 0;

update batch_expansion
   set caller = batch.caller, cancelling = batch.cancel_requested_at is not null
  from batch
 where batch.id = batch_expansion.batch_id;

create index batch_expansion_by_fairness_rank on batch_expansion (fairness_rank, last_chunk_at);
create index batch_expansion_by_caller on batch_expansion (caller, cancelling);

-- How many batches a caller has that have not ended, and which of them is older than another.
create index batch_live_by_caller on batch (caller, id) where ended_at is null;
