//! Errors of authentication settings and of tokens.

use std::path::PathBuf;

use crate::key_files::KeyFileError;
use crate::secret_file::SecretFileError;

/// An invalid setting. Names the setting; never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum AuthConfigError {
    /// No setting determines which tokens to trust.
    #[error(
        "no key to verify tokens with: set one of AUTH_HS256_SECRET_FILE, AUTH_PUBLIC_KEY_FILE, AUTH_JWKS_FILE or AUTH_JWKS_URL"
    )]
    NoVerificationKey,
    /// No setting has a key to sign with.
    #[error("no key to sign tokens with: set AUTH_HS256_SECRET_FILE or AUTH_PRIVATE_KEY_FILE, or use --dev")]
    NoSigningKey,
    /// Two keys are configured, so it is unknown which one is intended.
    #[error("{0} and {1} are both set: set only one of them")]
    TwoKeys(&'static str, &'static str),
    /// The setting's file cannot be read.
    #[error("{setting}: cannot read {path:?}: {source}")]
    File {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        source: KeyFileError,
    },
    /// The setting's content is invalid.
    #[error("{setting} {value:?}: {problem}")]
    Invalid {
        /// The setting.
        setting: &'static str,
        /// The file or URL; never a key.
        value: String,
        /// What is wrong with the content.
        problem: String,
    },
    /// The development key cannot be used.
    #[error(transparent)]
    Development(#[from] SecretFileError),
}

/// Why a token was rejected. The text may be sent to the caller: it reveals nothing about the token or the server's
/// keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// Longer than a token may be; it was not parsed.
    #[error("token is longer than 8192 bytes")]
    TooLong,
    /// Not a JWT, or its header names an unsupported algorithm, such as `none`.
    #[error("token is not a well-formed, signed JWT")]
    Malformed,
    /// Not signed with the algorithm of its key.
    #[error("token is not signed with the algorithm of its key")]
    Algorithm,
    /// There are several keys, and the token has no key id.
    #[error("token has no key id (kid)")]
    NoKeyId,
    /// The token has the id of an unknown key.
    #[error("token has an unknown key id (kid)")]
    UnknownKey,
    /// Signed with another key, or modified.
    #[error("token signature is invalid")]
    Signature,
    /// The token requires an extension that the server does not support.
    #[error("token has critical header parameters (crit), which are not supported")]
    Critical,
    /// A required claim is missing.
    #[error("token has no {0}")]
    Missing(&'static str),
    /// A claim is invalid.
    #[error("token has an invalid {claim}: must be {rule}")]
    Claim {
        /// The claim.
        claim: &'static str,
        /// The values that are valid.
        rule: &'static str,
    },
    /// `exp` has passed.
    #[error("token has expired")]
    Expired,
    /// No key set is known, or it is too old, so the token can be neither accepted nor rejected.
    #[error("tokens cannot be verified now, because the identity provider's keys cannot be fetched; retry")]
    KeysUnavailable,
    /// `nbf` has not been reached yet.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iss` has another value.
    #[error("token is from another issuer (iss)")]
    Issuer,
    /// `aud` has another value.
    #[error("token is for another audience (aud)")]
    Audience,
}
