//! Accepting many runs with one statement and one commit.

use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use sqlx::{FromRow, Row, error::DatabaseError, postgres::PgRow};

use super::single::{Accepted, ID_BY_DATABASE, NewRun, reused};
use crate::{
    domain::{ChangeCounts, OrganizationId, Run, RunFilter, RunId, RunState, TraceContext},
    error::Error,
    store::{error::tenant_not_found, handle::Store, row::optional_id, statement::StatementTime},
};

/// How often the statement of a group is repeated after a race with another transaction.
const MAX_RACE_RETRIES: usize = 3;
/// How many runs of a group are joined at a time: each is a transaction of its own.
const MAX_CONCURRENT_JOINS: usize = 8;

/// What the statement found for one of the wanted runs. If nothing is in its way, the run was created.
struct AcceptLookup {
    position: i64,
    /// The id of the new run, if it was created.
    id: RunId,
    /// `None`: the tenant does not exist.
    has_location: Option<bool>,
    organization: Option<OrganizationId>,
    /// The tenant's live run from before the statement.
    live: Option<RunId>,
    /// The recorded response to the request id.
    first: Option<RecordedRun>,
    /// The time of the statement.
    at: DateTime<Utc>,
}

/// A recorded response.
#[derive(Clone, Copy)]
struct RecordedRun {
    run: RunId,
    joined: bool,
    /// Whether its request had the same arguments.
    is_same: bool,
    /// Whether it has expired, and is not deleted yet.
    is_old: bool,
}

