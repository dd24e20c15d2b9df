//! Accounts' own credentials for Google: what may be said of them.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::wire;

open_enum! {
    /// How credentials stand.
    CredentialsState {
        /// Nothing is known against them.
        Active = 1, "active";
        /// Google refuses them: the account's runs fail until others are set, or Google takes these again.
        Rejected = 2, "rejected";
        /// The server that answered does not have the key that they are encrypted with.
        Unreadable = 3, "unreadable";
    }
}

open_enum! {
    /// What Google said to credentials that were tried.
    CredentialsOutcome {
        /// It gave an access token for them.
        Accepted = 1, "accepted";
        /// It refuses them.
        Rejected = 2, "rejected";
        /// It did not answer, or not about them.
        NotKnown = 3, "not_known";
    }
}

/// What may be said of the credentials that a GBP account has for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Credentials {
    /// `accounts/{account}/credentials`.
    pub name: String,
    /// How they stand.
    pub state: CredentialsState,
    /// The last few characters of the OAuth client's id.
    pub client_id_suffix: String,
    /// Which key they are encrypted with.
    pub key_id: String,
    /// Grows with every replacement.
    pub revision: i64,
    /// When they were set.
    pub update_time: Option<DateTime<Utc>>,
    /// Who set them: the subject of the caller's token.
    pub updated_by: String,
    /// When Google last refused them. `None`: it did not, or has taken them since.
    pub reject_time: Option<DateTime<Utc>>,
    /// Why, in Google's word, such as `invalid_grant`.
    pub reject_reason: Option<String>,
}

/// Credentials that were tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct VerifiedCredentials {
    /// What Google said.
    pub outcome: CredentialsOutcome,
    /// What is wrong, for people. `None`: nothing.
    pub problem: Option<String>,
    /// The credentials afterwards.
    pub credentials: Credentials,
}

/// What was encrypted anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ReencryptedCredentials {
    /// How many accounts' credentials are encrypted with the newest key since this call.
    pub reencrypted: i32,
    /// How many are left, because the server does not have the key that they are encrypted with.
    pub unreadable: i32,
}

impl Credentials {
    pub(crate) fn from_wire(wire: v1::Credentials) -> Self {
        Self {
            name: wire.name,
            state: CredentialsState::from_wire(wire.state),
            client_id_suffix: wire.client_id_suffix,
            key_id: wire.key_id,
            revision: wire.revision,
            update_time: wire::time(wire.update_time),
            updated_by: wire.updated_by,
            reject_time: wire::time(wire.reject_time),
            reject_reason: wire::text(wire.reject_reason),
        }
    }
}

impl VerifiedCredentials {
    pub(crate) fn from_wire(wire: v1::VerifyCredentialsResponse) -> Option<Self> {
        Some(Self {
            outcome: CredentialsOutcome::from_wire(wire.outcome),
            problem: wire::text(wire.problem),
            credentials: Credentials::from_wire(wire.credentials?),
        })
    }
}

impl ReencryptedCredentials {
    pub(crate) fn from_wire(wire: v1::ReencryptCredentialsResponse) -> Self {
        Self { reencrypted: wire.reencrypted_count, unreadable: wire.unreadable_count }
    }
}
