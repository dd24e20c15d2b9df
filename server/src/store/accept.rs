//! Accepting runs: after the commit a run is durable, and so is the answer to its request id.

use aws_lc_rs::digest;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Now, Store, row::RunRow, tenant::not_found};
use crate::{
    domain::{Orders, Run, RunId, RunKind, TenantId, TraceParent},
    error::Error,
};

/// The id of what gets one from the database when it is accepted. Ids are times, which lists, windows and streams go by, and servers' clocks
/// differ: so none is made by a server. Tests and benchmarks may bring ids of their own.
pub const ID_BY_DATABASE: Uuid = Uuid::nil();

/// A run to accept.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id, if it becomes a run of its own; usually [`ID_BY_DATABASE`].
    pub id: RunId,
    /// The tenant.
    pub tenant: TenantId,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// What else is asked for.
    pub orders: Orders,
    /// Who asks.
    pub caller: String,
    /// The request's id, where it has one.
    pub request_id: Option<String>,
    /// How many attempts there may be.
    pub max_attempts: i32,
    /// The trace that the request belongs to.
    pub traceparent: Option<TraceParent>,
}

/// The answer to a request for a run.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The run, as it is now.
    pub run: Run,
    /// Whether it was live already.
    pub joined: bool,
    /// Whether this call made it.
    pub created: bool,
}

/// A request id and its arguments, as the table keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestKey {
    /// Of the caller and the request id.
    pub(super) key: Uuid,
    /// Of the arguments.
    pub(super) fingerprint: Uuid,
}

impl RequestKey {
    /// Makes the key ours, with a run or a batch for its answer, unless it was answered within 24 hours. Waits for whoever does the same.
    pub(super) async fn claim(
        self,
        connection: &mut PgConnection,
        now: Now,
        answer: Uuid,
    ) -> Result<bool, sqlx::Error> {
        let ours = sqlx::query(
            "insert into mirror_request as first (key, fingerprint, run_id, joined, created_at)
             values ($1, $2, $3, false, coalesce($4, now()))
             on conflict (key) do update
                set fingerprint = excluded.fingerprint, run_id = excluded.run_id,
                    joined = excluded.joined, created_at = excluded.created_at
              where first.created_at < excluded.created_at - interval '24 hours'
             returning 1",
        )
        .bind(self.key)
        .bind(self.fingerprint)
        .bind(answer)
        .bind(now)
        .fetch_optional(connection)
        .await?;
        Ok(ours.is_some())
    }
}

impl NewRun {
    /// The key of its request, where it has an id.
    pub(super) fn request(&self) -> Option<RequestKey> {
        let request_id = self.request_id.as_deref()?;
        let dry_run = if self.kind.dry_run { "dry" } else { "real" };
        let mut arguments = vec![self.tenant.as_str(), self.kind.strategy.as_str(), dry_run];
        let orders = self.orders().map(|Json(orders)| serde_json::to_string(orders).expect("texts and lists of texts"));
        arguments.extend(orders.as_deref());
        Some(RequestKey { key: half_digest(&[&self.caller, request_id]), fingerprint: half_digest(&arguments) })
    }

    /// What else is asked for, as the table keeps it.
    pub(super) fn orders(&self) -> Option<Json<&Orders>> {
        (!self.orders.is_empty()).then_some(Json(&self.orders))
    }

    /// Whether the run is what is asked for, so that the request can join it.
    pub(super) fn is_met_by(&self, run: &Run) -> bool {
        run.kind == self.kind && run.orders == self.orders
    }
}

/// Half of the SHA-256 of texts and their lengths, so that no two lists of texts run together.
pub(super) fn half_digest(texts: &[&str]) -> Uuid {
    let mut context = digest::Context::new(&digest::SHA256);
    for text in texts {
        context.update(&text.len().to_le_bytes());
        context.update(text.as_bytes());
    }
    let mut half = [0; 16];
    half.copy_from_slice(&context.finish().as_ref()[..16]);
    Uuid::from_bytes(half)
}

impl Store {
    /// Accepts one run, or joins the live one of its kind, or repeats the first answer to the request id: all in one transaction, so
    /// in every race. [`Store::accept_all`] is the quick way for what is not in a race.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::NoLocation`] of the tenant, [`Error::RunInProgress`], [`Error::RequestIdReused`], or the database's.
    pub async fn accept(&self, now: Now, new: &NewRun) -> Result<Accepted, Error> {
        let mut transaction = self.pool.begin().await?;
        let accepted = accept_within(&mut transaction, now, new).await?;
        transaction.commit().await?;
        Ok(accepted)
    }

    /// Whether a request with this id and these arguments was answered before, within 24 hours.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_repeated(&self, now: Now, new: &NewRun) -> Result<bool, Error> {
        let Some(request) = new.request() else { return Ok(false) };
        let (is_repeated,): (bool,) = sqlx::query_as(
            "select exists (select from mirror_request
                             where key = $1 and fingerprint = $2 and created_at >= coalesce($3, now()) - interval '24 hours')",
        )
        .bind(request.key)
        .bind(request.fingerprint)
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(is_repeated)
    }

    /// Forgets first answers that are older than 24 hours, at most `limit`. Gives how many it forgot.
    ///
    /// # Errors
    /// The database's.
    pub async fn forget_requests(&self, now: Now, limit: u64) -> Result<u64, Error> {
        let done = sqlx::query(
            "delete from mirror_request
              where ctid = any (array(select ctid from mirror_request
                                       where created_at < coalesce($1, now()) - interval '24 hours'
                                       limit $2
                                         for update skip locked))",
        )
        .bind(now)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

/// Makes an id of the time that the other statements go by.
pub(super) async fn new_id(connection: &mut PgConnection, now: Now) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar("select run_id_at(coalesce($1, now()), 0)").bind(now).fetch_one(connection).await
}

