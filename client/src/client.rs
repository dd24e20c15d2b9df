//! The connection, and how a call is made over it.

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

/// Larger answers are refused. A page of 1,000 failed runs with Google's details stays far below.
pub(crate) const MAX_RESPONSE_BYTES: usize = 16 * 1024 * 1024;

/// A client of Category Mirror. Cloning is cheap and shares the connection, which is made by the first call.
///
/// Every method returns a request; set what is optional on it and `send()` it.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// Of each request that is made of this clone: a request has a client of its own.
    metadata: Metadata,
}

struct Inner {
    endpoint: Endpoint,
    channel: OnceLock<Channel>,
    token: Option<Arc<dyn TokenProvider>>,
    settings: ClientConfig,
}

/// Whether the same call may be sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Idempotency {
    /// Twice is the same as once.
    Idempotent,
    /// The second one would fail, or act again.
    NonIdempotent,
}

impl Client {
    /// Sets up a client of the server at `endpoint`, such as `https://mirror.example.com` or `http://127.0.0.1:50051`.
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
        // Made here and not by the builder, because making it needs a runtime.
        self.inner.channel.get_or_init(|| self.inner.endpoint.connect_lazy()).clone()
    }

    /// The message with the caller's token, which is asked for each time so that it can be renewed.
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
                    "the token provider gave what cannot be a header: only visible ASCII can",
                )
            })?;
            // Keeps it out of what HTTP/2 remembers of headers, and out of `Debug`.
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }

    /// Makes one call: the deadline covers all attempts and the waits between them.
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
                // Refused before it had begun, so that every call can be sent again.
                Err(error) if error.asks_to_come_back() => error,
                answer => return answer,
            };
            failures += 1;
            let left = timeout.saturating_sub(begun.elapsed());
            match retry.delay(failures, error.retry_after()) {
                // The error says more than a deadline that passes while waiting.
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
            // Tells the server, too, when nobody waits any longer.
            request.set_timeout(limit);
            let answer = rpc(self.channel(), request).await;
            answer.map(tonic::Response::into_inner).map_err(|status| Error::from_status(&status))
        };
        within(limit, attempt).await
    }
}

/// Ends what takes longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = |_| Err(Error::new(Code::DeadlineExceeded, format!("no answer within {limit:.1?}")));
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", self.inner.endpoint.uri()).finish_non_exhaustive()
    }
}
