//! A key and the only algorithm that it is used for.

use std::path::Path;
use std::sync::Arc;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::{AuthConfigError, sound};
use crate::key_files::{self, Contents, Current, Watched};

/// Minimum length of a secret for HS256: a shorter one can be guessed.
const MIN_SECRET_BYTES: usize = 32;

/// Start of each part of a PEM file.
const PEM_BEGIN: &[u8] = b"-----BEGIN";

/// A verification key.
#[derive(Debug, Clone)]
pub(super) struct VerificationKey {
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl VerificationKey {
    pub(super) fn from_secret(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::HS256, decoding: DecodingKey::from_secret(secret) }
    }

    /// Parses a public key. Its PEM contains the kind of key.
    pub(super) fn from_public_pem(pem: &[u8]) -> Result<Self, &'static str> {
        let decoding = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .map_err(|_| "must hold a public key in PEM (RSA, P-256 or Ed25519)")?;
        Self::of(decoding)
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, &'static str> {
        match jwk.algorithm {
            // A key set is public: its "secret" would let anyone sign.
            AlgorithmParameters::OctetKey(_) => return Err("a symmetric key in a key set is not used"),
            // Otherwise its x coordinate would be used as an Ed25519 key.
            AlgorithmParameters::OctetKeyPair(ref okp) if okp.curve != EllipticCurve::Ed25519 => {
                return Err(UNSUPPORTED);
            }
            AlgorithmParameters::EllipticCurve(ref ec) if ec.curve != EllipticCurve::P256 => return Err(UNSUPPORTED),
            _ => {}
        }
        let key = Self::of(DecodingKey::from_jwk(jwk).map_err(|_| UNSUPPORTED)?)?;
        match jwk.common.key_algorithm {
            Some(named) if named != key.algorithm.into() => Err("its alg is not one that is supported for its kind"),
            _ => Ok(key),
        }
    }

    /// Derives the algorithm from the kind of key, and checks that the key is sound.
    fn of(decoding: DecodingKey) -> Result<Self, &'static str> {
        let parts = Jwk::from_decoding_key(&decoding, None).map_err(|_| UNSUPPORTED)?;
        let algorithm = match parts.algorithm {
            AlgorithmParameters::RSA(rsa) => sound::rsa(&rsa).map(|()| Algorithm::RS256)?,
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
                sound::p256(&ec).map(|()| Algorithm::ES256)?
            }
            AlgorithmParameters::OctetKeyPair(okp) => sound::ed25519(&okp).map(|()| Algorithm::EdDSA)?,
            _ => return Err(UNSUPPORTED),
        };
        Ok(Self { algorithm, decoding })
    }
}

const UNSUPPORTED: &str = "must be an RSA, P-256 or Ed25519 public key";

/// The current value of a setting's file, and what re-reads it.
pub(super) type Loaded<T> = (Arc<Current<T>>, Watched);

/// Reads a setting's file and keeps it current. `first` parses its current contents, `next` later ones.
pub(super) fn load<T: Send + Sync + 'static>(
    setting: &'static str,
    path: &Path,
    first: fn(&[u8]) -> Result<T, String>,
    next: fn(&[u8]) -> Result<T, String>,
) -> Result<Loaded<T>, AuthConfigError> {
    let contents = read_file(setting, path)?;
    let current = Arc::new(Current::new(parse(setting, path, &contents, first)?));
    let replaced = Arc::clone(&current);
    let watched = Watched::new(setting, vec![path.to_owned()], &[contents], move |contents| {
        let [contents] = contents else { return Err("is not one file".to_owned()) };
        replaced.set(next(contents)?);
        Ok(())
    });
    Ok((current, watched))
}

/// Reads a setting's file once.
pub(super) fn read<T>(
    setting: &'static str,
    path: &Path,
    evaluate_guards: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, AuthConfigError> {
    parse(setting, path, &read_file(setting, path)?, evaluate_guards)
}

fn read_file(setting: &'static str, path: &Path) -> Result<Contents, AuthConfigError> {
    key_files::read(path).map_err(|source| AuthConfigError::File { setting, path: path.to_owned(), source })
}

fn parse<T>(
    setting: &'static str,
    path: &Path,
    contents: &[u8],
    evaluate_guards: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, AuthConfigError> {
    let value = || path.display().to_string();
    evaluate_guards(contents).map_err(|problem| AuthConfigError::Invalid { setting, value: value(), problem })
}

/// Returns the secret in a file, without the newline that editors append.
pub(super) fn secret(bytes: &[u8]) -> Result<Contents, String> {
    let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    // Using a public key as the secret is what an algorithm-confusion attack needs.
    if secret.windows(PEM_BEGIN.len()).any(|part| part == PEM_BEGIN) {
        return Err("holds a PEM key, not a secret: use AUTH_PUBLIC_KEY_FILE or AUTH_PRIVATE_KEY_FILE".into());
    }
    if serde_json::from_slice::<serde::de::IgnoredAny>(secret).is_ok() && secret.trim_ascii_start().starts_with(b"{") {
        return Err("holds JSON, not a secret: use AUTH_JWKS_FILE for a key set".into());
    }
    // Invisible bytes protect nothing: white space, and zeros that a disk or a wrong length leaves.
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let first = secret.iter().position(|byte| !is_blank(byte)).unwrap_or(secret.len());
    let last = secret.iter().rposition(|byte| !is_blank(byte)).map_or(first, |last| last + 1);
    let length = last - first;
    if length < MIN_SECRET_BYTES {
        return Err(format!("the secret has {length} bytes and needs at least {MIN_SECRET_BYTES}"));
    }
    Ok(Contents::new(secret.to_vec()))
}

/// Parses a key for HS256 from a file that contains its secret.
pub(super) fn from_secret_file(bytes: &[u8]) -> Result<VerificationKey, String> {
    secret(bytes).map(|secret| VerificationKey::from_secret(&secret))
}

/// Parses a public key from its PEM file.
pub(super) fn from_public_file(bytes: &[u8]) -> Result<VerificationKey, String> {
    VerificationKey::from_public_pem(bytes).map_err(str::to_owned)
}