/// The same within somebody's transaction.
pub(super) async fn accept_within(connection: &mut PgConnection, now: Now, new: &NewRun) -> Result<Accepted, Error> {
    let with_id;
    let new = if new.id == ID_BY_DATABASE {
        with_id = NewRun { id: new_id(connection, now).await?, ..new.clone() };
        &with_id
    } else {
        new
    };
    let request = new.request();
    if let Some(request) = request
        && let Some(first) = claim_request(connection, now, new, request).await?
    {
        return Ok(first);
    }
    let accepted = insert_or_join(connection, now, new).await?;
    if let Some(request) = request {
        sqlx::query("update mirror_request set run_id = $2, joined = $3 where key = $1")
            .bind(request.key)
            .bind(accepted.run.id)
            .bind(accepted.joined)
            .execute(connection)
            .await?;
    }
    Ok(accepted)
}

/// Makes the request id ours, or gives the first answer to it. A second call with the same id waits here for the first one's commit.
/// An id whose run never came to be, because its batch lost a race, was never answered: it is free.
async fn claim_request(
    connection: &mut PgConnection,
    now: Now,
    new: &NewRun,
    request: RequestKey,
) -> Result<Option<Accepted>, Error> {
    if request.claim(connection, now, new.id).await? {
        return Ok(None);
    }
    // A statement of its own, because it has to see the run of an insert that the first one waited for.
    let (fingerprint, run_id, joined): (Uuid, RunId, bool) =
        sqlx::query_as("select fingerprint, run_id, joined from mirror_request where key = $1 for update")
            .bind(request.key)
            .fetch_one(&mut *connection)
            .await?;
    let run = sqlx::query_as::<_, RunRow>("select * from every_run where id = $1")
        .bind(run_id)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(RunRow(run)) = run else {
        let freed = sqlx::query(
            "update mirror_request set fingerprint = $2
              where key = $1 and not exists (select 1 from batch where batch.id = run_id)",
        )
        .bind(request.key)
        .bind(request.fingerprint)
        .execute(connection)
        .await?;
        // It was answered with a batch.
        return if freed.rows_affected() > 0 { Ok(None) } else { Err(reused(new)) };
    };
    if fingerprint != request.fingerprint {
        return Err(reused(new));
    }
    Ok(Some(Accepted { run, joined, created: false }))
}

/// The error of those whose request id was used for something else.
pub(super) fn reused(new: &NewRun) -> Error {
    Error::RequestIdReused(new.request_id.clone().unwrap_or_default())
}

/// Checks that the tenant is there. It is not locked: each accepted run would write to the tenant's row for it, and a run whose tenant is
/// deleted at this moment ends as one whose tenant is deleted in the next, with a reason.
async fn check_tenant(connection: &mut PgConnection, tenant: &TenantId) -> Result<(), Error> {
    let (has_location,): (bool,) = sqlx::query_as("select gbp_location is not null from tenant where id = $1")
        .bind(tenant.as_str())
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| not_found(tenant))?;
    if has_location { Ok(()) } else { Err(Error::NoLocation(tenant.clone())) }
}

async fn insert_or_join(connection: &mut PgConnection, now: Now, new: &NewRun) -> Result<Accepted, Error> {
    // A live run can end between the conflict and the look at it: then the place is free, and we try again.
    loop {
        check_tenant(connection, &new.tenant).await?;
        let inserted = sqlx::query_as::<_, RunRow>(
            "insert into run (id, tenant_id, organization_id, strategy, dry_run, state, max_attempts, lane, turn,
                              caller, request_id, created_at, orders, traceparent)
             select $1, tenant.id, tenant.organization_id, $3, $4, 'queued', $5, tenant.organization_id,
                    1 + greatest((select turn from run
                                   where state = 'queued' and due_at is null and not bulk
                                   order by turn, id
                                   limit 1),
                                 (select turn from run
                                   where state = 'queued' and due_at is null and lane = tenant.organization_id and not bulk
                                   order by turn desc
                                   limit 1),
                                 0),
                    $6, $7, coalesce($8, now()), $9, $10
               from tenant
              where tenant.id = $2
             on conflict (tenant_id) do nothing
             returning *",
        )
        .bind(new.id)
        .bind(new.tenant.as_str())
        .bind(new.kind.strategy.as_str())
        .bind(new.kind.dry_run)
        .bind(new.max_attempts)
        .bind(&new.caller)
        .bind(&new.request_id)
        .bind(now)
        .bind(new.orders())
        .bind(new.traceparent.as_ref().map(TraceParent::as_str))
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = inserted {
            return Ok(Accepted { run: row.0, joined: false, created: true });
        }
        if let Some(run) = live_run(connection, &new.tenant).await? {
            return if new.is_met_by(&run) {
                Ok(Accepted { run, joined: true, created: false })
            } else {
                Err(in_progress(&run))
            };
        }
    }
}

/// The tenant's live run.
pub(super) async fn live_run(connection: &mut PgConnection, tenant: &TenantId) -> Result<Option<Run>, Error> {
    let row = sqlx::query_as::<_, RunRow>("select * from run where tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.0))
}

/// The error of those who would start beside a live run.
pub(super) fn in_progress(run: &Run) -> Error {
    let dry = if run.kind.dry_run { ", dry run" } else { "" };
    let orders = if run.orders.is_empty() { "" } else { ", with orders of its own" };
    Error::RunInProgress { run: run.resource_name(), kind: format!("{}{dry}{orders}", run.kind.strategy) }
}
