//! Accepting batches: one small row each, the set of the tenants that it touches, and the request id as for a run.

use std::time::Duration;

use sqlx::types::Json;
use uuid::Uuid;

use super::{
    BatchTarget, ID_BY_DATABASE, Now, Store,
    accept::new_id,
    batch::{BatchRow, batch_columns},
    batch_target::{Population, population},
    batch_tenants::{Admitted, write_tenants},
    batch_work::TURNS_PER_CALLER,
    connections::Connection,
    request_key::RequestKey,
};
use crate::{
    domain::{Admission, Batch, BatchId, BatchRule, OrganizationId, RunKind, RunOverrides},
    error::{Error, Resource},
};

/// How often a transaction is tried again that met another one with the same request id.
const ACCEPT_MAX_TRIES: usize = 5;
/// When to come back with a batch too many: batches take minutes.
const FULL_WAIT: Duration = Duration::from_secs(60);

/// A batch to accept.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its id; usually [`ID_BY_DATABASE`].
    pub id: BatchId,
    /// Whose tenants.
    pub target: BatchTarget,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// Which of them.
    pub admission: Admission,
    /// How many tenants the caller expects to touch; `None`: any number.
    pub confirmed: Option<i64>,
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
    /// How many batches its caller may have that have not ended, this one included.
    pub max_live: usize,
}

/// The tenants of a batch that is being accepted.
struct Counted {
    population: Population,
    tenants: i64,
}

impl BatchTarget {
    /// `organizations/{organization}`, or `tenants/-`.
    #[must_use]
    pub fn resource_name(&self) -> String {
        self.organization.as_ref().map_or_else(|| "tenants/-".to_owned(), OrganizationId::resource_name)
    }
}

impl NewBatch {
    /// The key of its request, where it has an id. Its arguments are every field and the caller's scope, in which the same target is another
    /// one. They have a first text that no tenant's id is, so a request id that was used for a run cannot be used for a batch.
    fn request(&self) -> Option<RequestKey> {
        let request_id = self.request_id.as_deref()?;
        let every = "every tenant".to_owned();
        let organization = self.target.organization.as_ref().map_or(every, OrganizationId::resource_name);
        let dry_run = if self.kind.dry_run { "dry" } else { "real" };
        let mut arguments = vec![organization, self.kind.strategy.to_string(), dry_run.to_owned()];
        arguments.extend(self.overrides.iter().map(ToString::to_string));
        arguments.extend(self.run_overrides.guards.iter().map(ToString::to_string));
        arguments.extend(self.run_overrides.limit.map(|limit| format!("override limit:{limit}")));
        if !self.reason.is_empty() {
            arguments.push(format!("reason:{}", self.reason));
        }
        arguments.extend(self.confirmed.map(|confirmed| format!("confirmed:{confirmed}")));
        if let Some(only) = &self.target.only {
            let mut only: Vec<String> = only.iter().map(|tenant| format!("only:{tenant}")).collect();
            only.sort();
            only.dedup();
            arguments.push("limited".to_owned());
            arguments.extend(only);
        }
        Some(RequestKey::new(&self.caller, request_id, &arguments))
    }
}

impl Store {
    /// Gets the batch that was the first answer to the request, where there was one.
    ///
    /// # Errors
    /// [`Error::RequestIdReused`] when its arguments, or what it was for, were others; or the database's.
    pub async fn first_batch(&self, now: Now, new: &NewBatch) -> Result<Option<Batch>, Error> {
        let Some((request, id)) = new.request().zip(new.request_id.as_ref()) else { return Ok(None) };
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
            Some(_) => Err(Error::RequestIdReused(id.clone())),
        }
    }

    /// Accepts a batch: one row, the tenants that it touches, and a row for what is left to do of it. Its number of tenants is compared with
    /// the confirmed one, and the tenants are written down, in one snapshot. Gives it, and whether this call made it rather than an earlier
    /// one with the same request id.
    ///
    /// # Errors
    /// [`Error::NotFound`] of an organization without tenants, [`Error::NobodyToMirror`], [`Error::FeatureDisabled`] where no tenant is
    /// admitted, [`Error::ConfirmationMismatch`], [`Error::RequestIdReused`], or the database's. Nothing is changed then.
    pub async fn accept_batch(&self, now: Now, new: &NewBatch) -> Result<(Batch, bool), Error> {
        for _ in 1..ACCEPT_MAX_TRIES {
            match self.accept_batch_once(now, new).await {
                // Another call with the same id was faster; a new snapshot sees its answer.
                Err(error) if is_serialization_failure(&error) => {}
                accepted => return accepted?,
            }
        }
        self.accept_batch_once(now, new).await?
    }

    async fn accept_batch_once(&self, now: Now, new: &NewBatch) -> Result<Result<(Batch, bool), Error>, sqlx::Error> {
        let mut transaction = self.pool.begin_with("begin isolation level repeatable read").await?;
        // In this transaction, whose time is that of all that it makes.
        let id = if new.id == ID_BY_DATABASE { new_id(&mut transaction, now).await? } else { new.id };
        let new = &NewBatch { id, ..new.clone() };
        if let Some((request, id)) = new.request().zip(new.request_id.as_ref()) {
            match claim_request(&mut transaction, now, new, request).await? {
                Claim::New => {}
                Claim::Reused => return Ok(Err(Error::RequestIdReused(id.clone()))),
                Claim::First(batch) => {
                    transaction.rollback().await?;
                    let first = self.batch(batch).await;
                    let reused = || Error::RequestIdReused(id.clone());
                    return Ok(first.and_then(|first| Ok((first.ok_or_else(reused)?, false))));
                }
            }
        }
        if let Err(refusal) = check_share(&mut transaction, new).await? {
            return Ok(Err(refusal));
        }
        let counted = match count(&mut transaction, now, new).await? {
            Ok(counted) => counted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let batch = insert(&mut transaction, new, &counted).await?;
        transaction.commit().await?;
        Ok(Ok((batch, true)))
    }
}

