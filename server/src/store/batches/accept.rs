//! Accepting batches: one row for each, the set of the tenants that it touches, and its idempotency key, as for a run.

use std::time::Duration;

use sqlx::types::Json;
use uuid::Uuid;

use super::{
    chunk::BATCHES_PER_CALLER_PER_ROUND,
    new_batch::NewBatch,
    read::{BatchRow, batch_columns},
    target::{TargetCounts, target_counts},
    tenants::{EnabledTenants, write_tenants},
};
use crate::{
    domain::{Batch, BatchGuardRule, BatchId},
    error::{Error, Resource},
    store::{
        connections::Connection,
        handle::Store,
        idempotency_key::IdempotencyKey,
        runs::accept::single::{ID_BY_DATABASE, new_id},
        statement::StatementTime,
    },
};

/// Tries of a transaction that meets another one with the same request id.
const MAX_ACCEPT_TRIES: usize = 5;
/// When to retry with a batch too many: batches take minutes.
const BATCHES_FULL_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The tenants of a batch that is being accepted.
struct CountedTargets {
    target_counts: TargetCounts,
    tenants: i64,
}

impl Store {
    /// Gets the batch that is the recorded response to the request, if there is one.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] if the request id was used with other arguments or for something else, [`Error::DatabaseUnavailable`]
    /// or [`Error::Internal`].
    pub async fn recorded_batch(&self, now: StatementTime, new: &NewBatch) -> Result<Option<Batch>, Error> {
        let Some((request, id)) = new.request().zip(new.request_id.as_ref()) else { return Ok(None) };
        let first: Option<(Uuid, Uuid)> = sqlx::query_as(
            "select fingerprint, result_id from idempotency_key
              where key = $1 and created_at >= coalesce($2, now()) - interval '24 hours'",
        )
        .bind(request.key)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        match first {
            None => Ok(None),
            Some((fingerprint, batch)) if fingerprint == request.fingerprint => self.batch(batch).await,
            Some(_) => Err(Error::RequestIdReused(id.clone())),
        }
    }

    /// Accepts a batch: one row, the tenants that it touches, and a row for its expansion. Its number of
    /// tenants is compared with the confirmed one, and the tenants are recorded, in one snapshot. Returns it, and
    /// whether this call created it rather than an earlier one with the same request id.
    ///
    /// # Errors
    /// [`Error::NotFound`] of an organization without tenants, [`Error::NoTenantWithLocation`],
    /// [`Error::FeatureDisabled`] if the flag is off for all tenants, [`Error::ConfirmationMismatch`],
    /// [`Error::RequestIdReused`], [`Error::DatabaseUnavailable`] or [`Error::Internal`]; nothing is changed.
    pub async fn accept_batch(&self, now: StatementTime, new: &NewBatch) -> Result<(Batch, bool), Error> {
        for _ in 1..MAX_ACCEPT_TRIES {
            match self.accept_batch_once(now, new).await {
                // Another call with the same id was faster; a new snapshot sees its answer.
                Err(error) if is_serialization_failure(&error) => {}
                accepted => return accepted?,
            }
        }
        self.accept_batch_once(now, new).await?
    }

