//! Making the runs of batches.

use std::collections::HashMap;

use sqlx::{PgConnection, Row, postgres::PgRow, types::Json};

use super::{
    Chunk, Now, Worked,
    batch_target::tenant_and_organization,
    batch_work::{Expansion, is_expanded},
    rollup::counted,
    row::{id, text},
};
use crate::domain::{OrganizationId, RunError, RunId, RunKind, Skip, SkipReason, Strategy, TenantId};

/// A run to make.
struct Wanted {
    id: RunId,
    tenant: TenantId,
    organization: Option<OrganizationId>,
    /// Why it is not to be carried out.
    skip: Option<Skip>,
}

/// Makes the runs of some more tenants.
pub(super) async fn expand(
    connection: &mut PgConnection,
    now: Now,
    expansion: &Expansion,
    chunk: Chunk,
    reason_to_skip: impl Fn(&TenantId, Option<&OrganizationId>) -> Option<Skip>,
) -> Result<Worked, sqlx::Error> {
    let tenants = next_tenants(connection, expansion, chunk).await?;
    let last = tenants.last().map(|(tenant, _)| tenant.to_string());
    let tenants_read = i64::try_from(tenants.len()).unwrap_or(i64::MAX);
    let is_last_page = i64::try_from(tenants.len()).is_ok_and(|tenants| tenants < chunk.size);
    let admitted = tenants
        .into_iter()
        .filter(|(tenant, organization)| expansion.admission.evaluate(tenant, organization.as_ref()).is_on());
    let mut ids = new_ids(connection, now, tenants_read).await?.into_iter();
    let wanted: Vec<Wanted> = admitted
        // Nobody beyond those that were confirmed.
        .take(usize::try_from(expansion.left).unwrap_or_default())
        .zip(&mut ids)
        .map(|((tenant, organization), id)| {
            let skip = reason_to_skip(&tenant, organization.as_ref());
            Wanted { id, tenant, organization, skip }
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
) -> Result<Vec<(TenantId, Option<OrganizationId>)>, sqlx::Error> {
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
    rows.iter().map(tenant_and_organization).collect()
}

/// Makes ids of the database's time, one after the other.
async fn new_ids(connection: &mut PgConnection, now: Now, count: i64) -> Result<Vec<RunId>, sqlx::Error> {
    sqlx::query_scalar("select run_id_at(coalesce($1, now()), nth) from generate_series(1, $2) nth order by nth")
        .bind(now)
        .bind(count)
        .fetch_all(connection)
        .await
}

/// Queues runs, at the end of their batch's lane. Gives those that met no live run.
async fn queue(
    connection: &mut PgConnection,
    now: Now,
    expansion: &Expansion,
    runs: &[Wanted],
) -> Result<Vec<RunId>, sqlx::Error> {
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
                          caller, created_at, orders)
         select to_make.id, tenant_id, organization_id, $2, $6, $7, 'queued', $8, true, $2::uuid::text,
                line.turn + row_number() over (order by tenant_id), $9, coalesce($1, now()), $10
           from to_make, line
          order by tenant_id
         on conflict (tenant_id) do nothing
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
    .bind((!expansion.orders.is_empty()).then_some(Json(&expansion.orders)))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The live runs of these tenants: name and kind.
async fn live_runs(
    connection: &mut PgConnection,
    runs: &[Wanted],
) -> Result<HashMap<TenantId, (String, RunKind)>, sqlx::Error> {
    if runs.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("select id, tenant_id, strategy, dry_run from run where tenant_id = any ($1)")
        .bind(column(runs, |run| run.tenant.as_str()))
        .fetch_all(connection)
        .await?;
    let live = |row: &PgRow| -> Result<_, sqlx::Error> {
        let tenant = id(row, "tenant_id", TenantId::parse)?;
        let name = format!("{}/runs/{}", tenant.resource_name(), row.try_get::<RunId, _>("id")?);
        let kind = RunKind { strategy: text(row, "strategy", Strategy::from_text)?, dry_run: row.try_get("dry_run")? };
        Ok((tenant, (name, kind)))
    };
    rows.iter().map(live).collect()
}

fn beside(name: &str, live: RunKind, wanted: RunKind) -> Skip {
    let (reason, message) = if live == wanted {
        (SkipReason::Joined, format!("{name} was live already, and does the same"))
    } else {
        (SkipReason::RunInProgress, format!("{name} is live, and is of another kind"))
    };
    Skip { reason, message, metadata: [("run".to_owned(), name.to_owned())].into() }
}

/// Records runs that are over as soon as they are made: they were never live.
async fn record_skipped(
    connection: &mut PgConnection,
    now: Now,
    expansion: &Expansion,
    runs: &[Wanted],
) -> Result<(), sqlx::Error> {
    if runs.is_empty() {
        return Ok(());
    }
    let errors = column(runs, |run| run.skip.clone().map(|skip| Json(RunError::skipped(skip, 0))));
    sqlx::query(concat!(
        "with moved as (
         insert into run_history (id, tenant_id, organization_id, batch_id, strategy, dry_run, state, revision, attempt, handed_back,
                                  max_attempts, cancel_requested, attempts, written, created, updated, deleted, skipped,
                                  reason, error, caller, created_at, ended_at)
         select id, tenant_id, organization_id, $2, $3, $4, 'skipped', 1, 0, 0,
                $5, false, '[]', '[]', 0, 0, 0, 0,
                error ->> 'reason', error, $6, coalesce($1, now()), coalesce($1, now())
           from unnest($7::uuid[], $8::text[], $9::text[], $10::jsonb[]) as skipped (id, tenant_id, organization_id, error)
         returning *
         )",
        counted!(),
    ))
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

/// One value of each run, as the statements take them.
fn column<'a, T>(runs: &'a [Wanted], value: impl Fn(&'a Wanted) -> T) -> Vec<T> {
    runs.iter().map(value).collect()
}
