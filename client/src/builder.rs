//! How a client is set up.

use std::{fmt, sync::Arc, time::Duration};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use crate::{Client, Error, RetryPolicy, TokenProvider, endpoint, metadata::Metadata};

/// Longer timeouts have no form in gRPC's header, and are a mistake of units.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// How the PEM of a private key ends its first line, whatever kind it is.
const PEM_KEY: &[u8] = b"PRIVATE KEY-----";

/// Sets a [`Client`] up. Nothing is sent before the client's first call.
#[must_use = "a builder does nothing until it is built"]
pub struct ClientBuilder {
    endpoint: String,
    token: Option<Arc<dyn TokenProvider>>,
    allow_plaintext_token: bool,
    ca_certificate: Option<Vec<u8>>,
    client_certificate: Option<ClientCertificate>,
    connect_timeout: Duration,
    settings: ClientConfig,
    metadata: Metadata,
}

/// What shows a server who connects: a certificate chain and its private key, PEM.
struct ClientCertificate {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// What every call looks up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientConfig {
    pub(crate) timeout: Duration,
    pub(crate) heartbeat_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) reconnect: RetryPolicy,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint: String) -> Self {
        Self {
            endpoint,
            token: None,
            allow_plaintext_token: false,
            ca_certificate: None,
            client_certificate: None,
            connect_timeout: Duration::from_secs(5),
            settings: ClientConfig {
                timeout: Duration::from_secs(10),
                heartbeat_timeout: Duration::from_secs(60),
                retry: RetryPolicy::CALLS,
                reconnect: RetryPolicy::STREAMS,
            },
            metadata: Metadata::default(),
        }
    }

    /// The bearer token: a string, an async closure, or any other [`TokenProvider`].
    pub fn token(mut self, provider: impl TokenProvider) -> Self {
        self.token = Some(Arc::new(provider));
        self
    }

    /// Allows the token to be sent over `http://` to another machine, where everybody on the way can read and use it.
    /// Without this, [`build`](Self::build) refuses that. For networks that encrypt below, such as a service mesh.
    pub fn allow_plaintext_token(mut self) -> Self {
        self.allow_plaintext_token = true;
        self
    }

    /// Trusts this certificate authority (PEM) for `https://`, instead of those of the operating system.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// Shows this certificate chain with its private key (both PEM) to a server of `https://` that asks for one (its `TLS_CLIENT_CA`).
    /// The token is needed as well.
    pub fn client_certificate(mut self, chain_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        self.client_certificate =
            Some(ClientCertificate { chain: chain_pem.into(), key: Zeroizing::new(key_pem.into()) });
        self
    }

    /// Sends this with every request, unless the request sets the same name: letters, digits, `-`, `_` and `.`, and a value of visible
    /// ASCII and spaces. Names of HTTP's and gRPC's own, and `authorization`, cannot be set.
    pub fn metadata(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.metadata.set(name.as_ref(), value.as_ref());
        self
    }

    /// Makes every request part of this trace, unless the request names one itself; see [W3C Trace
    /// Context](https://www.w3.org/TR/trace-context/).
    pub fn traceparent(mut self, traceparent: impl AsRef<str>) -> Self {
        self.metadata.set_traceparent(traceparent.as_ref());
        self
    }

    /// How long a call may take, with all its retries: 10 s unless told otherwise. Streams have no such limit, only their opening.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How long making a connection may take: 5 s unless told otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a stream may be silent before it is held for dead and opened again: 60 s unless told otherwise.
    /// It must be longer than the server's pause between heartbeats.
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.settings.heartbeat_timeout = timeout;
        self
    }

    /// How calls are retried (those that were too many at once, too, not before the server asks for them), and how a stream is opened: 4 tries, 100 ms to 2 s, unless told otherwise.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// How a stream that was up is opened again: 12 tries, 100 ms to 5 s, unless told otherwise. Every message starts the count anew.
    pub fn reconnect(mut self, policy: RetryPolicy) -> Self {
        self.settings.reconnect = policy;
        self
    }

    /// Checks the settings and makes the client. Nothing is sent, and no runtime is needed yet.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`, naming the setting, for an endpoint that is no URL, a token that would be readable on its way, a
    /// certificate that cannot be read or has nothing to be shown to, metadata that cannot be sent, a timeout of nothing or of more than
    /// a day.
    pub fn build(self) -> Result<Client, Error> {
        let timeouts = [
            ("timeout", self.settings.timeout),
            ("connect_timeout", self.connect_timeout),
            ("heartbeat_timeout", self.settings.heartbeat_timeout),
        ];
        for (name, timeout) in timeouts {
            if timeout.is_zero() || timeout > MAX_TIMEOUT {
                return Err(Error::setting(format!("{name} {timeout:?}: must be more than 0, and at most a day")));
            }
        }
        self.metadata.check()?;
        let endpoint = endpoint::parse(&self.endpoint)?;
        if self.token.is_some() && endpoint::is_exposed(endpoint.uri()) && !self.allow_plaintext_token {
            return Err(Error::setting(format!(
                "endpoint {:?}: a token is not sent in plain text to another machine; use https://, or allow_plaintext_token()",
                self.endpoint
            )));
        }
        Ok(Client::new(self.transport(endpoint)?, self.token, self.settings, self.metadata))
    }

    fn transport(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        let is_tls = endpoint.uri().scheme_str() == Some("https");
        let endpoint = endpoint
            .user_agent(concat!("category-mirror-client/", env!("CARGO_PKG_VERSION")))
            .expect("name and version are a valid header")
            .connect_timeout(self.connect_timeout)
            // A connection that died without a word is noticed while calls are waiting on it.
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(10));
        if !is_tls && self.client_certificate.is_some() {
            return Err(Error::setting("client_certificate: only https:// can show it"));
        }
        if !is_tls {
            return Ok(endpoint);
        }
        let has = |pem: &[u8], part: &[u8]| pem.windows(part.len()).any(|window| window == part);
        let tls = match &self.ca_certificate {
            // Text without a certificate is read as an authority that has signed nothing, and would show only in the first call.
            Some(pem) if !has(pem, PEM_BEGIN) => {
                return Err(Error::setting("ca_certificate: holds no certificate in PEM form"));
            }
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let tls = match &self.client_certificate {
            Some(own) if !has(&own.chain, PEM_BEGIN) => {
                return Err(Error::setting("client_certificate: the chain holds no certificate in PEM form"));
            }
            Some(own) if !has(&own.key, PEM_KEY) => {
                return Err(Error::setting("client_certificate: the key holds no private key in PEM form"));
            }
            Some(own) => tls.identity(Identity::from_pem(&own.chain, own.key.as_slice())),
            None => tls,
        };
        endpoint.tls_config(tls).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Error::setting(format!("TLS settings: {error}{cause}"))
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither the provider, which may hold a secret, nor the endpoint, which is not yet known to hold none.
        f.debug_struct("ClientBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
