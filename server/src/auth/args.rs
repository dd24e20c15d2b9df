//! The settings.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::Secret;

/// How old a fetched key set may become before its keys are no longer trusted, unless the settings say otherwise.
const DEFAULT_MAX_STALENESS: Duration = Duration::from_secs(3600);

/// Below, a provider that is away for a moment would lock every caller out.
const MIN_STALENESS: Duration = Duration::from_secs(10);

/// Beyond, a withdrawn key would stay good for longer than most tokens live.
const MAX_STALENESS: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whose tokens are trusted. Exactly one of the four keys is needed to verify.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Authentication")]
pub struct AuthArgs {
    /// Trust tokens signed with HS256 and the secret in this file: at least 32 bytes, blanks around it and a newline at the end not counted. Read again when it changes, like the other files here.
    #[arg(long, env = "AUTH_HS256_SECRET_FILE", value_name = "FILE")]
    pub auth_hs256_secret_file: Option<PathBuf>,

    /// Trust tokens signed with the private half of the public key in this PEM file: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).
    #[arg(long, env = "AUTH_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub auth_public_key_file: Option<PathBuf>,

    /// Trust tokens whose `kid` names a key in this JSON Web Key Set.
    #[arg(long, env = "AUTH_JWKS_FILE", value_name = "FILE")]
    pub auth_jwks_file: Option<PathBuf>,

    /// The same, fetched from an identity provider and fetched again when its keys change: `https://…`, or `http://` on this machine.
    #[arg(long, env = "AUTH_JWKS_URL", value_name = "URL", hide_env_values = true)]
    pub auth_jwks_url: Option<Secret>,

    /// How old the key set of AUTH_JWKS_URL may become while it cannot be fetched. Then no token is accepted until it can; from 10s to 7d [default: 1h]
    #[arg(long, env = "AUTH_JWKS_MAX_STALENESS", value_name = "DURATION", value_parser = max_staleness)]
    pub auth_jwks_max_staleness: Option<Duration>,

    /// Trust only tokens whose `iss` is this.
    #[arg(long, env = "AUTH_ISSUER", value_name = "ISSUER")]
    pub auth_issuer: Option<String>,

    /// Trust only tokens whose `aud` is or holds this. Without it `aud` is not looked at.
    #[arg(long, env = "AUTH_AUDIENCE", value_name = "AUDIENCE")]
    pub auth_audience: Option<String>,

    /// For `token` only: sign with the private key in this PKCS#8 PEM file.
    #[arg(long, env = "AUTH_PRIVATE_KEY_FILE", value_name = "FILE")]
    pub auth_private_key_file: Option<PathBuf>,

    /// For `token` only: the `kid` to put into the token, where the verifier chooses among several keys.
    #[arg(long, env = "AUTH_KEY_ID", value_name = "KID")]
    pub auth_key_id: Option<String>,
}

impl AuthArgs {
    /// Whether a key to verify with is configured.
    #[must_use]
    pub fn has_verification_key(&self) -> bool {
        self.auth_hs256_secret_file.is_some()
            || self.auth_public_key_file.is_some()
            || self.auth_jwks_file.is_some()
            || self.auth_jwks_url.is_some()
    }

    /// How old a fetched key set may become.
    pub(super) fn max_staleness(&self) -> Duration {
        self.auth_jwks_max_staleness.unwrap_or(DEFAULT_MAX_STALENESS)
    }

    /// The files that hold secrets, with their settings.
    #[must_use]
    pub fn secret_files(&self) -> [(&'static str, Option<&PathBuf>); 2] {
        [
            ("AUTH_HS256_SECRET_FILE", self.auth_hs256_secret_file.as_ref()),
            ("AUTH_PRIVATE_KEY_FILE", self.auth_private_key_file.as_ref()),
        ]
    }

    /// Whether a key to sign with is configured.
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
