with due as materialized (
    -- Parameters: $1 now (null: the clock of the database), $2 the limit of runs.
    -- The delayed runs whose time has come, skipping those that another server is moving.
    select id, bulk from run
     where state = 'queued' and next_attempt_at <= coalesce($1, now())
     order by next_attempt_at
     limit $2
       for update skip locked
), first_ready as materialized (
    -- The rank of the next ready run of each priority; no row where none is ready.
    select class.bulk, rank
      from (values (true), (false)) class (bulk)
     cross join lateral first_ready_rank(class.bulk) as rank
), enqueued as (
    -- The runs that become ready, in the round after the next ready run.
    update run
       set next_attempt_at = null, revision = revision + 1,
           fairness_rank = 1 + coalesce((select rank from first_ready where first_ready.bulk = run.bulk), 0)
     where id = any (array(select id from due))
    returning 1
)
select (select count(*) from enqueued),
       (select extract(epoch from min(next_attempt_at) - coalesce($1, now()))::float8 from run
         where state = 'queued' and next_attempt_at > coalesce($1, now()))
