//! What is behind a rejected access token: the credentials, or the one call that it was sent with.
//!
//! Every run of an account depends on the answer, so one call's word is not enough: Google is asked for something else with the same token.

use category_mirror_domain::{Failure, FailureReason};
use reqwest::{Method, StatusCode};

use crate::{
    http::call::{Call, Target},
    identity::token::{Bearer, TokenSource},
    response::{answer::UpstreamResponse, classify},
    transport::Transport,
};

/// Any category will do: that it is known is not what is asked.
const SOME_CATEGORY: &str = "categories/gcid:restaurant";

/// Whether Google rejects the token that `call` was sent with. Without its envelope a 401 is not Google's word: a read may be sent again
/// all the same, and a write may not.
pub(crate) fn is_rejected(call: &Call<'_>, answer: &UpstreamResponse) -> bool {
    answer.status == StatusCode::UNAUTHORIZED && (classify::is_googles(answer) || call.method == Method::GET)
}

/// The failure of `call`, whose `answer` rejects `bearer`, a token that was just made, or the only one that there is.
pub(crate) async fn rejection(
    transport: &Transport,
    tokens: &TokenSource,
    call: &Call<'_>,
    answer: &UpstreamResponse,
    bearer: &Bearer,
) -> Failure {
    let rejected = call.refused(answer).into_failure();
    if rejected.reason != FailureReason::CredentialsRejected {
        return rejected;
    }
    // One at a time, so that a crowd that meets the end of credentials asks once.
    let _turn = tokens.turn().await;
    if let Some(known) = tokens.known_rejection().await {
        return known;
    }
    let elsewhere = transport.send(&another(call), bearer).await;
    match elsewhere {
        Ok(other) if other.status == StatusCode::UNAUTHORIZED && classify::is_googles(&other) => {
            tokens.rejected(bearer).await;
            rejected
        }
        Ok(other) if is_taken(&other) => {
            let message = format!("{}; it takes the same access token elsewhere", rejected.message);
            Failure { message, ..rejected.but_accepted_elsewhere() }
        }
        Ok(other) => unclear(&rejected, &format!("another call was answered {}", other.status)),
        Err(unanswered) => unclear(&rejected, &unanswered.into_failure().message),
    }
}

/// Whether an answer shows that Google takes the token: it does what was asked, or says why not. A quota may be checked before.
fn is_taken(answer: &UpstreamResponse) -> bool {
    let is_refusal = answer.status.is_client_error() && !matches!(answer.status.as_u16(), 401 | 408 | 429 | 499);
    answer.status.is_success() || (is_refusal && classify::is_googles(answer))
}

/// The failure where nobody knows what is rejected. It says nothing of the credentials, and may pass.
fn unclear(rejected: &Failure, why: &str) -> Failure {
    let message = format!("{}; whether it is the credentials is not known: {why}", rejected.message);
    Failure { metadata: rejected.metadata.clone(), ..Failure::transient(FailureReason::UpstreamUnavailable, message) }
}

/// Another call than `call`, about no location, that every account may make.
fn another<'a>(call: &Call<'_>) -> Call<'a> {
    let (name, target, query): (_, _, &[_]) = match call.target {
        Target::Location(_) | Target::GoogleUpdated(_) => (
            "categories.list",
            Target::Categories,
            &[("regionCode", "US"), ("languageCode", "en"), ("view", "BASIC"), ("pageSize", "1")],
        ),
        Target::Categories | Target::SomeCategories => (
            "categories.batchGet",
            Target::SomeCategories,
            &[("regionCode", "US"), ("languageCode", "en"), ("view", "BASIC"), ("names", SOME_CATEGORY)],
        ),
    };
    Call { name, method: Method::GET, target, query, body: None, deadline: None }
}
