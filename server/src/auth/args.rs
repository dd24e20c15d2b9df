//! The settings.

use std::path::PathBuf;

/// Whose tokens are trusted. Exactly one of the four keys is needed to verify.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Authentication")]
pub struct AuthArgs {
    /// Trust tokens signed with HS256 and the secret in this file: at least 32 bytes, a newline at the end does not count.
    #[arg(long, env = "AUTH_HS256_SECRET_FILE", value_name = "FILE")]
    pub auth_hs256_secret_file: Option<PathBuf>,

    /// Trust tokens signed with the private half of the public key in this PEM file: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).
    #[arg(long, env = "AUTH_PUBLIC_KEY_FILE", value_name = "FILE")]
    pub auth_public_key_file: Option<PathBuf>,

    /// Trust tokens whose `kid` names a key in this JSON Web Key Set.
    #[arg(long, env = "AUTH_JWKS_FILE", value_name = "FILE")]
    pub auth_jwks_file: Option<PathBuf>,

    /// The same, fetched from an identity provider and fetched again when its keys change: `https://…`, or `http://` on this machine.
    #[arg(long, env = "AUTH_JWKS_URL", value_name = "URL")]
    pub auth_jwks_url: Option<String>,

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

    /// Whether a key to sign with is configured.
    #[must_use]
    pub fn has_signing_key(&self) -> bool {
        self.auth_hs256_secret_file.is_some() || self.auth_private_key_file.is_some()
    }
}
