//! Accepting batches: one small row each, and the request id as for a run.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{
    BatchTarget, Now, Store,
    accept::{RequestKey, half_digest},
    batch::BatchRow,
};
use crate::{
    domain::{Admission, Batch, BatchId, BatchRule, RunKind, RunOverrides},
    error::Error,
};

/// A batch to accept.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its id.
    pub id: BatchId,
    /// Whose tenants.
    pub target: BatchTarget,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// Which of them.
    pub admission: Admission,
    /// How many that are.
    pub tenants: i64,
    /// How many have no location.
    pub without_location: i64,
    /// How many are not admitted.
    pub not_admitted: i64,
    /// When they were counted: the time of acceptance.
    pub at: DateTime<Utc>,
    /// The guards that its caller overrides.
    pub overrides: Vec<BatchRule>,
    /// The guards of its runs that its caller overrides. In a dry batch: none.
    pub run_overrides: RunOverrides,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub caller: String,
    /// The request's id, where it has one.
    pub request_id: Option<String>,
    /// How many attempts each of its runs may have.
    pub max_attempts: i32,
}

/// The guards that a batch's caller overrides: of the batch, and of its runs.
type Overrides<'a> = (&'a [BatchRule], &'a RunOverrides);

impl NewBatch {
    fn overrides(&self) -> Overrides<'_> {
        (&self.overrides, &self.run_overrides)
    }
}

/// The key of a request for a batch. Its arguments have a first text that no tenant's id is, so a request id that was used for the one
/// is used, too, for the other.
fn request_key(
    caller: &str,
    request_id: &str,
    target: &BatchTarget,
    kind: RunKind,
    (overrides, run_overrides): Overrides<'_>,
) -> RequestKey {
    let organization = target.organization.as_ref().map_or_else(|| "every tenant".to_owned(), |o| o.resource_name());
    let dry_run = if kind.dry_run { "dry" } else { "real" };
    let mut arguments = vec![organization.as_str(), kind.strategy.as_str(), dry_run];
    arguments.extend(overrides.iter().map(|rule| rule.as_str()));
    arguments.extend(run_overrides.guards.iter().map(|rule| rule.as_str()));
    let limit = run_overrides.limit.map(|limit| limit.to_string());
    arguments.extend(limit.as_deref());
    RequestKey { key: half_digest(&[caller, request_id]), fingerprint: half_digest(&arguments) }
}

impl Store {
    /// Gets the batch that was the first answer to a request id, where there was one.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] when its arguments, or what it was for, were others; or the database's.
    pub async fn first_batch(
        &self,
        now: Now,
        caller: &str,
        request_id: &str,
        target: &BatchTarget,
        kind: RunKind,
        overrides: Overrides<'_>,
    ) -> Result<Option<Batch>, Error> {
        let request = request_key(caller, request_id, target, kind, overrides);
        let first: Option<(Uuid, Uuid)> = sqlx::query_as(
            "select fingerprint, run_id from mirror_request
              where key = $1 and created_at >= coalesce($2, now()) - interval '24 hours'",
        )
        .bind(request.key)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        match first {
            None => Ok(None),
            Some((fingerprint, batch)) if fingerprint == request.fingerprint => self.batch(batch).await,
            Some(_) => Err(Error::RequestIdReused(request_id.to_owned())),
        }
    }

    /// Accepts a batch: one row, and one for what is left to do of it. Gives it, and whether this call made it rather than an earlier one
    /// with the same request id.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`], or the database's.
    pub async fn accept_batch(&self, new: &NewBatch) -> Result<(Batch, bool), Error> {
        let mut transaction = self.pool.begin().await?;
        if let Some(id) = &new.request_id {
            let request = request_key(&new.caller, id, &new.target, new.kind, new.overrides());
            if let Some(first) = claim_request(&mut transaction, new, id, request).await? {
                transaction.rollback().await?;
                let first = self.batch(first).await?;
                return first.map(|batch| (batch, false)).ok_or_else(|| Error::RequestIdReused(id.clone()));
            }
        }
        let limit = |rule: BatchRule| rule.limit(new.tenants).filter(|_| !new.overrides.contains(&rule));
        let batch_rules = new.overrides.iter().map(|rule| rule.as_str());
        let overrides: Vec<&str> =
            batch_rules.chain(new.run_overrides.guards.iter().map(|rule| rule.as_str())).collect();
        let row = sqlx::query_as::<_, BatchRow>(
            "with accepted as (
                 insert into batch (id, organization_id, only_tenants, strategy, dry_run, admission, tenants, without_location,
                                    not_admitted, max_attempts, change_limit, primary_limit, overrides, caller, request_id,
                                    reason, created_at, override_limit)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
                 returning *
             ), to_do as (
                 insert into batch_work (batch_id, turn_at) select id, created_at from accepted
             )
             select *, 0::bigint as running from accepted",
        )
        .bind(new.id)
        .bind(new.target.organization())
        .bind(new.target.only())
        .bind(new.kind.strategy.as_str())
        .bind(new.kind.dry_run)
        .bind(Json(&new.admission))
        .bind(new.tenants)
        .bind(new.without_location)
        .bind(new.not_admitted)
        .bind(new.max_attempts)
        .bind(limit(BatchRule::Tenants))
        .bind(limit(BatchRule::Primary))
        .bind(overrides)
        .bind(&new.caller)
        .bind(&new.request_id)
        .bind(&new.reason)
        .bind(new.at)
        .bind(new.run_overrides.limit)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((row.0, true))
    }
}

/// Makes the request id ours, or gives the batch that was the first answer to it. A second call waits here for the first one's commit.
async fn claim_request(
    connection: &mut PgConnection,
    new: &NewBatch,
    request_id: &str,
    request: RequestKey,
) -> Result<Option<BatchId>, Error> {
    if request.claim(connection, Some(new.at), new.id).await? {
        return Ok(None);
    }
    let (fingerprint, first): (Uuid, BatchId) =
        sqlx::query_as("select fingerprint, run_id from mirror_request where key = $1")
            .bind(request.key)
            .fetch_one(connection)
            .await?;
    if fingerprint == request.fingerprint {
        Ok(Some(first))
    } else {
        Err(Error::RequestIdReused(request_id.to_owned()))
    }
}
