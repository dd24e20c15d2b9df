//! How tenants' two sides stand: what runs have found, and what people have decided.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow, types::Json};

use super::tenant::not_found;
use crate::{
    domain::{
        ConflictHistory, Decision, DecisionRecord, DecisionState, DriftCause, LocationId, OrganizationId, RunId,
        RunStamp, TenantId, TenantSync,
    },
    error::Error,
    store::{
        connections::Connection,
        handle::Store,
        history::search::RunFilter,
        idempotency_key::IdempotencyKey,
        row::{id, optional_id, text},
        runs::accept::single::{Accepted, NewRun, accept_within, in_progress, live_run},
        statement::StatementTime,
    },
};

/// Which tenants a list is limited to. What is not given limits nothing.
#[derive(Debug, Default, Clone)]
pub struct SyncFilter {
    /// Only of these causes. Empty: of any.
    pub causes: Vec<DriftCause>,
    /// Only this organization's.
    pub organization: Option<OrganizationId>,
    /// Only those that a person has to decide about.
    pub in_conflict: bool,
    /// Only these tenants: what the caller may see.
    pub visible_tenants: Option<Vec<TenantId>>,
}

/// What a person decides.
#[derive(Debug, Clone)]
pub struct NewDecision<'a> {
    /// About whom.
    pub tenant: &'a TenantId,
    /// What.
    pub decision: Decision,
    /// Who.
    pub caller: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The request, where it has an id, and that id.
    pub request: Option<(IdempotencyKey, String)>,
    /// The run that carries it out.
    pub run: Option<&'a NewRun>,
}

/// The columns of `tenant_sync` that [`SyncRow`] reads.
macro_rules! sync_columns {
    () => {
        "tenant_id, organization_id, gbp_location, cause, cause_at, observed_at, observed_run_id, observe_failed_at, observe_failed_run_id, desired, google,
                baseline, written, unresolved, overwritten_at, conflict_at, decision, decided_by, decided_at, decision_reason,
                decision_run_id, decision_state, decision_run_reason"
    };
}

impl Store {
    /// Gets how a tenant's two sides stand. `None`: no run has looked at its location yet.
    ///
    /// # Errors
    /// The database's.
    pub async fn tenant_sync(&self, tenant: &TenantId) -> Result<Option<TenantSync>, Error> {
        let row =
            sqlx::query_as::<_, SyncRow>(concat!("select ", sync_columns!(), " from tenant_sync where tenant_id = $1"))
                .bind(tenant.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(|row| row.0))
    }

    /// Gets when a real run of a tenant, of whichever strategy, last succeeded at the location that the tenant has now.
    ///
    /// # Errors
    /// The database's.
    pub async fn last_success(&self, tenant: &TenantId) -> Result<Option<DateTime<Utc>>, Error> {
        let success = sqlx::query_scalar(
            "select max(last_success.ended_at)
               from last_success
               join tenant on tenant.id = last_success.tenant_id
                          and last_success.gbp_location is not distinct from tenant.gbp_location
              where last_success.tenant_id = $1",
        )
        .bind(tenant.as_str())
        .fetch_one(&self.pool)
        .await?;
        Ok(success)
    }

