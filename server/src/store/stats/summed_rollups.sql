with fresh as materialized (
    -- Parameters: $1 organization (null: all runs), $2 the start of the window, $3 to $6 its segments:
    -- grain, start, and the ends of its counts and of its histograms.
    -- The deltas of the scope that are not summed yet: a row for each statement that ended runs.
    select start_at, succeeded, failed, skipped, cancelled, dry_runs, out_of_sync, duration_buckets, failure_reasons
      from rollup_delta
     where scope = coalesce($1, '') and start_at >= $2
)
select sums.start_at, sums.counted, sums.succeeded, sums.failed, sums.skipped, sums.cancelled, sums.dry_runs, sums.out_of_sync,
       sums.duration_histogram, sums.failure_reason_counts
  from unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[])
       as piece (grain, start_at, counts_before, histograms_before)
 cross join lateral (select start_at, start_at < counts_before as counted, succeeded, failed, skipped, cancelled, dry_runs,
                            out_of_sync,
                            case when start_at < histograms_before then duration_histogram end as duration_histogram,
                            case when start_at < histograms_before then failure_reason_counts end as failure_reason_counts
                       from rollup
                      where scope = coalesce($1, '')
                        and grain = piece.grain
                        and start_at >= piece.start_at
                        and start_at < greatest(counts_before, histograms_before)
                     offset 0) as sums
union all
select start_at, true, sum(succeeded), sum(failed), sum(skipped), sum(cancelled), sum(dry_runs), sum(out_of_sync), null, null
  from fresh
 group by start_at
union all
select $2, false, 0, 0, 0, 0, 0, 0,
       (select jsonb_object_agg(bucket, count)
          from (select bucket, count(*) from fresh cross join unnest(duration_buckets) as bucket group by bucket) as buckets),
       (select jsonb_object_agg(reason, count)
          from (select reason, count(*) from fresh cross join unnest(failure_reasons) as reason group by reason) as failure_reason_counts)
union all
select null, true, count(*) filter (where not dry_run), 0, 0, 0, count(*) filter (where dry_run), 0, null, null from run
 where $1::text is null or organization_id = $1