impl Store {
    /// Accepts runs of different tenants, with different request ids, in one commit. Each gets its own answer. `None`: the run met another
    /// transaction, so that the caller must use [`Store::accept`].
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`], for all of the runs. An error of a single run is in its answer.
    pub async fn accept_all(
        &self,
        now: StatementTime,
        wanted: &[NewRun],
    ) -> Result<Vec<Option<Result<Accepted, Error>>>, Error> {
        let Some(mut found) = self.find_or_create(now, wanted).await? else {
            return Ok(wanted.iter().map(|_| None).collect());
        };
        found.sort_by_key(|found| found.position);
        let others: Vec<RunId> = found.iter().filter_map(|f| f.first.map(|first| first.run)).collect();
        let others = if others.is_empty() { Vec::new() } else { self.runs(&RunFilter::default(), &others).await? };
        let run = |id: RunId| others.iter().find(|run| run.id == id).cloned();
        let answers: Vec<_> = wanted.iter().zip(found).map(|(new, found)| answer(new, &found, run)).collect();
        if answers.iter().any(|answer| matches!(answer, Err(Unanswered::BesideLive))) {
            return Ok(self.join_all(now, wanted, answers).await);
        }
        Ok(answers.into_iter().map(Result::ok).collect())
    }

    /// Accepts the runs that met a live run one by one: a join locks the live run, and most groups have none.
    async fn join_all(
        &self,
        now: StatementTime,
        wanted: &[NewRun],
        answers: Vec<Answer>,
    ) -> Vec<Option<Result<Accepted, Error>>> {
        let joining: Vec<_> =
            wanted.iter().zip(answers).map(|(new, answer)| self.join_if_live(now, new, answer)).collect();
        stream::iter(joining).buffered(MAX_CONCURRENT_JOINS).collect().await
    }

    async fn join_if_live(&self, now: StatementTime, new: &NewRun, answer: Answer) -> Option<Result<Accepted, Error>> {
        match answer {
            Err(Unanswered::BesideLive) => Some(self.accept(now, new).await),
            answer => answer.ok(),
        }
    }

    /// `None`: every try met a race. A race has waited for the other's commit, so the next try sees its result.
    async fn find_or_create(&self, now: StatementTime, wanted: &[NewRun]) -> Result<Option<Vec<AcceptLookup>>, Error> {
        for _ in 0..MAX_RACE_RETRIES {
            match self.accept_statement(now, wanted).await {
                Err(error) if error.as_database_error().is_some_and(is_race) => {}
                found => return Ok(Some(found?)),
            }
        }
        Ok(None)
    }

    /// The statement looks up conflicting rows first, and its inserts expect none: an `on conflict` clause for each row would cost a third
    /// of the statement, and only a race causes a conflict.
    async fn accept_statement(&self, now: StatementTime, wanted: &[NewRun]) -> Result<Vec<AcceptLookup>, sqlx::Error> {
        fn column<'a, T>(wanted: &'a [NewRun], value: impl Fn(&'a NewRun) -> T) -> Vec<T> {
            wanted.iter().map(value).collect()
        }
        let requests = column(wanted, NewRun::request);
        let statement = sqlx::query_as(include_str!("accept_group.sql"))
            .bind(now)
            .bind(column(wanted, |new| Some(new.id).filter(|id| *id != ID_BY_DATABASE)))
            .bind(column(wanted, |new| new.tenant.as_str()))
            .bind(column(wanted, |new| new.kind.strategy.as_str()))
            .bind(column(wanted, |new| new.kind.dry_run))
            .bind(column(wanted, |new| new.max_attempts))
            .bind(column(wanted, |new| new.caller.as_str()))
            .bind(column(wanted, |new| new.request_id.as_deref()))
            .bind(requests.iter().map(|request| request.map(|request| request.key)).collect::<Vec<_>>())
            .bind(requests.iter().map(|request| request.map(|request| request.fingerprint)).collect::<Vec<_>>())
            .bind(column(wanted, NewRun::options))
            .bind(column(wanted, |new| new.traceparent.as_ref().map(TraceContext::traceparent)))
            .bind(column(wanted, |new| new.traceparent.as_ref().and_then(TraceContext::tracestate)));
        statement.fetch_all(&self.queue_pool).await
    }
}

/// Another transaction was faster; or two waited for each other, because a batch inserts its runs in no order that this one shares.
fn is_race(error: &(dyn DatabaseError + 'static)) -> bool {
    const DEADLOCK: &str = "40P01";
    error.is_unique_violation() || error.code().as_deref() == Some(DEADLOCK)
}

/// The statement's result for one of the wanted runs.
type Answer = Result<Result<Accepted, Error>, Unanswered>;

/// Why the statement has no result for a wanted run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    /// The tenant has a live run.
    BesideLive,
    /// Another transaction has changed the same rows.
    Race,
}

fn answer(new: &NewRun, found: &AcceptLookup, run: impl Fn(RunId) -> Option<Run>) -> Answer {
    match found.first {
        Some(RecordedRun { is_old: true, .. }) => return Err(Unanswered::Race),
        Some(RecordedRun { is_same: false, .. }) => return Ok(Err(reused(new))),
        Some(RecordedRun { run: id, joined, .. }) => {
            return run(id).map_or(Err(Unanswered::Race), |run| Ok(Ok(Accepted { run, joined, created: false })));
        }
        None => {}
    }
    match (found.has_location, found.live) {
        (None, _) => Ok(Err(tenant_not_found(&new.tenant))),
        (Some(false), _) => Ok(Err(Error::NoLocation(new.tenant.clone()))),
        (Some(true), Some(_)) => Err(Unanswered::BesideLive),
        (Some(true), None) => {
            let run = new.as_queued(found.id, found.organization.clone(), found.at);
            Ok(Ok(Accepted { run, joined: false, created: true }))
        }
    }
}

impl NewRun {
    /// Returns the run as the insert left it.
    fn as_queued(&self, id: RunId, organization: Option<OrganizationId>, created_at: DateTime<Utc>) -> Run {
        Run {
            id,
            tenant: self.tenant.clone(),
            organization,
            batch: None,
            kind: self.kind,
            options: self.options.clone(),
            state: RunState::Queued,
            revision: 1,
            attempt: 0,
            max_attempts: self.max_attempts,
            uncounted_attempts: 0,
            cancel_requested: false,
            plan: None,
            write_intent: None,
            written: Vec::new(),
            counts: ChangeCounts::default(),
            unmapped: 0,
            reason: None,
            error: None,
            caller: self.caller.clone(),
            request_id: self.request_id.clone(),
            created_at,
            started_at: None,
            attempts: Vec::new(),
            attempt_started_at: None,
            ended_at: None,
            next_attempt_at: None,
        }
    }
}

impl FromRow<'_, PgRow> for AcceptLookup {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let first: Option<RunId> = row.try_get("first_run_id")?;
        let first = match first {
            None => None,
            Some(run) => Some(RecordedRun {
                run,
                joined: row.try_get("first_joined")?,
                is_same: row.try_get("is_same")?,
                is_old: row.try_get("is_old")?,
            }),
        };
        Ok(Self {
            position: row.try_get("position")?,
            id: row.try_get("id")?,
            has_location: row.try_get("has_location")?,
            organization: optional_id(row, "organization_id", OrganizationId::parse)?,
            live: row.try_get("live_id")?,
            first,
            at: row.try_get("at")?,
        })
    }
}