    /// Lists how tenants stand, by tenant, after `after`, at most `limit`.
    ///
    /// # Errors
    /// The database's.
    pub async fn tenant_syncs(&self, filter: &SyncFilter, after: &str, limit: i64) -> Result<Vec<TenantSync>, Error> {
        let organization = filter.organization.as_ref().map(OrganizationId::as_str);
        let goes_by_tenant = filter.in_conflict || filter.visible_tenants.is_some();
        let rows = if goes_by_tenant || (filter.causes.is_empty() && organization.is_none()) {
            self.by_tenant(filter, organization, after, limit).await?
        } else {
            self.by_cause(filter, organization, after, limit).await?
        };
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    async fn by_tenant(
        &self,
        filter: &SyncFilter,
        organization: Option<&str>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<SyncRow>, sqlx::Error> {
        let visible_tenants = filter
            .visible_tenants
            .as_ref()
            .map(|visible_tenants| visible_tenants.iter().map(TenantId::as_str).collect::<Vec<_>>());
        sqlx::query_as(concat!(
            "select ",
            sync_columns!(),
            " from tenant_sync
              where tenant_id > $1
                and ($2::text[] is null or tenant_id = any ($2))
                and (not $3 or conflict_at is not null)
                and (cardinality($4::text[]) = 0 or cause = any ($4))
                and ($5::text is null or organization_id = $5)
              order by tenant_id
              limit $6"
        ))
        .bind(after)
        .bind(visible_tenants)
        .bind(filter.in_conflict)
        .bind(texts(&filter.causes))
        .bind(organization)
        .bind(limit)
        // Planned for these very values, so that the planner sees whether the index of those in conflict has all that is wanted.
        .persistent(false)
        .fetch_all(&self.pool)
        .await
    }

    /// Each cause reads no more of its index than the page takes.
    async fn by_cause(
        &self,
        filter: &SyncFilter,
        organization: Option<&str>,
        after: &str,
        limit: i64,
    ) -> Result<Vec<SyncRow>, sqlx::Error> {
        let causes = if filter.causes.is_empty() { DriftCause::ALL } else { &filter.causes };
        sqlx::query_as(concat!(
            "select ",
            sync_columns!(),
            "
               from unnest($1::text[]) as wanted (sought)
              cross join lateral (select ",
            sync_columns!(),
            " from tenant_sync
                                   where cause = wanted.sought
                                     and tenant_id > $2
                                     and ($3::text is null or organization_id = $3)
                                   order by tenant_id
                                   limit $4) as found
              order by tenant_id
              limit $4"
        ))
        .bind(texts(causes))
        .bind(after)
        .bind(organization)
        .bind(limit)
        .persistent(false)
        .fetch_all(&self.pool)
        .await
    }

    /// Counts the tenants that are out of sync, by cause. Reads only these.
    ///
    /// # Errors
    /// The database's.
    pub async fn out_of_sync(&self, filter: &SyncFilter) -> Result<Vec<(DriftCause, i64)>, Error> {
        let visible_tenants = filter
            .visible_tenants
            .as_ref()
            .map(|visible_tenants| visible_tenants.iter().map(TenantId::as_str).collect::<Vec<_>>());
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select cause, count(*) from tenant_sync
              where cause = any ($1)
                and ($2::text is null or organization_id = $2)
                and ($3::text[] is null or tenant_id = any ($3))
              group by cause",
        )
        .bind(texts(DriftCause::OUT_OF_SYNC))
        .bind(filter.organization.as_ref().map(OrganizationId::as_str))
        .bind(visible_tenants)
        .persistent(false)
        .fetch_all(&self.pool)
        .await?;
        let count =
            |cause: &DriftCause| rows.iter().find(|(text, _)| text == cause.as_str()).map_or(0, |(_, count)| *count);
        Ok(DriftCause::OUT_OF_SYNC.iter().map(|cause| (*cause, count(cause))).collect())
    }

    /// Counts the tenants that are out of sync, of those that statistics are wanted of.
    pub(in crate::store) async fn out_of_sync_tenants(&self, filter: &RunFilter) -> Result<i64, Error> {
        let visible_tenants =
            filter.tenant.clone().map(|tenant| vec![tenant]).or_else(|| filter.visible_tenants.clone());
        let wanted = SyncFilter { organization: filter.organization.clone(), visible_tenants, ..SyncFilter::default() };
        Ok(self.out_of_sync(&wanted).await?.iter().map(|(_, tenants)| tenants).sum())
    }

    /// Records what a person decides about a tenant, and accepts the run that executes it, where one does: both, or neither. A conflict ends,
    /// and the overwrites so far count no more, when that run succeeds (see `record_decision_result` in the schema), or at once where none is needed. A
    /// request that is repeated gets its first answer and decides nothing.
    ///
    /// # Errors
    /// Those of [`Store::accept`], [`Error::RunInProgress`] while any run of the tenant is live, because that goes by what was before.
    pub async fn decide(
        &self,
        now: StatementTime,
        decision: &NewDecision<'_>,
    ) -> Result<(TenantSync, Option<Accepted>), Error> {
        let mut transaction = self.pool.begin().await?;
        match decide_within(&mut transaction, now, decision).await {
            Ok((Some(sync), accepted)) => {
                transaction.commit().await?;
                Ok((sync, accepted))
            }
            Ok((None, accepted)) => {
                transaction.rollback().await?;
                let known = self.tenant_sync(decision.tenant).await?;
                Ok((known.ok_or_else(|| Error::Internal("a decision left no row".into()))?, accepted))
            }
            Err(refusal) => {
                // Not by the drop, which leaves the live run locked for a while: a claim would pass over it.
                let _ = transaction.rollback().await;
                Err(refusal)
            }
        }
    }
}

/// Decides within a transaction. Gives what is known of the tenant then: `None` where the request was answered before.
async fn decide_within(
    connection: &mut Connection,
    now: StatementTime,
    decision: &NewDecision<'_>,
) -> Result<(Option<TenantSync>, Option<Accepted>), Error> {
    let tenant = decision.tenant;
    let location: Option<Option<String>> =
        sqlx::query_scalar("select gbp_location from tenant where id = $1 for no key update")
            .bind(tenant.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    if location.ok_or_else(|| not_found(tenant))?.is_none() {
        return Err(Error::NoLocation(tenant.clone()));
    }
    let mut accepted = None;
    if let Some(new) = decision.run {
        let run = accept_within(connection, now, new).await?;
        if run.joined {
            return Err(in_progress(&run.run));
        }
        accepted = Some(run);
    } else {
        if let Some((request, id)) = &decision.request
            && request.is_answered_without_run(connection, now, id).await?
        {
            return Ok((None, None));
        }
        if let Some(live) = live_run(connection, tenant).await? {
            return Err(in_progress(&live));
        }
    }
    if accepted.as_ref().is_some_and(|accepted| !accepted.created) {
        return Ok((None, accepted));
    }
    let row = sqlx::query_as::<_, SyncRow>(concat!(
            "insert into tenant_sync as known (tenant_id, organization_id, gbp_location, cause, cause_at, matches_baseline,
                                               decision, decided_by, decided_at, decision_reason, decision_run_id, decision_state)
             select id, organization_id, gbp_location, 'never_synced', coalesce($1, now()), false,
                    $3, $4, coalesce($1, now()), $5, $6::uuid, case when $6::uuid is null then 'executed' else 'pending' end
               from tenant
              where id = $2
             on conflict (tenant_id) do update
                set decision = excluded.decision, decided_by = excluded.decided_by, decided_at = excluded.decided_at,
                    decision_reason = excluded.decision_reason, decision_run_id = excluded.decision_run_id,
                    decision_state = excluded.decision_state, decision_run_reason = null,
                    overwritten_at = case when excluded.decision_run_id is null then '{}' else known.overwritten_at end,
                    -- Until its run has succeeded: what somebody decided to leave alone is not left to any run by another decision.
                    conflict_at = case when excluded.decision_run_id is not null
                                        then coalesce(known.conflict_at,
                                                      case when known.decision = 'ignore' then excluded.decided_at end) end
             returning ",
            sync_columns!()
        ))
        .bind(now)
        .bind(tenant.as_str())
        .bind(decision.decision.as_str())
        .bind(decision.caller)
        .bind(decision.reason)
        .bind(accepted.as_ref().map(|accepted| accepted.run.id))
        .fetch_one(&mut *connection)
        .await?;
    Ok((Some(row.0), accepted))
}

fn texts(causes: &[DriftCause]) -> Vec<&'static str> {
    causes.iter().map(|cause| cause.as_str()).collect()
}

