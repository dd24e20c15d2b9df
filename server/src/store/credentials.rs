//! Accounts' own credentials, encrypted.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, Row, postgres::PgRow};

use super::{
    handle::Store,
    row::id,
    statement::{StatementTime, interval},
};
use crate::{
    domain::{AccountCredentials, AccountId, EncryptedCredentials, FailureReason, REJECTION_RETRY_INTERVAL, Rejection},
    error::{Error, Resource},
};

/// What a run's claim tells of its account's own credentials: which they are, and whether Google refuses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsVersion {
    /// Their revision.
    pub revision: i64,
    /// Google has refused them, and not taken them since.
    pub rejection: Option<Rejection>,
}

/// What became of the note that Google refuses credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotedRejection {
    /// Since when that was known before. `None`: nobody knew.
    pub before: Option<DateTime<Utc>>,
    /// Whether it was noted, and had not been a moment before.
    pub is_news: bool,
}

/// New credentials of an account.
#[derive(Debug, Clone)]
pub struct NewCredentials<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The end of the OAuth client's id.
    pub client_id_suffix: &'a str,
    /// All of them, encrypted.
    pub encrypted: &'a EncryptedCredentials,
    /// Who sets them.
    pub caller: &'a str,
}

/// The columns of `gbp_credentials` that every server can read.
macro_rules! credentials_columns {
    () => {
        "account_id, client_id_suffix, key_id, revision, updated_at, updated_by, rejected_at, rejected_since, reject_reason"
    };
}

impl Store {
    /// Sets an account's credentials, in place of those that it has.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_credentials(
        &self,
        now: StatementTime,
        new: &NewCredentials<'_>,
    ) -> Result<AccountCredentials, Error> {
        let row: CredentialsRow = sqlx::query_as(concat!(
            "insert into gbp_credentials as known (account_id, client_id_suffix, key_id, ciphertext, revision, updated_at, updated_by)
             values ($1, $2, $3, $4, nextval('gbp_credentials_revision'), coalesce($5, now()), $6)
             on conflict (account_id) do update
                set client_id_suffix = excluded.client_id_suffix, key_id = excluded.key_id, ciphertext = excluded.ciphertext,
                    revision = excluded.revision, updated_at = excluded.updated_at, updated_by = excluded.updated_by,
                    rejected_at = null, rejected_since = null, reject_reason = null
             returning ",
            credentials_columns!()
        ))
        .bind(new.account.as_str())
        .bind(new.client_id_suffix)
        .bind(&new.encrypted.key_id)
        .bind(&new.encrypted.bytes)
        .bind(now)
        .bind(new.caller)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.0)
    }

    /// Gets an account's credentials, with what only the keys of a server can read. `None`: it has none of its own.
    ///
    /// # Errors
    /// The database's.
    pub async fn credentials(
        &self,
        account: &AccountId,
    ) -> Result<Option<(AccountCredentials, EncryptedCredentials)>, Error> {
        let row = sqlx::query_as(concat!(
            "select ",
            credentials_columns!(),
            ", ciphertext from gbp_credentials where account_id = $1"
        ));
        let row: Option<EncryptedRow> = row.bind(account.as_str()).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| (row.0, row.1)))
    }

    /// Lists accounts' credentials by account, after `after`, at most `limit`; with `but_key_id`, only those that another key opens.
    ///
    /// # Errors
    /// The database's.
    pub async fn list_credentials(
        &self,
        after: &str,
        but_key_id: Option<&str>,
        limit: i64,
    ) -> Result<Vec<(AccountCredentials, EncryptedCredentials)>, Error> {
        let rows: Vec<EncryptedRow> = sqlx::query_as(concat!(
            "select ",
            credentials_columns!(),
            ", ciphertext from gbp_credentials
              where account_id > $1
                and ($2::text is null or key_id <> $2)
              order by account_id
              limit $3"
        ))
        .bind(after)
        .bind(but_key_id)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.0, row.1)).collect())
    }

    /// Deletes an account's credentials.
    ///
    /// # Errors
    /// [`Error::NotFound`], or the database's.
    pub async fn delete_credentials(&self, account: &AccountId) -> Result<(), Error> {
        let deleted = sqlx::query("delete from gbp_credentials where account_id = $1")
            .bind(account.as_str())
            .execute(&self.pool)
            .await?;
        if deleted.rows_affected() == 0 {
            return Err(Error::NotFound(Resource::Credentials, AccountCredentials::name_of(account)));
        }
        Ok(())
    }

    /// Notes that Google refuses these credentials. `None`: they were replaced meanwhile.
    ///
    /// # Errors
    /// The database's.
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

    /// Notes that Google takes these credentials again. `false`: they were replaced meanwhile, or it is noted already.
    ///
    /// # Errors
    /// The database's.
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

    /// Makes runs due that wait because Google refused their credentials, at most `limit`: those of `account`; `None`: of every account that
    /// has none of its own. Gives how many.
    ///
    /// # Errors
    /// The database's.
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

    /// Counts the accounts whose own credentials Google refuses.
    ///
    /// # Errors
    /// The database's.
    pub async fn rejected_credentials(&self) -> Result<i64, Error> {
        let count = sqlx::query_scalar("select count(*) from gbp_credentials where rejected_at is not null");
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Encrypts the same credentials anew. `false`: they were replaced meanwhile.
    ///
    /// # Errors
    /// The database's.
    pub async fn reencrypt_credentials(
        &self,
        account: &AccountId,
        revision: i64,
        before: &EncryptedCredentials,
        after: &EncryptedCredentials,
    ) -> Result<bool, Error> {
        let reencrypted = sqlx::query(
            "update gbp_credentials
                set key_id = $4, ciphertext = $5
              where account_id = $1
                and revision = $2
                and key_id = $3",
        )
        .bind(account.as_str())
        .bind(revision)
        .bind(&before.key_id)
        .bind(&after.key_id)
        .bind(&after.bytes)
        .execute(&self.pool)
        .await?;
        Ok(reencrypted.rows_affected() > 0)
    }
}

struct CredentialsRow(AccountCredentials);

impl FromRow<'_, PgRow> for CredentialsRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let CredentialsVersion { revision, rejection } = version(row)?;
        Ok(Self(AccountCredentials {
            account: id(row, "account_id", AccountId::parse)?,
            client_id_suffix: row.try_get("client_id_suffix")?,
            key_id: row.try_get("key_id")?,
            revision,
            updated_at: row.try_get("updated_at")?,
            updated_by: row.try_get("updated_by")?,
            rejection,
        }))
    }
}

struct EncryptedRow(AccountCredentials, EncryptedCredentials);

impl FromRow<'_, PgRow> for EncryptedRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let encrypted = EncryptedCredentials { key_id: row.try_get("key_id")?, bytes: row.try_get("ciphertext")? };
        Ok(Self(CredentialsRow::from_row(row)?.0, encrypted))
    }
}

/// What a row says of credentials without giving them away.
pub(super) fn version(row: &PgRow) -> Result<CredentialsVersion, sqlx::Error> {
    let rejected_at: Option<_> = row.try_get("rejected_at")?;
    let since: Option<_> = row.try_get("rejected_since")?;
    let rejection = rejected_at.zip(row.try_get("reject_reason")?);
    let rejection = rejection.map(|(at, reason)| Rejection { since: since.unwrap_or(at), at, reason });
    Ok(CredentialsVersion { revision: row.try_get("revision")?, rejection })
}
