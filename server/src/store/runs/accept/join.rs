//! Joining live runs. The run is locked from the first read until the commit, so its holder can neither begin a write nor end it in
//! between.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use crate::{
    domain::{
        BatchId, CategoryRole, Gcid, Join, JoinRefusal, Joiner, LiveBatch, LiveRun, RecordedPlan, RunId, RunKind,
        RunOptions, RunState, Slug, SourceCategory, Strategy, TenantId,
    },
    store::{
        connections::Connection,
        row::{decode, id, text},
        statement::StatementTime,
    },
};

/// A live run that is locked until the end of the transaction.
pub(in crate::store) struct LockedRun {
    id: RunId,
    tenant: TenantId,
    live: LiveRun,
    /// When the running attempt was claimed.
    attempt_started_at: Option<DateTime<Utc>>,
}

/// Whether a request joins a run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joining {
    /// Yes, and an attempt that has read the source plans again.
    Anew,
    /// Yes, and the attempt goes on.
    AsItIs,
    /// No.
    Refused(JoinRefusal),
}

/// Locks the live runs of tenants, in one order for all transactions. A tenant is missing if its run has ended while the
/// statement waited for it.
pub(in crate::store) async fn lock_live(
    connection: &mut Connection,
    tenants: &[&str],
) -> Result<Vec<LockedRun>, sqlx::Error> {
    sqlx::query_as(
        "select run.id, run.tenant_id, run.strategy, run.dry_run, run.options, run.state, run.cancel_requested, run.attempt_started_at,
                run.write_intent is not null or run.written <> '[]' as has_begun_to_write,
                case when run.write_intent is not null or run.written <> '[]' then run.plan end as plan,
                case when run.bulk then run.batch_id end as batch_id,
                -- A limit, or an organization that the tenant may leave.
                not run.dry_run and num_nonnulls(batch.max_changes, batch.max_primary_changes, batch.max_overrides, batch.organization_id) > 0
                    as is_guarded,
                batch.cancel_requested_at is not null as is_cancelled
           from run
           left join batch on batch.id = run.batch_id
          where run.tenant_id = any ($1)
          order by run.id
            for no key update of run",
    )
    .bind(tenants)
    .fetch_all(connection)
    .await
}

/// A run that a request met, and whether the request joined it.
pub(in crate::store) struct Met {
    pub(in crate::store) run: RunId,
    pub(in crate::store) tenant: TenantId,
    pub(in crate::store) joined: Result<(), JoinRefusal>,
}

/// Joins the locked live runs that can be joined. A single request that joins a batch's run makes it interactive, and no
/// guard or cancellation of the batch concerns it from then on.
pub(in crate::store) async fn join(
    connection: &mut Connection,
    now: StatementTime,
    runs: Vec<LockedRun>,
    joiner: Joiner<'_>,
) -> Result<Vec<Met>, sqlx::Error> {
    let (mut met, mut anew, mut enqueued) = (Vec::with_capacity(runs.len()), Vec::new(), Vec::new());
    for run in runs {
        let joining = run.decide(connection, joiner).await?;
        if joining == Joining::Anew {
            anew.push(run.id);
        }
        let joined = if let Joining::Refused(why) = joining { Err(why) } else { Ok(()) };
        if joined.is_ok() && !joiner.is_batch && run.live.batch.is_some() {
            enqueued.push(run.id);
        }
        met.push(Met { run: run.id, tenant: run.tenant, joined });
    }
    if !anew.is_empty() {
        renew(connection, now, &anew).await?;
    }
    for run in enqueued {
        take_out_of_bulk(connection, run).await?;
    }
    Ok(met)
}

impl LockedRun {
    async fn decide(&self, connection: &mut Connection, joiner: Joiner<'_>) -> Result<Joining, sqlx::Error> {
        Ok(match self.live.join(joiner) {
            Join::Anew => Joining::Anew,
            Join::AsItIs => Joining::AsItIs,
            Join::Refused(why) => Joining::Refused(why),
            Join::IfUnchanged(source)
                if is_unchanged(connection, &self.tenant, &source, self.attempt_started_at).await? =>
            {
                Joining::AsItIs
            }
            Join::AnewIfUnchanged(source)
                if is_unchanged(connection, &self.tenant, &source, self.read_at()).await? =>
            {
                Joining::Anew
            }
            Join::IfUnchanged(_) | Join::AnewIfUnchanged(_) => Joining::Refused(JoinRefusal::SourceChanged),
        })
    }