struct SyncRow(TenantSync);

impl FromRow<'_, PgRow> for SyncRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let by = |run: &str, at: &str| -> Result<Option<RunStamp>, sqlx::Error> {
            let run: Option<RunId> = row.try_get(run)?;
            Ok(run.zip(row.try_get(at)?).map(|(run, at)| RunStamp { run, at }))
        };
        Ok(Self(TenantSync {
            tenant: id(row, "tenant_id", TenantId::parse)?,
            organization: optional_id(row, "organization_id", OrganizationId::parse)?,
            location: optional_id(row, "gbp_location", LocationId::parse)?,
            cause: text(row, "cause", DriftCause::from_text)?,
            cause_at: row.try_get("cause_at")?,
            observed: by("observed_run_id", "observed_at")?,
            observe_failed: by("observe_failed_run_id", "observe_failed_at")?,
            desired: row.try_get::<Option<Json<_>>, _>("desired")?.map(|json| json.0),
            google: row.try_get::<Option<Json<_>>, _>("google")?.map(|json| json.0),
            baseline: row.try_get::<Option<Json<_>>, _>("baseline")?.map(|json| json.0),
            written: row.try_get::<Option<Json<_>>, _>("written")?.map(|json| json.0),
            unresolved: row.try_get::<Option<Json<_>>, _>("unresolved")?.map(|json| json.0),
            conflicts: ConflictHistory {
                overwritten_at: row.try_get("overwritten_at")?,
                conflict_at: row.try_get("conflict_at")?,
                decided: decided(row)?,
            },
            last_success_at: None,
        }))
    }
}

fn decided(row: &PgRow) -> Result<Option<DecisionRecord>, sqlx::Error> {
    if row.try_get::<Option<&str>, _>("decision")?.is_none() {
        return Ok(None);
    }
    Ok(Some(DecisionRecord {
        decision: text(row, "decision", Decision::from_text)?,
        caller: row.try_get("decided_by")?,
        at: row.try_get("decided_at")?,
        reason: row.try_get("decision_reason")?,
        run: row.try_get("decision_run_id")?,
        state: match row.try_get::<Option<&str>, _>("decision_state")? {
            Some(_) => text(row, "decision_state", DecisionState::from_text)?,
            None => DecisionState::Executed,
        },
        run_reason: row.try_get("decision_run_reason")?,
    }))
}
