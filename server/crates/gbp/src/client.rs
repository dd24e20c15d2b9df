//! The client: who calls Google, and what each caller is trusted with.

use std::{sync::Arc, time::Duration};

use category_mirror_domain::{AuthorizedUser, Failure, GbpWriteCapability, TraceContext};

use crate::{
    Credentials, Endpoint, GbpConfigError, Quota, Reader, Responder, TaxonomyReader, Validator, Writer,
    session::Session, transport::Connections,
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

/// The way to Google Business Profile, in somebody's name. It can do nothing itself: it gives out what a caller is trusted with. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Client(Session);

impl Client {
    /// Makes a client. Nothing is connected, and no token is asked for, before the first call.
    ///
    /// # Errors
    /// [`GbpConfigError`] says what cannot be.
    pub fn new(config: GbpConfig) -> Result<Self, GbpConfigError> {
        let GbpConfig { endpoint, token_url, credentials, timeout } = config;
        let token_url = token_url.unwrap_or_else(Endpoint::google_token);
        Session::new(Connections::new(endpoint, token_url, timeout)?, credentials).map(Self)
    }

    /// Calls in the name of other credentials from now on, in every clone. Calls under way go on as they began.
    ///
    /// # Errors
    /// [`GbpConfigError`]; then nothing has changed.
    pub fn replace_credentials(&self, credentials: Credentials) -> Result<(), GbpConfigError> {
        self.0.replace_credentials(credentials)
    }

    /// The same, with so many requests a minute that Google lets it make instead of [`DEFAULT_QUOTA`](crate::DEFAULT_QUOTA).
    #[must_use]
    pub fn with_quota(self, requests_per_minute: u32) -> Self {
        Self(self.0.with_quota(requests_per_minute))
    }

    /// What has been used of the quota in this client's name.
    #[must_use]
    pub fn quota(&self) -> Arc<Quota> {
        self.0.quota()
    }

    /// A client of the same Google in another's name, over the same connections. Its tokens are its own, what becomes of them, and its quota.
    #[must_use]
    pub fn with_credentials(&self, user: AuthorizedUser) -> Self {
        Self(self.0.of(user))
    }

    /// Asks for a new access token now, whatever is known of the credentials.
    ///
    /// # Errors
    /// `CREDENTIALS_REJECTED` where Google refuses them; anything else says nothing about them.
    pub async fn refresh(&self) -> Result<(), Failure> {
        self.0.refresh().await
    }

    /// Makes a client that sends nothing: `responder` answers.
    ///
    /// # Errors
    /// [`GbpConfigError`]; the machine's HTTP client is made all the same.
    pub fn answered_by(responder: impl Responder + 'static) -> Result<Self, GbpConfigError> {
        let nowhere = Endpoint::google_token();
        let credentials = Credentials::AccessToken("none".into());
        let session = Session::new(Connections::new(nowhere.clone(), nowhere, Duration::from_secs(1))?, credentials)?;
        Ok(Self(session.answered_by(responder)))
    }

    /// The same, for work that belongs to a trace: each call tells Google which.
    #[must_use]
    pub fn traced(&self, trace: Option<TraceContext>) -> Self {
        Self(self.0.traced(trace))
    }

    /// Reads. A reader cannot write, whatever it is given:
    ///
    /// ```
    /// use category_mirror_domain::{Failure, LocationId};
    /// use category_mirror_gbp::{Location, Reader};
    /// async fn look(google: &Reader, id: &LocationId) -> Result<Location, Failure> {
    ///     google.location(id).await
    /// }
    /// ```
    ///
    /// ```compile_fail,E0599
    /// use category_mirror_domain::GbpWriteCapability;
    /// use category_mirror_gbp::{Reader, Writer};
    /// fn real(google: &Reader, capability: GbpWriteCapability) -> Writer {
    ///     google.writer(capability)
    /// }
    /// ```
    ///
    /// ```compile_fail,E0616
    /// use category_mirror_domain::GbpWriteCapability;
    /// use category_mirror_gbp::{Reader, Writer};
    /// fn real(google: &Reader, capability: GbpWriteCapability) -> Writer {
    ///     google.0.writer(capability)
    /// }
    /// ```
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.0.clone())
    }

    /// Reads Google's list of categories.
    #[must_use]
    pub fn taxonomy(&self) -> TaxonomyReader {
        TaxonomyReader(self.0.clone())
    }

    /// Has updates checked.
    #[must_use]
    pub fn validator(&self) -> Validator {
        Validator(self.0.clone())
    }

    /// Writes, for a run whose target this is.
    ///
    /// ```
    /// use category_mirror_domain::GbpWriteCapability;
    /// use category_mirror_gbp::{Client, Writer};
    /// fn real(google: &Client, capability: GbpWriteCapability) -> Writer {
    ///     google.writer(capability)
    /// }
    /// ```
    ///
    /// A client without the capability returns no writer,
    ///
    /// ```compile_fail,E0061
    /// use category_mirror_gbp::{Client, Writer};
    /// fn real(google: &Client) -> Writer {
    ///     google.writer()
    /// }
    /// ```
    ///
    /// and the capability to write the platform's side does not suffice.
    ///
    /// ```compile_fail,E0308
    /// use category_mirror_domain::PlatformWriteCapability;
    /// use category_mirror_gbp::{Client, Writer};
    /// fn real(google: &Client, capability: PlatformWriteCapability) -> Writer {
    ///     google.writer(capability)
    /// }
    /// ```
    #[must_use]
    pub fn writer(&self, _: GbpWriteCapability) -> Writer {
        Writer(self.0.clone())
    }
}