/// Refuses a batch of a caller who has as many as they may. Of several requests at once, each may be taken that would be the last.
async fn check_share(connection: &mut Connection, new: &NewBatch) -> Result<Result<(), Error>, sqlx::Error> {
    let live: i64 = sqlx::query_scalar("select count(*) from batch where caller = $1 and ended_at is null")
        .bind(&new.caller)
        .fetch_one(connection)
        .await?;
    if usize::try_from(live).is_ok_and(|live| live < new.max_live) {
        return Ok(Ok(()));
    }
    let problem = "too many batches of one caller that have not ended (BATCHES_PER_SUBJECT)";
    Ok(Err(Error::RateLimited { problem, limit: new.max_live, wait: FULL_WAIT }))
}

/// Counts the tenants that the batch touches and writes them down.
async fn count(connection: &mut Connection, now: Now, new: &NewBatch) -> Result<Result<Counted, Error>, sqlx::Error> {
    let population = population(connection, now, &new.target).await?;
    let name = new.target.resource_name();
    if population.tenants == 0 && new.target.organization.is_some() {
        return Ok(Err(Error::NotFound(Resource::Organization, name)));
    }
    if population.located == 0 {
        return Ok(Err(Error::NobodyToMirror(name)));
    }
    // A number that is known already costs no page.
    let expected = new.admission.is_everybody().then_some(population.located);
    let mismatch = |tenants: i64| new.confirmed.filter(|confirmed| *confirmed != tenants);
    if let Some((expected, confirmed)) = expected.and_then(|tenants| Some((tenants, mismatch(tenants)?))) {
        return Ok(Err(Error::ConfirmationMismatch { target: name, expected, confirmed }));
    }
    let Admitted { tenants, refusal } =
        write_tenants(connection, new.id, &new.target, &new.admission, ("", None)).await?;
    Ok(match (tenants, refusal, mismatch(tenants)) {
        (0, Some(why), _) => Err(Error::FeatureDisabled { flag: new.admission.flag, why }),
        (_, _, Some(confirmed)) => Err(Error::ConfirmationMismatch { target: name, expected: tenants, confirmed }),
        (_, _, None) => Ok(Counted { population, tenants }),
    })
}

async fn insert(connection: &mut Connection, new: &NewBatch, counted: &Counted) -> Result<Batch, sqlx::Error> {
    let Counted { population, tenants } = counted;
    let limit = |rule: BatchRule| rule.limit(*tenants).filter(|_| !new.overrides.contains(&rule));
    let batch_rules = new.overrides.iter().map(|rule| rule.as_str());
    let overrides: Vec<&str> = batch_rules.chain(new.run_overrides.guards.iter().map(|rule| rule.as_str())).collect();
    let row = sqlx::query_as::<_, BatchRow>(concat!(
        "with accepted as (
             insert into batch (id, organization_id, only_tenants, strategy, dry_run, admission, tenants, without_location,
                                not_admitted, max_attempts, change_limit, primary_limit, overrides, caller, request_id,
                                reason, created_at, override_limit)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $19)
             returning ",
        batch_columns!(),
        "
         ), to_do as (
             -- In the round that is under way, or a later one where its caller has many.
             insert into batch_work (batch_id, turn_at, tenants_created_until, caller, turn)
             select id, created_at, $18, caller,
                    coalesce((select turn from batch_work order by turn limit 1), 0)
                    + (select count(*) from batch_work own where own.caller = accepted.caller and not own.cancelling) / $20
               from accepted
         )
         select ",
        batch_columns!(),
        ", 0::bigint as running from accepted"
    ))
    .bind(new.id)
    .bind(new.target.organization())
    .bind(new.target.only())
    .bind(new.kind.strategy.as_str())
    .bind(new.kind.dry_run)
    .bind(Json(&new.admission))
    .bind(tenants)
    .bind(population.tenants - population.located)
    .bind(population.located - tenants)
    .bind(new.max_attempts)
    .bind(limit(BatchRule::Tenants))
    .bind(limit(BatchRule::Primary))
    .bind(overrides)
    .bind(&new.caller)
    .bind(&new.request_id)
    .bind(&new.reason)
    .bind(population.at)
    .bind(population.created_until)
    .bind(new.run_overrides.limit)
    .bind(TURNS_PER_CALLER)
    .fetch_one(connection)
    .await?;
    Ok(row.0)
}

/// What a request id stands for.
enum Claim {
    /// This request.
    New,
    /// This batch, which was the first answer.
    First(BatchId),
    /// Something else.
    Reused,
}

/// Records the batch as the answer to its request id, unless that was answered. A second call waits here for the first one's commit, and then
/// begins anew.
async fn claim_request(
    connection: &mut Connection,
    now: Now,
    new: &NewBatch,
    request: RequestKey,
) -> Result<Claim, sqlx::Error> {
    if request.claim(connection, now, new.id).await? {
        return Ok(Claim::New);
    }
    let (fingerprint, first): (Uuid, BatchId) =
        sqlx::query_as("select fingerprint, run_id from mirror_request where key = $1")
            .bind(request.key)
            .fetch_one(connection)
            .await?;
    Ok(if fingerprint == request.fingerprint { Claim::First(first) } else { Claim::Reused })
}

fn is_serialization_failure(error: &sqlx::Error) -> bool {
    const SERIALIZATION_FAILURE: &str = "40001";
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some(SERIALIZATION_FAILURE))
}
