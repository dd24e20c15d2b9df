//! Google Business Profile, its credentials and its quota.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{
    ConfigError,
    duration::positive_duration,
    secrets::{secret, text_of},
};
use crate::{
    domain::{Secret, public_url},
    gbp::{Client, Credentials, DEFAULT_QUOTA, Endpoint, GbpConfig},
    key_files::{self, Contents, Watched},
};

/// Default timeout of a request to Google.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The value of GBP_ENDPOINT that selects the built-in emulator.
const EMULATOR: &str = "emulator";

/// Google Business Profile, or the emulator.
#[derive(Debug, Args)]
#[command(next_help_heading = "Google Business Profile")]
pub struct GbpArgs {
    /// Address of Google Business Profile: `https://mybusinessbusinessinformation.googleapis.com`, another `http(s)://`
    /// address, or `emulator` for the built-in one
    #[arg(long, env = "GBP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub gbp_endpoint: Option<String>,
    /// File with Google's `authorized_user` JSON, as written by `gcloud auth application-default login`: client id,
    /// client secret and refresh token
    #[arg(long, env = "GBP_CREDENTIALS_FILE", value_name = "FILE")]
    pub gbp_credentials_file: Option<PathBuf>,
    /// Fixed access token, for the emulator and tests
    #[arg(long, env = "GBP_ACCESS_TOKEN", value_name = "TOKEN", hide_env_values = true, value_parser = secret)]
    pub gbp_access_token: Option<Secret>,
    /// File that contains GBP_ACCESS_TOKEN
    #[arg(long, env = "GBP_ACCESS_TOKEN_FILE", value_name = "FILE")]
    pub gbp_access_token_file: Option<PathBuf>,
    /// URL that issues access tokens [default: Google's, or the emulator's]
    #[arg(long, env = "GBP_TOKEN_URL", value_name = "URL", hide_env_values = true)]
    pub gbp_token_url: Option<String>,
    /// Timeout of a request to Google, at most half of RUNNER_LEASE [default: 10s, or a third of RUNNER_LEASE if that
    /// is shorter]
    #[arg(long, env = "GBP_TIMEOUT", value_name = "DURATION", value_parser = positive_duration)]
    pub gbp_timeout: Option<Duration>,
    /// Requests per minute that Google allows for the project of these credentials, from 1 to 1000000. Used only for
    /// the metric of the remaining quota
    #[arg(long, env = "GBP_QUOTA_PER_MINUTE", value_name = "N", default_value_t = DEFAULT_QUOTA, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub gbp_quota_per_minute: u32,
    /// Address and port of the built-in emulator
    #[arg(long, env = "GBP_EMULATOR_LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub gbp_emulator_listen_addr: SocketAddr,
}

/// The value of GBP_ENDPOINT.
#[derive(Debug)]
pub enum GbpChoice {
    /// The built-in emulator, which is yet to be started.
    Emulator,
    /// This address.
    Endpoint(String),
}

impl GbpArgs {
    /// Returns the configured address of Google. With `dev`, the default is the emulator.
    ///
    /// # Errors
    ///
    /// If none is configured.
    pub fn choice(&self, dev: bool) -> Result<GbpChoice, ConfigError> {
        match self.gbp_endpoint.as_deref() {
            Some(EMULATOR) => Ok(GbpChoice::Emulator),
            Some(endpoint) => Ok(GbpChoice::Endpoint(endpoint.to_owned())),
            None if dev => Ok(GbpChoice::Emulator),
            None => Err(ConfigError("GBP_ENDPOINT is required: an address of Google, or `emulator`".to_owned())),
        }
    }

    /// Returns the timeout of a request for a server with this `lease`. A write is sent only while the lease lasts at
    /// least a whole timeout longer, so a longer timeout would prevent writes altogether.
    ///
    /// # Errors
    ///
    /// If the timeout exceeds half of the lease.
    pub fn timeout(&self, lease: Duration) -> Result<Duration, ConfigError> {
        let Some(timeout) = self.gbp_timeout else { return Ok(DEFAULT_TIMEOUT.min(lease / 3)) };
        if timeout > lease / 2 {
            let (timeout, lease) = (humantime::format_duration(timeout), humantime::format_duration(lease));
            return Err(ConfigError(format!("GBP_TIMEOUT={timeout}: must be at most half of RUNNER_LEASE={lease}")));
        }
        Ok(timeout)
    }

