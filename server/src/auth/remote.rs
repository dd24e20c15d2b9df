//! A key set that an identity provider publishes and changes.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::{Client, StatusCode, Url, redirect};
use tokio::sync::Mutex;

use super::jwks::KeySet;
use super::{AuthConfigError, Rejected};
use crate::domain::public_url;

const SETTING: &str = "AUTH_JWKS_URL";
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1 << 20;
/// The longest wait between two tries while no set was ever fetched.
const MAX_FIRST_PAUSE: Duration = Duration::from_secs(15);

/// How often the set is fetched, and how long it is good for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// At least this between two fetches: tokens with unknown key ids ask for them, and anybody can send those.
    pub(super) min_pause: Duration,
    /// After this it is fetched again without being asked for, so that a key that was withdrawn stops being good.
    pub(super) max_age: Duration,
    /// After this its keys are not trusted any longer: whoever keeps the provider from being reached shall not keep a withdrawn key good.
    pub(super) max_staleness: Duration,
}

impl Pace {
    /// The usual pace, or a faster one where the set is not good for long.
    pub(super) fn of(max_staleness: Duration) -> Self {
        Self {
            min_pause: Duration::from_secs(30).min(max_staleness / 8),
            max_age: Duration::from_secs(600).min(max_staleness / 2),
            max_staleness,
        }
    }
}

/// The newest set that could be fetched. A failed fetch keeps the one before, until that is too old.
pub(super) struct Remote {
    client: Client,
    url: Url,
    pace: Pace,
    /// `None` until the provider could be reached for the first time.
    current: RwLock<Option<Fetched>>,
    /// When the last fetch began; held while one is under way, so that there is only one.
    last_try: Mutex<Instant>,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Instant,
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
    pub(super) async fn connect(url: &str, pace: Pace) -> Result<Arc<Self>, AuthConfigError> {
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
        let mut client = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        if local {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| invalid(error.to_string()))?;
        let begun = Instant::now();
        let (current, last_try) = (RwLock::new(None), Mutex::new(begun));
        let remote = Arc::new(Self { client, url: parsed, pace, current, last_try });
        match remote.fetch().await {
            Ok(keys) => remote.put(keys, begun),
            Err(Unfetched::Wrong(problem)) => return Err(invalid(problem)),
            Err(Unfetched::Away(error)) => {
                let url = public_url(url);
                tracing::error!(url, error, "the key set cannot be fetched; tokens cannot be verified until it can");
                tokio::spawn(fetch_until_it_is_there(Arc::downgrade(&remote)));
            }
        }
        Ok(remote)
    }

    /// Whether a set was ever fetched.
    pub(super) fn is_fetched(&self) -> bool {
        self.current().is_some()
    }

    /// The set that may hold the key: the present one, or when it does not, a newer one, if it is time to ask.
    ///
    /// # Errors
    /// [`Rejected::KeysUnavailable`] where no set is known that is fresh enough.
    pub(super) async fn keys_for(self: &Arc<Self>, kid: Option<&str>) -> Result<Arc<KeySet>, Rejected> {
        let Some(Fetched { keys, at }) = self.fresh() else {
            self.refresh().await;
            return self.fresh().map(|fetched| fetched.keys).ok_or(Rejected::KeysUnavailable);
        };
        if matches!(keys.find(kid), Err(Rejected::UnknownKey)) {
            self.refresh().await;
            return Ok(self.fresh().map_or(keys, |fetched| fetched.keys));
        }
        // The caller need not wait for this, nor need each of them ask for it.
        let is_due = |last_try: &Instant| last_try.elapsed() >= self.pace.min_pause;
        if at.elapsed() >= self.pace.max_age && self.last_try.try_lock().is_ok_and(|last_try| is_due(&last_try)) {
            let remote = Arc::clone(self);
            tokio::spawn(async move { remote.refresh().await });
        }
        Ok(keys)
    }

    fn current(&self) -> Option<Fetched> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fresh(&self) -> Option<Fetched> {
        self.current().filter(|fetched| fetched.at.elapsed() < self.pace.max_staleness)
    }

    fn put(&self, keys: KeySet, at: Instant) {
        let fetched = Fetched { keys: Arc::new(keys), at };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(fetched);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("category_mirror_jwks_fetch_timestamp_seconds").set(now.as_secs_f64());
    }

    /// Fetches the set, unless that was just done; those who come meanwhile wait for the one fetch.
    async fn refresh(&self) {
        let mut last_try = self.last_try.lock().await;
        if last_try.elapsed() < self.pace.min_pause {
            return;
        }
        *last_try = Instant::now();
        match self.fetch().await {
            Ok(keys) => self.put(keys, *last_try),
            Err(Unfetched::Away(error) | Unfetched::Wrong(error)) => {
                metrics::counter!("category_mirror_jwks_fetch_failures_total").increment(1);
                if self.fresh().is_some() {
                    tracing::warn!(error, "key set cannot be fetched, keeping the one before");
                } else {
                    tracing::error!(error, "key set cannot be fetched, and none is fresh enough: no token is accepted");
                }
            }
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

/// Without the query of the URL, which may be secret.
impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = public_url(self.url.as_str());
        f.debug_struct("Remote").field("url", &url).field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// Fetches the first set, however long the provider is away. Ends with it, or with whoever wanted it.
async fn fetch_until_it_is_there(remote: Weak<Remote>) {
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_FIRST_PAUSE);
        let Some(remote) = remote.upgrade() else { return };
        // A call may have fetched it by now.
        if remote.is_fetched() {
            return;
        }
        let mut last_try = remote.last_try.lock().await;
        *last_try = Instant::now();
        match remote.fetch().await {
            Ok(keys) => {
                remote.put(keys, *last_try);
                tracing::info!("key set fetched");
                return;
            }
            Err(Unfetched::Away(error) | Unfetched::Wrong(error)) => {
                metrics::counter!("category_mirror_jwks_fetch_failures_total").increment(1);
                tracing::warn!(error, "key set still cannot be fetched");
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    // An IPv6 address stands in brackets.
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
