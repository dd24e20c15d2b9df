//! The table of live runs as a queue: claims, leases, and what becomes of runs whose holder is gone.

use std::time::Duration;

use sqlx::{FromRow, Row, postgres::PgRow, types::Json};
use tokio::time::sleep;

use crate::{
    domain::{Failure, FailureReason, Observation, Run, RunError, RunId, TraceContext},
    error::Error,
    store::{
        handle::Store,
        history::partition::{insert_into_history, run_to_history_columns},
        row::{RunRow, run_columns},
        runs::attempt::observation::upsert_tenant_sync,
        statement::{StatementTime, interval},
        stats::rollup::{insert_rollup_delta, rollup_source_columns},
    },
};

/// How often the release of what is still held is tried again, and after which delay: for 5 s.
const RELEASE_MAX_RETRIES: usize = 200;
const RELEASE_RETRY_DELAY: Duration = Duration::from_millis(25);

/// A claimed run, with the fencing token that every write of this attempt names.
#[derive(Debug, Clone)]
pub struct ClaimedRun {
    /// The run.
    pub run: Run,
    /// The fencing token.
    pub fencing_token: i32,
    /// Whether it is one of a batch, so that nobody waits for it alone.
    pub bulk: bool,
    /// What an earlier attempt observed before it wrote, or failed.
    pub observation: Option<Observation>,
    /// The trace that it belongs to.
    pub traceparent: Option<TraceContext>,
}

/// How many runs to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimLimits {
    /// In all.
    pub runs: i64,
    /// How many of them may be bulk ones.
    pub bulk: i64,
}

impl ClaimLimits {
    /// Room for runs of either kind.
    #[must_use]
    pub fn of(runs: i64) -> Self {
        Self { runs, bulk: runs }
    }
}

/// A claim, as the heartbeat names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseKey {
    /// The run.
    pub id: RunId,
    /// The fencing token.
    pub fencing_token: i32,
}

/// What a heartbeat found of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseStatus {
    /// The run.
    pub id: RunId,
    /// Whether somebody wants it cancelled.
    pub cancel_requested: bool,
    /// Whether the lease was renewed. Not while another statement has the row: then it keeps the lease it has.
    pub renewed: bool,
}

/// A run whose lease had expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReclaimedRun {
    /// The run.
    pub id: RunId,
    /// Whether it failed, rather than being queued again.
    pub failed: bool,
}

