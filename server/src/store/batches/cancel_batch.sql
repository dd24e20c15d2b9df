with cancelled as (
    -- Parameters: $1 batch, $2 now (null: the clock of the database), $3 the batches of one caller in a
    -- round.
    -- The batch, unless it has ended.
    update batch set cancel_requested_at = coalesce(cancel_requested_at, $2, now())
     where id = $1 and ended_at is null
    returning id, caller
), ranked as materialized (
    -- The same, with the rank of its first chunk.
    -- The first of its round, and in turn with the caller's other batches that are being cancelled, but not with those that are
    -- being made: a caller who has many of these is stopped as soon as any other.
    select id, caller, coalesce((select fairness_rank from batch_expansion order by fairness_rank limit 1), 0)
                       + (select count(*) from batch_expansion own where own.caller = cancelled.caller and own.cancelling) / $3
                       as fairness_rank
      from cancelled
), moved as (
    -- Its expansion, if it is not being cancelled already.
    -- Not while a chunk of it is being made, which a caller is not to wait for: the end of its turn finds the cancellation.
    update batch_expansion
       set last_chunk_at = '-infinity', cancelling = true, fairness_rank = least(batch_expansion.fairness_rank, ranked.fairness_rank)
      from ranked
     where batch_id = any (array(select batch_id from batch_expansion
                                  where batch_id = $1 and not cancelling
                                    for update skip locked))
), to_do as (
    -- A new expansion, if all of its runs were created before.
    insert into batch_expansion (batch_id, last_chunk_at, caller, cancelling, fairness_rank) select id, '-infinity', caller, true, fairness_rank from ranked
    on conflict (batch_id) do nothing
)
select exists (select 1 from cancelled)
