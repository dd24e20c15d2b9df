//! Tokens as attackers and providers create them; all keys are generated here.

mod attacks;
mod configuration;
mod key_sets;
mod provider;

use std::path::PathBuf;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{AuthArgs, Verifier};

/// The tests' current time, in seconds.
const NOW: i64 = 1_700_000_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).expect("in range")
}

/// A key pair, in the formats of files and key sets.
struct Pair {
    algorithm: Algorithm,
    signing: EncodingKey,
    public_pem: String,
    private_pem: String,
}

impl Pair {
    fn generate(algorithm: Algorithm) -> Self {
        let (private, public) = match algorithm {
            Algorithm::RS256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("generated");
                let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("encoded").as_ref().to_vec();
                (private, pair.public_key().as_der().expect("encoded").as_ref().to_vec())
            }
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("generated");
                let private = pair.to_pkcs8v1().expect("encoded").as_ref().to_vec();
                (private, pair.public_key().as_der().expect("encoded").as_ref().to_vec())
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::generate().expect("generated");
                let private = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).expect("encoded").as_ref().to_vec();
                (private, pair.public_key().as_der().expect("encoded").as_ref().to_vec())
            }
            other => panic!("{other:?} has no key pair here"),
        };
        let (private_pem, public_pem) = (pem("PRIVATE KEY", &private), pem("PUBLIC KEY", &public));
        let read = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem,
            Algorithm::ES256 => EncodingKey::from_ec_pem,
            _ => EncodingKey::from_ed_pem,
        };
        Self { algorithm, signing: read(private_pem.as_bytes()).expect("readable"), public_pem, private_pem }
    }

    fn sign(&self, kid: Option<&str>, claims: &Value) -> String {
        sign(self.algorithm, kid, claims, &self.signing)
    }

    /// Returns the public key in the form of a key set.
    fn jwk(&self, kid: &str) -> Value {
        let jwk = Jwk::from_encoding_key(&self.signing, self.algorithm).expect("a JWK");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = kid.into();
        jwk["use"] = "sig".into();
        jwk
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines = base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

fn sign(algorithm: Algorithm, kid: Option<&str>, claims: &Value, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    encode(&header, claims, key).expect("signed")
}

/// Returns a token with any header and any signature.
fn forge(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let [header, claims] = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Returns the claims of a valid token.
fn claims() -> Value {
    json!({ "sub": "me", "roles": ["admin"], "exp": NOW + 3600 })
}

/// Returns the valid claims with one replaced; `Value::Null` stays a `null`.
fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[claim] = value;
    claims
}

fn without(claim: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().expect("an object").remove(claim);
    claims
}

/// A directory with the files that settings name.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary folder"))
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("written");
        Some(path)
    }
}

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

async fn hs256() -> Verifier {
    let files = Files::new();
    let args = AuthArgs { auth_hs256_secret_file: files.write("secret", SECRET), ..AuthArgs::default() };
    Verifier::from_args(&args).await.expect("configured")
}

fn hs256_token(claims: &Value) -> String {
    sign(Algorithm::HS256, None, claims, &EncodingKey::from_secret(SECRET))
}

async fn public_key(pair: &Pair) -> Verifier {
    let files = Files::new();
    let args = AuthArgs { auth_public_key_file: files.write("key.pem", &pair.public_pem), ..AuthArgs::default() };
    Verifier::from_args(&args).await.expect("configured")
}
