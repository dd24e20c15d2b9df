//! Access tokens: made from a refresh token, shared by all calls in the same name, renewed by one of them at a time, kept in memory only.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use category_mirror_domain::{AuthorizedUser, Failure, FailureReason, REJECTION_RETRY_INTERVAL, Secret};
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    Endpoint, GbpConfigError,
    http::instrumented::{RequestContext, instrumented},
    identity::denial::denied,
    response::answer::unreadable,
};

/// What stands before an access token in its header.
const SCHEME: &str = "Bearer ";
/// The name of the call in messages.
const LABEL: &str = "token renewal";
/// Characters of an access token; Google promises at most 2,048.
pub(crate) const MAX_TOKEN: usize = 4096;
/// A token is renewed this long before it expires, so that it does not expire on the way.
const REFRESH_MARGIN: Duration = Duration::from_secs(60);
/// How long a token is believed to last, whatever its maker says.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// How long it is believed to last when its maker says nothing: Google's usual time.
const DEFAULT_LIFETIME_SECONDS: u64 = 3600;

/// The value of an `Authorization` header. Its `Debug` shows nothing.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    /// The header's value, marked sensitive.
    pub(crate) header: HeaderValue,
    /// Which renewal it came from.
    round: u64,
}

/// Where access tokens come from.
pub(crate) enum TokenSource {
    /// One that was given.
    Fixed(Bearer),
    /// Made anew from a refresh token.
    Renewed(Box<TokenRefresher>),
}

/// The shared state of the renewals.
pub(crate) struct TokenRefresher {
    http: reqwest::Client,
    endpoint: Endpoint,
    user: AuthorizedUser,
    /// How many renewals have ended. Read without the lock: a call that waited for one shares its end, also a bad one.
    rounds: AtomicU64,
    /// Held during a renewal, so there is one at a time.
    last: Mutex<Option<Last>>,
    /// Held while it is found out what is behind a rejected token.
    turn: Mutex<()>,
}

/// What came of the last renewal.
enum Last {
    /// A token.
    Granted(Current),
    /// None.
    Failed { failure: Failure, at: Instant },
}

struct Current {
    bearer: Bearer,
    renew_at: Instant,
}

/// The token endpoint's good answer.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
    token_type: Option<String>,
}

impl Bearer {
    /// The token itself.
    pub(crate) fn token(&self) -> &str {
        self.header.to_str().ok().and_then(|value| value.strip_prefix(SCHEME)).unwrap_or_default()
    }
}

impl TokenSource {
    /// Always the same token.
    pub(crate) fn fixed(token: &Secret) -> Result<Self, GbpConfigError> {
        let header = header(token.reveal()).ok_or(GbpConfigError::AccessToken)?;
        Ok(Self::Fixed(Bearer { header, round: 0 }))
    }

    /// Tokens that `endpoint` makes for `user`. Asks for nothing yet.
    pub(crate) fn refreshed(user: AuthorizedUser, http: reqwest::Client, endpoint: Endpoint) -> Self {
        let (rounds, last, turn) = (AtomicU64::new(0), Mutex::new(None), Mutex::new(()));
        Self::Renewed(Box::new(TokenRefresher { http, endpoint, user, rounds, last, turn }))
    }

    /// A token for a call.
    pub(crate) async fn current(&self) -> Result<Bearer, Failure> {
        match self {
            Self::Fixed(bearer) => Ok(bearer.clone()),
            Self::Renewed(renewal) => renewal.bearer(None).await,
        }
    }

    /// Another token than the rejected one; `None` where there can be no other.
    pub(crate) async fn instead_of(&self, rejected: &Bearer) -> Result<Option<Bearer>, Failure> {
        match self {
            Self::Fixed(_) => Ok(None),
            Self::Renewed(renewal) => renewal.bearer(Some(rejected)).await.map(Some),
        }
    }

    /// Waits for the turn to find out what is behind a rejected token. A fixed one is shown again by everybody, as nothing is kept of it.
    pub(crate) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self {
            Self::Fixed(_) => None,
            Self::Renewed(renewal) => Some(renewal.turn.lock().await),
        }
    }

    /// The rejection of the credentials, if somebody else has found that out since they made a token.
    pub(crate) async fn known_rejection(&self) -> Option<Failure> {
        let Self::Renewed(renewal) = self else { return None };
        match &*renewal.last.lock().await {
            Some(Last::Failed { failure, .. }) if is_rejection(failure) => Some(failure.clone().cached()),
            _ => None,
        }
    }

    /// Notes that Google refuses `bearer`, too, although it was made to take the place of a rejected one: it is the credentials.
    pub(crate) async fn rejected(&self, bearer: &Bearer) {
        if let Self::Renewed(renewal) = self {
            renewal.rejected(bearer).await;
        }
    }

    /// Makes a new token now. A fixed one is as good as it was.
    pub(crate) async fn refresh(&self) -> Result<(), Failure> {
        match self {
            Self::Fixed(_) => Ok(()),
            Self::Renewed(renewal) => renewal.refresh_in(&mut *renewal.last.lock().await).await.map(drop),
        }
    }
}

