//! Clients of Google for each account: with the account's own credentials, or else with those of the server's settings.

mod rejections;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use crate::{
    credential_cipher::{CredentialCipher, DecryptError},
    domain::{AccountCredentials, AccountId, EncryptedCredentials, Failure, FailureReason, Rejection},
    error::Error,
    gbp::Client,
    store::{CredentialsVersion, Store},
};

/// Maximum number of accounts whose access tokens are cached: some megabytes. An evicted account needs a new token when
/// it is used again.
const MAX_CACHED_CLIENTS: usize = 10_000;

/// The clients of Google for all accounts. Cheap to clone.
///
/// If Google rejects credentials, one run fails: the one that finds out. Runs that were accepted before then wait, for
/// at most [`MAX_REJECTION_WAIT`](crate::domain::MAX_REJECTION_WAIT), until Google accepts the credentials again or
/// they are replaced. A run that is accepted later fails immediately, because its caller can see the state. About once
/// a minute, one of the runs tries the credentials again.
///
/// Each claim of a run reads which credentials its account has, so nothing here can be outdated: clients are cached
/// under the revision of their credentials.
#[derive(Clone)]
pub struct AccountClients(Arc<Inner>);

struct Inner {
    store: Store,
    cipher: CredentialCipher,
    default: Client,
    /// The rejection of the server's own credentials. Each server finds out for itself, because servers may have
    /// different ones.
    default_rejection: Mutex<Option<Rejection>>,
    cache: Mutex<ClientCache>,
}

/// What an attempt learned about the credentials that it used.
#[derive(Debug, Clone, Copy)]
pub enum CredentialsOutcome<'a> {
    /// Google accepts them.
    Accepted,
    /// Google rejects them. The failure has the reason, and whether Google was asked.
    Rejected(&'a Failure),
}

impl AccountClients {
    /// Creates the clients. `default` is for accounts without credentials of their own; `cipher` decrypts those of the
    /// others.
    #[must_use]
    pub fn new(store: Store, default: Client, cipher: CredentialCipher) -> Self {
        let cache = Mutex::new(ClientCache { clients: HashMap::new(), uses: 0, max: MAX_CACHED_CLIENTS });
        Self(Arc::new(Inner { store, cipher, default, default_rejection: Mutex::default(), cache }))
    }

    /// Returns the client for a run that was accepted at `accepted_at`, of an account whose own credentials are
    /// `version`, as read at `now`. The inner error is the reason why there is none: Google has just rejected them, or
    /// this server cannot decrypt them. They are never replaced with the server's own credentials, which belong to
    /// another identity.
    ///
    /// # Errors
    /// A database error.
    pub async fn client(
        &self,
        account: &AccountId,
        version: Option<&CredentialsVersion>,
        now: DateTime<Utc>,
        accepted_at: DateTime<Utc>,
    ) -> Result<Result<Client, Failure>, Error> {
        let Some(version) = version else {
            // A run that may fail because of them tries them: there is no RPC by which the server's own credentials
            // could be accepted again.
            let known = self.default_rejection().clone().filter(|rejection| rejection.holds(Utc::now()));
            let waits = known.and_then(|known| known.wait(accepted_at, Utc::now()).map(|wait| (known, wait)));
            return Ok(waits.map_or_else(
                || Ok(self.0.default.clone()),
                |(known, wait)| Err(rejected("the server", &known, Utc::now()).waiting(wait)),
            ));
        };
        if let Some(rejection) = version.rejection.as_ref().filter(|rejection| rejection.holds(now)) {
            let failure = rejected(&account.resource_name(), rejection, now);
            return Ok(Err(match rejection.wait(accepted_at, now) {
                Some(wait) => failure.waiting(wait),
                None => failure,
            }));
        }
        if let Some(client) = self.cache().get(account, version.revision) {
            return Ok(Ok(client));
        }
        // Deleted since the claim: from now on, the account uses the server's own.
        let Some((known, encrypted)) = self.0.store.credentials(account).await? else {
            return Ok(Ok(self.0.default.clone()));
        };
        Ok(self.open(&known, &encrypted).map_err(|problem| {
            tracing::error!(account_id = %account, key_id = known.key_id, %problem, "cannot read an account's credentials");
            let message = format!("{} has credentials of its own, but {problem}", account.resource_name());
            Failure::permanent(FailureReason::CredentialsUnreadable, message).with("key_id", &known.key_id)
        }))
    }

