//! Signs tokens, for operators and for development. In production, an identity provider does.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use super::{AuthArgs, AuthConfigError, claims, development, key};
use crate::domain::{Role, TenantId};

/// The contents of a token.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its `sub`: 1 to 200 printable characters.
    pub subject: String,
    /// Its only role.
    pub role: Role,
    /// The tenants that it is limited to; `None`: no limit, empty: no tenant.
    pub tenants: Option<Vec<TenantId>>,
    /// Its lifetime, in whole seconds.
    pub ttl: Duration,
}

/// A key to sign with.
pub struct Signer {
    header: Header,
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    roles: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    tenants: Option<&'a [TenantId]>,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

impl Signer {
    /// Reads the configured symmetric or private key.
    ///
    /// # Errors
    /// [`AuthConfigError`], which names the setting.
    pub fn from_args(args: &AuthArgs) -> Result<Self, AuthConfigError> {
        const SECRET: &str = "AUTH_HS256_SECRET_FILE";
        const PRIVATE: &str = "AUTH_PRIVATE_KEY_FILE";
        let (algorithm, key) = match (&args.auth_hs256_secret_file, &args.auth_private_key_file) {
            (Some(_), Some(_)) => return Err(AuthConfigError::TwoKeys(SECRET, PRIVATE)),
            (None, None) => return Err(AuthConfigError::NoSigningKey),
            (Some(path), None) => (Algorithm::HS256, EncodingKey::from_secret(&key::read(SECRET, path, key::secret)?)),
            (None, Some(path)) => key::read(PRIVATE, path, private_key)?,
        };
        let mut header = Header::new(algorithm);
        header.kid = args.auth_key_id.clone();
        Ok(Self { header, key, issuer: args.auth_issuer.clone(), audience: args.auth_audience.clone() })
    }

    /// Returns a signer with the development key of this data directory; creates the key if there is none.
    ///
    /// # Errors
    /// If the directory or the key cannot be used.
    pub fn development(data_dir: &Path) -> Result<Self, AuthConfigError> {
        let key = EncodingKey::from_secret(&development::secret(data_dir)?);
        Ok(Self { header: Header::new(Algorithm::HS256), key, issuer: None, audience: None })
    }

    /// Signs a token that is valid from now on.
    ///
    /// # Errors
    /// If no verifier would accept a token with this grant.
    pub fn sign(&self, grant: &Grant, now: DateTime<Utc>) -> Result<String, AuthConfigError> {
        let invalid = |setting, value: String, problem: &str| AuthConfigError::Invalid {
            setting,
            value,
            problem: problem.into(),
        };
        if !claims::is_subject(&grant.subject) {
            let problem = "must be 1 to 200 letters, digits, spaces and ASCII punctuation";
            return Err(invalid("--subject", grant.subject.clone(), problem));
        }
        let ttl = i64::try_from(grant.ttl.as_secs()).ok().filter(|ttl| (1..=MAX_TTL_SECONDS).contains(ttl));
        let ttl = ttl.ok_or_else(|| invalid("--ttl", format!("{:?}", grant.ttl), "must be one second to 3650 days"))?;
        let role = match grant.role {
            Role::Viewer => "viewer",
            Role::Admin => "admin",
        };
        let claims = Claims {
            sub: &grant.subject,
            roles: [role],
            tenants: grant.tenants.as_deref(),
            iat: now.timestamp(),
            exp: now.timestamp() + ttl,
            iss: self.issuer.as_deref(),
            aud: self.audience.as_deref(),
        };
        encode(&self.header, &claims, &self.key)
            .map_err(|error| invalid("AUTH_PRIVATE_KEY_FILE", format!("{:?}", self.header.alg), &error.to_string()))
    }
}

const MAX_TTL_SECONDS: i64 = 3650 * 24 * 60 * 60;

/// Parses a private key. Its PEM contains the kind of key; a public one is detected by trying to sign.
fn private_key(pem: &[u8]) -> Result<(Algorithm, EncodingKey), String> {
    let kinds = [
        (Algorithm::RS256, EncodingKey::from_rsa_pem(pem)),
        (Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
        (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem)),
    ];
    kinds
        .into_iter()
        .filter_map(|(algorithm, key)| Some((algorithm, key.ok()?)))
        .find(|(algorithm, key)| encode(&Header::new(*algorithm), &(), key).is_ok())
        .ok_or_else(|| "must hold a private key in PKCS#8 PEM (RSA, P-256 or Ed25519)".into())
}

/// Without the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("algorithm", &self.header.alg)
            .field("kid", &self.header.kid)
            .finish_non_exhaustive()
    }
}
