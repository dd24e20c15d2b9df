//! Batches: accepted as one small row each, read, and cancelled.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow, types::Json};
use uuid::Uuid;

use super::{
    Now, Store,
    accept::{RequestKey, half_digest},
    row::{decode, optional_id, text},
};
use crate::{
    domain::{
        Admission, Batch, BatchChanges, BatchCounts, BatchId, BatchRule, BatchState, BatchVerdict, OrganizationId,
        RunKind, Strategy, TenantId,
    },
    error::Error,
};

/// Whose tenants a batch is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchTarget {
    /// One organization's; `None` is everybody's.
    pub organization: Option<OrganizationId>,
    /// Only those that the caller may see; `None` is no limit.
    pub only: Option<Vec<TenantId>>,
}

/// How many tenants a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// In all.
    pub tenants: i64,
    /// Those with a location.
    pub located: i64,
    /// When they were counted. Tenants that come later are not part of it.
    pub at: DateTime<Utc>,
}

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
    /// Why.
    pub reason: String,
    /// Who asks.
    pub caller: String,
    /// The request's id, where it has one.
    pub request_id: Option<String>,
    /// How many attempts each of its runs may have.
    pub max_attempts: i32,
}

impl BatchTarget {
    fn organization(&self) -> Option<&str> {
        self.organization.as_ref().map(OrganizationId::as_str)
    }

    fn only(&self) -> Option<Vec<&str>> {
        self.only.as_ref().map(|only| only.iter().map(TenantId::as_str).collect())
    }
}

/// The key of a request for a batch. Its arguments have a first text that no tenant's id is, so a request id that was used for the one
/// is used, too, for the other.
fn request_key(
    caller: &str,
    request_id: &str,
    target: &BatchTarget,
    kind: RunKind,
    overrides: &[BatchRule],
) -> RequestKey {
    let organization = target.organization.as_ref().map_or_else(|| "every tenant".to_owned(), |o| o.resource_name());
    let dry_run = if kind.dry_run { "dry" } else { "real" };
    let mut arguments = vec![organization.as_str(), kind.strategy.as_str(), dry_run];
    arguments.extend(overrides.iter().map(|rule| rule.as_str()));
    RequestKey { key: half_digest(&[caller, request_id]), fingerprint: half_digest(&arguments) }
}

impl Store {
    /// Counts a target's tenants.
    ///
    /// # Errors
    /// The database's.
    pub async fn population(&self, now: Now, target: &BatchTarget) -> Result<Population, Error> {
        let (tenants, located, at) = sqlx::query_as(
            "select count(*), count(gbp_location), coalesce($1, now())
               from tenant
              where ($2::text is null or organization_id = $2)
                and ($3::text[] is null or id = any ($3))",
        )
        .bind(now)
        .bind(target.organization())
        .bind(target.only())
        .fetch_one(&self.pool)
        .await?;
        Ok(Population { tenants, located, at })
    }

    /// Lists a target's tenants that have a location, and the organization of each, by id, after `after`, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub async fn located_tenants(
        &self,
        target: &BatchTarget,
        after: &str,
        limit: i64,
    ) -> Result<Vec<(TenantId, Option<OrganizationId>)>, Error> {
        let rows = sqlx::query(
            "select id, organization_id from tenant
              where id > $1 and gbp_location is not null
                and ($2::text is null or organization_id = $2)
                and ($3::text[] is null or id = any ($3))
              order by id
              limit $4",
        )
        .bind(after)
        .bind(target.organization())
        .bind(target.only())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| tenant_and_organization(row).map_err(Error::from)).collect()
    }

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
        overrides: &[BatchRule],
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
            let request = request_key(&new.caller, id, &new.target, new.kind, &new.overrides);
            if let Some(first) = claim_request(&mut transaction, new, id, request).await? {
                transaction.rollback().await?;
                let first = self.batch(first).await?;
                return first.map(|batch| (batch, false)).ok_or_else(|| Error::RequestIdReused(id.clone()));
            }
        }
        let limit = |rule: BatchRule| rule.limit(new.tenants).filter(|_| !new.overrides.contains(&rule));
        let row = sqlx::query_as::<_, BatchRow>(
            "with accepted as (
                 insert into batch (id, organization_id, only_tenants, strategy, dry_run, admission, tenants, without_location,
                                    not_admitted, max_attempts, change_limit, primary_limit, overrides, caller, request_id,
                                    reason, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
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
        .bind(new.overrides.iter().map(|rule| rule.as_str()).collect::<Vec<_>>())
        .bind(&new.caller)
        .bind(&new.request_id)
        .bind(&new.reason)
        .bind(new.at)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((row.0, true))
    }

    /// Gets a batch. Its counts are one moment's.
    ///
    /// # Errors
    /// The database's.
    pub async fn batch(&self, batch: BatchId) -> Result<Option<Batch>, Error> {
        let row = sqlx::query_as::<_, BatchRow>(
            "select batch.*, (select count(*) from run where batch_id = batch.id and state = 'running') as running
               from batch
              where id = $1",
        )
        .bind(batch);
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.0))
    }

    /// Lists batches, newest first, older than `before`, at most `limit`; `only` limits them to those that were made for some of these
    /// tenants and no others.
    ///
    /// # Errors
    /// The database's.
    pub async fn batches(
        &self,
        only: Option<&[TenantId]>,
        before: Option<BatchId>,
        limit: i64,
    ) -> Result<Vec<Batch>, Error> {
        let rows = sqlx::query_as::<_, BatchRow>(
            "select batch.*, (select count(*) from run where batch_id = batch.id and state = 'running') as running
               from batch
              where (id < $1 or $1::uuid is null)
                and ($2::text[] is null or only_tenants <@ $2)
              order by id desc
              limit $3",
        )
        .bind(before)
        .bind(only.map(|only| only.iter().map(TenantId::as_str).collect::<Vec<_>>()))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// Marks a batch as cancelled; [`Store::work_on_batch`] does the rest. Nothing happens to one that is over.
    ///
    /// # Errors
    /// The database's.
    pub async fn cancel_batch(&self, now: Now, batch: BatchId) -> Result<bool, Error> {
        let done = sqlx::query_scalar(
            "with cancelled as (
                 update batch set cancel_requested_at = coalesce(cancel_requested_at, $2, now())
                  where id = $1 and ended_at is null
                 returning id
             ), to_do as (
                 insert into batch_work (batch_id, turn_at) select id, '-infinity' from cancelled
                 on conflict (batch_id) do nothing
             )
             select exists (select 1 from cancelled)",
        )
        .bind(batch)
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(done)
    }
}

