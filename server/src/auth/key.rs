//! A key and the one algorithm that it is for.

use std::fs;
use std::path::Path;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::AuthConfigError;

/// What HS256 is worth: a shorter secret can be guessed.
const MIN_SECRET_BYTES: usize = 32;

/// 2048 bits, in base64url.
const MIN_RSA_MODULUS_CHARS: usize = 342;

/// A verification key.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl Key {
    pub(super) fn from_secret(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::HS256, decoding: DecodingKey::from_secret(secret) }
    }

    /// The PEM of a public key says itself what kind it is.
    pub(super) fn from_public_pem(pem: &[u8]) -> Result<Self, &'static str> {
        let decoding = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .map_err(|_| "must hold a public key in PEM (RSA, P-256 or Ed25519)")?;
        Self::of(decoding)
    }

    pub(super) fn from_jwk(jwk: &Jwk) -> Result<Self, &'static str> {
        match jwk.algorithm {
            // A set is public: its "secret" would let everybody sign.
            AlgorithmParameters::OctetKey(_) => return Err("a symmetric key in a key set is not used"),
            // Otherwise its x alone would be taken for the coordinate of an Ed25519 key.
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

    /// Finds the algorithm from what the key is, and whether the key is sound.
    fn of(decoding: DecodingKey) -> Result<Self, &'static str> {
        let parts = Jwk::from_decoding_key(&decoding, None).map_err(|_| UNSUPPORTED)?;
        let algorithm = match parts.algorithm {
            AlgorithmParameters::RSA(rsa) if rsa.n.len() < MIN_RSA_MODULUS_CHARS => {
                return Err("an RSA key needs 2048 bits");
            }
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
            _ => return Err(UNSUPPORTED),
        };
        Ok(Self { algorithm, decoding })
    }
}

const UNSUPPORTED: &str = "must be an RSA, P-256 or Ed25519 public key";

/// Reads a setting's file; `problem` judges and turns what it holds.
pub(super) fn read<T>(
    setting: &'static str,
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, AuthConfigError> {
    let bytes = fs::read(path).map_err(|source| AuthConfigError::File { setting, path: path.to_owned(), source })?;
    parse(&bytes).map_err(|problem| AuthConfigError::Invalid { setting, value: path.display().to_string(), problem })
}

/// The secret in a file, without the newline that editors add.
pub(super) fn secret(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    if secret.starts_with(b"-----BEGIN") {
        // A public key as the secret is what an attacker who confuses algorithms hopes for.
        return Err("holds a PEM key, not a secret: use AUTH_PUBLIC_KEY_FILE or AUTH_PRIVATE_KEY_FILE".into());
    }
    if secret.len() < MIN_SECRET_BYTES {
        return Err(format!("the secret has {} bytes and needs at least {MIN_SECRET_BYTES}", secret.len()));
    }
    Ok(secret.to_vec())
}
