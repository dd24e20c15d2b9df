//! Who calls: tokens are verified, and signed for the `token` command.
//!
//! The rules, each of which an attacker would like otherwise: a key decides the algorithm, never the token; the signature is checked
//! before any claim is looked at; `exp` and `sub` are required; a claim that cannot be read is refused, never taken for "no limit".

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
