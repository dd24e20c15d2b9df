//! Whether Google rejects an account's own credentials, and the runs that wait because of that.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};

use crate::{
    domain::{AccountId, FailureReason, REJECTION_RETRY_INTERVAL, Rejection},
    error::Error,
    store::{
        handle::Store,
        statement::{StatementTime, interval},
    },
};

/// The version of an account's own credentials that a claimed run uses, and whether Google rejects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsVersion {
    /// Their revision.
    pub revision: i64,
    /// Google has rejected them, and not accepted them since.
    pub rejection: Option<Rejection>,
}

/// The result of recording that Google rejects credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotedRejection {
    /// When an earlier call recorded the rejection. `None`: this is the first.
    pub before: Option<DateTime<Utc>>,
    /// Whether this call recorded it, rather than an earlier one within the retry interval.
    pub is_news: bool,
}

impl Store {
    /// Records that Google rejects these credentials. `None`: another call has replaced them.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn reject_credentials(
        &self,
        now: StatementTime,
        account: &AccountId,
        revision: i64,
        cause: &str,
    ) -> Result<Option<NotedRejection>, Error> {
        // known: the credentials, and since when they were refused before. noted: the same, unless that was a moment ago.
        let noted: Option<(Option<DateTime<Utc>>, bool)> = sqlx::query_as(
            "with known as materialized (
                 select rejected_at, case when rejected_at is not null then coalesce(rejected_since, rejected_at) end as since
                   from gbp_credentials
                  where account_id = $2 and revision = $3
                    for update
             ), noted as (
                 update gbp_credentials
                    set rejected_at = coalesce($1, now()), reject_reason = $4, rejected_since = coalesce(known.since, $1, now())
                   from known
                  where account_id = $2
                    and (known.rejected_at is null or known.rejected_at <= coalesce($1, now()) - $5::interval)
                 returning 1
             )
             select since, exists (select from noted) from known",
        )
        .bind(now)
        .bind(account.as_str())
        .bind(revision)
        .bind(cause)
        .bind(interval(REJECTION_RETRY_INTERVAL))
        .fetch_optional(&self.pool)
        .await?;
        Ok(noted.map(|(before, is_news)| NotedRejection { before, is_news }))
    }

    /// Records that Google accepts these credentials again. `false`: another call has replaced them, or has recorded this.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn accept_credentials(&self, account: &AccountId, revision: i64) -> Result<bool, Error> {
        let accepted = sqlx::query(
            "update gbp_credentials
                set rejected_at = null, rejected_since = null, reject_reason = null
              where account_id = $1
                and revision = $2
                and rejected_at is not null",
        )
        .bind(account.as_str())
        .bind(revision)
        .execute(&self.pool)
        .await?;
        Ok(accepted.rows_affected() > 0)
    }

    /// Makes up to `limit` runs due that wait because Google rejected their credentials: those of `account`, or with
    /// `None` of every account that has none of its own. Returns how many.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn end_credentials_wait(
        &self,
        now: StatementTime,
        account: Option<&AccountId>,
        limit: i64,
    ) -> Result<u64, Error> {
        let due = sqlx::query(
            "with waiting as materialized (
                 select run.id from run
                   join tenant on tenant.id = run.tenant_id
                  where run.state = 'queued' and run.next_attempt_at > coalesce($1, now()) and run.reason = $3
                    and (tenant.gbp_account = $2
                         or $2 is null and not exists (select from gbp_credentials where account_id = tenant.gbp_account))
                  order by run.next_attempt_at
                  limit $4
                    for update of run skip locked
             )
             update run set next_attempt_at = coalesce($1, now()) where id = any (array(select id from waiting))",
        )
        .bind(now)
        .bind(account.map(AccountId::as_str))
        .bind(FailureReason::CredentialsRejected.as_str())
        .bind(limit)
        .execute(&self.pool)
        .await?;
        Ok(due.rows_affected())
    }

    /// Counts the accounts whose own credentials Google rejects.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
    pub async fn rejected_credentials(&self) -> Result<i64, Error> {
        let count = sqlx::query_scalar("select count(*) from gbp_credentials where rejected_at is not null");
        Ok(count.fetch_one(&self.pool).await?)
    }
}

/// Reads the version of credentials from a row, without the credentials.
pub(in crate::store) fn version(row: &PgRow) -> Result<CredentialsVersion, sqlx::Error> {
    let rejected_at: Option<_> = row.try_get("rejected_at")?;
    let since: Option<_> = row.try_get("rejected_since")?;
    let rejection = rejected_at.zip(row.try_get("reject_reason")?);
    let rejection = rejection.map(|(at, reason)| Rejection { since: since.unwrap_or(at), at, reason });
    Ok(CredentialsVersion { revision: row.try_get("revision")?, rejection })
}
