//! Configuration of a client.

use std::{fmt, sync::Arc, time::Duration};

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use crate::{Client, Error, RetryPolicy, TokenProvider, endpoint, metadata::Metadata};

/// Longer timeouts cannot be expressed in gRPC's header, and are most likely a wrong unit.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// End of the first PEM line of a private key of any kind.
const PEM_KEY: &[u8] = b"PRIVATE KEY-----";

/// Configures a [`Client`]. Nothing is sent before the client's first call.
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

/// The client's certificate chain and its private key, in PEM, for mutual TLS.
struct ClientCertificate {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// Settings that every call reads.
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

    /// Sets the bearer token: a string, an async closure, or any other [`TokenProvider`].
    pub fn token(mut self, provider: impl TokenProvider) -> Self {
        self.token = Some(Arc::new(provider));
        self
    }

    /// Allows sending the token in plain text over `http://` to another host, where everyone on the network path can
    /// read and use it. Otherwise [`build`](Self::build) refuses this. Only for networks that are encrypted at a lower
    /// layer, such as a service mesh.
    pub fn allow_plaintext_token(mut self) -> Self {
        self.allow_plaintext_token = true;
        self
    }

    /// Trusts this certificate authority (PEM) for `https://`, instead of the operating system's.
    pub fn ca_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_certificate = Some(pem.into());
        self
    }

    /// Presents this certificate chain with its private key (both PEM) to an `https://` server that requires one (its
    /// `TLS_CLIENT_CA`). The token is still required.
    pub fn client_certificate(mut self, chain_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        self.client_certificate =
            Some(ClientCertificate { chain: chain_pem.into(), key: Zeroizing::new(key_pem.into()) });
        self
    }

    /// Sends this metadata with every request, unless the request sets the same name. The name may have letters,
    /// digits, `-`, `_` and `.`; the value visible ASCII characters and spaces. Names reserved by HTTP and gRPC, and
    /// `authorization`, are refused.
    pub fn metadata(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.metadata.set(name.as_ref(), value.as_ref());
        self
    }

    /// Makes every request part of this trace, unless the request sets its own; see [W3C Trace
    /// Context](https://www.w3.org/TR/trace-context/).
    pub fn traceparent(mut self, traceparent: impl AsRef<str>) -> Self {
        self.metadata.set_traceparent(traceparent.as_ref());
        self
    }

    /// Sets the timeout of a call, including all its retries. Default: 10 s. For streams, it only limits opening them.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// Sets the timeout for opening a connection. Default: 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a stream may be silent before the client considers it dead and reopens it. Default: 60 s. Must be
    /// longer than the server's heartbeat interval.
    pub fn heartbeat_timeout(mut self, timeout: Duration) -> Self {
        self.settings.heartbeat_timeout = timeout;
        self
    }

    /// Sets how calls are retried and how a stream is first opened. Default: up to 4 attempts, with delays of 100 ms to
    /// 2 s. Calls that the server refused because of their rate are retried too, but not before the time that the
    /// server sets.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.settings.retry = policy;
        self
    }

    /// Sets how an established stream is reopened. Default: up to 12 attempts, with delays of 100 ms to 5 s. Each
    /// message that is received resets the count.
    pub fn reconnect(mut self, policy: RetryPolicy) -> Self {
        self.settings.reconnect = policy;
        self
    }

    /// Checks the settings and creates the client. Sends nothing, and needs no runtime.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT`, naming the setting, if the endpoint is not a URL, the token would be sent in plain text, a
    /// certificate cannot be read or used, metadata cannot be sent, or a timeout is 0 or longer than one day.
    pub fn build(self) -> Result<Client, Error> {
        let timeouts = [
            ("timeout", self.settings.timeout),
            ("connect_timeout", self.connect_timeout),
            ("heartbeat_timeout", self.settings.heartbeat_timeout),
        ];
        for (name, timeout) in timeouts {
            if timeout.is_zero() || timeout > MAX_TIMEOUT {
                return Err(Error::setting(format!("{name} {timeout:?}: must be greater than 0 and at most one day")));
            }
        }
        self.metadata.check()?;
        let endpoint = endpoint::parse(&self.endpoint)?;
        if self.token.is_some() && endpoint::is_exposed(endpoint.uri()) && !self.allow_plaintext_token {
            return Err(Error::setting(format!(
                "endpoint {:?}: a token is not sent in plain text to another host; use https:// or allow_plaintext_token()",
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
            return Err(Error::setting("client_certificate: requires an https:// endpoint"));
        }
        if !is_tls {
            return Ok(endpoint);
        }
        let has = |pem: &[u8], part: &[u8]| pem.windows(part.len()).any(|window| window == part);
        let tls = match &self.ca_certificate {
            // Text without a certificate is read as an authority that has signed nothing, and would show only in the first call.
            Some(pem) if !has(pem, PEM_BEGIN) => {
                return Err(Error::setting("ca_certificate: contains no PEM certificate"));
            }
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let tls = match &self.client_certificate {
            Some(own) if !has(&own.chain, PEM_BEGIN) => {
                return Err(Error::setting("client_certificate: the chain contains no PEM certificate"));
            }
            Some(own) if !has(&own.key, PEM_KEY) => {
                return Err(Error::setting("client_certificate: the key contains no PEM private key"));
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
