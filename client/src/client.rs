//! The client and its connection, and how an RPC is sent.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tonic::{
    metadata::AsciiMetadataValue,
    transport::{Channel, Endpoint},
};
use zeroize::Zeroizing;

use crate::{ClientBuilder, Code, Error, TokenProvider, builder::ClientConfig, metadata::Metadata};

/// Larger responses are rejected. A page of 1,000 failed runs with Google's error details stays far below this limit.
pub(crate) const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// A client of Category Mirror. Clones are cheap and share one connection, which the first call opens.
///
/// Every method returns a request. Set its optional fields, then call `send()`.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// Sent with each request of this clone. A request has a client of its own.
    metadata: Metadata,
}

struct Inner {
    endpoint: Endpoint,
    channel: OnceLock<Channel>,
    token: Option<Arc<dyn TokenProvider>>,
    settings: ClientConfig,
}

/// Whether the client may send the same call twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idempotency {
    /// Sending it twice has the same effect as sending it once.
    Idempotent,
    /// The second call would fail, or would have another effect.
    NonIdempotent,
}

impl Client {
    /// Returns a builder for a client of the server at `endpoint`, such as `https://mirror.example.com` or
    /// `http://127.0.0.1:50051`.
    pub fn builder(endpoint: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(endpoint.into())
    }

    pub(crate) fn new(
        endpoint: Endpoint,
        token: Option<Arc<dyn TokenProvider>>,
        settings: ClientConfig,
        metadata: Metadata,
    ) -> Self {
        Self { inner: Arc::new(Inner { endpoint, channel: OnceLock::new(), token, settings }), metadata }
    }

    pub(crate) fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    pub(crate) fn settings(&self) -> &ClientConfig {
        &self.inner.settings
    }

    pub(crate) fn channel(&self) -> Channel {
        // Created here and not in the builder, because this needs a runtime.
        self.inner.channel.get_or_init(|| self.inner.endpoint.connect_lazy()).clone()
    }

    /// Returns the message with the caller's token. The token is requested each time, so that the provider can renew
    /// it.
    pub(crate) async fn request<Q>(&self, message: Q) -> Result<tonic::Request<Q>, Error> {
        let mut request = tonic::Request::new(message);
        self.metadata.add_to(request.metadata_mut())?;
        if let Some(provider) = &self.inner.token {
            let token = provider.token().await;
            let token = token.map(Zeroizing::new);
            let token = token
                .map_err(|error| Error::new(Code::Unauthenticated, format!("the token provider failed: {error}")))?;
            let header = Zeroizing::new(format!("Bearer {}", *token));
            let mut value = AsciiMetadataValue::try_from(header.as_str()).map_err(|_| {
                Error::new(
                    Code::Unauthenticated,
                    "the token provider returned a token with characters other than visible ASCII",
                )
            })?;
            // Keeps the token out of HTTP/2's header compression tables and out of `Debug`.
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }

    /// Sends one call. The deadline covers all attempts and the waits between them.
    pub(crate) async fn call<Q, R, F, Fut>(&self, idempotency: Idempotency, message: Q, rpc: F) -> Result<R, Error>
    where
        Q: Clone,
        F: Fn(Channel, tonic::Request<Q>) -> Fut,
        Fut: Future<Output = Result<tonic::Response<R>, tonic::Status>>,
    {
        let ClientConfig { timeout, retry, .. } = *self.settings();
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            let left = timeout.saturating_sub(begun.elapsed());
            let error = match self.attempt(left, message.clone(), &rpc).await {
                Err(error) if error.is_unavailable() && idempotency == Idempotency::Idempotent => error,
                // The server refused the call before it began, so even a call that is not idempotent can be sent again.
                Err(error) if error.asks_to_come_back() => error,
                answer => return answer,
            };
            failures += 1;
            let left = timeout.saturating_sub(begun.elapsed());
            match retry.delay(failures, error.retry_after()) {
                // Return the error now: it is more useful than a deadline that would pass during the wait.
                Some(delay) if delay < left => tokio::time::sleep(delay).await,
                _ => return Err(error),
            }
        }
    }

    async fn attempt<Q, R, F, Fut>(&self, limit: Duration, message: Q, rpc: &F) -> Result<R, Error>
    where
        F: Fn(Channel, tonic::Request<Q>) -> Fut,
        Fut: Future<Output = Result<tonic::Response<R>, tonic::Status>>,
    {
        let attempt = async {
            let mut request = self.request(message).await?;
            // The server then also knows when the client has stopped waiting.
            request.set_timeout(limit);
            let answer = rpc(self.channel(), request).await;
            answer.map(tonic::Response::into_inner).map_err(|status| Error::from_status(&status))
        };
        within(limit, attempt).await
    }
}

/// Fails with `DEADLINE_EXCEEDED` if `work` takes longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::new(Code::DeadlineExceeded, format!("no response within {limit:.1?}")));
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", self.inner.endpoint.uri()).finish_non_exhaustive()
    }
}
