//! Ending runs: many in one statement, each of them fenced.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::types::Json;

use super::progress::AttemptProgress;
use crate::{
    domain::{ChangeCounts, LocationId, RecordedChange, RecordedPlan, RunError, RunId, RunResult, RunState},
    error::Error,
    store::{
        handle::Store,
        history::partition::run_to_history_columns,
        runs::{observation::SyncObservation, queue::lease::LeaseKey},
        statement::StatementTime,
    },
};

/// The end of a run, as its attempt reports it.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The lease of the attempt.
    pub held: LeaseKey,
    /// The number of the attempt.
    pub attempt: i32,
    /// The result of the run.
    pub result: RunResult,
    /// The plan, the written changes and the write intent.
    pub progress: AttemptProgress,
    /// The location of the run: a success starts the cooldown of this location, and of no other.
    pub location: Option<LocationId>,
    /// What it has observed of its tenant, if that is new.
    pub observation: Option<SyncObservation>,
}

impl Finish {
    /// Returns the state that the run ends in.
    #[must_use]
    pub fn state(&self) -> RunState {
        match self.result {
            RunResult::Succeeded => RunState::Succeeded,
            RunResult::Cancelled => RunState::Cancelled,
            RunResult::Skipped(_) => RunState::Skipped,
            RunResult::Failed(_) => RunState::Failed,
        }
    }

    fn reason(&self) -> Option<&'static str> {
        match &self.result {
            RunResult::Succeeded | RunResult::Cancelled => None,
            RunResult::Skipped(skip) => Some(skip.reason.as_str()),
            RunResult::Failed(failure) => Some(failure.reason.as_str()),
        }
    }

    fn error(&self) -> Option<RunError> {
        match &self.result {
            RunResult::Failed(failure) => Some(RunError::new(failure.clone(), self.attempt)),
            RunResult::Skipped(skip) => Some(RunError::skipped(skip.clone(), self.attempt)),
            RunResult::Succeeded | RunResult::Cancelled => None,
        }
    }

    fn planned(&self) -> ChangeCounts {
        ChangeCounts::of(self.progress.plan.as_ref().map(|plan| plan.changes.as_slice()).unwrap_or_default())
    }

    fn unmapped(&self) -> Option<i32> {
        self.progress.plan.as_ref().map(|plan| i32::try_from(plan.unmapped.len()).unwrap_or(i32::MAX))
    }
}