    /// Returns the client with these credentials.
    pub(super) fn open(
        &self,
        known: &AccountCredentials,
        encrypted: &EncryptedCredentials,
    ) -> Result<Client, DecryptError> {
        let user = self.0.cipher.decrypt(&known.account, encrypted)?;
        Ok(self.cache().insert(&known.account, known.revision, self.0.default.with_credentials(user)))
    }

    /// Updates the metric of accounts whose credentials Google rejects.
    pub async fn count(&self) {
        match self.0.store.rejected_credentials().await {
            // A number of accounts is always small enough for a float to be exact.
            #[expect(clippy::cast_precision_loss, reason = "there are not 2^53 accounts")]
            Ok(count) => {
                metrics::gauge!("category_mirror_credentials_rejected", "credentials" => "account").set(count as f64)
            }
            Err(error) => tracing::debug!(%error, "cannot count rejected credentials"),
        }
    }

    /// Returns the cipher with its keys.
    pub(super) fn cipher(&self) -> &CredentialCipher {
        &self.0.cipher
    }

    /// Removes an account's tokens from the cache.
    pub(super) fn forget(&self, account: &AccountId) {
        self.cache().clients.remove(account);
    }

    fn cache(&self) -> MutexGuard<'_, ClientCache> {
        // No code panics while holding the lock.
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for AccountClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("default", &self.0.default).finish_non_exhaustive()
    }
}

/// The failure of a run that need not ask.
fn rejected(whose: &str, rejection: &Rejection, now: DateTime<Utc>) -> Failure {
    let Rejection { at, reason, .. } = rejection;
    let ago = (now - at).num_seconds().max(0);
    let message = format!(
        "Google refuses the credentials of {whose}: {reason}, {ago} s ago; runs wait or fail until these are replaced, or accepted again"
    );
    Failure::permanent(FailureReason::CredentialsRejected, message).with("oauth_error", reason).cached()
}

/// Clients by account, at most `max`: the least recently used one is evicted.
struct ClientCache {
    clients: HashMap<AccountId, Entry>,
    uses: u64,
    max: usize,
}

struct Entry {
    revision: i64,
    client: Client,
    used: u64,
}

impl ClientCache {
    /// Returns the client with credentials of this revision or a newer one.
    fn get(&mut self, account: &AccountId, revision: i64) -> Option<Client> {
        let entry = self.clients.get_mut(account).filter(|entry| entry.revision >= revision)?;
        self.uses += 1;
        entry.used = self.uses;
        Some(entry.client.clone())
    }

    /// Adds a client, unless another task has added one in the meantime. Returns the cached one, so that token renewals
    /// are shared.
    fn insert(&mut self, account: &AccountId, revision: i64, client: Client) -> Client {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::gbp::{Credentials, Endpoint, GbpConfig};

    fn account(id: usize) -> AccountId {
        AccountId::parse(&id.to_string()).expect("an id")
    }

    fn client() -> Client {
        let credentials = Credentials::access_token("only-for-tests").expect("a token");
        let (endpoint, timeout) = (Endpoint::google_token(), Duration::from_secs(1));
        // It is never called.
        Client::new(GbpConfig { endpoint, token_url: None, credentials, timeout }).expect("a client")
    }

    #[test]
    fn clients_are_kept_by_revision_and_the_least_used_makes_room() {
        let mut cache = ClientCache { clients: HashMap::new(), uses: 0, max: 3 };
        for id in 0..3 {
            cache.insert(&account(id), 5, client());
        }
        assert!(cache.get(&account(0), 5).is_some() && cache.get(&account(0), 4).is_some(), "the same, and newer ones");
        assert!(cache.get(&account(0), 6).is_none(), "replaced since");
        cache.insert(&account(3), 5, client());
        let mut there: Vec<_> = cache.clients.keys().map(ToString::to_string).collect();
        there.sort();
        assert_eq!(there, ["0", "2", "3"]);
        cache.insert(&account(0), 6, client());
        assert_eq!(
            (cache.clients.len(), cache.clients[&account(0)].revision),
            (3, 6),
            "a replacement takes no more room"
        );
        cache.insert(&account(0), 5, client());
        assert_eq!(cache.clients[&account(0)].revision, 6, "never back");
    }
}