    /// When the source was read of the plan that the run has begun to write.
    fn read_at(&self) -> Option<DateTime<Utc>> {
        self.live.plan.as_ref().map(|plan| plan.observed_at)
    }
}

/// Records when the runs were joined: not the start of the transaction, because a caller's change may have been committed since.
async fn renew(connection: &mut Connection, now: StatementTime, runs: &[RunId]) -> Result<(), sqlx::Error> {
    sqlx::query("update run set joined_at = greatest(joined_at, coalesce($2, clock_timestamp())) where id = any ($1)")
        .bind(runs)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(())
}

/// Moves a batch's run to the rank in the ready queue that an interactive run would get now.
async fn take_out_of_bulk(connection: &mut Connection, run: RunId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update run
            set bulk = false,
                fairness_key = organization_id,
                fairness_rank = (select rank from next_interactive_rank(run.organization_id) as rank)
          where id = $1",
    )
    .bind(run)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a tenant's categories and their mappings are still `source`, and the tenant itself is as it was at `time`. The times of
/// changes are not enough for the categories: a change that was committed late has an early one.
async fn is_unchanged(
    connection: &mut Connection,
    tenant: &TenantId,
    source: &[SourceCategory],
    time: Option<DateTime<Utc>>,
) -> Result<bool, sqlx::Error> {
    let rows = sqlx::query(
        "select category.slug, category.display_name, chosen.position, category.gcid
           from tenant
           join tenant_category chosen on chosen.tenant_id = tenant.id
          cross join lateral (select slug, display_name, gcid
                                from categories_in_region(tenant.region_code)
                               where slug = chosen.slug
                               limit 1) as category
          where tenant.id = $1 and tenant.updated_at <= $2",
    )
    .bind(tenant.as_str())
    .bind(time)
    .fetch_all(connection)
    .await?;
    let now = rows.iter().map(source_category).collect::<Result<Vec<_>, _>>()?;
    let sorted = |source: &[SourceCategory]| {
        let mut identities: Vec<_> = source.iter().map(|c| (c.role, c.slug.clone(), c.gcid.clone())).collect();
        identities.sort();
        identities
    };
    Ok(sorted(&now) == sorted(source))
}

fn source_category(row: &PgRow) -> Result<SourceCategory, sqlx::Error> {
    let gcid: Option<&str> = row.try_get("gcid")?;
    Ok(SourceCategory {
        role: if row.try_get::<i16, _>("position")? == 0 { CategoryRole::Primary } else { CategoryRole::Additional },
        slug: Some(id(row, "slug", Slug::parse)?),
        gcid: gcid.map(Gcid::parse).transpose().map_err(|error| decode("gcid", error))?,
        display_name: row.try_get("display_name")?,
    })
}

impl FromRow<'_, PgRow> for LockedRun {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let attempt_started_at: Option<DateTime<Utc>> = row.try_get("attempt_started_at")?;
        let plan = row.try_get::<Option<Json<RecordedPlan>>, _>("plan")?.map(|json| json.0);
        let batch: Option<BatchId> = row.try_get("batch_id")?;
        let batch = match batch {
            Some(id) => Some(LiveBatch {
                id,
                is_guarded: row.try_get("is_guarded")?,
                is_cancelled: row.try_get("is_cancelled")?,
            }),
            None => None,
        };
        Ok(Self {
            id: row.try_get("id")?,
            tenant: id(row, "tenant_id", TenantId::parse)?,
            live: LiveRun {
                kind: RunKind {
                    strategy: text(row, "strategy", Strategy::from_text)?,
                    dry_run: row.try_get("dry_run")?,
                },
                options: row.try_get::<Option<Json<RunOptions>>, _>("options")?.map(|json| json.0).unwrap_or_default(),
                state: text(row, "state", RunState::from_text)?,
                cancel_requested: row.try_get("cancel_requested")?,
                has_begun_to_write: row.try_get("has_begun_to_write")?,
                // An attempt reads its source after it was claimed, and a plan bears the time of that read.
                is_plan_of_attempt: plan
                    .as_ref()
                    .zip(attempt_started_at)
                    .is_some_and(|(plan, at)| plan.observed_at >= at),
                plan,
                batch,
            },
            attempt_started_at,
        })
    }
}
