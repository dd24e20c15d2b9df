//! The way of one request: the connections that all identities share, and what each request is counted against.

use std::{sync::Arc, time::Duration};

use category_mirror_domain::{AuthorizedUser, TraceContext};
use reqwest::header::AUTHORIZATION;

use crate::{
    Credentials, Endpoint, GbpConfigError, Quota, WriteFailure,
    http::{
        call::Call,
        exchange::{NoResponse, http_client},
        instrumented::{RequestContext, instrumented},
    },
    identity::token::{Bearer, TokenSource},
    response::answer::UpstreamResponse,
};

/// Where Google is, and the connections to it, whoever calls.
pub(crate) struct Connections {
    api: reqwest::Client,
    endpoint: Endpoint,
    renewal: reqwest::Client,
    token_url: Endpoint,
    /// The longest that one request may take.
    timeout: Duration,
}

impl Connections {
    /// Connects to nothing yet.
    pub(crate) fn new(endpoint: Endpoint, token_url: Endpoint, timeout: Duration) -> Result<Self, GbpConfigError> {
        let api = http_client(&endpoint, timeout)?;
        let renewal = http_client(&token_url, timeout)?;
        Ok(Self { api, endpoint, renewal, token_url, timeout })
    }

    /// Where the access tokens of `credentials` come from.
    pub(crate) fn tokens(&self, credentials: Credentials) -> Result<TokenSource, GbpConfigError> {
        match credentials {
            Credentials::AccessToken(token) => TokenSource::fixed(&token),
            Credentials::AuthorizedUser(user) => Ok(self.tokens_of(user)),
        }
    }

    /// Where the access tokens of `user` come from.
    pub(crate) fn tokens_of(&self, user: AuthorizedUser) -> TokenSource {
        TokenSource::refreshed(user, self.renewal.clone(), self.token_url.clone())
    }

    /// Where the API is.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// How requests of one identity are sent. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transport {
    /// Where to.
    pub(crate) connections: Arc<Connections>,
    /// The trace that its requests belong to.
    pub(crate) trace: Option<TraceContext>,
    /// What its requests are counted against.
    pub(crate) quota: Arc<Quota>,
}

impl Transport {
    /// Sends one request of `call`.
    ///
    /// # Errors
    /// When no status came back; every status is an [`UpstreamResponse`]. [`WriteFailure::Expired`] if the call's deadline leaves no time
    /// for a request.
    pub(crate) async fn send(&self, call: &Call<'_>, bearer: &Bearer) -> Result<UpstreamResponse, WriteFailure> {
        let Self { connections, trace, quota } = self;
        // Here, where the request leaves, and not before: a token may have been waited for.
        if !call.may_be_sent(connections.timeout) {
            return Err(WriteFailure::Expired);
        }
        let request = connections.api.request(call.method.clone(), call.url(&connections.endpoint));
        let request = request.query(call.query).header(AUTHORIZATION, bearer.header.clone());
        let request = match &call.body {
            Some(body) => request.json(body),
            None => request,
        };
        quota.spend();
        let about = RequestContext { method: call.name, location: call.target.location(), trace: trace.as_ref() };
        let result = instrumented(&call.label(), about, request).await;
        let lost = |lost: NoResponse| WriteFailure::new(!lost.sent, lost.failure);
        result.map(|answer| answer.without(&[bearer.token()])).map_err(lost)
    }
}
