//! Converts the metadata of credentials to messages.

use category_mirror_proto::v1 as proto;

use super::time;
use crate::{
    app::{CredentialsDetails, CredentialsVerification},
    domain::AccountCredentials,
};

pub(in crate::api) fn credentials(shown: CredentialsDetails) -> proto::Credentials {
    let CredentialsDetails { credentials, is_readable } = shown;
    let state = match credentials.rejection {
        _ if !is_readable => proto::credentials::State::Unreadable,
        Some(_) => proto::credentials::State::Rejected,
        None => proto::credentials::State::Active,
    };
    let (reject_time, reject_reason) = match credentials.rejection {
        Some(rejection) => (Some(time(rejection.at)), rejection.reason),
        None => (None, String::new()),
    };
    proto::Credentials {
        name: AccountCredentials::name_of(&credentials.account),
        state: state.into(),
        client_id_suffix: credentials.client_id_suffix,
        key_id: credentials.key_id,
        revision: credentials.revision,
        update_time: Some(time(credentials.updated_at)),
        updated_by: credentials.updated_by,
        reject_time,
        reject_reason,
    }
}

pub(in crate::api) fn verified(verified: CredentialsVerification) -> proto::VerifyCredentialsResponse {
    use proto::verify_credentials_response::Outcome;
    let CredentialsVerification { shown, accepted, problem } = verified;
    let outcome = match accepted {
        Some(true) => Outcome::Accepted,
        Some(false) => Outcome::Rejected,
        None => Outcome::Unknown,
    };
    proto::VerifyCredentialsResponse { outcome: outcome.into(), problem, credentials: Some(credentials(shown)) }
}
