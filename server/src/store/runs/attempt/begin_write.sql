with binding as materialized (
    -- Parameters: $1 now (null: the clock of the database), $2 run, $3 fencing token, $4 plan, $5 write
    -- intent, $6 written changes, $7 the duration of the lease, $8 location, $9 account, $10 observation,
    -- $11 when the source was read.
    -- One row while the tenant still has the location and the account of the write, locked until the
    -- commit.
    select 1 from tenant
     where id = (select tenant_id from run where id = $2)
       and gbp_location = $8 and gbp_account is not distinct from $9
       for share
), begun as (
    -- The run, if this attempt holds it and may write, with whether it was cancelled.
    update run
       set plan = case when cancel_requested then plan else $4 end,
           write_intent = case when cancel_requested then write_intent else $5 end,
           observation = coalesce($10, observation),
           written = $6,
           lease_expires_at = coalesce($1, now()) + $7,
           revision = revision + 1
     where id = $2 and fencing_token = $3 and state = 'running' and lease_expires_at > coalesce($1, now())
       and ($8::text is null or exists (select from binding))
       and (joined_at is null or $11::timestamptz is null or joined_at < $11)
    returning cancel_requested
)
select (select cancel_requested from begun), $8::text is null or exists (select from binding)
