with releasing as materialized (
    -- Parameters: $1 runs, $2 their fencing tokens.
    -- The leases to release.
    select id, fencing_token from unnest($1::uuid[], $2::integer[]) as held (id, fencing_token)
), still as materialized (
    -- Those whose fencing token is current; the others are lost.
    select run.id from run
      join releasing as held on held.fencing_token = run.fencing_token and held.id = run.id
     where run.id = any ($1) and run.state = 'running'
), free as materialized (
    -- The same, locked, without the rows that another statement has locked.
    select run.id from run
      join releasing as held on held.fencing_token = run.fencing_token and held.id = run.id
     where run.id = any ($1) and run.state = 'running'
       for update of run skip locked
), released as (
    -- The runs that return to the queue. One whose write may be on its way is due when its lease would
    -- have ended.
    update run
       set state = 'queued', uncounted_attempts = uncounted_attempts + 1, revision = revision + 1, lease_expires_at = null,
           next_attempt_at = case when write_intent is not null then lease_expires_at end,
           attempts = append_attempt(attempts, fencing_token, attempt_started_at, now(), 'released', null)
     where id = any (array(select id from free))
    returning id
)
select still.id, released.id is not null
  from still
  left join released on released.id = still.id