/// Makes the request id ours, or gives the batch that was the first answer to it. A second call waits here for the first one's commit.
async fn claim_request(
    connection: &mut PgConnection,
    new: &NewBatch,
    request_id: &str,
    request: RequestKey,
) -> Result<Option<BatchId>, Error> {
    let ours = sqlx::query(
        "insert into mirror_request as first (key, fingerprint, run_id, joined, created_at)
         values ($1, $2, $3, false, $4)
         on conflict (key) do update
            set fingerprint = excluded.fingerprint, run_id = excluded.run_id,
                joined = excluded.joined, created_at = excluded.created_at
          where first.created_at < excluded.created_at - interval '24 hours'
         returning 1",
    )
    .bind(request.key)
    .bind(request.fingerprint)
    .bind(new.id)
    .bind(new.at)
    .fetch_optional(&mut *connection)
    .await?;
    if ours.is_some() {
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

/// A row with a tenant's id and its organization's.
pub(super) fn tenant_and_organization(row: &PgRow) -> Result<(TenantId, Option<OrganizationId>), sqlx::Error> {
    Ok((super::row::id(row, "id", TenantId::parse)?, optional_id(row, "organization_id", OrganizationId::parse)?))
}

/// A row of `batch`, and how many of its runs are running.
struct BatchRow(Batch);

impl FromRow<'_, PgRow> for BatchRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let number = |column: &str| row.try_get::<i64, _>(column);
        let only: Option<Vec<String>> = row.try_get("only_tenants")?;
        let only = only.map(|only| only.iter().map(|id| TenantId::parse(id)).collect::<Result<_, _>>());
        let is_expanded = row.try_get::<Option<DateTime<Utc>>, _>("expanded_at")?.is_some();
        let is_cancelled = row.try_get::<Option<DateTime<Utc>>, _>("cancel_requested_at")?.is_some();
        let ended_at: Option<DateTime<Utc>> = row.try_get("ended_at")?;
        let (tenants, made, running) = (number("tenants")?, number("made")?, number("running")?);
        let unmade = tenants - made;
        let [pending, gone, never] = match (is_expanded, is_cancelled) {
            (false, _) => [unmade, 0, 0],
            (true, false) => [0, unmade, 0],
            (true, true) => [0, 0, unmade],
        };
        let verdict = |rule, value, let_through, limit| -> Result<BatchVerdict, sqlx::Error> {
            let (value, let_through) = (number(value)?, number(let_through)?);
            Ok(BatchVerdict { rule, value, let_through, limit: row.try_get(limit)? })
        };
        Ok(Self(Batch {
            id: row.try_get("id")?,
            organization: optional_id(row, "organization_id", OrganizationId::parse)?,
            only: only.transpose().map_err(|error| decode("only_tenants", error))?,
            kind: RunKind { strategy: text(row, "strategy", Strategy::from_text)?, dry_run: row.try_get("dry_run")? },
            state: match (is_cancelled, ended_at.is_some(), is_expanded) {
                (true, true, _) => BatchState::Cancelled,
                (true, false, _) => BatchState::Cancelling,
                (false, true, _) => BatchState::Completed,
                (false, false, true) => BatchState::Running,
                (false, false, false) => BatchState::Expanding,
            },
            tenants,
            without_location: number("without_location")?,
            not_admitted: number("not_admitted")?,
            counts: BatchCounts {
                pending,
                queued: made - number("over")? - running,
                running,
                succeeded: number("succeeded")?,
                failed: number("failed")?,
                skipped: number("skipped")? + gone,
                joined: number("joined")?,
                cancelled: number("cancelled")? + never,
            },
            out_of_sync: number("out_of_sync")?,
            changes: BatchChanges {
                created: number("created")?,
                updated: number("updated")?,
                deleted: number("deleted")?,
                unmapped: number("unmapped")?,
            },
            verdicts: vec![
                verdict(BatchRule::Tenants, "out_of_sync", "changing", "change_limit")?,
                verdict(BatchRule::Primary, "out_of_primary", "changing_primary", "primary_limit")?,
            ],
            overrides: row.try_get("overrides")?,
            reason: row.try_get("reason")?,
            caller: row.try_get("caller")?,
            request_id: row.try_get("request_id")?,
            created_at: row.try_get("created_at")?,
            ended_at,
        }))
    }
}
