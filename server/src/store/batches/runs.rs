//! Creating the runs of batches.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::{
    chunk::{BATCHES_PER_CALLER_PER_ROUND, ChunkLimits, ChunkResult, Expansion, end_chunk, is_expanded},
    target::BatchTarget,
    tenants::{Member, next_members, write_tenants},
};
use crate::{
    domain::{JoinRefusal, Joiner, OrganizationId, RunError, RunId, Skip, SkipReason, TenantId},
    store::{
        connections::Connection,
        runs::accept::join::{Met, join, lock_live},
        statement::StatementTime,
    },
};

/// A run to create.
struct NewBatchRun {
    id: RunId,
    tenant: TenantId,
    organization: Option<OrganizationId>,
    /// Why it is not executed; `None`: it is.
    skip: Option<Skip>,
}

/// Creates the runs of the next tenants.
pub(in crate::store) async fn expand(
    connection: &mut Connection,
    now: StatementTime,
    expansion: &Expansion,
    chunk: ChunkLimits,
    reason_to_skip: impl Fn(&TenantId, Option<&OrganizationId>) -> Option<Skip>,
) -> Result<ChunkResult, sqlx::Error> {
    let created_until = ensure_tenants_written(connection, expansion).await?;
    // One more than the chunk takes, to know whether there is another chunk.
    let mut members =
        next_members(connection, expansion.id, created_until, &expansion.cursor, chunk.size.saturating_add(1)).await?;
    let is_last = i64::try_from(members.len()).is_ok_and(|members| members <= chunk.size);
    members.truncate(usize::try_from(chunk.size).unwrap_or(usize::MAX));
    let last = members.last().map(|member| member.id.to_string());
    let read = i64::try_from(members.len()).unwrap_or(i64::MAX);
    let mut ids = new_ids(connection, now, read).await?.into_iter();
    let wanted: Vec<NewBatchRun> = members
        .into_iter()
        .filter_map(|Member { id: tenant, organization_if_located }| {
            let organization = organization_if_located?;
            let skip = has_left(&expansion.target, &tenant, organization.as_ref())
                .or_else(|| reason_to_skip(&tenant, organization.as_ref()));
            Some(NewBatchRun { id: ids.next()?, tenant, organization, skip })
        })
        .collect();
    let made = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    let changed = wanted.iter().map(|wanted| wanted.id).collect();
    let skipped = queue_or_join(connection, now, expansion, wanted).await?;
    sqlx::query("update batch set runs_created = runs_created + $2 where id = $1")
        .bind(expansion.id)
        .bind(made)
        .execute(&mut *connection)
        .await?;
    record_skipped(connection, now, expansion, &skipped).await?;
    let is_done = is_last && is_expanded(connection, now, expansion.id, false).await?;
    if !is_done {
        sqlx::query(
            "update batch_expansion set cursor = coalesce($2, cursor), tenants_created_until = $3 where batch_id = $1",
        )
        .bind(expansion.id)
        .bind(last)
        .bind(created_until)
        .execute(&mut *connection)
        .await?;
        end_chunk(connection, now, expansion.id, chunk).await?;
    }
    Ok(ChunkResult { batch: expansion.id, changed, cancelling: Vec::new(), is_done })
}

/// Records the tenants of a batch that a server of an earlier version accepted: those that it would touch now. Returns the time after
/// which none of the batch's tenants was created.
async fn ensure_tenants_written(
    connection: &mut Connection,
    expansion: &Expansion,
) -> Result<DateTime<Utc>, sqlx::Error> {
    if let Some(created_until) = expansion.created_until {
        return Ok(created_until);
    }
    let (id, target, flag_at_acceptance) = (expansion.id, &expansion.target, &expansion.flag_at_acceptance);
    let rest = (expansion.cursor.as_str(), Some(expansion.created_at));
    write_tenants(connection, id, target, flag_at_acceptance, rest).await?;
    Ok(expansion.created_at)
}

/// Returns why a confirmed tenant is skipped: it has left the organization that the batch is for.
fn has_left(target: &BatchTarget, tenant: &TenantId, now: Option<&OrganizationId>) -> Option<Skip> {
    let organization = target.organization.as_ref().filter(|organization| now != Some(organization))?;
    Some(Skip::left_organization(tenant, organization.resource_name()))
}

