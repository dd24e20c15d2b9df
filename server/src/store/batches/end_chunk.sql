with round as materialized (
    -- Parameters: $1 batch, $2 now (null: the clock of the database), $3 the limit of live runs of a
    -- batch, $4 the batches of one caller in a round.
    -- The expansion whose chunk ends, with the rank of the next batch that has something to do.
    select ended.fairness_rank, next.fairness_rank as next_fairness_rank, batch.cancel_requested_at is not null as cancelling
      from batch_expansion ended
      join batch on batch.id = ended.batch_id
      -- The next batch that has something to do: it is in the current round.
      left join lateral (select other.fairness_rank
                           from batch_expansion other
                           join batch on batch.id = other.batch_id
                          where other.batch_id <> $1
                            and (batch.cancel_requested_at is not null or batch.runs_created - batch.runs_ended < $3)
                          order by other.fairness_rank
                          limit 1) next on true
     where ended.batch_id = $1
)
update batch_expansion
   set cancelling = round.cancelling,
       last_chunk_at = case when round.cancelling and not batch_expansion.cancelling then '-infinity' else coalesce($2, now()) end,
       fairness_rank = greatest(round.next_fairness_rank,
                       round.fairness_rank
                       -- One that was cancelled during its turn goes on in this round.
                       + case when round.cancelling and not batch_expansion.cancelling then 0
                              else (select (count(*) + $4 - 1) / $4
                                      from batch_expansion own
                                     where own.caller = batch_expansion.caller and own.cancelling = batch_expansion.cancelling) end)
  from round
 where batch_id = $1
