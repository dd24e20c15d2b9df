//! A key set that an identity provider publishes and changes.

use std::error::Error;
use std::iter::successors;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::{Client, Url, redirect};
use tokio::sync::Mutex;

use super::jwks::KeySet;
use super::{AuthConfigError, Rejected};

const SETTING: &str = "AUTH_JWKS_URL";
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 1 << 20;

/// How often the set is fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// At least this between two fetches: tokens with unknown key ids ask for them, and anybody can send those.
    pub(super) min_pause: Duration,
    /// After this it is fetched again without being asked for, so that a key that was withdrawn stops being good.
    pub(super) max_age: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { min_pause: Duration::from_secs(30), max_age: Duration::from_secs(600) }
    }
}

/// The newest set that could be fetched. A failed fetch keeps the one before.
#[derive(Debug)]
pub(super) struct Remote {
    client: Client,
    url: Url,
    pace: Pace,
    current: RwLock<Fetched>,
    /// When the last fetch began; held while one is under way, so that there is only one.
    last_try: Mutex<Instant>,
}

#[derive(Debug, Clone)]
struct Fetched {
    keys: Arc<KeySet>,
    at: Instant,
}

impl Remote {
    /// Fetches the set for the first time.
    pub(super) async fn connect(url: &str, pace: Pace) -> Result<Arc<Self>, AuthConfigError> {
        let invalid =
            |problem: String| AuthConfigError::Invalid { setting: SETTING, value: without_secrets(url), problem };
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
        let at = Instant::now();
        let keys = fetch(&client, &parsed).await.map_err(invalid)?;
        let current = RwLock::new(Fetched { keys: Arc::new(keys), at });
        Ok(Arc::new(Self { client, url: parsed, pace, current, last_try: Mutex::new(at) }))
    }

    /// The set that may hold the key: the present one, or when it does not, a newer one, if it is time to ask.
    pub(super) async fn keys_for(self: &Arc<Self>, kid: Option<&str>) -> Arc<KeySet> {
        let Fetched { keys, at } = self.current();
        if matches!(keys.find(kid), Err(Rejected::UnknownKey)) {
            self.refresh().await;
            return self.current().keys;
        }
        // The caller need not wait for this, nor need each of them ask for it.
        let is_due = |last_try: &Instant| last_try.elapsed() >= self.pace.min_pause;
        if at.elapsed() >= self.pace.max_age && self.last_try.try_lock().is_ok_and(|last_try| is_due(&last_try)) {
            let remote = Arc::clone(self);
            tokio::spawn(async move { remote.refresh().await });
        }
        keys
    }

    fn current(&self) -> Fetched {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fetches the set, unless that was just done; those who come meanwhile wait for the one fetch.
    async fn refresh(&self) {
        let mut last_try = self.last_try.lock().await;
        if last_try.elapsed() < self.pace.min_pause {
            return;
        }
        *last_try = Instant::now();
        match fetch(&self.client, &self.url).await {
            Ok(keys) => {
                let fetched = Fetched { keys: Arc::new(keys), at: *last_try };
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = fetched;
            }
            Err(error) => tracing::warn!(error, "key set cannot be fetched, keeping the one before"),
        }
    }
}

async fn fetch(client: &Client, url: &Url) -> Result<KeySet, String> {
    let cannot = |error: reqwest::Error| {
        // The outermost error only says that something went wrong.
        let cause = successors(error.source(), |&cause| cause.source()).last();
        format!("cannot be fetched: {}", cause.map_or_else(|| "no answer in time".into(), ToString::to_string))
    };
    let mut response = client.get(url.clone()).send().await.map_err(cannot)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(cannot)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(format!("answered more than {MAX_BYTES} bytes"));
        }
    }
    KeySet::parse(&body)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    // An IPv6 address stands in brackets.
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// For messages: what stands before `@`, and after `?`, may be secret.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        (None, Some((_, rest))) => format!("…@{rest}"),
        _ => url.to_owned(),
    }
}
