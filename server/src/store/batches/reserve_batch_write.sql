with holder as materialized (
    -- Parameters: $1 now (null: the clock of the database), $2 run, $3 fencing token, $4 whether the
    -- primary category changes, $5 whether guards of the run are overridden.
    -- The run, while this attempt holds it, the places that it lacks, and whether it may write whatever becomes of its batch.
    select run.id, run.batch_id, not run.batch_write_reserved as lacks_write,
           $4 and not run.batch_primary_write_reserved as lacks_primary, $5 and not run.batch_override_reserved as lacks_override,
           not run.bulk
           or run.batch_write_reserved and (run.batch_primary_write_reserved or not $4) and (run.batch_override_reserved or not $5) as is_free
      from run
     where run.id = $2 and run.fencing_token = $3 and run.state = 'running' and run.lease_expires_at > coalesce($1, now())
       for update
), left_organization as materialized (
    -- The same where the tenant has left the organization that the batch is for.
    select holder.id
      from holder
      join batch on batch.id = holder.batch_id and batch.organization_id is not null
      join run on run.id = holder.id
      join tenant on tenant.id = run.tenant_id
     where not holder.is_free and holder.lacks_write and tenant.organization_id is distinct from batch.organization_id
), available as materialized (
    -- The batch of a run that needs a place, locked, so that what is full here is full where the place would be taken.
    select batch.id,
           holder.lacks_write and coalesce(batch.changes_reserved >= batch.max_changes, false) as tenants_full,
           holder.lacks_primary and coalesce(batch.primary_changes_reserved >= batch.max_primary_changes, false) as primary_full,
           holder.lacks_override and coalesce(batch.overrides_reserved >= batch.max_overrides, true) as overrides_full
      from holder
      join batch on batch.id = holder.batch_id
     where not holder.is_free and not exists (select 1 from left_organization)
       for update of batch
), reserved as (
    -- The batch, where it has the places left.
    update batch
       set changes_reserved = changes_reserved + holder.lacks_write::integer,
           primary_changes_reserved = primary_changes_reserved + holder.lacks_primary::integer,
           overrides_reserved = overrides_reserved + holder.lacks_override::integer
      from holder, available
     where batch.id = available.id and not (available.tenants_full or available.primary_full or available.overrides_full)
    returning 1
), marked as (
    -- The run, with what it has reserved.
    update run
       set batch_write_reserved = true, batch_primary_write_reserved = batch_primary_write_reserved or $4,
           batch_override_reserved = batch_override_reserved or $5
     where id in (select id from holder) and exists (select 1 from reserved)
)
select holder.is_free or exists (select 1 from reserved), exists (select 1 from left_organization),
       coalesce((select overrides_full from available), false), coalesce((select primary_full from available), false)
  from holder
