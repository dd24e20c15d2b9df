//! A JSON Web Key Set: keys by their `kid`.

use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use serde::Deserialize;

use super::Rejected;
use super::key::VerificationKey;

/// Keys by id. An empty set is valid.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<(Option<String>, VerificationKey)>,
}

impl KeySet {
    /// Parses a set. Leaves out keys that cannot verify a token here (for encryption, of other kinds, symmetric): a
    /// provider may publish more keys than the server uses.
    fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<serde_json::Value>,
        }
        let document: Document = serde_json::from_slice(json)
            .map_err(|error| format!("is not a JSON Web Key Set (line {})", error.line()))?;
        let mut keys: Vec<(Option<String>, VerificationKey)> = Vec::new();
        for value in document.keys {
            let kid = value.get("kid").and_then(|kid| kid.as_str()).map(str::to_owned);
            let parsed = usable(value).and_then(|key| match &kid {
                Some(_) if keys.iter().any(|(other, _)| *other == kid) => {
                    Err("another key of the set has the same kid")
                }
                _ => Ok(key),
            });
            match parsed {
                Ok(key) => keys.push((kid, key)),
                Err(problem) => tracing::warn!(?kid, problem, "key of the key set is not used"),
            }
        }
        Ok(Self { keys })
    }

    /// Parses a set that replaces another one. If the provider publishes an empty set, or only keys of other kinds, it
    /// has withdrawn the previous ones.
    pub(super) fn parse_next(json: &[u8]) -> Result<Self, String> {
        let set = Self::parse(json)?;
        if set.keys.is_empty() {
            tracing::warn!("the key set holds no key that can verify a token: no token is accepted");
        }
        Ok(set)
    }

    /// Parses a set from a file that has just been configured. Without any usable key, the file is invalid.
    pub(super) fn parse_not_empty(json: &[u8]) -> Result<Self, String> {
        let set = Self::parse(json)?;
        if set.keys.is_empty() { Err("holds no key that can verify a token".into()) } else { Ok(set) }
    }

    /// Returns the key with a token's key id. Without an id, the set must have exactly one key.
    pub(super) fn find(&self, kid: Option<&str>) -> Result<&VerificationKey, Rejected> {
        match (kid, self.keys.as_slice()) {
            (None, [(_, only)]) => Ok(only),
            (None, _) => Err(Rejected::NoKeyId),
            (kid, keys) => {
                keys.iter().find(|(own, _)| own.as_deref() == kid).map(|(_, key)| key).ok_or(Rejected::UnknownKey)
            }
        }
    }
}

fn usable(value: serde_json::Value) -> Result<VerificationKey, &'static str> {
    let jwk: Jwk = serde_json::from_value(value).map_err(|_| "it is not a JSON Web Key")?;
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return Err("it is not for signatures (use)");
    }
    if jwk.common.key_operations.as_ref().is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
        return Err("it is not for verification (key_ops)");
    }
    VerificationKey::from_jwk(&jwk)
}
