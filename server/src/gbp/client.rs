//! The client: one call with its token.

use std::{fmt, sync::Arc, time::Duration, time::Instant};

use reqwest::{Method, StatusCode, header::AUTHORIZATION};
use serde_json::Value;

use super::{
    Credentials, Endpoint, InProcess, Reader, Validator, WriteFailure, Writer,
    answer::Answer,
    classify, counted, exchange,
    token::{Bearer, TokenSource},
};
use crate::domain::{LocationId, TraceParent};

/// The header of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";

/// What a [`Client`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
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
pub enum ConfigError {
    /// The machine has no usable root certificates, or the HTTP client refuses to start for another reason.
    #[error("the HTTP client cannot be made: {0}")]
    Http(String),
    /// The fixed access token cannot be sent in a header.
    #[error("the access token must be printable ASCII characters without spaces")]
    AccessToken,
}

/// The way to Google Business Profile. It can do nothing itself: it gives out what a caller is trusted with. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// The trace that its calls belong to.
    trace: Option<TraceParent>,
}

enum Inner {
    /// Google, or what stands for it, behind HTTP.
    Http { http: reqwest::Client, endpoint: Endpoint, tokens: TokenSource },
    /// What stands for Google in a benchmark of everything else.
    InProcess(InProcess),
}

impl Client {
    /// Makes a client. Nothing is connected, and no token is asked for, before the first call.
    ///
    /// # Errors
    /// [`ConfigError`] says what cannot be.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let http = exchange::http_client(&config.endpoint, config.timeout)?;
        let token_url = config.token_url.unwrap_or_else(Endpoint::google_token);
        let tokens = TokenSource::new(config.credentials, token_url, config.timeout)?;
        Ok(Self { inner: Arc::new(Inner::Http { http, endpoint: config.endpoint, tokens }), trace: None })
    }

    /// Makes a client that asks nobody: [`InProcess`] answers.
    #[must_use]
    pub fn in_process(google: InProcess) -> Self {
        Self { inner: Arc::new(Inner::InProcess(google)), trace: None }
    }

    /// The same, for work that belongs to a trace: each call tells Google which.
    #[must_use]
    pub fn traced(&self, trace: Option<TraceParent>) -> Self {
        Self { inner: self.inner.clone(), trace }
    }

    /// Reads.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.clone())
    }

    /// Has updates checked.
    #[must_use]
    pub fn validator(&self) -> Validator {
        Validator(self.clone())
    }

    /// Writes.
    #[must_use]
    pub fn writer(&self) -> Writer {
        Writer(self.clone())
    }

    /// Makes `call`, once more with another token if the first was rejected.
    ///
    /// # Errors
    /// When no status came back; every status is an [`Answer`].
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer, WriteFailure> {
        let (http, endpoint, tokens) = match &*self.inner {
            Inner::Http { http, endpoint, tokens } => (http, endpoint, tokens),
            Inner::InProcess(google) => return Ok(google.answer(call.location).await),
        };
        let request = || {
            let request = http.request(call.method.clone(), call.url(endpoint));
            match &self.trace {
                Some(trace) => request.header(TRACEPARENT, trace.child(fastrand::u64(1..)).as_str()),
                None => request,
            }
        };
        let send = async |bearer| send(request(), call, bearer).await;
        // Without a token nothing is sent.
        let bearer = tokens.current().await.map_err(WriteFailure::Refused)?;
        let answer = send(bearer.clone()).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // Google checks the token before anything else, so also a write can be sent again.
        match tokens.instead_of(&bearer).await.map_err(WriteFailure::Refused)? {
            Some(renewed) => send(renewed).await,
            None => Ok(answer),
        }
    }
}

async fn send(request: reqwest::RequestBuilder, call: &Call<'_>, bearer: Bearer) -> Result<Answer, WriteFailure> {
    let request = request.query(call.query).header(AUTHORIZATION, bearer.header);
    let request = match &call.body {
        Some(body) => request.json(body),
        None => request,
    };
    let began = Instant::now();
    let result = exchange::exchange(&call.label(), request).await;
    let status = result.as_ref().ok().map(|answer| answer.status.as_u16());
    let duration = began.elapsed();
    counted::count(call.name, &result, duration);
    let duration_ms = duration.as_millis();
    tracing::debug!(method = call.name, location = %call.location, status, duration_ms, "called google");
    result.map_err(|lost| WriteFailure::new(!lost.sent, lost.failure))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = match &*self.inner {
            Inner::Http { endpoint, .. } => Some(endpoint),
            Inner::InProcess(_) => None,
        };
        f.debug_struct("Client").field("endpoint", &endpoint).finish_non_exhaustive()
    }
}

/// One call about one location.
pub(super) struct Call<'a> {
    /// Google's name of the method, such as `locations.get`.
    pub(super) name: &'static str,
    /// The HTTP method.
    pub(super) method: Method,
    /// The location.
    pub(super) location: &'a LocationId,
    /// The parameters.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// The body, sent as JSON.
    pub(super) body: Option<Value>,
}

impl Call<'_> {
    /// How messages call it.
    pub(super) fn label(&self) -> String {
        format!("{} of {}", self.name, self.location.resource_name())
    }

    /// Where it goes.
    fn url(&self, endpoint: &Endpoint) -> reqwest::Url {
        endpoint.join(&["v1", "locations", self.location.as_str()])
    }

    /// The failure that an answer means which is no success.
    pub(super) fn refused(&self, answer: &Answer) -> WriteFailure {
        let failure = classify::failure(&self.label(), answer);
        WriteFailure::new(classify::is_certain(answer.status), failure)
    }
}
