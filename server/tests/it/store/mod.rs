//! The store against a real PostgreSQL. The clock is a parameter: no test waits for it.

mod accept;
mod attempts;
mod batch_set;
mod batches;
mod constraints;
mod fairness;
mod fencing;
mod functions;
mod given_up;
mod history;
mod housekeeping;
mod ids;
mod joins;
mod life;
mod list_plans;
mod lists;
mod live;
mod model;
mod outgrown;
mod plans;
mod queue;
mod queue_pool;
mod ready_queue;
mod retention;
mod rollups;
mod statements;
mod statistics;
mod tenants;

use std::time::Duration;

use category_mirror::{
    domain::{
        AccountId, CategorySet, Failure, FailureReason, GbpCategory, Gcid, LocationId, RecordedPlan, Run, RunError,
        RunFilter, RunId, RunKind, RunOptions, RunResult, Strategy, Tenant, TenantId, WriteIntent, diff,
    },
    error::Error,
    store::{
        Accepted, AttemptProgress, ClaimLimits, ClaimedRun, Finish, LeaseKey, NewRun, StatementTime, Store,
        TenantSnapshot,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgPool;

use super::database::{self, TestDatabase};

/// The usual lease.
const LEASE: Duration = Duration::from_secs(30);
/// An empty list of runs.
const NOBODY: [RunId; 0] = [];
const DRY: bool = true;
const REAL: bool = false;

/// A store with a database of its own.
struct TestStore {
    store: Store,
    /// For what the store itself would never do.
    pool: PgPool,
    database: TestDatabase,
}

impl std::ops::Deref for TestStore {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// A store that knows the tenants `tenants`, each with a location.
async fn store_with(tenants: &[&str]) -> TestStore {
    let database = database::create().await;
    let pool = database.pool();
    let store = Store::new(pool.clone());
    for id in tenants {
        store.insert_tenant(at(0), &tenant(id)).await.expect("a tenant");
    }
    TestStore { store, pool, database }
}

/// The `limit` newest runs of a list that are older than `before`. On a busy machine a search stops early, and goes on where it stopped.
async fn listed(store: &Store, filter: &RunFilter, mut before: Option<RunId>, limit: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    loop {
        let left = i64::try_from(limit - runs.len()).expect("few");
        let page = store.logs(filter, before, left).await.expect("listed");
        runs.extend(page.runs);
        before = page.rest;
        if before.is_none() || runs.len() == limit {
            return runs;
        }
    }
}

impl TestStore {
    async fn accepted(&self, seconds: i64, tenant: &str) -> Run {
        self.accept(at(seconds), &new_run(tenant, REAL)).await.expect("accepted").run
    }

    /// Accepts a run and claims it, both at `seconds`.
    async fn claimed(&self, seconds: i64, tenant: &str, dry_run: bool) -> ClaimedRun {
        self.accept(at(seconds), &new_run(tenant, dry_run)).await.expect("accepted");
        self.claim_one(seconds).await
    }

    async fn claim_one(&self, seconds: i64) -> ClaimedRun {
        let mut claimed = self.claim(at(seconds), 1, LEASE).await.expect("claimed");
        claimed.pop().expect("a run that is due")
    }

    /// Claims as a runner does: after a look at the runs that wait for their time.
    async fn claim(&self, now: StatementTime, limit: i64, lease: Duration) -> Result<Vec<ClaimedRun>, Error> {
        self.enqueue_due(now, 100).await?;
        self.store.claim(now, ClaimLimits::of(limit), lease).await
    }

    /// The platform's side of a run whose tenant is there.
    async fn source(&self, seconds: i64, run: &Run) -> TenantSnapshot {
        self.tenant_snapshots(at(seconds), &[run]).await.expect("read").remove(&run.id).expect("a tenant")
    }

    /// Ends one run.
    async fn finish(
        &self,
        now: StatementTime,
        held: LeaseKey,
        attempt: i32,
        result: &RunResult,
        progress: &AttemptProgress,
    ) -> Result<bool, Error> {
        let end = Finish {
            held,
            attempt,
            result: result.clone(),
            progress: progress.clone(),
            location: None,
            observation: None,
        };
        Ok(self.store.finish(now, &[end]).await?.contains(&held.id))
    }

    /// Ends a run that succeeded for a location.
    async fn succeed(&self, now: StatementTime, held: LeaseKey, location: Option<LocationId>) {
        let (result, progress) = (RunResult::Succeeded, AttemptProgress::default());
        let end = Finish { held, attempt: 1, result, progress, location, observation: None };
        assert!(self.store.finish(now, &[end]).await.expect("answered").contains(&held.id));
    }

    async fn get(&self, run: RunId) -> Run {
        self.run(run).await.expect("read").expect("there")
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.expect("executed");
    }
}

/// A moment of the tests' clock.
fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_900_000_000, 0).expect("a time") + TimeDelta::seconds(seconds)
}

fn at(seconds: i64) -> StatementTime {
    Some(time(seconds))
}

fn id(tenant: &str) -> TenantId {
    TenantId::parse(tenant).expect("an id")
}

fn tenant(name: &str) -> Tenant {
    Tenant {
        id: id(name),
        display_name: name.to_uppercase(),
        organization: None,
        account: Some(AccountId::parse("1").expect("an id")),
        location: Some(LocationId::parse(&format!("at-{name}")).expect("an id")),
        region_code: "US".to_owned(),
        language_code: "en".to_owned(),
        created_at: Utc::now(),
        updated_at: Utc::now(),
    }
}

fn new_run(tenant: &str, dry_run: bool) -> NewRun {
    NewRun {
        id: RunId::now_v7(),
        tenant: id(tenant),
        kind: RunKind { strategy: Strategy::PlatformToGbp, dry_run },
        options: RunOptions::default(),
        caller: "tester".to_owned(),
        request_id: None,
        asked: None,
        max_attempts: 5,
        traceparent: None,
    }
}

fn held(claimed: &ClaimedRun) -> LeaseKey {
    LeaseKey { id: claimed.run.id, fencing_token: claimed.fencing_token }
}

fn set(slugs: &[&str]) -> CategorySet {
    let category = |slug: &&str| GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("a gcid"), "");
    let mut categories = slugs.iter().map(category);
    CategorySet::new(categories.next().expect("a primary"), categories.collect()).expect("a set")
}