    /// Returns a client for `endpoint`, whose requests take up to `timeout`, and what re-reads its credentials' file
    /// when that changes. With `is_emulator`, the token may be missing.
    ///
    /// # Errors
    ///
    /// If the address or the credentials are invalid. Names the setting, and never contains a secret.
    pub fn client(
        &self,
        endpoint: &str,
        is_emulator: bool,
        timeout: Duration,
    ) -> Result<(Client, Option<Watched>), ConfigError> {
        let address = |name: &str, url: &str| {
            Endpoint::parse(url).map_err(|error| ConfigError(format!("{name}={}: {error}", public_url(url))))
        };
        let of_emulator = is_emulator.then(|| format!("{}/token", endpoint.trim_end_matches('/')));
        let token_url = self.gbp_token_url.as_ref().or(of_emulator.as_ref());
        let token_url = token_url.map(|url| address("GBP_TOKEN_URL", url)).transpose()?;
        let endpoint = address("GBP_ENDPOINT", endpoint)?;
        if endpoint.is_exposed() {
            tracing::warn!("GBP_ENDPOINT is plain http: the access token can be read in transit");
        }
        let (credentials, file) = self.credentials(is_emulator)?;
        let config = GbpConfig { endpoint, token_url, credentials, timeout };
        let client = Client::new(config).map_err(|error| ConfigError(format!("GBP_ENDPOINT: {error}")))?;
        let client = client.with_quota(self.gbp_quota_per_minute);
        let watched = file.map(|file| file.watched(client.clone()));
        Ok((client, watched))
    }

    fn credentials(&self, is_emulator: bool) -> Result<(Credentials, Option<CredentialsSource>), ConfigError> {
        let exclusive = |one: &str, other: &str| Err(ConfigError(format!("{one} and {other} cannot be combined")));
        let token = |setting: &str, token: Secret| {
            Credentials::access_token(token).map_err(|error| ConfigError(format!("{setting}: {error}")))
        };
        match (&self.gbp_credentials_file, &self.gbp_access_token, &self.gbp_access_token_file) {
            (Some(_), Some(_), _) => exclusive("GBP_CREDENTIALS_FILE", "GBP_ACCESS_TOKEN"),
            (Some(_), _, Some(_)) => exclusive("GBP_CREDENTIALS_FILE", "GBP_ACCESS_TOKEN_FILE"),
            (_, Some(_), Some(_)) => exclusive("GBP_ACCESS_TOKEN", "GBP_ACCESS_TOKEN_FILE"),
            (Some(path), None, None) => CredentialsSource::read("GBP_CREDENTIALS_FILE", path, authorized_user),
            (None, None, Some(path)) => CredentialsSource::read("GBP_ACCESS_TOKEN_FILE", path, access_token),
            (None, Some(text), None) => Ok((token("GBP_ACCESS_TOKEN", text.clone())?, None)),
            // The emulator accepts any token; this one shows in its log who sent it.
            (None, None, None) if is_emulator => Ok((token("GBP_ACCESS_TOKEN", "category-mirror".into())?, None)),
            (None, None, None) => Err(ConfigError(
                "GBP_CREDENTIALS_FILE, GBP_ACCESS_TOKEN or GBP_ACCESS_TOKEN_FILE is required with GBP_ENDPOINT"
                    .to_owned(),
            )),
        }
    }
}

/// Parses the contents of a file into credentials.
type Parse = fn(&Path, &[u8]) -> Result<Credentials, String>;

fn authorized_user(path: &Path, contents: &[u8]) -> Result<Credentials, String> {
    Credentials::from_contents(path, contents).map_err(|error| error.to_string())
}

fn access_token(path: &Path, contents: &[u8]) -> Result<Credentials, String> {
    let credentials = text_of(contents)
        .map_err(ToOwned::to_owned)
        .and_then(|text| Credentials::access_token(text).map_err(|error| error.to_string()));
    credentials.map_err(|error| format!("`{}`: {error}", path.display()))
}

/// The file that contains the server's own credentials.
struct CredentialsSource {
    setting: &'static str,
    path: PathBuf,
    contents: Contents,
    parse: Parse,
}

impl CredentialsSource {
    fn read(setting: &'static str, path: &Path, parse: Parse) -> Result<(Credentials, Option<Self>), ConfigError> {
        let contents = key_files::read(path)
            .map_err(|error| ConfigError(format!("{setting}: `{}` cannot be read: {error}", path.display())))?;
        let credentials = parse(path, &contents).map_err(|error| ConfigError(format!("{setting}: {error}")))?;
        Ok((credentials, Some(Self { setting, path: path.to_owned(), contents, parse })))
    }

    /// Watches the file on behalf of the client that uses its credentials.
    fn watched(self, client: Client) -> Watched {
        let Self { setting, path, contents, parse } = self;
        Watched::new(setting, vec![path.clone()], &[contents], move |contents| {
            let [contents] = contents else { return Err("is not one file".to_owned()) };
            client.replace_credentials(parse(&path, contents)?).map_err(|error| error.to_string())
        })
    }
}
