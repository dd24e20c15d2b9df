with counted as materialized (
    -- Parameters: $1 now (null: the clock of the database), $2 the limit of each count.
    -- One row: the runs of each kind up to the limit, and an estimate of the ready queue.
    select (select count(*) from (select 1 from run where state = 'queued' and next_attempt_at is null and not bulk limit $2) counted)
               as interactive,
           (select count(*) from (select 1 from run where state = 'queued' and next_attempt_at is null and bulk limit $2) counted)
               as bulk,
           (select count(*) from (select 1 from run where state = 'queued' and next_attempt_at is not null limit $2) counted)
               as delayed,
           (select count(*) from (select 1 from run where state = 'running' limit $2) counted)
               as running,
           (select reltuples::bigint from pg_class where oid = 'run_ready'::regclass)
               as estimate
)
select coalesce($1, now()) as at,
       interactive,
       case when bulk < $2 then bulk else greatest(bulk, estimate) end as bulk,
       delayed,
       running,
       (select created_at from run where state = 'queued' and next_attempt_at is null and not bulk order by fairness_rank, id limit 1)
           as interactive_since,
       (select created_at from run where state = 'queued' and next_attempt_at is null and bulk order by fairness_rank, id limit 1)
           as bulk_since
  from counted
