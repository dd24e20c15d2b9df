//! What can be wrong with the settings, and with a token.

use std::path::PathBuf;

use crate::data_dir::SecretFileError;
use crate::key_files::KeyFileError;

/// A setting that cannot be used. Names the setting; never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum AuthConfigError {
    /// Nothing says whose tokens to trust.
    #[error(
        "no key to verify tokens with: set one of AUTH_HS256_SECRET_FILE, AUTH_PUBLIC_KEY_FILE, AUTH_JWKS_FILE or AUTH_JWKS_URL"
    )]
    NoVerificationKey,
    /// Nothing to sign with.
    #[error("no key to sign tokens with: set AUTH_HS256_SECRET_FILE or AUTH_PRIVATE_KEY_FILE, or use --dev")]
    NoSigningKey,
    /// Two keys: which one is meant cannot be known.
    #[error("{0} and {1} are both set: set only one of them")]
    TwoKeys(&'static str, &'static str),
    /// The setting's file cannot be read.
    #[error("{setting}: cannot read {path:?}: {source}")]
    File {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyFileError,
    },
    /// The setting's content is not what it must be.
    #[error("{setting} {value:?}: {problem}")]
    Invalid {
        /// The setting.
        setting: &'static str,
        /// The file or URL; never a key.
        value: String,
        /// What is wrong.
        problem: String,
    },
    /// The development key cannot be used.
    #[error(transparent)]
    Development(#[from] SecretFileError),
}

/// Why a token was not accepted. The text can be sent to the caller: it tells nothing of the token or of our keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Longer than a token may be; it was not read.
    #[error("token is longer than 8192 bytes")]
    TooLong,
    /// Not a JWT, or its header names no algorithm that exists, such as `none`.
    #[error("token is not a well-formed, signed JWT")]
    Malformed,
    /// Not the algorithm of the key.
    #[error("token is not signed with the algorithm of its key")]
    Algorithm,
    /// There are several keys, and it names none.
    #[error("token has no key id (kid)")]
    NoKeyId,
    /// It names a key that is not ours.
    #[error("token has an unknown key id (kid)")]
    UnknownKey,
    /// Signed with another key, or changed.
    #[error("token signature is invalid")]
    Signature,
    /// It demands that we understand something that we do not.
    #[error("token has critical header parameters (crit), which are not supported")]
    Critical,
    /// A required claim is missing.
    #[error("token has no {0}")]
    Missing(&'static str),
    /// A claim is not what it must be.
    #[error("token has an invalid {claim}: must be {rule}")]
    Claim {
        /// The claim.
        claim: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// No key set is known, or none that is fresh enough: nothing can be said of the token.
    #[error("tokens cannot be verified now, because the identity provider's keys cannot be fetched; retry")]
    KeysUnavailable,
    /// `nbf` has not come yet.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iss` is another.
    #[error("token is from another issuer (iss)")]
    Issuer,
    /// `aud` is another.
    #[error("token is for another audience (aud)")]
    Audience,
}
