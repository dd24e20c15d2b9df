//! A key set that an identity provider publishes and changes.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::{Client, StatusCode, Url, redirect};
use tokio::sync::watch;

use super::jwks::KeySet;
use super::{AuthConfigError, Rejected};
use crate::domain::public_url;

const SETTING: &str = "AUTH_JWKS_URL";
/// Maximum duration of a fetch. If keys have a short lifetime, it is a quarter of that.
const MAX_FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1 << 20;

/// How often the set is fetched, and how long it is valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchPolicy {
    /// Minimum interval between a fetch and the next one that a token with an unknown key id triggers, because anyone
    /// can send such tokens.
    pub(super) min_pause: Duration,
    /// Age at which the set is fetched again in the background, even without calls, so that a withdrawn key stops being
    /// valid.
    pub(super) max_age: Duration,
    /// Age at which its keys are no longer trusted: an attacker who makes the provider unreachable must not keep a
    /// withdrawn key valid.
    pub(super) max_staleness: Duration,
}

impl FetchPolicy {
    /// Returns the default intervals, or shorter ones if the set is valid for a short time.
    pub(super) fn of(max_staleness: Duration) -> Self {
        Self {
            min_pause: Duration::from_secs(30).min(max_staleness / 8),
            // Well before the keys are too old, so that several attempts fit in between.
            max_age: Duration::from_secs(600).min(max_staleness / 4),
            max_staleness,
        }
    }

    fn fetch_timeout(&self) -> Duration {
        MAX_FETCH_TIMEOUT.min(self.max_staleness / 4)
    }
}

/// The last set that was fetched. After a failed fetch, the previous one stays valid until it is too old.
pub(super) struct Remote {
    client: Client,
    url: Url,
    pub(super) policy: FetchPolicy,
    /// `None` until the provider has been reached for the first time.
    current: RwLock<Option<Fetched>>,
    fetches: Mutex<Fetches>,
    /// Number of fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Instant,
}

/// State of the fetches. There is at most one at a time.
struct Fetches {
    last_begun_at: Instant,
    is_running: bool,
    /// Failures since the last success.
    failures: u32,
    /// Whether it has been logged that no token is accepted.
    is_staleness_logged: bool,
}

/// Why no set was fetched.
enum Unfetched {
    /// The provider is unreachable or has a problem: it may recover soon.
    Away(String),
    /// The response is not a key set.
    Wrong(String),
}

impl Remote {
    /// Fetches the set for the first time. If the provider is unreachable, the set is fetched in the background once it
    /// can be reached.
    pub(super) async fn connect(url: &str, policy: FetchPolicy) -> Result<Arc<Self>, AuthConfigError> {
        let invalid = |problem: String| AuthConfigError::Invalid { setting: SETTING, value: public_url(url), problem };
        let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        let local = is_loopback(&parsed);
        if parsed.scheme() != "https" && !(parsed.scheme() == "http" && local) {
            return Err(invalid("must begin with https:// (http:// is for this machine only)".into()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(invalid("must not contain a user name or a password".into()));
        }
        // A redirect could go to plain HTTP, or to another host's keys.
        let mut client = Client::builder().timeout(policy.fetch_timeout()).redirect(redirect::Policy::none());
        if local {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| invalid(error.to_string()))?;
        let begun = Instant::now();
        let fetches = Fetches { last_begun_at: begun, is_running: false, failures: 0, is_staleness_logged: false };
        let remote = Arc::new(Self {
            client,
            url: parsed,
            policy,
            current: RwLock::new(None),
            fetches: Mutex::new(fetches),
            ended: watch::Sender::new(0),
        });
        match remote.fetch().await {
            Ok(keys) => remote.put(keys, begun),
            Err(Unfetched::Wrong(problem)) => return Err(invalid(problem)),
            Err(Unfetched::Away(error)) => {
                let url = public_url(url);
                tracing::error!(url, error, "the key set cannot be fetched; tokens cannot be verified until it can");
                let mut fetches = remote.fetches();
                (fetches.failures, fetches.is_staleness_logged) = (1, true);
            }
        }
        Ok(remote)
    }

    /// Whether tokens can be verified: the set was fetched and is not too old.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh().is_some()
    }

    /// Returns the minimum time since the provider published the set; `None` before the first fetch.
    pub(super) fn age(&self) -> Option<Duration> {
        self.current().map(|fetched| fetched.at.elapsed())
    }

    /// Returns the set that may contain the key: the current one, or, if it lacks the key and enough time has passed, a
    /// newer one. Never waits for a key that is known and fresh.
    ///
    /// # Errors
    /// [`Rejected::KeysUnavailable`] if no set is known, or it is too old.
    pub(super) async fn keys_for(self: &Arc<Self>, kid: Option<&str>) -> Result<Arc<KeySet>, Rejected> {
        let Some(Fetched { keys, .. }) = self.fresh() else {
            self.refresh(self.policy.min_pause).await;
            return self.fresh().map(|fetched| fetched.keys).ok_or(Rejected::KeysUnavailable);
        };
        if matches!(keys.find(kid), Err(Rejected::UnknownKey)) {
            self.refresh(self.policy.min_pause).await;
            return Ok(self.fresh().map_or(keys, |fetched| fetched.keys));
        }
        Ok(keys)
    }

    fn current(&self) -> Option<Fetched> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fresh(&self) -> Option<Fetched> {
        self.current().filter(|fetched| fetched.at.elapsed() < self.policy.max_staleness)
    }

    fn fetches(&self) -> MutexGuard<'_, Fetches> {
        // No code panics while holding the lock.
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of failed fetches since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.fetches().failures
    }

