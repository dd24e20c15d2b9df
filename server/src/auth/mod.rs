//! Authenticates callers: verifies tokens, and signs them for the `token` command.
//!
//! Rules that prevent known attacks: the key determines the algorithm, never the token; the signature is verified
//! before any claim is read; `exp` and `sub` are required; a malformed claim is rejected, never treated as "no limit".

mod args;
mod claims;
mod development;
mod error;
mod jwks;
mod key;
mod refresh;
mod remote;
mod signer;
mod sound;
#[cfg(test)]
mod tests;
mod verifier;

pub use args::AuthArgs;
pub use error::{AuthConfigError, Rejected};
pub use signer::{Grant, Signer};
pub use verifier::Verifier;
