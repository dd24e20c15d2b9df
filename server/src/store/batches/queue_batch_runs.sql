with to_make as materialized (
    -- Parameters: $1 now (null: the clock of the database), $2 batch, $3 ids, $4 tenants, $5
    -- organizations, $6 strategy, $7 dry run, $8 the limit of attempts, $9 caller, $10 options, $11 the
    -- batches of one caller in a round.
    -- The runs to create.
    select id, tenant_id, organization_id from unnest($3::uuid[], $4::text[], $5::text[]) as to_make (id, tenant_id, organization_id)
), share as materialized (
    -- One row: how far apart the runs of each of the caller's batches are, and how many rounds this
    -- batch begins later.
    select greatest((count(*) + $11 - 1) / $11, 1) as stride, count(*) filter (where id < $2) / $11 as delay
      from batch
     where caller = $9 and ended_at is null
), line as materialized (
    -- One row: the rank of the first of the runs, and the distance between them.
    select greatest(1 + share.delay + coalesce((select rank from first_ready_rank(true) as rank), 0),
                    share.stride + (select rank from last_ready_rank($2::uuid::text, true) as rank)) as fairness_rank,
           share.stride
      from share
)
insert into run (id, tenant_id, organization_id, batch_id, strategy, dry_run, state, max_attempts, bulk, fairness_key, fairness_rank,
                 caller, created_at, options)
select to_make.id, tenant_id, organization_id, $2, $6, $7, 'queued', $8, true, $2::uuid::text,
       line.fairness_rank + (row_number() over (order by tenant_id) - 1) * line.stride, $9, coalesce($1, now()), $10
  from to_make, line
 order by tenant_id
on conflict (tenant_id) do nothing
returning id