/// A plan as a run has recorded it: outside of the service, nobody can make one.
fn plan(before: &[&str], after: &[&str]) -> RecordedPlan {
    let recorded = json!({
        "changes": diff(Some(&set(before)), &set(after)), "observed": set(before), "desired": set(after), "unmapped": [],
        "merged": [], "validation_errors": [], "hash": "", "observed_at": time(0),
    });
    serde_json::from_value(recorded).expect("a plan")
}

/// What an attempt knows that is about to write.
fn about_to_write(before: &[&str], after: &[&str]) -> AttemptProgress {
    let intent = WriteIntent {
        before: Some(set(before)),
        after: set(after),
        changes: diff(Some(&set(before)), &set(after)),
        location: None,
        account: None,
    };
    AttemptProgress { plan: Some(plan(before, after)), write_intent: Some(intent), ..AttemptProgress::default() }
}

fn failure() -> Failure {
    Failure::transient(FailureReason::UpstreamUnavailable, "Google answered 503").with("http_status", 503)
}

fn failed_attempt(attempt: i32) -> RunError {
    RunError::new(failure(), attempt)
}

/// An accepted answer as a test compares it.
fn shape(accepted: &Result<Accepted, Error>) -> Result<(RunId, bool, bool), &'static str> {
    accepted.as_ref().map(|a| (a.run.id, a.joined, a.created)).map_err(Error::reason)
}
