//! The client: one call with its token.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::header::AUTHORIZATION;

use super::{
    Credentials, DEFAULT_QUOTA, Endpoint, InProcessGbp, Quota, Reader, TaxonomyReader, Validator, WriteFailure, Writer,
    answer::UpstreamResponse,
    call::Call,
    exchange,
    instrumented::{RequestContext, instrumented},
    rejection::is_rejected,
    token::{Bearer, TokenSource},
};
use crate::{
    domain::{AuthorizedUser, Failure, GbpWriteCapability, TraceContext},
    key_files::Current,
};

/// What a [`Client`] needs to know.
#[derive(Debug, Clone)]
pub struct GbpConfig {
    /// Where the API is. Over plain `http` the token can be read on the way: for the emulator only.
    pub endpoint: Endpoint,
    /// Where access tokens are renewed; Google's own where `None`.
    pub token_url: Option<Endpoint>,
    /// Who we are.
    pub credentials: Credentials,
    /// The longest that one request may take, its answer included; half of it for the connection.
    pub timeout: Duration,
}

/// Settings with which no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum GbpConfigError {
    /// The machine has no usable root certificates, or the HTTP client refuses to start for another reason.
    #[error("failed to create the HTTP client: {0}")]
    Http(String),
    /// The fixed access token cannot be sent in a header.
    #[error("the access token must be printable ASCII characters without spaces")]
    AccessToken,
}

/// The way to Google Business Profile, in somebody's name. It can do nothing itself: it gives out what a caller is trusted with. Cheap to
/// clone.
#[derive(Clone)]
pub struct Client {
    inner: Inner,
    /// The trace that its calls belong to.
    trace: Option<TraceContext>,
    /// What its calls are counted against.
    quota: Arc<Quota>,
}

#[derive(Clone)]
enum Inner {
    /// Google, or what stands for it, behind HTTP.
    Http { site: Arc<Transport>, tokens: Arc<Current<TokenSource>> },
    /// What stands for Google in a benchmark of everything else.
    InProcessGbp(InProcessGbp),
}

/// Where Google is, and the connections to it, whoever calls.
pub(super) struct Transport {
    api: reqwest::Client,
    endpoint: Endpoint,
    renewal: reqwest::Client,
    token_url: Endpoint,
    /// The longest that one request may take.
    timeout: Duration,
}

impl Client {
    /// Makes a client. Nothing is connected, and no token is asked for, before the first call.
    ///
    /// # Errors
    /// [`GbpConfigError`] says what cannot be.
    pub fn new(config: GbpConfig) -> Result<Self, GbpConfigError> {
        let GbpConfig { endpoint, token_url, credentials, timeout } = config;
        let token_url = token_url.unwrap_or_else(Endpoint::google_token);
        let api = exchange::http_client(&endpoint, timeout)?;
        let renewal = exchange::http_client(&token_url, timeout)?;
        let site = Arc::new(Transport { api, endpoint, renewal, token_url, timeout });
        let tokens = site.tokens(credentials)?;
        let inner = Inner::Http { site, tokens: Arc::new(Current::new(tokens)) };
        Ok(Self { inner, trace: None, quota: Arc::new(Quota::new(DEFAULT_QUOTA)) })
    }

    /// Calls in the name of other credentials from now on, in every clone. Calls under way go on as they began.
    ///
    /// # Errors
    /// [`GbpConfigError`]; then nothing has changed.
    pub fn replace_credentials(&self, credentials: Credentials) -> Result<(), GbpConfigError> {
        if let Inner::Http { site, tokens } = &self.inner {
            tokens.set(site.tokens(credentials)?);
        }
        Ok(())
    }

    /// The same, with so many requests a minute that Google lets it make instead of [`DEFAULT_QUOTA`].
    #[must_use]
    pub fn with_quota(self, requests_per_minute: u32) -> Self {
        Self { quota: Arc::new(Quota::new(requests_per_minute)), ..self }
    }

    /// What has been used of the quota in this client's name.
    #[must_use]
    pub fn quota(&self) -> Arc<Quota> {
        self.quota.clone()
    }

    /// A client of the same Google in another's name, over the same connections. Its tokens are its own, what becomes of them, and its quota.
    #[must_use]
    pub fn with_credentials(&self, user: AuthorizedUser) -> Self {
        match &self.inner {
            Inner::Http { site, .. } => {
                let tokens = Arc::new(Current::new(site.tokens_of(user)));
                let quota = Arc::new(Quota::new(DEFAULT_QUOTA));
                Self { inner: Inner::Http { site: site.clone(), tokens }, trace: self.trace.clone(), quota }
            }
            Inner::InProcessGbp(_) => self.clone(),
        }
    }

