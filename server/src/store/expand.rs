//! Working on batches: making their runs, or cancelling them, a chunk at a time.
//!
//! A chunk is one transaction. The row of `batch_work` is locked first and skipped by everybody else; the row of `batch` last, because
//! whoever ends a run locks the run first and counts it there afterwards.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};

use super::{
    Now, Store,
    batch::tenant_and_organization,
    row::{optional_id, text},
};
use crate::{
    domain::{Admission, BatchId, OrganizationId, RunError, RunId, RunKind, Skip, SkipReason, Strategy, TenantId},
    error::Error,
};

/// How much to do at a time.
#[derive(Debug, Clone, Copy)]
pub struct Chunk {
    /// How many tenants to look at, or runs to cancel.
    pub size: i64,
    /// With so many live runs a batch waits until some of them are over.
    pub live: i64,
}

/// What was done of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worked {
    /// The batch.
    pub batch: BatchId,
    /// Runs that were made, or cancelled.
    pub changed: Vec<RunId>,
    /// Runs that are running, and are to be cancelled.
    pub cancelling: Vec<RunId>,
    /// Whether nothing is left to do, but for the runs to end.
    pub is_done: bool,
}

/// What a chunk is of.
struct Expansion {
    id: BatchId,
    cursor: String,
    organization: Option<OrganizationId>,
    only: Option<Vec<String>>,
    admission: Admission,
    kind: RunKind,
    max_attempts: i32,
    caller: String,
    created_at: DateTime<Utc>,
    /// How many runs may still be made.
    left: i64,
    is_cancelled: bool,
}

/// A run to make.
struct Wanted {
    id: RunId,
    tenant: TenantId,
    organization: Option<OrganizationId>,
    /// Why it is not to be carried out.
    skip: Option<Skip>,
}

impl Store {
    /// Does the next chunk of the batch whose turn it is: makes runs of some more tenants, or cancels some. `reason_to_skip` is asked for
    /// each tenant. `None`: no batch has anything to do now, or somebody else is at it.
    ///
    /// # Errors
    /// The database's; then nothing was done.
    pub async fn work_on_batch(
        &self,
        now: Now,
        chunk: Chunk,
        reason_to_skip: impl Fn(&TenantId, Option<&OrganizationId>) -> Option<Skip> + Send,
    ) -> Result<Option<Worked>, Error> {
        let mut transaction = self.pool.begin().await?;
        let Some(expansion) = claim(&mut transaction, chunk).await? else { return Ok(None) };
        let worked = if expansion.is_cancelled {
            cancel(&mut transaction, now, &expansion, chunk).await?
        } else {
            expand(&mut transaction, now, &expansion, chunk, reason_to_skip).await?
        };
        transaction.commit().await?;
        Ok(Some(worked))
    }

    /// Whether a batch has anything to do: now, or when some of its runs are over.
    ///
    /// # Errors
    /// The database's.
    pub async fn has_batch_work(&self) -> Result<bool, Error> {
        Ok(sqlx::query_scalar("select exists (select 1 from batch_work)").fetch_one(&self.pool).await?)
    }
}

/// Two statements: the second one sees what whoever had the lock before has done.
async fn claim(connection: &mut PgConnection, chunk: Chunk) -> Result<Option<Expansion>, Error> {
    let claimed: Option<(BatchId, String)> = sqlx::query_as(
        "select batch_work.batch_id, batch_work.cursor
           from batch_work
           join batch on batch.id = batch_work.batch_id
          where batch.cancel_requested_at is not null or batch.made - batch.over < $1
          order by batch_work.turn_at
          limit 1
            for update of batch_work skip locked",
    )
    .bind(chunk.live)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, cursor)) = claimed else { return Ok(None) };
    let row = sqlx::query("select * from batch where id = $1").bind(id).fetch_one(connection).await?;
    Ok(Some(Expansion {
        id,
        cursor,
        organization: optional_id(&row, "organization_id", OrganizationId::parse)?,
        only: row.try_get("only_tenants")?,
        admission: row.try_get::<Json<_>, _>("admission")?.0,
        kind: RunKind { strategy: text(&row, "strategy", Strategy::from_text)?, dry_run: row.try_get("dry_run")? },
        max_attempts: row.try_get("max_attempts")?,
        caller: row.try_get("caller")?,
        created_at: row.try_get("created_at")?,
        left: row.try_get::<i64, _>("tenants")? - row.try_get::<i64, _>("made")?,
        is_cancelled: row.try_get::<Option<DateTime<Utc>>, _>("cancel_requested_at")?.is_some(),
    }))
}