impl Store {
    /// Ends runs. Returns those that were ended; of the others, the lease is lost, or a request has joined them since their source was read
    /// and nothing was written of them.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn finish(&self, now: StatementTime, ends: &[Finish]) -> Result<HashSet<RunId>, Error> {
        let finished = self.with_history_partition(now, || self.finish_statement(now, ends)).await?;
        Ok(finished.into_iter().map(|(id,)| id).collect())
    }

    /// Returns whether the attempt of `held` has ended its run in this state: for a [`Store::finish`] without an
    /// answer, which ends nothing when it is repeated, because the first one took effect.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn has_ended(&self, held: LeaseKey, state: RunState) -> Result<bool, Error> {
        let ended = sqlx::query_scalar(
            "select exists (select from run_history where id = $1 and fencing_token = $2 and state = $3)",
        );
        Ok(ended.bind(held.id).bind(held.fencing_token).bind(state.as_str()).fetch_one(&self.history_pool).await?)
    }

    async fn finish_statement(&self, now: StatementTime, ends: &[Finish]) -> Result<Vec<(RunId,)>, sqlx::Error> {
        let column = Column(ends);
        let statement = sqlx::query_as(concat!(
            "with ended as (
                 -- The runs whose lease is still held, deleted, each beside what its attempt made of it.
                 delete from run
                  using unnest($2::uuid[], $3::integer[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[], $8::jsonb[],
                               $9::integer[], $10::integer[], $11::integer[], $12::integer[], $13::integer[], $14::integer[],
                               $15::integer[], $17::jsonb[], $18::timestamptz[], $19::text[])
                        as ending (id, fencing_token, state, reason, error, plan, written,
                                   plan_created, plan_updated, plan_deleted, written_created, written_updated, written_deleted,
                                   unmapped, write_intent, read_at, location)
                  where run.id = any ($2)
                    and run.id = ending.id and run.fencing_token = ending.fencing_token and run.state = 'running'
                    -- What was written is the run's end, whoever joined since; so is a cancellation.
                    and (run.joined_at is null or ending.read_at is null or run.joined_at < ending.read_at
                         or run.cancel_requested or ending.written <> '[]' or ending.write_intent is not null)
                 returning ",
            run_to_history_columns!(),
            ",
                           ending.state as end_state, ending.reason as end_reason, ending.error as end_error,
                           coalesce(ending.plan, run.plan) as end_plan, ending.written as end_written, ending.write_intent as end_write_intent,
                           case when dry_run then ending.plan_created else ending.written_created end as end_created,
                           case when dry_run then ending.plan_updated else ending.written_updated end as end_updated,
                           case when dry_run then ending.plan_deleted else ending.written_deleted end as end_deleted,
                           coalesce(ending.unmapped, run.unmapped) as end_unmapped, ending.location as end_location, run.uncounted_attempts as end_handed_back,
                           run.cancel_requested as end_cancel_requested
             ), moved as (
                 -- Their rows in the history.
                 ",
            include_str!("../../history/insert_into_history.sql"),
            "returning id, tenant_id, strategy, dry_run, state, ended_at
             ), succeeded as (
                 -- The start of the cooldown, by tenant and strategy.
                 insert into last_success as last (tenant_id, strategy, ended_at, gbp_location)
                 select moved.tenant_id, moved.strategy, moved.ended_at, ended.end_location
                   from moved
                   join ended on ended.id = moved.id
                  where moved.state = 'succeeded' and not moved.dry_run
                  order by moved.tenant_id
                 on conflict (tenant_id, strategy) do update
                    set ended_at = case when last.gbp_location is not distinct from excluded.gbp_location
                                        then greatest(last.ended_at, excluded.ended_at)
                                        else excluded.ended_at end,
                        gbp_location = excluded.gbp_location
             ), found as (
                 -- What these runs have observed, where that is new.
                 select run, location, cause, digest, matches_baseline, desired, google, baseline, written, unresolved, resolved, overwritten_at,
                        in_conflict
                   from jsonb_to_recordset($16) as found (run uuid, location text, cause text, digest text, matches_baseline boolean,
                                                                 desired jsonb, google jsonb, baseline jsonb, written jsonb,
                                                                 unresolved jsonb, resolved jsonb, overwritten_at timestamptz,
                                                                 in_conflict boolean)
             ), recorded as (
                 -- The sync state of their tenants.
                 ",
            include_str!("../upsert_tenant_sync.sql"),
            ")
             select id from moved"
        ))
        .bind(now)
        .bind(column.of(|end| end.held.id))
        .bind(column.of(|end| end.held.fencing_token))
        .bind(column.of(|end| end.state().as_str()))
        .bind(column.of(Finish::reason))
        .bind(column.of(|end| end.error().map(Json)))
        .bind(column.of(|end| end.progress.plan.as_ref().map(Json::<&RecordedPlan>)))
        .bind(column.of(|end| Json::<&Vec<RecordedChange>>(&end.progress.written)))
        .bind(column.of(|end| end.planned().created))
        .bind(column.of(|end| end.planned().updated))
        .bind(column.of(|end| end.planned().deleted))
        .bind(column.of(|end| ChangeCounts::of(&end.progress.written).created))
        .bind(column.of(|end| ChangeCounts::of(&end.progress.written).updated))
        .bind(column.of(|end| ChangeCounts::of(&end.progress.written).deleted))
        .bind(column.of(Finish::unmapped))
        .bind(observations(ends))
        .bind(column.of(|end| end.progress.write_intent.as_ref().map(Json)))
        .bind(column.of(|end| end.progress.read_at))
        .bind(column.of(|end| end.location.as_ref().map(LocationId::as_str)));
        statement.fetch_all(&self.queue_pool).await
    }
}

/// Columns of the ends, as the statement takes them.
struct Column<'a>(&'a [Finish]);

impl<'a> Column<'a> {
    fn of<T>(&self, value: impl Fn(&'a Finish) -> T) -> Vec<T> {
        self.0.iter().map(value).collect()
    }
}

#[derive(Serialize)]
struct SyncObservationJson<'a> {
    run: RunId,
    #[serde(flatten)]
    observation: &'a SyncObservation,
}

/// Returns the observations of these ends.
fn observations(ends: &[Finish]) -> Json<Vec<SyncObservationJson<'_>>> {
    Json(
        ends.iter()
            .filter_map(|end| Some(SyncObservationJson { run: end.held.id, observation: end.observation.as_ref()? }))
            .collect(),
    )
}