impl TokenRefresher {
    async fn bearer(&self, rejected: Option<&Bearer>) -> Result<Bearer, Failure> {
        let state = self.rounds.load(Ordering::Acquire);
        let mut last = self.last.lock().await;
        // It failed while this call waited; asking again at once would only queue up the timeouts.
        let is_news = self.rounds.load(Ordering::Acquire) != state;
        match &*last {
            Some(Last::Granted(current)) if current.serves(rejected) => return Ok(current.bearer.clone()),
            Some(Last::Failed { failure, .. }) if is_news => return Err(failure.clone()),
            // Google refuses the credentials themselves: it is left alone for a while.
            Some(Last::Failed { failure, at }) if is_rejection(failure) && at.elapsed() < REJECTION_RETRY_INTERVAL => {
                return Err(failure.clone().cached());
            }
            _ => {}
        }
        self.refresh_in(&mut last).await
    }

    /// Renews, and keeps what came of it.
    async fn refresh_in(&self, last: &mut Option<Last>) -> Result<Bearer, Failure> {
        let round = self.rounds.load(Ordering::Acquire) + 1;
        let renewed = self.ask(round).await;
        let result = renewed.as_ref().map(|current| current.bearer.clone()).map_err(Clone::clone);
        *last = Some(match renewed {
            Ok(current) => Last::Granted(current),
            Err(failure) => Last::Failed { failure, at: Instant::now() },
        });
        self.rounds.store(round, Ordering::Release);
        result
    }

    async fn rejected(&self, bearer: &Bearer) {
        let mut last = self.last.lock().await;
        // Unless somebody else has another token by now.
        if matches!(&*last, Some(Last::Granted(current)) if current.bearer.round == bearer.round) {
            let message = format!("{LABEL}: Google refuses also an access token that was just renewed");
            let failure = Failure::permanent(FailureReason::CredentialsRejected, message);
            *last = Some(Last::Failed { failure, at: Instant::now() });
        }
    }

    async fn ask(&self, round: u64) -> Result<Current, Failure> {
        let AuthorizedUser { client_id, client_secret, refresh_token } = &self.user;
        let (client_secret, refresh_token) = (client_secret.reveal(), refresh_token.reveal());
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("refresh_token", refresh_token),
        ];
        // The life of the token begins before the answer arrives.
        let asked = Instant::now();
        let request = self.http.post(self.endpoint.url()).form(&form);
        let about = RequestContext { method: "token", location: None, trace: None };
        let answer = instrumented(LABEL, about, request).await.map_err(|lost| lost.failure)?;
        if !answer.status.is_success() {
            return Err(denied(LABEL, &answer.without(&[client_secret, refresh_token])));
        }
        let granted: Granted = answer.json(LABEL)?;
        if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(unreadable(LABEL, "the token is of another type than `Bearer`"));
        }
        let header = header(&granted.access_token)
            .ok_or_else(|| unreadable(LABEL, "the field `access_token` holds no access token"))?;
        let life = Duration::from_secs(granted.expires_in.unwrap_or(DEFAULT_LIFETIME_SECONDS));
        tracing::debug!(expires_in_s = life.as_secs(), "access token renewed");
        Ok(Current { bearer: Bearer { header, round }, renew_at: asked + usable(life) })
    }
}

impl Current {
    fn serves(&self, rejected: Option<&Bearer>) -> bool {
        Instant::now() < self.renew_at && rejected.is_none_or(|rejected| rejected.round != self.bearer.round)
    }
}

/// How long a token is used of the life that it has.
fn usable(life: Duration) -> Duration {
    let life = life.min(MAX_LIFETIME);
    // A short life keeps most of itself.
    life - REFRESH_MARGIN.min(life / 10)
}

fn is_rejection(failure: &Failure) -> bool {
    failure.reason == FailureReason::CredentialsRejected
}

/// Whether `text` can be an access token.
pub(crate) fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn header(token: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(&format!("{SCHEME}{token}")).ok().filter(|_| is_token(token))?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        let seconds = Duration::from_secs;
        assert_eq!(usable(seconds(3600)), seconds(3540));
        assert_eq!(usable(seconds(10)), seconds(9));
        assert_eq!(usable(seconds(0)), seconds(0));
        assert_eq!(usable(seconds(u64::MAX)), MAX_LIFETIME - REFRESH_MARGIN);
    }

    #[test]
    fn a_header_is_marked_so_that_nothing_prints_it() {
        let bearer = Bearer { header: header("hush-hush").expect("a token"), round: 1 };
        assert_eq!((bearer.header.as_bytes(), bearer.token()), (&b"Bearer hush-hush"[..], "hush-hush"));
        assert!(!format!("{bearer:?}").contains("hush"), "{bearer:?}");
    }
}
