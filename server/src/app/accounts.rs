//! Google in each account's name: with the credentials that the account has for itself, else with those of the server's settings.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};

use crate::{
    domain::{AccountCredentials, AccountId, Failure, FailureReason, Rejection, Sealed},
    error::Error,
    gbp::Client,
    store::{CredentialsMark, Store},
    vault::{Unopened, Vault},
};

/// Accounts whose access tokens are kept: some megabytes. One that falls out costs a renewal when it comes back.
const MAX_KEPT: usize = 10_000;

/// The way to Google for every account. Cheap to clone.
///
/// Which credentials are an account's is read with each run that is claimed, so there is nothing here that could be out of date: what is
/// kept is kept under its revision.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    store: Store,
    vault: Vault,
    default: Client,
    default_is_rejected: AtomicBool,
    kept: Mutex<Kept>,
}

/// What an attempt has learnt of the credentials that it went with.
#[derive(Debug, Clone, Copy)]
pub enum Learnt<'a> {
    /// Google takes them.
    Accepted,
    /// Google refuses them: the failure tells how, and whether it was asked.
    Rejected(&'a Failure),
}

impl Accounts {
    /// `default` is for accounts that have no credentials of their own; `vault` opens those of the others.
    #[must_use]
    pub fn new(store: Store, default: Client, vault: Vault) -> Self {
        let kept = Mutex::new(Kept { clients: HashMap::new(), uses: 0, max: MAX_KEPT });
        Self(Arc::new(Inner { store, vault, default, default_is_rejected: AtomicBool::new(false), kept }))
    }

    /// The client for an account whose own credentials are `mark`, as was read at `now`. Within, why there is none: Google refused them a
    /// moment ago, or this server cannot read them. They are never replaced by the server's own: that would be in another's name.
    ///
    /// # Errors
    /// The database's.
    pub async fn client(
        &self,
        account: &AccountId,
        mark: Option<&CredentialsMark>,
        now: DateTime<Utc>,
    ) -> Result<Result<Client, Failure>, Error> {
        let Some(mark) = mark else { return Ok(Ok(self.0.default.clone())) };
        if let Some(rejection) = mark.rejection.as_ref().filter(|rejection| rejection.holds(now)) {
            return Ok(Err(rejected(account, rejection, now)));
        }
        if let Some(client) = self.kept().get(account, mark.revision) {
            return Ok(Ok(client));
        }
        // Deleted since the claim: from now on the server's own are for it.
        let Some((known, sealed)) = self.0.store.credentials(account).await? else {
            return Ok(Ok(self.0.default.clone()));
        };
        Ok(self.open(&known, &sealed).map_err(|problem| {
            tracing::error!(%account, key_id = known.key_id, %problem, "cannot read an account's credentials");
            let message = format!("{} has credentials of its own, but {problem}", account.resource_name());
            Failure::permanent(FailureReason::CredentialsUnreadable, message).with("key_id", &known.key_id)
        }))
    }

    /// The client with these credentials.
    pub(super) fn open(&self, known: &AccountCredentials, sealed: &Sealed) -> Result<Client, Unopened> {
        let user = self.0.vault.open(&known.account, sealed)?;
        Ok(self.kept().keep(&known.account, known.revision, self.0.default.with_credentials(user)))
    }

    /// Takes in what was learnt of the credentials that [`Accounts::client`] gave out for the same account and mark, and tells the other
    /// servers. A database that is away keeps it from them, and from nobody else.
    pub async fn learnt(&self, account: &AccountId, mark: Option<&CredentialsMark>, learnt: Learnt<'_>) {
        let Some(mark) = mark else { return self.learnt_of_default(learnt) };
        let noted = match learnt {
            Learnt::Rejected(failure) if !failure.is_remembered() => {
                let cause = cause(failure);
                let noted = self.0.store.reject_credentials(None, account, mark.revision, cause).await;
                noted.inspect(|is_news| {
                    if *is_news {
                        tracing::error!(%account, cause, "google refuses an account's credentials; its runs fail until it has others");
                    }
                })
            }
            Learnt::Accepted if mark.rejection.is_some() => {
                let noted = self.0.store.accept_credentials(account, mark.revision).await;
                noted.inspect(|is_news| {
                    if *is_news {
                        tracing::info!(%account, "google takes an account's credentials again");
                    }
                })
            }
            _ => return,
        };
        match noted {
            Ok(true) => self.count().await,
            Ok(false) => {}
            Err(error) => tracing::warn!(%account, %error, "cannot note what google says of an account's credentials"),
        }
    }

