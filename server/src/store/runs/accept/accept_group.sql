with wanted as materialized (
    -- Parameters: $1 now (null: the clock of the database), $2 to $13 the columns of the wanted runs.
    -- The wanted runs, each with its tenant, the live run of its tenant and the recorded response to
    -- its request.
    -- Each is looked up by an index: a plan is made once, for a table of any size, and must not read one whole.
    -- The ids of one statement are in the order in which it was asked.
    select coalesce(asked.given_id, run_id_at(coalesce($1, now()), asked.position)) as id, asked.tenant_id, asked.strategy,
           asked.dry_run, asked.max_attempts, asked.caller, asked.request_id, asked.key, asked.fingerprint, asked.options,
           asked.traceparent, asked.tracestate, asked.position, place.organization_id, place.has_location, live.id as live_id,
           first.result_id as first_run_id, first.joined as first_joined,
           first.fingerprint = asked.fingerprint as is_same,
           first.created_at < coalesce($1, now()) - interval '24 hours' as is_old
      from unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[], $6::integer[], $7::text[], $8::text[],
                  $9::uuid[], $10::uuid[], $11::jsonb[], $12::text[], $13::text[])
          with ordinality
          as asked (given_id, tenant_id, strategy, dry_run, max_attempts, caller, request_id, key, fingerprint, options,
                    traceparent, tracestate, position)
      left join lateral (select organization_id, gbp_location is not null as has_location
                           from tenant
                          where tenant.id = asked.tenant_id
                          limit 1) place on true
      left join lateral (select run.id
                           from run
                          where run.tenant_id = asked.tenant_id
                          limit 1) live on true
      left join lateral (select result_id, joined, idempotency_key.fingerprint, created_at
                           from idempotency_key
                          where idempotency_key.key = asked.key
                          limit 1) first on true
), claimed_request as (
    -- The idempotency keys of the runs that can be created.
    insert into idempotency_key (key, fingerprint, result_id, joined, created_at)
    select key, fingerprint, id, false, coalesce($1, now())
      from wanted
     where key is not null and first_run_id is null and has_location and live_id is null
     order by key
    returning key
), first_ready as materialized (
    -- The rank of the next ready interactive run; no row where none is ready.
    select rank from first_ready_rank(false) as rank
), created as (
    -- The new runs: those of tenants with a location, without a live run and without a recorded
    -- response.
    insert into run (id, tenant_id, organization_id, strategy, dry_run, state, max_attempts, fairness_key, fairness_rank,
                     caller, request_id, created_at, options, traceparent, tracestate)
    select id, tenant_id, organization_id, strategy, dry_run, 'queued', max_attempts, organization_id,
           -- As `next_interactive_rank`, for many: the first rank is read once, and runs of one key
           -- follow each other.
           case when organization_id is null then 1 + coalesce((select rank from first_ready), 0)
                else row_number() over (partition by organization_id order by position)
                     + greatest((select rank from first_ready),
                                (select rank from last_ready_rank(wanted.organization_id, false) as rank),
                                0)
           end,
           caller, request_id, coalesce($1, now()), options, traceparent, tracestate
      from wanted
     where has_location and live_id is null and first_run_id is null
       -- After the idempotency keys, as in every statement: two that meet on both would wait for each other.
       and (select count(*) from claimed_request) >= 0
     order by tenant_id
)
select position, id, has_location, organization_id, live_id, first_run_id, first_joined, is_same, is_old,
       coalesce($1, now()) as at
  from wanted