async fn expand(
    connection: &mut PgConnection,
    now: Now,
    expansion: &Expansion,
    chunk: Chunk,
    reason_to_skip: impl Fn(&TenantId, Option<&OrganizationId>) -> Option<Skip>,
) -> Result<Worked, Error> {
    let tenants = next_tenants(connection, expansion, chunk).await?;
    let last = tenants.last().map(|(tenant, _)| tenant.to_string());
    let is_last_page = i64::try_from(tenants.len()).is_ok_and(|tenants| tenants < chunk.size);
    let admitted = tenants
        .into_iter()
        .filter(|(tenant, organization)| expansion.admission.evaluate(tenant, organization.as_ref()).is_on());
    let wanted: Vec<Wanted> = admitted
        // Nobody beyond those that were confirmed.
        .take(usize::try_from(expansion.left).unwrap_or_default())
        .map(|(tenant, organization)| {
            let skip = reason_to_skip(&tenant, organization.as_ref());
            Wanted { id: RunId::now_v7(), tenant, organization, skip }
        })
        .collect();
    let made = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let changed = wanted.iter().map(|wanted| wanted.id).collect();
    let (mut skipped, mut runs): (Vec<Wanted>, Vec<Wanted>) = wanted.into_iter().partition(|run| run.skip.is_some());
    // A live run can end between the conflict and the look at it: then the place is free, and we try again.
    while !runs.is_empty() {
        let queued = queue(connection, now, expansion, &runs).await?;
        runs.retain(|run| !queued.contains(&run.id));
        let live = live_runs(connection, &runs).await?;
        for run in std::mem::take(&mut runs) {
            match live.get(&run.tenant) {
                Some((name, kind)) => skipped.push(Wanted { skip: Some(beside(name, *kind, expansion.kind)), ..run }),
                None => runs.push(run),
            }
        }
    }
    sqlx::query("update batch set made = made + $2 where id = $1")
        .bind(expansion.id)
        .bind(made)
        .execute(&mut *connection)
        .await?;
    record_skipped(connection, now, expansion, &skipped).await?;
    let is_done = is_last_page || made >= expansion.left;
    let is_done = is_done && is_expanded(connection, now, expansion.id, false).await?;
    if !is_done {
        sqlx::query(
            "update batch_work set cursor = coalesce($2, cursor), turn_at = coalesce($3, now()) where batch_id = $1",
        )
        .bind(expansion.id)
        .bind(last)
        .bind(now)
        .execute(connection)
        .await?;
    }
    Ok(Worked { batch: expansion.id, changed, cancelling: Vec::new(), is_done })
}

/// They are not locked, as in [`Store::accept`].
async fn next_tenants(
    connection: &mut PgConnection,
    expansion: &Expansion,
    chunk: Chunk,
) -> Result<Vec<(TenantId, Option<OrganizationId>)>, Error> {
    let rows = sqlx::query(
        "select id, organization_id from tenant
          where id > $1 and gbp_location is not null
            and ($2::text is null or organization_id = $2)
            and ($3::text[] is null or id = any ($3))
            and created_at <= $4
          order by id
          limit $5",
    )
    .bind(&expansion.cursor)
    .bind(expansion.organization.as_ref().map(OrganizationId::as_str))
    .bind(&expansion.only)
    .bind(expansion.created_at)
    .bind(chunk.size)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| tenant_and_organization(row).map_err(Error::from)).collect()
}

/// Queues runs, at the end of their batch's lane. Gives those that met no live run.
async fn queue(
    connection: &mut PgConnection,
    now: Now,
    expansion: &Expansion,
    runs: &[Wanted],
) -> Result<Vec<RunId>, Error> {
    let rows: Vec<(RunId,)> = sqlx::query_as(
        "with to_make as materialized (
             select * from unnest($3::uuid[], $4::text[], $5::text[]) as to_make (id, tenant_id, organization_id)
         ), line as materialized (
             select greatest((select turn from run
                               where state = 'queued' and due_at is null and bulk
                               order by turn, id
                               limit 1),
                             (select turn from run
                               where state = 'queued' and due_at is null and lane = $2::uuid::text and bulk
                               order by turn desc
                               limit 1),
                             0) as turn
         )
         insert into run (id, tenant_id, organization_id, batch_id, strategy, dry_run, state, max_attempts, bulk, lane, turn,
                          caller, created_at)
         select to_make.id, tenant_id, organization_id, $2, $6, $7, 'queued', $8, true, $2::uuid::text,
                line.turn + row_number() over (order by tenant_id), $9, coalesce($1, now())
           from to_make, line
          order by tenant_id
         on conflict (tenant_id) where state in ('queued', 'running') do nothing
         returning id",
    )
    .bind(now)
    .bind(expansion.id)
    .bind(column(runs, |run| run.id))
    .bind(column(runs, |run| run.tenant.as_str()))
    .bind(column(runs, |run| run.organization.as_ref().map(OrganizationId::as_str)))
    .bind(expansion.kind.strategy.as_str())
    .bind(expansion.kind.dry_run)
    .bind(expansion.max_attempts)
    .bind(&expansion.caller)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The live runs of these tenants: name and kind.