    fn learnt_of_default(&self, learnt: Learnt<'_>) {
        let is_rejected = matches!(learnt, Learnt::Rejected(_));
        if self.0.default_is_rejected.swap(is_rejected, Ordering::Relaxed) != is_rejected {
            metrics::gauge!("gbp_credentials_rejected", "credentials" => "server")
                .set(f64::from(u8::from(is_rejected)));
            match learnt {
                Learnt::Rejected(failure) => {
                    tracing::error!(cause = cause(failure), "google refuses the server's credentials");
                }
                Learnt::Accepted => tracing::info!("google takes the server's credentials again"),
            }
        }
    }

    /// Counts the accounts whose credentials Google refuses, for whoever watches the metric.
    pub async fn count(&self) {
        match self.0.store.rejected_credentials().await {
            // No count of accounts is beyond what a float holds exactly.
            #[expect(clippy::cast_precision_loss, reason = "there are not 2^53 accounts")]
            Ok(count) => metrics::gauge!("gbp_credentials_rejected", "credentials" => "account").set(count as f64),
            Err(error) => tracing::debug!(%error, "cannot count rejected credentials"),
        }
    }

    /// The keys.
    pub(super) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Forgets an account's tokens.
    pub(super) fn forget(&self, account: &AccountId) {
        self.kept().clients.remove(account);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is held.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("default", &self.0.default).finish_non_exhaustive()
    }
}

/// Clients by account, at most `max`: the one that was not used for the longest time makes room.
struct Kept {
    clients: HashMap<AccountId, Entry>,
    uses: u64,
    max: usize,
}

struct Entry {
    revision: i64,
    client: Client,
    used: u64,
}

impl Kept {
    /// The client with these credentials, or with newer ones.
    fn get(&mut self, account: &AccountId, revision: i64) -> Option<Client> {
        let entry = self.clients.get_mut(account).filter(|entry| entry.revision >= revision)?;
        self.uses += 1;
        entry.used = self.uses;
        Some(entry.client.clone())
    }

    /// Keeps a client, unless somebody else has put one there meanwhile: then that one, so that renewals are shared.
    fn keep(&mut self, account: &AccountId, revision: i64, client: Client) -> Client {
        if let Some(client) = self.get(account, revision) {
            return client;
        }
        if self.clients.len() >= self.max && !self.clients.contains_key(account) {
            let oldest = self.clients.iter().min_by_key(|(_, entry)| entry.used).map(|(account, _)| account.clone());
            oldest.and_then(|oldest| self.clients.remove(&oldest));
        }
        self.uses += 1;
        self.clients.insert(account.clone(), Entry { revision, client: client.clone(), used: self.uses });
        client
    }
}

/// What Google says against credentials, in a word.
fn cause(failure: &Failure) -> &str {
    failure.metadata.get("oauth_error").map_or("unauthenticated", String::as_str)
}

/// The failure of a run that need not ask.
fn rejected(account: &AccountId, rejection: &Rejection, now: DateTime<Utc>) -> Failure {
    let Rejection { at, cause } = rejection;
    let ago = (now - at).num_seconds().max(0);
    let message = format!(
        "Google refuses the credentials of {}: {cause}, {ago} s ago; its runs fail until they are replaced, or taken again",
        account.resource_name()
    );
    Failure::permanent(FailureReason::CredentialsRejected, message).with("oauth_error", cause).remembered()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gbp::InProcess;

    fn account(id: usize) -> AccountId {
        AccountId::parse(&id.to_string()).expect("an id")
    }

    fn client() -> Client {
        Client::in_process(InProcess::new(Duration::ZERO, |_| {}))
    }

    #[test]
    fn clients_are_kept_by_revision_and_the_least_used_makes_room() {
        let mut kept = Kept { clients: HashMap::new(), uses: 0, max: 3 };
        for id in 0..3 {
            kept.keep(&account(id), 5, client());
        }
        assert!(kept.get(&account(0), 5).is_some() && kept.get(&account(0), 4).is_some(), "the same, and newer ones");
        assert!(kept.get(&account(0), 6).is_none(), "replaced since");
        kept.keep(&account(3), 5, client());
        let mut there: Vec<_> = kept.clients.keys().map(ToString::to_string).collect();
        there.sort();
        assert_eq!(there, ["0", "2", "3"]);
        kept.keep(&account(0), 6, client());
        assert_eq!(
            (kept.clients.len(), kept.clients[&account(0)].revision),
            (3, 6),
            "a replacement takes no more room"
        );
        kept.keep(&account(0), 5, client());
        assert_eq!(kept.clients[&account(0)].revision, 6, "never back");
    }
}
