//! The claim of a single run while the circuit breaker is open: its attempt tests whether Google works again.

use std::time::Duration;

use super::claim::{ClaimedRow, ClaimedRun};
use crate::{
    error::Error,
    store::{
        handle::Store,
        row::run_columns,
        statement::{StatementTime, interval},
    },
};

impl Store {
    /// Claims the first ready run of a tenant that is not `probed` and whose account is not, as `tenants/{tenant}` and
    /// `accounts/{account}`. `None`: there is none.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`]. A claim that took effect without an answer is returned by
    /// [`Store::return_unanswered_claims`].
    pub async fn claim_for_probe(
        &self,
        now: StatementTime,
        probed: &[String],
        lease: Duration,
    ) -> Result<Option<ClaimedRun>, Error> {
        let claim = self.unanswered.begin(lease);
        let claimed: Option<ClaimedRow> = sqlx::query_as(concat!(
            "with next as materialized (
                 -- The run to claim.
                 select id from run
                  where state = 'queued' and next_attempt_at is null
                    and 'tenants/' || tenant_id <> all ($2)
                    and not exists (select from tenant
                                     where tenant.id = run.tenant_id and 'accounts/' || tenant.gbp_account = any ($2))
                  order by bulk, fairness_rank, id
                  limit 1
                    for update of run skip locked
             ), claimed as (
                 -- The same run, under its new lease.
                 update run
                    set state = 'running',
                        fencing_token = fencing_token + 1,
                        revision = revision + 1,
                        lease_expires_at = coalesce($1, now()) + $3,
                        started_at = coalesce(started_at, $1, now()),
                        attempt_started_at = coalesce($1, now()),
                        claim_id = $4
                  where id = (select id from next)
                 returning ",
            run_columns!(),
            ", next_attempt_at, bulk, observation, traceparent, tracestate
             )
             select ",
            run_columns!(),
            ", next_attempt_at, bulk, observation, traceparent, tracestate from claimed"
        ))
        .bind(now)
        .bind(probed)
        .bind(interval(lease))
        .bind(claim.id())
        .fetch_optional(&self.pool)
        .await?;
        claim.answered();
        Ok(claimed.and_then(|ClaimedRow(claimed)| claimed))
    }
}