/// Queues the runs that can be queued. Returns the others, with the reasons.
async fn queue_or_join(
    connection: &mut Connection,
    now: StatementTime,
    expansion: &Expansion,
    wanted: Vec<NewBatchRun>,
) -> Result<Vec<NewBatchRun>, sqlx::Error> {
    let (mut skipped, mut runs): (Vec<NewBatchRun>, Vec<NewBatchRun>) =
        wanted.into_iter().partition(|run| run.skip.is_some());
    // A live run can end between the conflict and the read of it: then the insert is tried again.
    while !runs.is_empty() {
        let queued = queue(connection, now, expansion, &runs).await?;
        runs.retain(|run| !queued.contains(&run.id));
        let mut live = join_live(connection, now, expansion, &runs).await?;
        for run in std::mem::take(&mut runs) {
            match live.remove(&run.tenant) {
                Some(skip) => skipped.push(NewBatchRun { skip: Some(skip), ..run }),
                None => runs.push(run),
            }
        }
    }
    Ok(skipped)
}

/// Creates run ids of the statement's time, in their order.
async fn new_ids(connection: &mut Connection, now: StatementTime, count: i64) -> Result<Vec<RunId>, sqlx::Error> {
    sqlx::query_scalar("select run_id_at(coalesce($1, now()), nth) from generate_series(1, $2) nth order by nth")
        .bind(now)
        .bind(count)
        .fetch_all(connection)
        .await
}

/// Queues runs, at the end of the runs of their batch's fairness key. Returns those that met no live run.
///
/// Batches take turns, and each round has one run of each, for up to [`BATCHES_PER_CALLER_PER_ROUND`] live batches of
/// one caller. If there are more, the runs of each are so many rounds apart that together they get no additional turns,
/// and the younger batches begin later.
async fn queue(
    connection: &mut Connection,
    now: StatementTime,
    expansion: &Expansion,
    runs: &[NewBatchRun],
) -> Result<Vec<RunId>, sqlx::Error> {
    let rows: Vec<(RunId,)> = sqlx::query_as(include_str!("queue_batch_runs.sql"))
        .bind(now)
        .bind(expansion.id)
        .bind(column(runs, |run| run.id))
        .bind(column(runs, |run| run.tenant.as_str()))
        .bind(column(runs, |run| run.organization.as_ref().map(OrganizationId::as_str)))
        .bind(expansion.kind.strategy.as_str())
        .bind(expansion.kind.dry_run)
        .bind(expansion.max_attempts)
        .bind(&expansion.caller)
        .bind((!expansion.options.is_empty()).then_some(Json(&expansion.options)))
        .bind(BATCHES_PER_CALLER_PER_ROUND)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Joins the live runs of these tenants, if they can be joined. Returns the skip of each tenant that has one.
async fn join_live(
    connection: &mut Connection,
    now: StatementTime,
    expansion: &Expansion,
    runs: &[NewBatchRun],
) -> Result<HashMap<TenantId, Skip>, sqlx::Error> {
    let mut skips = HashMap::new();
    if runs.is_empty() {
        return Ok(skips);
    }
    let joiner = Joiner { kind: expansion.kind, options: &expansion.options, is_batch: true };
    let live = lock_live(connection, &column(runs, |run| run.tenant.as_str())).await?;
    for Met { run, tenant, joined } in join(connection, now, live, joiner).await? {
        let name = format!("{}/runs/{run}", tenant.resource_name());
        skips.insert(tenant, beside(name, joined));
    }
    Ok(skips)
}

fn beside(name: String, joined: Result<(), JoinRefusal>) -> Skip {
    let (reason, message) = match joined {
        Ok(()) => (SkipReason::Joined, format!("{name} was live already, and does the same")),
        Err(why) => (SkipReason::RunInProgress, format!("{name} was live already, and {why}")),
    };
    let why = joined.err().map(|why| ("join_refusal".to_owned(), why.as_str().to_owned()));
    Skip { reason, message, metadata: [("run".to_owned(), name)].into_iter().chain(why).collect() }
}

/// Records skipped runs, which are never live.
async fn record_skipped(
    connection: &mut Connection,
    now: StatementTime,
    expansion: &Expansion,
    runs: &[NewBatchRun],
) -> Result<(), sqlx::Error> {
    if runs.is_empty() {
        return Ok(());
    }
    let errors = column(runs, |run| run.skip.clone().map(|skip| Json(RunError::skipped(skip, 0))));
    sqlx::query(
        "insert into run_history (id, tenant_id, organization_id, batch_id, strategy, dry_run, state, revision, fencing_token, uncounted_attempts,
                                  max_attempts, cancel_requested, attempts, written, created, updated, deleted, unmapped,
                                  reason, error, caller, created_at, ended_at)
         select id, tenant_id, organization_id, $2, $3, $4, 'skipped', 1, 0, 0,
                $5, false, '[]', '[]', 0, 0, 0, 0,
                error ->> 'reason', error, $6, coalesce($1, now()), coalesce($1, now())
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

/// Columns of the runs, as the statements take them.
fn column<'a, T>(runs: &'a [NewBatchRun], value: impl Fn(&'a NewBatchRun) -> T) -> Vec<T> {
    runs.iter().map(value).collect()
}
