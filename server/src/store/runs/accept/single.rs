//! Accepting one run in a transaction: after its commit, the run and the recorded response to its request id are durable.

use sqlx::types::Json;
use uuid::Uuid;

use super::join::{Met, join, lock_live};
use crate::{
    domain::{JoinRefusal, Joiner, Run, RunId, RunKind, RunOptions, TenantId, TraceContext},
    error::Error,
    store::{
        connections::Connection,
        error::tenant_not_found,
        handle::Store,
        idempotency_key::{IdempotencyKey, NO_RUN, arguments},
        row::{RunRow, run_columns},
        runs::live_run::{in_progress, kind, live_run},
        statement::StatementTime,
    },
};

/// Placeholder of an id that the database assigns at acceptance. Ids are times, which lists, windows and streams go
/// by, and servers' clocks differ, so servers create none. Tests and benchmarks may use their own ids.
pub const ID_BY_DATABASE: Uuid = Uuid::nil();

/// A run to accept.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its id, if it does not join another run; usually [`ID_BY_DATABASE`].
    pub id: RunId,
    /// The tenant.
    pub tenant: TenantId,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// What else is requested: overrides, a revert, a view.
    pub options: RunOptions,
    /// The authenticated subject of the caller.
    pub caller: String,
    /// The request id, if the request has one.
    pub request_id: Option<String>,
    /// Every field of the request, if kind and options were derived from more than these, such as from the state of another run: a replay
    /// has the same fields, even if that state has changed. `None`: tenant, kind and options are the request's fields.
    pub asked: Option<Vec<String>>,
    /// Limit of its counted attempts.
    pub max_attempts: i32,
    /// The trace of the request.
    pub traceparent: Option<TraceContext>,
}

/// The answer to a request for a run.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The run in its current state.
    pub run: Run,
    /// Whether it was live already.
    pub joined: bool,
    /// Whether this call created it.
    pub created: bool,
}

impl NewRun {
    /// Returns the idempotency key of its request, if the request has an id.
    pub(in crate::store) fn request(&self) -> Option<IdempotencyKey> {
        let request_id = self.request_id.as_deref()?;
        if let Some(asked) = &self.asked {
            return Some(IdempotencyKey::new(&self.caller, request_id, asked));
        }
        Some(IdempotencyKey::new(&self.caller, request_id, &arguments(&self.tenant, self.kind, &self.options)))
    }

    /// Returns the options as the table keeps them; `None`: there are none.
    pub(in crate::store) fn options(&self) -> Option<Json<&RunOptions>> {
        (!self.options.is_empty()).then_some(Json(&self.options))
    }

    /// Returns what it requires of a live run that it would join.
    fn joiner(&self) -> Joiner<'_> {
        Joiner { kind: self.kind, options: &self.options, is_batch: false }
    }
}

impl Store {
    /// Accepts one run, joins the live one of its kind, or returns the recorded response to the request id: all in one transaction, so
    /// correct in every race. [`Store::accept_all`] is faster for runs without a race.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::NoLocation`] of the tenant, [`Error::RunInProgress`], [`Error::CannotJoin`],
    /// [`Error::RequestIdReused`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn accept(&self, now: StatementTime, new: &NewRun) -> Result<Accepted, Error> {
        let mut transaction = self.pool.begin().await?;
        match accept_within(&mut transaction, now, new).await {
            Ok(accepted) => {
                transaction.commit().await?;
                Ok(accepted)
            }
            Err(refusal) => {
                // The drop would roll back later and leave the live run locked until then: a claim would skip it.
                let _ = transaction.rollback().await;
                Err(refusal)
            }
        }
    }
}

/// Creates a run id of the statement's time.
pub(in crate::store) async fn new_id(connection: &mut Connection, now: StatementTime) -> Result<Uuid, sqlx::Error> {
    sqlx::query_scalar("select run_id_at(coalesce($1, now()), 0)").bind(now).fetch_one(connection).await
}

/// Accepts a run within the caller's transaction.
pub(in crate::store) async fn accept_within(
    connection: &mut Connection,
    now: StatementTime,
    new: &NewRun,
) -> Result<Accepted, Error> {
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
        sqlx::query("update idempotency_key set result_id = $2, joined = $3 where key = $1")
            .bind(request.key)
            .bind(accepted.run.id)
            .bind(accepted.joined)
            .execute(connection)
            .await?;
    }
    Ok(accepted)
}