async fn live_runs(
    connection: &mut PgConnection,
    runs: &[Wanted],
) -> Result<HashMap<TenantId, (String, RunKind)>, Error> {
    if runs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "select id, tenant_id, strategy, dry_run from run where tenant_id = any ($1) and state in ('queued', 'running')",
    )
    .bind(column(runs, |run| run.tenant.as_str()))
    .fetch_all(connection)
    .await?;
    let live = |row: &PgRow| -> Result<_, sqlx::Error> {
        let tenant = super::row::id(row, "tenant_id", TenantId::parse)?;
        let name = format!("{}/runs/{}", tenant.resource_name(), row.try_get::<RunId, _>("id")?);
        let kind = RunKind { strategy: text(row, "strategy", Strategy::from_text)?, dry_run: row.try_get("dry_run")? };
        Ok((tenant, (name, kind)))
    };
    rows.iter().map(|row| live(row).map_err(Error::from)).collect()
}

fn beside(name: &str, live: RunKind, wanted: RunKind) -> Skip {
    let (reason, message) = if live == wanted {
        (SkipReason::Joined, format!("{name} was live already, and does the same"))
    } else {
        (SkipReason::RunInProgress, format!("{name} is live, and is of another kind"))
    };
    Skip { reason, message, metadata: [("run".to_owned(), name.to_owned())].into() }
}

/// Records runs that are over as soon as they are made.
async fn record_skipped(
    connection: &mut PgConnection,
    now: Now,
    expansion: &Expansion,
    runs: &[Wanted],
) -> Result<(), Error> {
    if runs.is_empty() {
        return Ok(());
    }
    let errors = column(runs, |run| run.skip.clone().map(|skip| Json(RunError::skipped(skip, 0))));
    sqlx::query(
        "insert into run (id, tenant_id, organization_id, reason, error, batch_id, strategy, dry_run, state, max_attempts, bulk,
                          caller, created_at, ended_at)
         select id, tenant_id, organization_id, error ->> 'reason', error, $2, $3, $4, 'skipped', $5, true,
                $6, coalesce($1, now()), coalesce($1, now())
           from unnest($7::uuid[], $8::text[], $9::text[], $10::jsonb[]) as skipped (id, tenant_id, organization_id, error)",
    )
    .bind(now)
    .bind(expansion.id)
    .bind(expansion.kind.strategy.as_str())
    .bind(expansion.kind.dry_run)
    .bind(expansion.max_attempts)
    .bind(&expansion.caller)
    .bind(column(runs, |run| run.id))
    .bind(column(runs, |run| run.tenant.as_str()))
    .bind(column(runs, |run| run.organization.as_ref().map(OrganizationId::as_str)))
    .bind(errors)
    .execute(connection)
    .await?;
    Ok(())
}

/// Cancels runs as [`Store::cancel`] does. Whoever has one locked is left in peace until the next chunk.
async fn cancel(connection: &mut PgConnection, now: Now, expansion: &Expansion, chunk: Chunk) -> Result<Worked, Error> {
    let rows: Vec<(RunId, bool)> = sqlx::query_as(
        "with chosen as materialized (
             select id from run
              where batch_id = $1 and state in ('queued', 'running') and not cancel_requested
              order by id
              limit $3
                for update skip locked
         )
         update run
            set state = case when state = 'queued' and intent is null then 'cancelled' else state end,
                ended_at = case when state = 'queued' and intent is null then coalesce($2, now()) end,
                due_at = null,
                cancel_requested = true,
                revision = revision + 1
          where id = any (array(select id from chosen))
         returning id, state = 'running'",
    )
    .bind(expansion.id)
    .bind(now)
    .bind(chunk.size)
    .fetch_all(&mut *connection)
    .await?;
    let changed: Vec<RunId> = rows.iter().map(|(id, _)| *id).collect();
    let cancelling = rows.into_iter().filter_map(|(id, is_running)| is_running.then_some(id)).collect();
    let is_left: bool = sqlx::query_scalar(
        "select exists (select 1 from run
                         where batch_id = $1 and state in ('queued', 'running') and not cancel_requested)",
    )
    .bind(expansion.id)
    .fetch_one(&mut *connection)
    .await?;
    let is_done = !is_left && is_expanded(connection, now, expansion.id, true).await?;
    if !is_done {
        sqlx::query("update batch_work set turn_at = coalesce($2, now()) where batch_id = $1")
            .bind(expansion.id)
            .bind(now)
            .execute(connection)
            .await?;
    }
    Ok(Worked { batch: expansion.id, changed, cancelling, is_done })
}

/// Notes that nothing is left to do. Not where the batch was cancelled meanwhile: then there is.
async fn is_expanded(
    connection: &mut PgConnection,
    now: Now,
    batch: BatchId,
    is_cancelled: bool,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "with expanded as (
             update batch
                set expanded_at = coalesce(expanded_at, $2, now()),
                    ended_at = case when over = made then coalesce($2, now()) end
              where id = $1 and (cancel_requested_at is not null) = $3
             returning id
         )
         delete from batch_work where batch_id in (select id from expanded)",
    )
    .bind(batch)
    .bind(now)
    .bind(is_cancelled)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// One value of each run, as the statements take them.
fn column<'a, T>(runs: &'a [Wanted], value: impl Fn(&'a Wanted) -> T) -> Vec<T> {
    runs.iter().map(value).collect()
}
