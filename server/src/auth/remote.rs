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
/// The longest time of a fetch. Where keys are not good for long, it is a quarter of that time.
const MAX_FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1 << 20;

/// How often the set is fetched, and how long it is good for.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchPolicy {
    /// At least this between a fetch and the next one that a token with an unknown key id causes, because anybody can send those.
    pub(super) min_pause: Duration,
    /// After this it is fetched again in the background, whether there are calls or not, so that a key that was withdrawn stops being good.
    pub(super) max_age: Duration,
    /// After this its keys are not trusted any longer: whoever keeps the provider from being reached shall not keep a withdrawn key good.
    pub(super) max_staleness: Duration,
}

impl FetchPolicy {
    /// The usual pace, or a faster one where the set is not good for long.
    pub(super) fn of(max_staleness: Duration) -> Self {
        Self {
            min_pause: Duration::from_secs(30).min(max_staleness / 8),
            // Well before the keys are too old: several tries fit between the two.
            max_age: Duration::from_secs(600).min(max_staleness / 4),
            max_staleness,
        }
    }

    fn fetch_timeout(&self) -> Duration {
        MAX_FETCH_TIMEOUT.min(self.max_staleness / 4)
    }
}

/// The newest set that could be fetched. A failed fetch keeps the one before, until that is too old.
pub(super) struct Remote {
    client: Client,
    url: Url,
    pub(super) policy: FetchPolicy,
    /// `None` until the provider could be reached for the first time.
    current: RwLock<Option<Fetched>>,
    fetches: Mutex<Fetches>,
    /// The number of fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Instant,
}

/// What is known of the fetches so far. There is one at a time.
struct Fetches {
    last_begun_at: Instant,
    is_running: bool,
    /// Since the last one that succeeded.
    failures: u32,
    /// Whether the log says already that no token is accepted.
    is_staleness_logged: bool,
}

/// Why no set could be fetched.
enum Unfetched {
    /// The provider cannot be reached, or is in trouble: it may be back soon.
    Away(String),
    /// It answers, and not with a key set.
    Wrong(String),
}

impl Remote {
    /// Fetches the set for the first time. Where the provider is away, it is asked again in the background until it is there.
    pub(super) async fn connect(url: &str, policy: FetchPolicy) -> Result<Arc<Self>, AuthConfigError> {
        let invalid = |problem: String| AuthConfigError::Invalid { setting: SETTING, value: public_url(url), problem };
        let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        let local = is_loopback(&parsed);
        if parsed.scheme() != "https" && !(parsed.scheme() == "http" && local) {
            return Err(invalid("must begin with https:// (http:// is for this machine only)".into()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(invalid("must not hold a user name or a password".into()));
        }
        // A redirect could lead to plain HTTP, or to another host's keys.
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

    /// Whether tokens can be verified: the set was fetched, and is not too old.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh().is_some()
    }

    /// Returns how long ago the provider published the set, at least; `None` before the first one.
    pub(super) fn age(&self) -> Option<Duration> {
        self.current().map(|fetched| fetched.at.elapsed())
    }

    /// The set that may hold the key: the present one, or when it does not, a newer one, if it is time to ask. A key that is known and fresh
    /// is never waited for.
    ///
    /// # Errors
    /// [`Rejected::KeysUnavailable`] where no set is known that is fresh enough.
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
        // Nothing panics while it is held.
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many fetches have failed since the last one that succeeded.
    pub(super) fn failures(&self) -> u32 {
        self.fetches().failures
    }

    fn put(&self, keys: KeySet, at: Instant) {
        let fetched = Fetched { keys: Arc::new(keys), at };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("category_mirror_jwks_fetch_timestamp_seconds").set(now.as_secs_f64());
    }

    /// Waits for the fetch that is running, or for a new one if none has begun for `pause`. Cancel-safe: the fetch goes on without those who
    /// wait for it, so that a caller who leaves cannot end it.
    pub(super) async fn refresh(self: &Arc<Self>, pause: Duration) {
        let mut ended = {
            let mut fetches = self.fetches();
            // Before the fetch can end.
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
        // An error would mean that the set is gone, and with it whoever waits.
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

    /// Counts the end of a fetch, and logs what changes with it: the first failure, that no token is accepted any longer, and the recovery.
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
            // The outermost error only says that something went wrong, and repeats the URL.
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

/// A fetch that is running. However it ends, the next one can begin, and nobody waits for this one any longer.
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
    // An IPv6 address stands in brackets.
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
