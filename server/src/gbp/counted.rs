//! What the metrics say of requests to Google.

use std::time::Duration;

use reqwest::StatusCode;

use super::{answer::Answer, exchange::Lost};

/// Counts a request of `method` that took so long.
pub(super) fn count(method: &'static str, result: &Result<Answer, Lost>, duration: Duration) {
    metrics::counter!("category_mirror_gbp_calls_total", "method" => method, "class" => class(result)).increment(1);
    metrics::histogram!("category_mirror_gbp_call_duration_seconds", "method" => method).record(duration);
}

fn class(result: &Result<Answer, Lost>) -> &'static str {
    match result {
        Err(_) => "lost",
        Ok(answer) => match answer.status {
            status if status.is_success() && answer.body.is_err() => "unreadable",
            status if status.is_success() => "ok",
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::TOO_MANY_REQUESTS => "quota",
            StatusCode::REQUEST_TIMEOUT => "unavailable",
            status if status.is_server_error() => "unavailable",
            _ => "rejected",
        },
    }
}
