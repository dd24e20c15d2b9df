with held as materialized (
    -- Parameters: $1 now (null: the clock of the database), $2 runs, $3 their fencing tokens, $4 the
    -- duration of the lease.
    -- The leases to renew.
    select id, fencing_token from unnest($2::uuid[], $3::integer[]) as held (id, fencing_token)
), still as materialized (
    -- Those whose fencing token is current; the others are lost.
    select run.id, run.cancel_requested from run
      join held on held.fencing_token = run.fencing_token and held.id = run.id
     where run.id = any ($2) and run.state = 'running'
), free as materialized (
    -- The same, locked, without the rows that another statement has locked.
    select run.id from run
      join held on held.fencing_token = run.fencing_token and held.id = run.id
     where run.id = any ($2) and run.state = 'running'
       for update of run skip locked
), renewed as (
    -- The runs whose lease is extended.
    update run
       set lease_expires_at = coalesce($1, now()) + $4
     where id = any (array(select id from free))
    returning id
)
select still.id, still.cancel_requested, renewed.id is not null
  from still
  left join renewed on renewed.id = still.id