/// Claims the request id for this call, or returns its recorded response. A second call with the same id waits here for
/// the first one's commit. An id whose run never came to be, because its batch lost a race, was never answered: it is
/// free.
async fn claim_request(
    connection: &mut Connection,
    now: StatementTime,
    new: &NewRun,
    request: IdempotencyKey,
) -> Result<Option<Accepted>, Error> {
    if request.claim(connection, now, new.id).await? {
        return Ok(None);
    }
    // A statement of its own, because it has to see the run of an insert that the first one waited for.
    let (fingerprint, run_id, joined): (Uuid, RunId, bool) =
        sqlx::query_as("select fingerprint, result_id, joined from idempotency_key where key = $1 for update")
            .bind(request.key)
            .fetch_one(&mut *connection)
            .await?;
    let run = sqlx::query_as::<_, RunRow>(concat!(
        "select ",
        run_columns!(),
        ", next_attempt_at, ended_at from all_runs where id = $1"
    ))
    .bind(run_id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(RunRow(run)) = run else {
        let freed = sqlx::query(
            "update idempotency_key set fingerprint = $2
              where key = $1 and result_id <> $3 and not exists (select 1 from batch where batch.id = result_id)",
        )
        .bind(request.key)
        .bind(request.fingerprint)
        .bind(NO_RUN)
        .execute(connection)
        .await?;
        // The recorded response is a batch, or a decision that needed no run.
        return if freed.rows_affected() > 0 { Ok(None) } else { Err(reused(new)) };
    };
    if fingerprint != request.fingerprint {
        return Err(reused(new));
    }
    Ok(Some(Accepted { run, joined, created: false }))
}

/// Returns the error of a request id that was used for another request.
pub(in crate::store) fn reused(new: &NewRun) -> Error {
    Error::RequestIdReused(new.request_id.clone().unwrap_or_default())
}

/// Checks that the tenant exists. The tenant is not locked: each accepted run would write to the tenant's row for that,
/// and a run whose tenant is deleted now ends like one whose tenant is deleted a moment later, with a reason.
async fn check_tenant(connection: &mut Connection, tenant: &TenantId) -> Result<(), Error> {
    let (has_location,): (bool,) = sqlx::query_as("select gbp_location is not null from tenant where id = $1")
        .bind(tenant.as_str())
        .fetch_optional(connection)
        .await?
        .ok_or_else(|| tenant_not_found(tenant))?;
    if has_location { Ok(()) } else { Err(Error::NoLocation(tenant.clone())) }
}

async fn insert_or_join(connection: &mut Connection, now: StatementTime, new: &NewRun) -> Result<Accepted, Error> {
    // A live run can end between the conflict and the read of it: then the insert is tried again.
    loop {
        check_tenant(connection, &new.tenant).await?;
        let inserted = sqlx::query_as::<_, RunRow>(concat!(
            "insert into run (id, tenant_id, organization_id, strategy, dry_run, state, max_attempts, fairness_key, fairness_rank,
                              caller, request_id, created_at, options, traceparent, tracestate)
             select $1, tenant.id, tenant.organization_id, $3, $4, 'queued', $5, tenant.organization_id,
                    (select rank from next_interactive_rank(tenant.organization_id) as rank),
                    $6, $7, coalesce($8, now()), $9, $10, $11
               from tenant
              where tenant.id = $2
             on conflict (tenant_id) do nothing
             returning ",
            run_columns!(),
            ", next_attempt_at"
        ))
        .bind(new.id)
        .bind(new.tenant.as_str())
        .bind(new.kind.strategy.as_str())
        .bind(new.kind.dry_run)
        .bind(new.max_attempts)
        .bind(&new.caller)
        .bind(&new.request_id)
        .bind(now)
        .bind(new.options())
        .bind(new.traceparent.as_ref().map(TraceContext::traceparent))
        .bind(new.traceparent.as_ref().and_then(TraceContext::tracestate))
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = inserted {
            return Ok(Accepted { run: row.0, joined: false, created: true });
        }
        let live = lock_live(connection, &[new.tenant.as_str()]).await?;
        let met = join(connection, now, live, new.joiner()).await?.pop();
        // A locked run exists.
        if let Some((Met { joined, .. }, run)) = met.zip(live_run(connection, &new.tenant).await?) {
            return match joined {
                Ok(()) => Ok(Accepted { run, joined: true, created: false }),
                Err(why) => Err(cannot_join(&run, why)),
            };
        }
    }
}

/// Returns the error of a request that cannot join a live run.
fn cannot_join(run: &Run, why: JoinRefusal) -> Error {
    match why {
        // The kind of the live run, which the error names, is the reason.
        JoinRefusal::OtherRequest => in_progress(run),
        why => Error::CannotJoin { run: run.resource_name(), kind: kind(run), why },
    }
}