    async fn accept_batch_once(
        &self,
        now: StatementTime,
        new: &NewBatch,
    ) -> Result<Result<(Batch, bool), Error>, sqlx::Error> {
        let mut transaction = self.pool.begin_with("begin isolation level repeatable read").await?;
        // In this transaction, so that the id has the time of all of its rows.
        let id = if new.id == ID_BY_DATABASE { new_id(&mut transaction, now).await? } else { new.id };
        let new = &NewBatch { id, ..new.clone() };
        if let Some((request, id)) = new.request().zip(new.request_id.as_ref()) {
            match claim_request(&mut transaction, now, new, request).await? {
                RequestClaim::New => {}
                RequestClaim::Reused => return Ok(Err(Error::RequestIdReused(id.clone()))),
                RequestClaim::First(batch) => {
                    transaction.rollback().await?;
                    let first = self.batch(batch).await;
                    let reused = || Error::RequestIdReused(id.clone());
                    return Ok(first.and_then(|first| Ok((first.ok_or_else(reused)?, false))));
                }
            }
        }
        if let Err(refusal) = check_live_batches(&mut transaction, new).await? {
            return Ok(Err(refusal));
        }
        let counted = match count_targets(&mut transaction, now, new).await? {
            Ok(counted) => counted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let batch = insert(&mut transaction, new, &counted).await?;
        transaction.commit().await?;
        Ok(Ok((batch, true)))
    }
}

/// Refuses a batch of a caller who has as many as allowed. Concurrent requests may exceed the limit, because none sees the others' batches.
async fn check_live_batches(connection: &mut Connection, new: &NewBatch) -> Result<Result<(), Error>, sqlx::Error> {
    let live: i64 = sqlx::query_scalar("select count(*) from batch where caller = $1 and ended_at is null")
        .bind(&new.caller)
        .fetch_one(connection)
        .await?;
    if usize::try_from(live).is_ok_and(|live| live < new.max_live) {
        return Ok(Ok(()));
    }
    let problem = "too many batches of one caller that have not ended (MAX_BATCHES_PER_SUBJECT)";
    Ok(Err(Error::RateLimited { problem, limit: new.max_live, wait: BATCHES_FULL_RETRY_AFTER }))
}

/// Counts the tenants that the batch touches, and records them.
async fn count_targets(
    connection: &mut Connection,
    now: StatementTime,
    new: &NewBatch,
) -> Result<Result<CountedTargets, Error>, sqlx::Error> {
    let target_counts = target_counts(connection, now, &new.target).await?;
    let name = new.target.resource_name();
    if target_counts.tenants == 0 && new.target.organization.is_some() {
        return Ok(Err(Error::NotFound(Resource::Organization, name)));
    }
    if target_counts.with_location == 0 {
        return Ok(Err(Error::NoTenantWithLocation(name)));
    }
    // Before the tenants are recorded, if their number is known without that.
    let expected = new.flag_at_acceptance.is_on_for_all().then_some(target_counts.with_location);
    let mismatch = |tenants: i64| new.confirmed.filter(|confirmed| *confirmed != tenants);
    if let Some((expected, confirmed)) = expected.and_then(|tenants| Some((tenants, mismatch(tenants)?))) {
        return Ok(Err(Error::ConfirmationMismatch { target: name, expected, confirmed }));
    }
    let EnabledTenants { tenants, refusal } =
        write_tenants(connection, new.id, &new.target, &new.flag_at_acceptance, ("", None)).await?;
    Ok(match (tenants, refusal, mismatch(tenants)) {
        (0, Some(why), _) => Err(Error::FeatureDisabled { flag: new.flag_at_acceptance.flag, why }),
        (_, _, Some(confirmed)) => Err(Error::ConfirmationMismatch { target: name, expected: tenants, confirmed }),
        (_, _, None) => Ok(CountedTargets { target_counts, tenants }),
    })
}

async fn insert(connection: &mut Connection, new: &NewBatch, counted: &CountedTargets) -> Result<Batch, sqlx::Error> {
    let CountedTargets { target_counts, tenants } = counted;
    let limit = |rule: BatchGuardRule| rule.limit(*tenants).filter(|_| !new.overrides.contains(&rule));
    let batch_rules = new.overrides.iter().map(|rule| rule.as_str());
    let overrides: Vec<&str> = batch_rules.chain(new.run_overrides.guards.iter().map(|rule| rule.as_str())).collect();
    let row = sqlx::query_as::<_, BatchRow>(concat!(
        "with accepted as (
             -- The new batch.
             insert into batch (id, organization_id, visible_tenants, strategy, dry_run, flag_at_acceptance, tenants, without_location,
                                disabled, max_attempts, max_changes, max_primary_changes, overridden_guards, caller, request_id,
                                override_reason, created_at, max_overrides)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $19)
             returning ",
        batch_columns!(),
        "
         ), to_do as (
             -- Its expansion: in the current round, or a later one where its caller has many.
             insert into batch_expansion (batch_id, last_chunk_at, tenants_created_until, caller, fairness_rank)
             select id, created_at, $18, caller,
                    coalesce((select fairness_rank from batch_expansion order by fairness_rank limit 1), 0)
                    + (select count(*) from batch_expansion own where own.caller = accepted.caller and not own.cancelling) / $20
               from accepted
         )
         select ",
        batch_columns!(),
        ", 0::bigint as running from accepted"
    ))
    .bind(new.id)
    .bind(new.target.organization())
    .bind(new.target.visible_tenants())
    .bind(new.kind.strategy.as_str())
    .bind(new.kind.dry_run)
    .bind(Json(&new.flag_at_acceptance))
    .bind(tenants)
    .bind(target_counts.tenants - target_counts.with_location)
    .bind(target_counts.with_location - tenants)
    .bind(new.max_attempts)
    .bind(limit(BatchGuardRule::Tenants))
    .bind(limit(BatchGuardRule::Primary))
    .bind(overrides)
    .bind(&new.caller)
    .bind(&new.request_id)
    .bind(&new.reason)
    .bind(target_counts.at)
    .bind(target_counts.created_until)
    .bind(new.run_overrides.limit)
    .bind(BATCHES_PER_CALLER_PER_ROUND)
    .fetch_one(connection)
    .await?;
    Ok(row.0)
}

/// The use of a request id.
enum RequestClaim {
    /// It was free, and is this request's now.
    New,
    /// Its recorded response is this batch.
    First(BatchId),
    /// It was used for another request.
    Reused,
}

/// Records the batch as the response to its request id, unless it has one. A second call waits here for the first
/// one's commit, and then begins anew.
async fn claim_request(
    connection: &mut Connection,
    now: StatementTime,
    new: &NewBatch,
    request: IdempotencyKey,
) -> Result<RequestClaim, sqlx::Error> {
    if request.claim(connection, now, new.id).await? {
        return Ok(RequestClaim::New);
    }
    let (fingerprint, first): (Uuid, BatchId) =
        sqlx::query_as("select fingerprint, result_id from idempotency_key where key = $1")
            .bind(request.key)
            .fetch_one(connection)
            .await?;
    Ok(if fingerprint == request.fingerprint { RequestClaim::First(first) } else { RequestClaim::Reused })
}

fn is_serialization_failure(error: &sqlx::Error) -> bool {
    const SERIALIZATION_FAILURE: &str = "40001";
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(SERIALIZATION_FAILURE))
}
