//! Accounts' own credentials, encrypted.

use sqlx::{FromRow, Row, postgres::PgRow};

use super::rejection::{CredentialsVersion, version};
use crate::{
    domain::{AccountCredentials, AccountId, EncryptedCredentials},
    error::{Error, Resource},
    store::{handle::Store, row::id, statement::StatementTime},
};

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
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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
    /// [`Error::NotFound`], [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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

    /// Replaces the ciphertext of unchanged credentials. `false`: another call has replaced the credentials.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Internal`].
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
