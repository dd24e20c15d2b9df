with taken as (
    -- Parameters: $1 the limit of deltas.
    -- The deltas that this statement removes, skipping those that another server is summing.
    delete from rollup_delta
     where ctid = any (array(select ctid from rollup_delta limit $1 for update skip locked))
    returning scope, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync, duration_buckets, failure_reasons
), grains (grain) as (
    -- The periods that are summed; only the scope of all runs has the two shortest.
    values ('minute'), ('ten_minutes'), ('hour'), ('day'), ('week')
), duration_histograms as (
    -- The new runs of each rollup row by duration bucket, as JSON.
    select scope, grain, start_at, jsonb_object_agg(bucket, count) as duration_histogram
      from (select scope, grain, rollup_start(grain, start_at) as start_at, bucket, sum(count) as count
              from (select scope, start_at, bucket, count(*)
                      from taken
                     cross join unnest(duration_buckets) as bucket
                     group by scope, start_at, bucket) as buckets
              join grains on scope = '' or grain not in ('minute', 'ten_minutes')
             group by scope, grain, rollup_start(grain, start_at), bucket) as buckets
     group by scope, grain, start_at
), reason_counts as (
    -- The new failures of each rollup row by reason, as JSON.
    select scope, grain, start_at, jsonb_object_agg(reason, count) as failure_reason_counts
      from (select scope, grain, rollup_start(grain, start_at) as start_at, reason, count(*)
              from taken
             cross join unnest(failure_reasons) as reason
              join grains on scope = '' or grain not in ('minute', 'ten_minutes')
             group by scope, grain, rollup_start(grain, start_at), reason) as failure_reason_counts
     group by scope, grain, start_at
), sums as (
    -- The new counts of each rollup row.
    select scope, grain, rollup_start(grain, start_at) as start_at, sum(succeeded) as succeeded, sum(failed) as failed,
           sum(skipped) as skipped, sum(cancelled) as cancelled, sum(dry_runs) as dry_runs, sum(out_of_sync) as out_of_sync
      from taken
      join grains on scope = '' or grain not in ('minute', 'ten_minutes')
     group by scope, grain, rollup_start(grain, start_at)
), folded as (
    -- The rollup rows, with the new counts added.
    insert into rollup as old (scope, grain, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync,
                               duration_histogram, failure_reason_counts)
    select scope, grain, start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync,
           coalesce(duration_histogram, '{}'), coalesce(failure_reason_counts, '{}')
      from sums
      left join duration_histograms using (scope, grain, start_at)
      left join reason_counts using (scope, grain, start_at)
     -- In one order for all.
     order by scope, grain, start_at
    on conflict (scope, grain, start_at) do update
       set succeeded = old.succeeded + excluded.succeeded, failed = old.failed + excluded.failed,
           skipped = old.skipped + excluded.skipped, cancelled = old.cancelled + excluded.cancelled,
           dry_runs = old.dry_runs + excluded.dry_runs, out_of_sync = old.out_of_sync + excluded.out_of_sync,
           duration_histogram = add_counts(old.duration_histogram, excluded.duration_histogram),
           failure_reason_counts = add_counts(old.failure_reason_counts, excluded.failure_reason_counts)
)
select count(*) from taken