impl Store {
    /// Claims runs for `lease`, in claim order: interactive ones first.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim(
        &self,
        now: StatementTime,
        room: ClaimLimits,
        lease: Duration,
    ) -> Result<Vec<ClaimedRun>, Error> {
        let claim = self.unanswered.begin(lease);
        let statement = sqlx::query_as(concat!(
            "with interactive as materialized (
                 select id from run
                  where state = 'queued' and next_attempt_at is null and not bulk
                  order by fairness_rank, id
                  limit $2
                    for update skip locked
             ), bulk as materialized (
                 select id from run
                  where state = 'queued' and next_attempt_at is null and bulk
                  order by fairness_rank, id
                  limit greatest(0, least($3, $2 - (select count(*) from interactive)))
                    for update skip locked
             ), claimed as (
                 update run
                    set state = 'running',
                        fencing_token = fencing_token + 1,
                        revision = revision + 1,
                        lease_expires_at = coalesce($1, now()) + $4,
                        started_at = coalesce(started_at, $1, now()),
                        attempt_started_at = coalesce($1, now()),
                        claim_id = $5
                  where id = any (array(select id from interactive union all select id from bulk))
                 returning ",
            run_columns!(),
            ", next_attempt_at, bulk, fairness_rank, observation, traceparent, tracestate
             )
             select ",
            run_columns!(),
            ", next_attempt_at, bulk, observation, traceparent, tracestate
               from claimed
              order by bulk, fairness_rank, id",
        ))
        .bind(now)
        .bind(room.runs)
        .bind(room.bulk)
        .bind(interval(lease))
        .bind(claim.id());
        let claimed = statement.fetch_all(&self.queue_pool).await?;
        claim.answered();
        Ok(claimed.into_iter().filter_map(|ClaimedRow(claimed)| claimed).collect())
    }

    /// Renews the leases of claims. Gives those still held; what is missing is lost.
    ///
    /// It waits for no row: whoever has one locked either writes of this very claim or takes it over, and two statements that wait for
    /// each other's rows would end in a deadlock.
    ///
    /// # Errors
    /// The database's.
    pub async fn renew_leases(
        &self,
        now: StatementTime,
        held: &[LeaseKey],
        lease: Duration,
    ) -> Result<Vec<LeaseStatus>, Error> {
        let (ids, fencing_tokens) = columns(held);
        let rows: Vec<(RunId, bool, bool)> = sqlx::query_as(
            "with held as materialized (
                 select id, fencing_token from unnest($2::uuid[], $3::integer[]) as held (id, fencing_token)
             ), still as materialized (
                 select run.id, run.cancel_requested from run
                   join held on held.fencing_token = run.fencing_token and held.id = run.id
                  where run.id = any ($2) and run.state = 'running'
             ), free as materialized (
                 select run.id from run
                   join held on held.fencing_token = run.fencing_token and held.id = run.id
                  where run.id = any ($2) and run.state = 'running'
                    for update of run skip locked
             ), renewed as (
                 update run
                    set lease_expires_at = coalesce($1, now()) + $4
                  where id = any (array(select id from free))
                 returning id
             )
             select still.id, still.cancel_requested, renewed.id is not null
               from still
               left join renewed on renewed.id = still.id",
        )
        .bind(now)
        .bind(ids)
        .bind(fencing_tokens)
        .bind(interval(lease))
        .fetch_all(&self.lease_pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|(id, cancel_requested, renewed)| LeaseStatus { id, cancel_requested, renewed })
            .collect())
    }

    /// Releases claims at once, for another worker, to the places in the ready queue that they had: the attempts are not counted. One that is being
    /// written of at this moment is looked at again soon: a heartbeat leaves it as it was, and what ends it makes this needless.
    ///
    /// A run whose write may be on its way waits for the end of its lease, which that write was sent within: an attempt that looked before
    /// might find nothing written, end the run, and be wrong a moment later.
    ///
    /// # Errors
    /// The database's.
    pub async fn release(&self, held: &[LeaseKey]) -> Result<Vec<RunId>, Error> {
        let (mut left, mut released) = (held.to_vec(), Vec::new());
        for _ in 0..RELEASE_MAX_RETRIES {
            let (done, busy): (Vec<_>, Vec<_>) =
                self.release_unlocked(&left).await?.into_iter().partition(|(_, done)| *done);
            released.extend(done.into_iter().map(|(id, _)| id));
            left.retain(|held| busy.iter().any(|(id, _)| *id == held.id));
            if left.is_empty() {
                break;
            }
            sleep(RELEASE_RETRY_DELAY).await;
        }
        Ok(released)
    }

    /// Gives what is still held, and whether it was released. It waits for no row, as a heartbeat does not.
    async fn release_unlocked(&self, held: &[LeaseKey]) -> Result<Vec<(RunId, bool)>, sqlx::Error> {
        let (ids, fencing_tokens) = columns(held);
        let rows = sqlx::query_as(
            "with releasing as materialized (
                 select id, fencing_token from unnest($1::uuid[], $2::integer[]) as held (id, fencing_token)
             ), still as materialized (
                 select run.id from run
                   join releasing as held on held.fencing_token = run.fencing_token and held.id = run.id
                  where run.id = any ($1) and run.state = 'running'
             ), free as materialized (
                 select run.id from run
                   join releasing as held on held.fencing_token = run.fencing_token and held.id = run.id
                  where run.id = any ($1) and run.state = 'running'
                    for update of run skip locked
             ), uncounted_attempts as (
                 update run
                    set state = 'queued', uncounted_attempts = uncounted_attempts + 1, revision = revision + 1, lease_expires_at = null,
                        next_attempt_at = case when write_intent is not null then lease_expires_at end,
                        attempts = append_attempt(attempts, fencing_token, attempt_started_at, now(), 'released', null)
                  where id = any (array(select id from free))
                 returning id
             )
             select still.id, uncounted_attempts.id is not null
               from still
               left join uncounted_attempts on uncounted_attempts.id = still.id",
        );
        rows.bind(ids).bind(fencing_tokens).fetch_all(&self.pool).await
    }

    /// Queues runs again whose lease has expired, at most `limit`: their holder died, or lost its way to the database. One that this
    /// happened to `max_expirations` times before may be what kills its holders: it fails instead. From the second time on a run comes back
    /// after a while of its own, so that it does not meet the same company again, and take it with it.
    ///
    /// # Errors
    /// The database's.
    pub async fn reclaim_expired(
        &self,
        now: StatementTime,
        limit: i64,
        max_expirations: i32,
    ) -> Result<Vec<ReclaimedRun>, Error> {
        let message = format!(
            "given up: whoever carried the run out did not live to tell, {} times",
            max_expirations.saturating_add(1)
        );
        let failure = Failure::permanent(FailureReason::Internal, message);
        // One that may have written says so.
        let errors = [RunError::new(failure.clone(), 0), RunError::new(failure.with_unknown_write(), 0)];
        let rows =
            self.with_history_partition(now, || self.reclaim_statement(now, limit, max_expirations, &errors)).await?;
        Ok(rows.into_iter().map(|(id, failed)| ReclaimedRun { id, failed }).collect())
    }

    async fn reclaim_statement(
        &self,
        now: StatementTime,
        limit: i64,
        max_expirations: i32,
        [plain, unknown_write]: &[RunError; 2],
    ) -> Result<Vec<(RunId, bool)>, sqlx::Error> {
        sqlx::query_as(concat!(
            "with expired as materialized (
                 select id, lease_expirations >= $3 as exhausted from run
                  where state = 'running' and lease_expires_at < coalesce($1, now())
                  order by lease_expires_at
                  limit $2
                    for update skip locked
             ), queued as (
                 update run
                    set state = 'queued', uncounted_attempts = uncounted_attempts + 1, lease_expirations = lease_expirations + 1, revision = revision + 1,
                        lease_expires_at = null,
                        attempts = append_attempt(attempts, fencing_token, attempt_started_at, coalesce($1, now()), 'lease_expired', null),
                        next_attempt_at = case when lease_expirations > 0 then coalesce($1, now()) + random() * lease_expirations * interval '1 second' end
                  where id = any (array(select id from expired where not exhausted))
                 returning id
             ), ended as (
                 delete from run
                  where id = any (array(select id from expired where exhausted))
                 returning ",
            run_to_history_columns!(),
            ",
                           'failed' as end_state, $4::jsonb ->> 'reason' as end_reason,
                           case when write_intent is null then $4::jsonb else $5::jsonb end
                               || jsonb_build_object('attempt', fencing_token - uncounted_attempts) as end_error, plan as end_plan,
                           written as end_written, write_intent as end_write_intent, created as end_created, updated as end_updated,
                           deleted as end_deleted, unmapped as end_unmapped, uncounted_attempts + 1 as end_handed_back,
                           cancel_requested as end_cancel_requested
             ), moved as (",
            insert_into_history!(),
            "returning ",
            rollup_source_columns!(),
            "
             ), counted as (",
            insert_rollup_delta!(),
            "), found as (
                 select id as run, end_write_intent ->> 'location' as location, 'unknown' as cause, null as digest, false as matches_baseline,
                        null::jsonb as desired, null::jsonb as google, null::jsonb as baseline, null::jsonb as written,
                        jsonb_build_object('set', end_write_intent -> 'after') as unresolved, null::jsonb as resolved,
                        null::timestamptz as overwritten_at, false as in_conflict
                   from ended
                  where end_write_intent ->> 'location' is not null
             ), recorded as (",
            upsert_tenant_sync!(),
            ")
             select id, false from queued
              union all
             select id, true from moved"
        ))
        .bind(now)
        .bind(limit)
        .bind(max_expirations)
        .bind(Json(plain))
        .bind(Json(unknown_write))
        .fetch_all(&self.pool)
        .await
    }
}

