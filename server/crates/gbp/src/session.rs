//! A session: calls in the name of one identity, each with its token.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use category_mirror_domain::{AuthorizedUser, Failure, TraceContext};

use crate::{
    Credentials, DEFAULT_QUOTA, GbpConfigError, Quota, WriteFailure,
    http::call::Call,
    identity::{
        rejection::{is_rejected, rejection},
        token::TokenSource,
    },
    responder::{self, Responder},
    response::answer::UpstreamResponse,
    transport::{Connections, Transport},
};

/// One identity's way to Google. Cheap to clone; clones share tokens and quota.
#[derive(Clone)]
pub(crate) struct Session {
    transport: Transport,
    tokens: Arc<RwLock<Arc<TokenSource>>>,
    /// Answers in Google's place: in benchmarks alone.
    responder: Option<Arc<dyn Responder>>,
}

impl Session {
    /// Starts one at `connections`. Nothing is connected, and no token is requested, before the first call.
    pub(crate) fn new(connections: Connections, credentials: Credentials) -> Result<Self, GbpConfigError> {
        let tokens = connections.tokens(credentials)?;
        Ok(Self::with_tokens(Arc::new(connections), tokens))
    }

    fn with_tokens(connections: Arc<Connections>, tokens: TokenSource) -> Self {
        Self {
            transport: Transport { connections, trace: None, quota: Arc::new(Quota::new(DEFAULT_QUOTA)) },
            tokens: Arc::new(RwLock::new(Arc::new(tokens))),
            responder: None,
        }
    }

    /// The same connections in another's name, with tokens and a quota of its own.
    pub(crate) fn of(&self, user: AuthorizedUser) -> Self {
        let connections = &self.transport.connections;
        let other = Self::with_tokens(connections.clone(), connections.tokens_of(user));
        let transport = Transport { trace: self.transport.trace.clone(), ..other.transport };
        Self { transport, tokens: other.tokens, ..self.clone() }
    }

    /// The same with another quota.
    pub(crate) fn with_quota(self, requests_per_minute: u32) -> Self {
        let quota = Arc::new(Quota::new(requests_per_minute));
        Self { transport: Transport { quota, ..self.transport }, ..self }
    }

    /// The same for work that belongs to a trace.
    pub(crate) fn traced(&self, trace: Option<TraceContext>) -> Self {
        let transport = Transport { trace, ..self.transport.clone() };
        Self { transport, ..self.clone() }
    }

    /// The same, answered by `responder`.
    pub(crate) fn answered_by(self, responder: impl Responder + 'static) -> Self {
        Self { responder: Some(Arc::new(responder)), ..self }
    }

    /// What has been used of the quota.
    pub(crate) fn quota(&self) -> Arc<Quota> {
        self.transport.quota.clone()
    }

    /// Uses other credentials from now on, in every clone. Running calls go on as they began.
    pub(crate) fn replace_credentials(&self, credentials: Credentials) -> Result<(), GbpConfigError> {
        let tokens = Arc::new(self.transport.connections.tokens(credentials)?);
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
        Ok(())
    }

    /// Requests a new access token now, whatever is known of the credentials.
    pub(crate) async fn refresh(&self) -> Result<(), Failure> {
        if self.responder.is_some() {
            return Ok(());
        }
        self.tokens().refresh().await
    }

    /// Makes `call`, once more with another token if the first was rejected. A second rejection is looked into before it is taken for the
    /// credentials' end.
    ///
    /// # Errors
    /// When no status came back, and where Google rejects the token twice; every other status is an [`UpstreamResponse`]. [`WriteFailure::Expired`]
    /// when the call's deadline leaves no time for a request, before the first or before the second one.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<UpstreamResponse, WriteFailure> {
        if let Some(responder) = &self.responder {
            return Ok(responder::answer(&**responder, &call.target).await);
        }
        let tokens = self.tokens();
        // Without a token nothing is sent.
        let bearer = tokens.current().await.map_err(WriteFailure::Refused)?;
        let answer = self.transport.send(call, &bearer).await?;
        if !is_rejected(call, &answer) {
            return Ok(answer);
        }
        // Google checks the token before anything else, so also a write can be sent again.
        let (answer, bearer) = match tokens.instead_of(&bearer).await.map_err(WriteFailure::Refused)? {
            Some(renewed) => (self.transport.send(call, &renewed).await?, renewed),
            None => (answer, bearer),
        };
        if !is_rejected(call, &answer) {
            return Ok(answer);
        }
        Err(WriteFailure::Refused(rejection(&self.transport, &tokens, call, &answer, &bearer).await))
    }

    /// The tokens of now: a call keeps those that it began with.
    fn tokens(&self) -> Arc<TokenSource> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("endpoint", self.transport.connections.endpoint()).finish_non_exhaustive()
    }
}
