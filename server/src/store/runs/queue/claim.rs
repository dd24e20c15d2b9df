//! Claims: ready runs are taken, and a lease on each begins, in one statement.

use std::time::Duration;

use sqlx::{FromRow, Row, postgres::PgRow};

use crate::{
    domain::{Observation, Run, RunId, TraceContext},
    error::Error,
    store::{
        handle::Store,
        row::{RunRow, run_columns},
        statement::{StatementTime, interval},
    },
};

/// A claimed run, with the fencing token that every write of this attempt names.
#[derive(Debug, Clone)]
pub struct ClaimedRun {
    /// The run as of the claim.
    pub run: Run,
    /// The fencing token of this claim.
    pub fencing_token: i32,
    /// Whether it was created by a batch, so that no caller waits for it alone.
    pub bulk: bool,
    /// What an earlier attempt observed before it wrote or failed.
    pub observation: Option<Observation>,
    /// The trace of the request that created it.
    pub traceparent: Option<TraceContext>,
}

/// Limits of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimLimits {
    /// Maximum number of runs.
    pub runs: i64,
    /// Maximum number of bulk runs among them.
    pub bulk: i64,
}

impl ClaimLimits {
    /// Returns limits that do not hold back bulk runs.
    #[must_use]
    pub fn of(runs: i64) -> Self {
        Self { runs, bulk: runs }
    }
}

impl Store {
    /// Claims runs for `lease`, in claim order: interactive ones first.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn claim(
        &self,
        now: StatementTime,
        room: ClaimLimits,
        lease: Duration,
    ) -> Result<Vec<ClaimedRun>, Error> {
        let claim = self.unanswered.begin(lease);
        let statement = sqlx::query_as(concat!(
            "with interactive as materialized (
                 -- The first ready interactive runs, without those that another server is claiming.
                 select id from run
                  where state = 'queued' and next_attempt_at is null and not bulk
                  order by fairness_rank, id
                  limit $2
                    for update skip locked
             ), bulk as materialized (
                 -- The same of bulk runs, in the room that the interactive ones leave.
                 select id from run
                  where state = 'queued' and next_attempt_at is null and bulk
                  order by fairness_rank, id
                  limit greatest(0, least($3, $2 - (select count(*) from interactive)))
                    for update skip locked
             ), claimed as (
                 -- Both, under their new leases.
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
}

/// A claimed row. `None`: this version cannot read it. The other runs of the claim keep their leases; this one is left
/// to the limit of lease expirations.
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
            // An observation that this version cannot read only costs its information on drift.
            observation: row
                .try_get::<Option<serde_json::Value>, _>("observation")?
                .and_then(|json| serde_json::from_value(json).ok()),
            traceparent: row
                .try_get::<Option<&str>, _>("traceparent")?
                .and_then(|parent| TraceContext::parse(parent, [tracestate].into_iter())),
        })
    }
}