    /// Asks for a new access token now, whatever is known of the credentials.
    ///
    /// # Errors
    /// `CREDENTIALS_REJECTED` where Google refuses them; anything else says nothing about them.
    pub async fn refresh(&self) -> Result<(), Failure> {
        match &self.inner {
            Inner::Http { tokens, .. } => tokens.get().refresh().await,
            Inner::InProcessGbp(_) => Ok(()),
        }
    }

    /// Makes a client that asks nobody: [`InProcessGbp`] answers.
    #[must_use]
    pub fn in_process(google: InProcessGbp) -> Self {
        Self { inner: Inner::InProcessGbp(google), trace: None, quota: Arc::new(Quota::new(DEFAULT_QUOTA)) }
    }

    /// The same, for work that belongs to a trace: each call tells Google which.
    #[must_use]
    pub fn traced(&self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self.clone() }
    }

    /// Reads.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.clone())
    }

    /// Reads Google's list of categories.
    #[must_use]
    pub fn taxonomy(&self) -> TaxonomyReader {
        TaxonomyReader(self.clone())
    }

    /// Has updates checked.
    #[must_use]
    pub fn validator(&self) -> Validator {
        Validator(self.clone())
    }

    /// Writes, for a run whose target this is.
    #[must_use]
    pub fn writer(&self, _: GbpWriteCapability) -> Writer {
        Writer(self.clone())
    }

    /// Makes `call`, once more with another token if the first was rejected. A second rejection is looked into before it is taken for the
    /// credentials' end.
    ///
    /// # Errors
    /// When no status came back, and where Google rejects the token twice; every other status is an [`UpstreamResponse`]. [`WriteFailure::Expired`]
    /// when the call's deadline leaves no time for a request, before the first or before the second one.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<UpstreamResponse, WriteFailure> {
        let (site, tokens) = match &self.inner {
            Inner::Http { site, tokens } => (site, tokens.get()),
            Inner::InProcessGbp(google) => return Ok(google.answer(&call.target).await),
        };
        // Without a token nothing is sent.
        let bearer = tokens.current().await.map_err(WriteFailure::Refused)?;
        let answer = self.send(site, call, &bearer).await?;
        if !is_rejected(call, &answer) {
            return Ok(answer);
        }
        // Google checks the token before anything else, so also a write can be sent again.
        let (answer, bearer) = match tokens.instead_of(&bearer).await.map_err(WriteFailure::Refused)? {
            Some(renewed) => (self.send(site, call, &renewed).await?, renewed),
            None => (answer, bearer),
        };
        if !is_rejected(call, &answer) {
            return Ok(answer);
        }
        Err(WriteFailure::Refused(self.rejection(site, &tokens, call, &answer, &bearer).await))
    }

    pub(super) async fn send(
        &self,
        site: &Transport,
        call: &Call<'_>,
        bearer: &Bearer,
    ) -> Result<UpstreamResponse, WriteFailure> {
        // Here, where the request leaves, and not before: a token may have been waited for.
        if !call.may_be_sent(site.timeout) {
            return Err(WriteFailure::Expired);
        }
        let request = site.api.request(call.method.clone(), call.url(&site.endpoint));
        let request = request.query(call.query).header(AUTHORIZATION, bearer.header.clone());
        let request = match &call.body {
            Some(body) => request.json(body),
            None => request,
        };
        self.quota.spend();
        let about = RequestContext { method: call.name, location: call.target.location(), trace: self.trace.as_ref() };
        let result = instrumented(&call.label(), about, request).await;
        let lost = |lost: exchange::NoResponse| WriteFailure::new(!lost.sent, lost.failure);
        result.map(|answer| answer.without(&[bearer.token()])).map_err(lost)
    }
}

impl Transport {
    fn tokens(&self, credentials: Credentials) -> Result<TokenSource, GbpConfigError> {
        match credentials {
            Credentials::AccessToken(token) => TokenSource::fixed(&token),
            Credentials::AuthorizedUser(user) => Ok(self.tokens_of(user)),
        }
    }

    fn tokens_of(&self, user: AuthorizedUser) -> TokenSource {
        TokenSource::refreshed(user, self.renewal.clone(), self.token_url.clone())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = match &self.inner {
            Inner::Http { site, .. } => Some(&site.endpoint),
            Inner::InProcessGbp(_) => None,
        };
        f.debug_struct("Client").field("endpoint", &endpoint).finish_non_exhaustive()
    }
}
