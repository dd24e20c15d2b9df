//! Authentication settings.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::Secret;

/// Default of AUTH_JWKS_MAX_STALENESS.
const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(3600);

/// With a shorter time, a provider that is briefly unreachable would lock out all callers.
const MIN_STALENESS: Duration = Duration::from_secs(10);

/// With a longer time, a withdrawn key would stay valid for longer than most tokens live.
const MAX_STALENESS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Keys and conditions for trusted tokens. Exactly one of the first four settings is required to verify tokens.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Authentication")]
pub struct AuthArgs {
    /// File with the secret for tokens signed with HS256: at least 32 bytes, without leading and trailing white space.
    /// Re-read when it changes, like all files of this section
    #[arg(long, env = "AUTH_HS256_SECRET_FILE", value_name = "FILE")]
    pub auth_hs256_secret_file: Option<PathBuf>,

    /// PEM file with the public key for signed tokens: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA)
    #[arg(long, env = "AUTH_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub auth_public_key_file: Option<PathBuf>,

    /// File with a JSON Web Key Set. The `kid` of a token selects its key
    #[arg(long, env = "AUTH_JWKS_FILE", value_name = "FILE")]
    pub auth_jwks_file: Option<PathBuf>,

    /// URL of an identity provider's JSON Web Key Set, fetched again when its keys change: `https://…`, or `http://` on
    /// this machine
    #[arg(long, env = "AUTH_JWKS_URL", value_name = "URL", hide_env_values = true)]
    pub auth_jwks_url: Option<Secret>,

    /// Maximum age of the key set of AUTH_JWKS_URL while it cannot be fetched, from 10s to 7d. If it is older, no token
    /// is accepted [default: 1h]
    #[arg(long, env = "AUTH_JWKS_MAX_STALENESS", value_name = "DURATION", value_parser = max_staleness)]
    pub auth_jwks_max_staleness: Option<Duration>,

    /// Required value of the claim `iss` [default: any]
    #[arg(long, env = "AUTH_ISSUER", value_name = "ISSUER")]
    pub auth_issuer: Option<String>,

    /// Required value in the claim `aud` [default: `aud` is not checked]
    #[arg(long, env = "AUTH_AUDIENCE", value_name = "AUDIENCE")]
    pub auth_audience: Option<String>,

    /// For `token` only: PKCS#8 PEM file with the private key to sign with
    #[arg(long, env = "AUTH_PRIVATE_KEY_FILE", value_name = "FILE")]
    pub auth_private_key_file: Option<PathBuf>,

    /// For `token` only: `kid` of the token, if the verifier has several keys
    #[arg(long, env = "AUTH_KEY_ID", value_name = "KID")]
    pub auth_key_id: Option<String>,
}

impl AuthArgs {
    /// Whether a key to verify tokens with is configured.
    #[must_use]
    pub fn has_verification_key(&self) -> bool {
        self.auth_hs256_secret_file.is_some()
            || self.auth_public_key_file.is_some()
            || self.auth_jwks_file.is_some()
            || self.auth_jwks_url.is_some()
    }

    /// Returns the maximum age of a fetched key set.
    pub(super) fn max_staleness(&self) -> Duration {
        self.auth_jwks_max_staleness.unwrap_or(DEFAULT_MAX_STALENESS)
    }

    /// Returns the files that contain secrets, by setting.
    #[must_use]
    pub fn secret_files(&self) -> [(&'static str, Option<&PathBuf>); 2] {
        [
            ("AUTH_HS256_SECRET_FILE", self.auth_hs256_secret_file.as_ref()),
            ("AUTH_PRIVATE_KEY_FILE", self.auth_private_key_file.as_ref()),
        ]
    }

    /// Whether a key to sign tokens with is configured.
    #[must_use]
    pub fn has_signing_key(&self) -> bool {
        self.auth_hs256_secret_file.is_some() || self.auth_private_key_file.is_some()
    }
}

fn max_staleness(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let is_allowed = (MIN_STALENESS..=MAX_STALENESS).contains(&duration);
    if is_allowed { Ok(duration) } else { Err("must be from 10s to 7d".to_owned()) }
}
