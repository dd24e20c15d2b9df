//! Metadata of accounts' own credentials for Google.

use category_mirror_proto::v1;
use chrono::{DateTime, Utc};

use super::wire;

open_enum! {
    /// State of credentials.
    CredentialsState {
        /// Google is not known to reject them.
        Active = 1, "active";
        /// Google rejects them. The account's runs fail until new credentials are set or Google accepts these again.
        Rejected = 2, "rejected";
        /// They are encrypted with a key that the responding server does not have.
        Unreadable = 3, "unreadable";
    }
}

open_enum! {
    /// Google's response to credentials that were tested.
    CredentialsOutcome {
        /// Google issued an access token.
        Accepted = 1, "accepted";
        /// Google rejected the credentials.
        Rejected = 2, "rejected";
        /// Google did not respond, or its response is not about the credentials.
        NotKnown = 3, "not_known";
    }
}

/// Metadata of the credentials that belong to one GBP account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Credentials {
    /// Resource name, `accounts/{account}/credentials`.
    pub name: String,
    /// State of the credentials.
    pub state: CredentialsState,
    /// Last characters of the OAuth client id.
    pub client_id_suffix: String,
    /// Identifies the encryption key: the first characters of a digest of the key.
    pub key_id: String,
    /// Revision number, which increases with every replacement.
    pub revision: i64,
    /// Time at which the credentials were set.
    pub update_time: Option<DateTime<Utc>>,
    /// The caller that set them: the subject of its token.
    pub updated_by: String,
    /// Time at which Google last rejected them. `None`: never, or Google has accepted them since.
    pub reject_time: Option<DateTime<Utc>>,
    /// Google's reason for the rejection, such as `invalid_grant`.
    pub reject_reason: Option<String>,
}

/// Result of a test of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct VerifiedCredentials {
    /// Google's response.
    pub outcome: CredentialsOutcome,
    /// Description of the problem. `None`: there is none.
    pub problem: Option<String>,
    /// Metadata of the credentials after the test.
    pub credentials: Credentials,
}

/// Result of a re-encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ReencryptedCredentials {
    /// Number of accounts whose credentials were encrypted with the newest key.
    pub reencrypted: i32,
    /// Number of accounts whose credentials are left unchanged, because the server does not have their key.
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