    fn put(&self, keys: KeySet, at: Instant) {
        let fetched = Fetched { keys: Arc::new(keys), at };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("category_mirror_jwks_fetch_timestamp_seconds").set(now.as_secs_f64());
    }

    /// Waits for the fetch that is running, or for a new one if none has begun for `pause`. Cancel-safe: the fetch
    /// continues without its waiters, so that a caller that leaves cannot end it.
    pub(super) async fn refresh(self: &Arc<Self>, pause: Duration) {
        let mut ended = {
            let mut fetches = self.fetches();
            // Subscribed before the fetch can end.
            let ended = self.ended.subscribe();
            if !fetches.is_running {
                if fetches.last_begun_at.elapsed() < pause {
                    return;
                }
                (fetches.is_running, fetches.last_begun_at) = (true, Instant::now());
                tokio::spawn(Arc::clone(self).fetch_once(fetches.last_begun_at));
            }
            ended
        };
        // An error would mean that the set was dropped, and with it all waiters.
        let _ = ended.changed().await;
    }

    async fn fetch_once(self: Arc<Self>, begun: Instant) {
        let _running = Running(&self);
        let error = match self.fetch().await {
            Ok(keys) => {
                self.put(keys, begun);
                None
            }
            Err(Unfetched::Away(error) | Unfetched::Wrong(error)) => Some(error),
        };
        self.note(error);
    }

    /// Records the end of a fetch, and logs changes: the first failure, that no token is accepted any longer, and the
    /// recovery.
    fn note(&self, error: Option<String>) {
        let is_fresh = self.is_fresh();
        let mut fetches = self.fetches();
        let Some(error) = error else {
            if fetches.failures > 0 {
                tracing::info!(failures = fetches.failures, "key set fetched");
            }
            (fetches.failures, fetches.is_staleness_logged) = (0, false);
            return;
        };
        metrics::counter!("category_mirror_jwks_fetch_failures_total").increment(1);
        fetches.failures = fetches.failures.saturating_add(1);
        if !is_fresh && !fetches.is_staleness_logged {
            fetches.is_staleness_logged = true;
            tracing::error!(error, "key set cannot be fetched, and none is fresh enough: no token is accepted");
        } else if fetches.failures == 1 {
            tracing::warn!(error, "key set cannot be fetched, keeping the one before");
        } else {
            tracing::debug!(error, failures = fetches.failures, "key set still cannot be fetched");
        }
    }

    async fn fetch(&self) -> Result<KeySet, Unfetched> {
        let cannot = |error: reqwest::Error| {
            // The outermost error is unspecific, and repeats the URL.
            let cause = successors(error.source(), |&cause| cause.source()).last();
            let cause = cause.map_or_else(|| "no answer in time".into(), ToString::to_string);
            Unfetched::Away(format!("cannot be fetched: {cause}"))
        };
        let mut response = self.client.get(self.url.clone()).send().await.map_err(cannot)?;
        let status = response.status();
        if status != StatusCode::OK {
            let is_away = status.is_server_error()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            let problem = format!("answered {status}");
            return Err(if is_away { Unfetched::Away(problem) } else { Unfetched::Wrong(problem) });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cannot)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(Unfetched::Wrong(format!("answered more than {MAX_BYTES} bytes")));
            }
        }
        KeySet::parse_next(&body).map_err(Unfetched::Wrong)
    }
}

/// A fetch that is running. However it ends, the next one can begin, and its waiters are released.
struct Running<'a>(&'a Remote);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetches().is_running = false;
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

/// Without the query of the URL, which may be secret.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = public_url(self.url.as_str());
        f.debug_struct("Remote").field("url", &url).field("pace", &self.policy).finish_non_exhaustive()
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    // An IPv6 address is in brackets.
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