fn columns(held: &[LeaseKey]) -> (Vec<RunId>, Vec<i32>) {
    held.iter().map(|held| (held.id, held.fencing_token)).unzip()
}

/// `None`: this version cannot read it. That must not cost the others their lease: the row is left to its own, and to the limit of lease expirations.
pub(in crate::store) struct ClaimedRow(pub(in crate::store) Option<ClaimedRun>);

impl FromRow<'_, PgRow> for ClaimedRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let claimed = ClaimedRun::from_row(row)
            .inspect_err(|error| tracing::error!(%error, run_id = ?row.try_get::<RunId, _>("id"), "cannot read a run"));
        Ok(Self(claimed.ok()))
    }
}

impl FromRow<'_, PgRow> for ClaimedRun {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let tracestate = row.try_get::<Option<&str>, _>("tracestate")?;
        Ok(Self {
            run: RunRow::from_row(row)?.0,
            fencing_token: row.try_get("fencing_token")?,
            bulk: row.try_get("bulk")?,
            // One that this version cannot read only costs what it says of drift.
            observation: row
                .try_get::<Option<serde_json::Value>, _>("observation")?
                .and_then(|json| serde_json::from_value(json).ok()),
            traceparent: row
                .try_get::<Option<&str>, _>("traceparent")?
                .and_then(|parent| TraceContext::parse(parent, [tracestate].into_iter())),
        })
    }
}
