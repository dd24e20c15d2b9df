//! Keeping accounts' credentials: what is set is encrypted at once, and never told again.

use super::{App, Learnt, Page, PageRequest, unlimited};
use crate::{
    domain::{AccountCredentials, AccountId, AuthorizedUser, Caller, FailureReason, Sealed},
    error::{Error, Resource},
    store::{CredentialsMark, NewCredentials},
};

/// How many credentials are put under another key between two looks at the table.
const BATCH: i64 = 100;

/// Credentials as they are shown.
#[derive(Debug, Clone)]
pub struct ShownCredentials {
    /// What may be said of them.
    pub credentials: AccountCredentials,
    /// Whether this server has the key that they are encrypted with.
    pub is_readable: bool,
}

/// What Google said to credentials that were tried.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The credentials afterwards.
    pub shown: ShownCredentials,
    /// Whether Google takes them; `None`: it could not be asked.
    pub accepted: Option<bool>,
    /// What is wrong, for people.
    pub problem: String,
}

/// What was put under the newest key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reencrypted {
    /// How many accounts' credentials.
    pub reencrypted: u32,
    /// How many are left as they were, because this server cannot read them.
    pub unreadable: u32,
}

impl App {
    /// Sets an account's credentials, in place of those that it has. Every run that is claimed from now on goes with them.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NoCredentialsKey`], or the database's.
    pub async fn set_credentials(
        &self,
        caller: &Caller,
        account: &AccountId,
        user: &AuthorizedUser,
    ) -> Result<ShownCredentials, Error> {
        unlimited(caller, "setting credentials")?;
        let sealed = self.accounts.vault().seal(account, user).ok_or(Error::NoCredentialsKey)?;
        let client_id_tail = user.client_id_tail();
        let new = NewCredentials { account, client_id_tail: &client_id_tail, sealed: &sealed, caller: &caller.subject };
        let credentials = self.store.set_credentials(None, &new).await?;
        tracing::info!(%account, caller = %caller.subject, revision = credentials.revision, "set an account's credentials");
        self.accounts.count().await;
        self.accounts.end_wait(Some(account)).await;
        Ok(self.shown_credentials(credentials))
    }

    /// Gets what may be said of an account's credentials.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], or the database's.
    pub async fn credentials(&self, caller: &Caller, account: &AccountId) -> Result<ShownCredentials, Error> {
        unlimited(caller, "looking at credentials")?;
        Ok(self.shown_credentials(self.stored(account).await?.0))
    }

    /// Lists what may be said of all credentials, by account.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], or the database's.
    pub async fn list_credentials(&self, caller: &Caller, page: PageRequest) -> Result<Page<ShownCredentials>, Error> {
        unlimited(caller, "looking at credentials")?;
        let after = page.after.as_deref().unwrap_or_default();
        let rows = self.store.list_credentials(after, None, page.limit()).await?;
        let shown = rows.into_iter().map(|(credentials, _)| self.shown_credentials(credentials)).collect();
        Ok(page.page(shown, |shown: &ShownCredentials| shown.credentials.account.to_string()))
    }

    /// Deletes an account's credentials: from now on the server's own are for it.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], or the database's.
    pub async fn delete_credentials(&self, caller: &Caller, account: &AccountId) -> Result<(), Error> {
        unlimited(caller, "deleting credentials")?;
        self.store.delete_credentials(account).await?;
        self.accounts.forget(account);
        self.accounts.end_wait(Some(account)).await;
        tracing::info!(%account, caller = %caller.subject, "deleted an account's credentials");
        self.accounts.count().await;
        Ok(())
    }

    /// Asks Google now whether it takes an account's credentials. If it does, its runs go on at once.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NotFound`], [`Error::CredentialsUnreadable`], or the database's.
    pub async fn verify_credentials(&self, caller: &Caller, account: &AccountId) -> Result<Verified, Error> {
        unlimited(caller, "trying credentials")?;
        let (known, sealed) = self.stored(account).await?;
        let client = self.accounts.open(&known, &sealed).map_err(|problem| Error::CredentialsUnreadable {
            account: account.clone(),
            key_id: known.key_id.clone(),
            problem: problem.to_string(),
        })?;
        let mark = CredentialsMark { revision: known.revision, rejection: known.rejection.clone() };
        let (accepted, problem) = match client.renew().await {
            Ok(()) => {
                self.accounts.learnt(account, Some(&mark), Learnt::Accepted).await;
                (Some(true), String::new())
            }
            Err(failure) if failure.reason == FailureReason::CredentialsRejected => {
                self.accounts.learnt(account, Some(&mark), Learnt::Rejected(&failure)).await;
                (Some(false), failure.message)
            }
            Err(failure) => (None, failure.message),
        };
        let shown = self.shown_credentials(self.stored(account).await?.0);
        Ok(Verified { shown, accepted, problem })
    }

    /// Puts everything that is encrypted with another key under the newest one, so that the others can be taken away.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::NoCredentialsKey`], or the database's; what was done by then stays done.
    pub async fn reencrypt_credentials(&self, caller: &Caller) -> Result<Reencrypted, Error> {
        unlimited(caller, "encrypting credentials anew")?;
        let vault = self.accounts.vault();
        let newest = vault.key_id().ok_or(Error::NoCredentialsKey)?;
        let (mut done, mut after) = (Reencrypted::default(), String::new());
        loop {
            let rows = self.store.list_credentials(&after, Some(&newest), BATCH).await?;
            let Some((last, _)) = rows.last() else { break };
            after = last.account.to_string();
            for (known, before) in &rows {
                let Ok(user) = vault.open(&known.account, before) else {
                    done.unreadable += 1;
                    continue;
                };
                let after = vault.seal(&known.account, &user).ok_or(Error::NoCredentialsKey)?;
                // Whoever replaced them meanwhile did it with a key of their own choice.
                if self.store.reseal_credentials(&known.account, known.revision, before, &after).await? {
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

    async fn stored(&self, account: &AccountId) -> Result<(AccountCredentials, Sealed), Error> {
        let missing = || Error::NotFound(Resource::Credentials, AccountCredentials::name_of(account));
        self.store.credentials(account).await?.ok_or_else(missing)
    }

    fn shown_credentials(&self, credentials: AccountCredentials) -> ShownCredentials {
        ShownCredentials { is_readable: self.accounts.vault().has(&credentials.key_id), credentials }
    }
}
