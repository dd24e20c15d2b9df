//! What it means when the token endpoint answers without a token.

use category_mirror_domain::{Failure, FailureReason, Retry};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::response::{answer::UpstreamResponse, classify};

/// What the token endpoint says when it cannot decide now, with whichever status: nothing about the credentials.
const PASSING: &[(&str, FailureReason)] = &[
    ("temporarily_unavailable", FailureReason::UpstreamUnavailable),
    ("server_error", FailureReason::UpstreamUnavailable),
    ("rate_limit_exceeded", FailureReason::QuotaExhausted),
    ("slow_down", FailureReason::QuotaExhausted),
];

/// Its bad answer. The description is left out: it may repeat what was sent.
#[derive(Deserialize)]
struct Denied {
    error: String,
}

/// The failure of a renewal that was answered, but with no token.
pub(crate) fn denied(label: &str, answer: &UpstreamResponse) -> Failure {
    let error = answer.json::<Denied>(label).ok().map(|denied| denied.error).filter(|error| is_error_code(error));
    let refusal = matches!(answer.status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    let passing = error.as_deref().and_then(|error| PASSING.iter().find(|row| row.0 == error)).map(|row| row.1);
    match error {
        Some(error) if refusal && passing.is_none() => {
            let message = format!("{label}: Google refuses the credentials: {error} ({})", answer.status);
            Failure::permanent(FailureReason::CredentialsRejected, message).with("oauth_error", error)
        }
        // An OAuth server that refuses says why. This is something in front of it, or not it at all, or it cannot decide now.
        error => {
            let reason = passing.unwrap_or(match answer.status.as_u16() {
                429 => FailureReason::QuotaExhausted,
                408 | 500..=599 => FailureReason::UpstreamUnavailable,
                _ => FailureReason::UpstreamInvalid,
            });
            let said = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            let message = format!("{label}: the token endpoint answered {}{said}", answer.status);
            let failure = Failure::transient(reason, message).with("http_status", answer.status.as_u16());
            let failure = error.iter().fold(failure, |failure, error| failure.with("oauth_error", error));
            Failure { retry: classify::wait(Retry::Backoff, answer), ..failure }
        }
    }
}

fn is_error_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
