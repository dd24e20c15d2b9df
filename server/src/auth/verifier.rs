//! Verifies tokens and returns their callers.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};

use super::claims::{Claims, Expected};
use super::jwks::KeySet;
use super::key::{self, VerificationKey};
use super::refresh;
use super::remote::{FetchPolicy, Remote};
use super::{AuthArgs, AuthConfigError, Rejected, development};
use crate::domain::{Caller, Secret};
use crate::key_files::{Current, Watched};

/// Longer than any legitimate token; a longer one is not even parsed.
const MAX_TOKEN_BYTES: usize = 8192;

/// Verifies tokens with the configured keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Keys,
    expected: Expected,
}

#[derive(Debug, Clone)]
enum Keys {
    /// One key for all tokens, whatever their `kid`.
    One(Arc<Current<VerificationKey>>),
    Set(Arc<Current<KeySet>>),
    Remote(Arc<Remote>),
}

impl Verifier {
    /// Reads the configured key, or fetches it if it is a URL.
    ///
    /// # Errors
    /// [`AuthConfigError`], which names the setting.
    pub async fn from_args(args: &AuthArgs) -> Result<Self, AuthConfigError> {
        Self::load(args).await.map(|(verifier, _)| verifier)
    }

    /// Like [`from_args`](Self::from_args), and also returns what re-reads the key's file when it changes. A URL that
    /// cannot be fetched now is fetched later: until then, [`is_ready`](Self::is_ready) is false.
    ///
    /// # Errors
    /// [`AuthConfigError`], which names the setting.
    pub async fn load(args: &AuthArgs) -> Result<(Self, Option<Watched>), AuthConfigError> {
        let set = [
            ("AUTH_HS256_SECRET_FILE", args.auth_hs256_secret_file.is_some()),
            ("AUTH_PUBLIC_KEY_FILE", args.auth_public_key_file.is_some()),
            ("AUTH_JWKS_FILE", args.auth_jwks_file.is_some()),
            ("AUTH_JWKS_URL", args.auth_jwks_url.is_some()),
        ];
        let mut set = set.into_iter().filter_map(|(setting, is_set)| is_set.then_some(setting));
        let setting = set.next().ok_or(AuthConfigError::NoVerificationKey)?;
        if let Some(other) = set.next() {
            return Err(AuthConfigError::TwoKeys(setting, other));
        }
        let (keys, watched) = if let Some(path) = &args.auth_hs256_secret_file {
            let (key, watched) = key::load(setting, path, key::from_secret_file, key::from_secret_file)?;
            (Keys::One(key), Some(watched))
        } else if let Some(path) = &args.auth_public_key_file {
            let (key, watched) = key::load(setting, path, key::from_public_file, key::from_public_file)?;
            (Keys::One(key), Some(watched))
        } else if let Some(path) = &args.auth_jwks_file {
            let (set, watched) = key::load(setting, path, KeySet::parse_not_empty, KeySet::parse_next)?;
            (Keys::Set(set), Some(watched))
        } else {
            let url = args.auth_jwks_url.as_ref().map(Secret::reveal).unwrap_or_default();
            (Keys::Remote(refresh::connect(url, FetchPolicy::of(args.max_staleness())).await?), None)
        };
        let expected = Expected { issuer: args.auth_issuer.clone(), audience: args.auth_audience.clone() };
        Ok((Self { keys, expected }, watched))
    }

    /// Whether there are keys to verify with. A published key set may not have been fetched yet, or be too old to be
    /// trusted.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.keys {
            Keys::One(_) | Keys::Set(_) => true,
            Keys::Remote(remote) => remote.is_fresh(),
        }
    }

    /// Trusts the development key of this data directory; creates the key if there is none.
    ///
    /// # Errors
    /// If the directory or the key cannot be used.
    pub fn development(data_dir: &Path) -> Result<Self, AuthConfigError> {
        let key = VerificationKey::from_secret(&development::secret(data_dir)?);
        Ok(Self { keys: Keys::One(Arc::new(Current::new(key))), expected: Expected::default() })
    }

    /// Returns the caller of a token. Only waits if the token names a key that a published key set may contain by now.
    ///
    /// # Errors
    /// [`Rejected`], whose text may be sent to the caller.
    pub async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Caller, Rejected> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejected::TooLong);
        }
        let header = decode_header(token).map_err(|_| Rejected::Malformed)?;
        if header.crit.is_some() {
            return Err(Rejected::Critical);
        }
        let kid = header.kid.as_deref();
        let claims = match &self.keys {
            Keys::One(key) => claims(token, &key.get()),
            Keys::Set(set) => claims(token, set.get().find(kid)?),
            Keys::Remote(remote) => claims(token, remote.keys_for(kid).await?.find(kid)?),
        };
        claims?.into_caller(&self.expected, now)
    }

    #[cfg(test)]
    pub(super) fn remote(remote: Arc<Remote>) -> Self {
        Self { keys: Keys::Remote(remote), expected: Expected::default() }
    }
}

/// Returns the claims of a token that was signed with this key, in this key's algorithm.
fn claims(token: &str, key: &VerificationKey) -> Result<Claims, Rejected> {
    // Only the signature: `Claims` checks the claims against the server's clock.
    let mut validation = Validation::new(key.algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    match decode(token, &key.decoding, &validation) {
        Ok(token) => Ok(token.claims),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => Rejected::Signature,
            ErrorKind::InvalidAlgorithm => Rejected::Algorithm,
            _ => Rejected::Malformed,
        }),
    }
}
