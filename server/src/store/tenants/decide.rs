//! Decisions of operators about tenants.

use super::sync::{SyncRow, sync_columns};
use crate::{
    domain::{Decision, TenantId, TenantSync},
    error::Error,
    store::{
        connections::Connection,
        error::tenant_not_found,
        handle::Store,
        idempotency_key::IdempotencyKey,
        runs::{
            accept::single::{Accepted, NewRun, accept_within},
            live_run::{in_progress, live_run},
        },
        statement::StatementTime,
    },
};

/// A decision to record.
#[derive(Debug, Clone)]
pub struct NewDecision<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The decision.
    pub decision: Decision,
    /// The operator, as the authenticated subject.
    pub caller: &'a str,
    /// The operator's reason.
    pub reason: &'a str,
    /// The idempotency key of the request and the request id, if it has one.
    pub request: Option<(IdempotencyKey, String)>,
    /// The run that executes it; `None`: it needs none.
    pub run: Option<&'a NewRun>,
}

impl Store {
    /// Records an operator's decision about a tenant, and accepts the run that executes it, if it needs one: both, or
    /// neither. A conflict ends, and its overwrites no longer count, when that run succeeds (see
    /// `record_decision_result` in the schema), or at once if it needs none. A replayed request gets its
    /// recorded response and decides nothing.
    ///
    /// # Errors
    /// Those of [`Store::accept`], [`Error::RunInProgress`] while any run of the tenant is live, because that run does
    /// not know the decision.
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
                // The drop would roll back later and leave the live run locked until then: a claim would skip it.
                let _ = transaction.rollback().await;
                Err(refusal)
            }
        }
    }
}

/// Decides within a transaction. Returns the resulting sync state: `None` if the request has a recorded response.
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
    if location.ok_or_else(|| tenant_not_found(tenant))?.is_none() {
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
                    -- Until its run has succeeded, an ignored tenant stays in conflict, so that no other run writes it.
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
