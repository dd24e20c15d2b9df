//! Manages accounts' credentials. They are encrypted immediately and never returned.

use super::{App, CredentialsOutcome, Page, PageRequest, require_unrestricted};
use crate::{
    domain::{AccountCredentials, AccountId, AuthorizedUser, Caller, EncryptedCredentials, FailureReason},
    error::{Error, Resource},
    store::{CredentialsVersion, NewCredentials},
};

/// Number of credentials that are read per statement for re-encryption.
const REENCRYPT_BATCH_SIZE: i64 = 100;

/// Credentials as they are returned to callers.
#[derive(Debug, Clone)]
pub struct CredentialsDetails {
    /// Their metadata.
    pub credentials: AccountCredentials,
    /// Whether this server has the key that they are encrypted with.
    pub is_readable: bool,
}

/// Result of testing credentials.
#[derive(Debug, Clone)]
pub struct CredentialsVerification {
    /// The credentials after the test.
    pub shown: CredentialsDetails,
    /// Whether Google accepts them; `None`: unknown.
    pub accepted: Option<bool>,
    /// Description of the problem. Empty: none.
    pub problem: String,
}

/// Result of a re-encryption.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReencryptionResult {
    /// Number of accounts whose credentials were re-encrypted.
    pub reencrypted: u32,
    /// Number of accounts whose credentials are unchanged, because this server cannot decrypt them.
    pub unreadable: u32,
}

impl App {
    /// Sets or replaces an account's credentials. Every run that is claimed from now on uses them.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NoCredentialsKey`], or a database error.
    pub async fn set_credentials(
        &self,
        caller: &Caller,
        account: &AccountId,
        user: &AuthorizedUser,
    ) -> Result<CredentialsDetails, Error> {
        require_unrestricted(caller, "setting credentials")?;
        let encrypted = self.accounts.cipher().encrypt(account, user).ok_or(Error::NoCredentialsKey)?;
        let client_id_suffix = user.client_id_suffix();
        let new = NewCredentials {
            account,
            client_id_suffix: &client_id_suffix,
            encrypted: &encrypted,
            caller: &caller.subject,
        };
        let credentials = self.store.set_credentials(None, &new).await?;
        tracing::info!(%account, caller = %caller.subject, revision = credentials.revision, "set an account's credentials");
        self.accounts.count().await;
        self.accounts.end_wait(Some(account)).await;
        Ok(self.shown_credentials(credentials))
    }

    /// Gets the metadata of an account's credentials.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], or a database error.
    pub async fn credentials(&self, caller: &Caller, account: &AccountId) -> Result<CredentialsDetails, Error> {
        require_unrestricted(caller, "looking at credentials")?;
        Ok(self.shown_credentials(self.stored(account).await?.0))
    }

    /// Lists the metadata of all credentials, by account.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], or a database error.
    pub async fn list_credentials(
        &self,
        caller: &Caller,
        page: PageRequest,
    ) -> Result<Page<CredentialsDetails>, Error> {
        require_unrestricted(caller, "looking at credentials")?;
        let after = page.after.as_deref().unwrap_or_default();
        let rows = self.store.list_credentials(after, None, page.limit()).await?;
        let shown = rows.into_iter().map(|(credentials, _)| self.shown_credentials(credentials)).collect();
        Ok(page.page(shown, |shown: &CredentialsDetails| shown.credentials.account.to_string()))
    }

    /// Deletes an account's credentials: from now on, the account uses the server's own.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], or a database error.
    pub async fn delete_credentials(&self, caller: &Caller, account: &AccountId) -> Result<(), Error> {
        require_unrestricted(caller, "deleting credentials")?;
        self.store.delete_credentials(account).await?;
        self.accounts.forget(account);
        self.accounts.end_wait(Some(account)).await;
        tracing::info!(%account, caller = %caller.subject, "deleted an account's credentials");
        self.accounts.count().await;
        Ok(())
    }

    /// Tests whether Google currently accepts an account's credentials. If so, the account's runs continue immediately.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], [`Error::CredentialsUnreadable`], or a database error.
    pub async fn verify_credentials(
        &self,
        caller: &Caller,
        account: &AccountId,
    ) -> Result<CredentialsVerification, Error> {
        require_unrestricted(caller, "trying credentials")?;
        let (known, encrypted) = self.stored(account).await?;
        let client = self.accounts.open(&known, &encrypted).map_err(|problem| Error::CredentialsUnreadable {
            account: account.clone(),
            key_id: known.key_id.clone(),
            problem: problem.to_string(),
        })?;
        let mark = CredentialsVersion { revision: known.revision, rejection: known.rejection.clone() };
        let (accepted, problem) = match client.refresh().await {
            Ok(()) => {
                self.accounts.record_outcome(account, Some(&mark), CredentialsOutcome::Accepted).await;
                (Some(true), String::new())
            }
            Err(failure) if failure.reason == FailureReason::CredentialsRejected => {
                self.accounts.record_outcome(account, Some(&mark), CredentialsOutcome::Rejected(&failure)).await;
                (Some(false), failure.message)
            }
            Err(failure) => (None, failure.message),
        };
        let shown = self.shown_credentials(self.stored(account).await?.0);
        Ok(CredentialsVerification { shown, accepted, problem })
    }

    /// Re-encrypts all credentials that are not encrypted with the newest key, so that the other keys can be removed.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NoCredentialsKey`], or a database error; credentials that were
    /// re-encrypted before it stay so.
    pub async fn reencrypt_credentials(&self, caller: &Caller) -> Result<ReencryptionResult, Error> {
        require_unrestricted(caller, "encrypting credentials anew")?;
        let cipher = self.accounts.cipher();
        let newest = cipher.key_id().ok_or(Error::NoCredentialsKey)?;
        let (mut done, mut after) = (ReencryptionResult::default(), String::new());
        loop {
            let rows = self.store.list_credentials(&after, Some(&newest), REENCRYPT_BATCH_SIZE).await?;
            let Some((last, _)) = rows.last() else { break };
            after = last.account.to_string();
            for (known, before) in &rows {
                let Ok(user) = cipher.decrypt(&known.account, before) else {
                    done.unreadable += 1;
                    continue;
                };
                let after = cipher.encrypt(&known.account, &user).ok_or(Error::NoCredentialsKey)?;
                // If a caller has replaced them in the meantime, they are already encrypted with the newest key of that
                // caller's server.
                if self.store.reencrypt_credentials(&known.account, known.revision, before, &after).await? {
                    done.reencrypted += 1;
                }
            }
        }
        tracing::info!(
            caller = %caller.subject, key_id = newest, reencrypted = done.reencrypted, unreadable = done.unreadable,
            "encrypted credentials anew"
        );
        Ok(done)
    }

    async fn stored(&self, account: &AccountId) -> Result<(AccountCredentials, EncryptedCredentials), Error> {
        let missing = || Error::NotFound(Resource::Credentials, AccountCredentials::name_of(account));
        self.store.credentials(account).await?.ok_or_else(missing)
    }

    fn shown_credentials(&self, credentials: AccountCredentials) -> CredentialsDetails {
        CredentialsDetails { is_readable: self.accounts.cipher().has(&credentials.key_id), credentials }
    }
}
