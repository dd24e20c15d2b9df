//! What an answer other than success means: a table, and nothing but the answer decides.

use category_mirror_domain::{
    Failure,
    FailureReason::{
        self, CredentialsRejected, InvalidCategory, LocationNotFound, PermissionDenied, QuotaExhausted,
        TooManyCategories, UpstreamInvalid, UpstreamRejected, UpstreamUnavailable,
    },
    Retry,
};
use reqwest::StatusCode;
use serde_json::Value;

use crate::response::{answer::UpstreamResponse, google_error::GoogleError, retry_after, text};

/// The reasons of a 400 that mean something of their own. Where Google gives several, the first row counts:
/// an update that can never be accepted is not worth a later attempt.
const REASONS: &[(&str, FailureReason, Retry)] = &[
    ("INVALID_CATEGORY", InvalidCategory, Retry::Never),
    ("INVALID_CATEGORY_FOR_SAB", InvalidCategory, Retry::Never),
    ("TOO_MANY_ENTRIES", TooManyCategories, Retry::Never),
    // Google changed the location, and only its owner may accept that.
    ("STALE_DATA", UpstreamRejected, Retry::Never),
    ("UNVERIFIED_LOCATION", UpstreamRejected, Retry::Never),
    // Hours rather than seconds, says Google.
    ("THROTTLED", QuotaExhausted, Retry::After(retry_after::MAX_RETRY_AFTER)),
];

/// The reasons of a 403 that are rate limits, in `details[]` or in the list `errors[]` of Google's older APIs *(inferred from those)*.
const RATE_LIMITS: &[&str] =
    &["RATE_LIMIT_EXCEEDED", "rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded"];
/// The name of the code of a rate limit, whatever the HTTP status.
const RESOURCE_EXHAUSTED: &str = "RESOURCE_EXHAUSTED";

/// Whether an answer, which is no success, proves that the request had no effect: Google itself refuses it.
///
/// 408 and 499 are given up by the other side in the middle, a gateway's redirect or 5xx says nothing about Google, and neither does a 4xx
/// without Google's envelope: what stands in front of Google can answer with it after it has passed the request on.
pub(crate) fn is_certain(answer: &UpstreamResponse) -> bool {
    answer.status.is_client_error() && !matches!(answer.status.as_u16(), 408 | 499) && is_googles(answer)
}

/// Whether an answer, which is no success, is Google's own word.
pub(crate) fn is_googles(answer: &UpstreamResponse) -> bool {
    answer.body.as_ref().is_ok_and(|body| GoogleError::parse(body).is_some())
}

/// The failure that `answer`, which is no success, means for the call `label`.
pub(crate) fn failure(label: &str, answer: &UpstreamResponse) -> Failure {
    let error = match &answer.body {
        Ok(body) => GoogleError::parse(body),
        // Whether it is Google's word, and which, only the body tells. A rate limit may ask for a time, which counts either way.
        Err(broken) if answer.status.is_client_error() && answer.status != 429 => return broken.clone(),
        Err(_) => None,
    };
    let infos = error.as_ref().map(|error| error.infos.as_slice()).unwrap_or_default();
    let row = REASONS.iter().find(|row| infos.iter().any(|info| info.reason == row.0));
    let info = row.and_then(|row| infos.iter().find(|info| info.reason == row.0)).or(infos.first());

    let (reason, retry) = match &error {
        Some(error) => of_google(answer.status, error, row.map(|row| (row.1, row.2))),
        None => of_anybody(answer.status),
    };
    let said = match &error {
        Some(error) => format!("Google answered {}: {}", answer.status, error.description()),
        None => format!("answered {}: no error body of Google's, but `{}`", answer.status, answer.content_type),
    };
    let message = format!("{label}: {said}");
    let mut failure = Failure {
        retry: wait(retry, answer),
        ..Failure::permanent(reason, text::bounded(&message, text::MAX_MESSAGE))
            .with("http_status", answer.status.as_u16())
    };
    if let Some(info) = info {
        failure = failure.with("upstream_reason", &info.reason);
        if let Some(limit) = info.metadata.get("max_count") {
            failure = failure.with("max_count", limit);
        }
    }
    if let Some(error) = error.filter(|error| !error.details.is_empty()) {
        failure.upstream_details = Value::Array(error.details);
    }
    failure
}

/// What a status means in Google's envelope. `row` is what the reason of a 400 means.
fn of_google(status: StatusCode, error: &GoogleError, row: Option<(FailureReason, Retry)>) -> (FailureReason, Retry) {
    let is_rate_limit = error.status == RESOURCE_EXHAUSTED || error.reasons().any(|it| RATE_LIMITS.contains(&it));
    let has_no_quota =
        || error.infos.iter().any(|info| info.metadata.get("quota_limit_value").is_some_and(|limit| limit == "0"));
    match status.as_u16() {
        400 => row.unwrap_or((UpstreamRejected, Retry::Never)),
        401 => (CredentialsRejected, Retry::Never),
        403 if !is_rate_limit => (PermissionDenied, Retry::Never),
        404 => (LocationNotFound, Retry::Never),
        403 | 429 if has_no_quota() => (QuotaExhausted, Retry::Never),
        403 | 429 => (QuotaExhausted, Retry::Backoff),
        408 | 499 => (UpstreamUnavailable, Retry::Backoff),
        _ if status.is_client_error() => (UpstreamRejected, Retry::Never),
        _ => of_anybody(status),
    }
}

/// What a status means that anything between here and Google may have answered.
fn of_anybody(status: StatusCode) -> (FailureReason, Retry) {
    match status.as_u16() {
        429 => (QuotaExhausted, Retry::Backoff),
        408 => (UpstreamUnavailable, Retry::Backoff),
        _ if status.is_server_error() => (UpstreamUnavailable, Retry::Backoff),
        // Whatever the endpoint is, it is not Google's: a setting is wrong, and waiting does not mend it.
        _ if status.is_redirection() => (UpstreamInvalid, Retry::Never),
        _ => (UpstreamInvalid, Retry::Backoff),
    }
}

/// Backoff, and not before the time that the answer asks for.
pub(crate) fn wait(retry: Retry, answer: &UpstreamResponse) -> Retry {
    match (retry, answer.retry_after) {
        (Retry::Backoff, Some(wait)) => Retry::After(wait),
        (retry, _) => retry,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn answer(status: u16, details: Value) -> UpstreamResponse {
        let body = json!({"error": {"code": status, "status": "X", "message": "Generic.", "details": details}});
        UpstreamResponse {
            status: StatusCode::from_u16(status).expect("a status"),
            retry_after: None,
            is_json: true,
            content_type: "application/json".to_owned(),
            body: Ok(body.to_string().into_bytes()),
        }
    }

    fn info(reason: &str, metadata: Value) -> Value {
        json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata})
    }

    fn classed(answer: &UpstreamResponse) -> (FailureReason, Retry) {
        let failure = failure("locations.patch", answer);
        (failure.reason, failure.retry)
    }

    #[test]
    fn d15_each_row_of_the_table() {
        let hour = Retry::After(Duration::from_secs(3600));
        for (status, reason, class, retry) in [
            (400, "INVALID_CATEGORY", InvalidCategory, Retry::Never),
            (400, "INVALID_CATEGORY_FOR_SAB", InvalidCategory, Retry::Never),
            (400, "INCOMPATIBLE_SERVICE_AREA_AND_CATEGORY", UpstreamRejected, Retry::Never),
            (400, "STOREFRONT_REQUIRED_FOR_CATEGORY", UpstreamRejected, Retry::Never),
            (400, "FIELDS_REQUIRED_FOR_CATEGORY", UpstreamRejected, Retry::Never),
            (400, "INCOMPATIBLE_MORE_HOURS_TYPE_FOR_CATEGORY", UpstreamRejected, Retry::Never),
            (400, "ATTRIBUTE_TYPE_NOT_COMPATIBLE_FOR_CATEGORY", UpstreamRejected, Retry::Never),
            (400, "TOO_MANY_ENTRIES", TooManyCategories, Retry::Never),
            (400, "REQUIRED_FIELD_MISSING_VALUE", UpstreamRejected, Retry::Never),
            (400, "A_REASON_OF_TOMORROW", UpstreamRejected, Retry::Never),
            (400, "THROTTLED", QuotaExhausted, hour),
            (400, "STALE_DATA", UpstreamRejected, Retry::Never),
            (400, "UNVERIFIED_LOCATION", UpstreamRejected, Retry::Never),
            (401, "ACCESS_TOKEN_EXPIRED", CredentialsRejected, Retry::Never),
            (403, "SERVICE_DISABLED", PermissionDenied, Retry::Never),
            (403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", PermissionDenied, Retry::Never),
            (404, "NOT_FOUND", LocationNotFound, Retry::Never),
            (409, "ABORTED", UpstreamRejected, Retry::Never),
            (429, "RATE_LIMIT_EXCEEDED", QuotaExhausted, Retry::Backoff),
            (408, "", UpstreamUnavailable, Retry::Backoff),
            (500, "", UpstreamUnavailable, Retry::Backoff),
            (502, "", UpstreamUnavailable, Retry::Backoff),
            (503, "", UpstreamUnavailable, Retry::Backoff),
            (504, "", UpstreamUnavailable, Retry::Backoff),
            (302, "", UpstreamInvalid, Retry::Never),
        ] {
            let answer = answer(status, json!([info(reason, json!({}))]));
            assert_eq!(classed(&answer), (class, retry), "{status} {reason}");
            let failure = failure("locations.patch", &answer);
            assert_eq!(failure.metadata["upstream_reason"], reason);
            assert_eq!(failure.metadata["http_status"], status.to_string());
        }
    }

    #[test]
    fn a_project_without_quota_never_gets_any() {
        let none = answer(429, json!([info("RATE_LIMIT_EXCEEDED", json!({"quota_limit_value": "0"}))]));
        assert_eq!(classed(&none), (QuotaExhausted, Retry::Never));
        let some = answer(429, json!([info("RATE_LIMIT_EXCEEDED", json!({"quota_limit_value": "300"}))]));
        assert_eq!(classed(&some), (QuotaExhausted, Retry::Backoff));
    }

    #[test]
    fn of_several_reasons_the_permanent_one_counts() {
        let both =
            answer(400, json!([info("THROTTLED", json!({})), info("TOO_MANY_ENTRIES", json!({"max_count": "9"}))]));
        let failure = failure("locations.patch", &both);
        assert_eq!((failure.reason, failure.retry), (TooManyCategories, Retry::Never));
        assert_eq!(failure.metadata["upstream_reason"], "TOO_MANY_ENTRIES");
        assert_eq!(failure.metadata["max_count"], "9");
        assert_eq!(failure.upstream_details.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn retry_after_lengthens_what_is_retried_and_nothing_else() {
        let wait = Some(Duration::from_secs(7));
        let later = Retry::After(Duration::from_secs(7));
        for (status, retry) in [(429, later), (503, later), (403, Retry::Never)] {
            let answer = UpstreamResponse { retry_after: wait, ..answer(status, json!([])) };
            assert_eq!(classed(&answer).1, retry, "{status}");
        }
    }

    #[test]
    fn a_half_4xx_is_no_verdict_and_neither_is_a_foreign_one() {
        let broken = Failure::transient(UpstreamUnavailable, "the connection broke");
        for status in [400, 401, 403, 404] {
            let half = UpstreamResponse { body: Err(broken.clone()), ..answer(status, json!([])) };
            assert_eq!(failure("locations.get", &half), broken, "{status}");
        }
        let html = UpstreamResponse {
            body: Ok(b"<html>".to_vec()),
            content_type: "text/html".to_owned(),
            ..answer(400, json!([]))
        };
        assert_eq!(classed(&html), (UpstreamInvalid, Retry::Backoff));
        let message = failure("locations.get", &html).message;
        assert_eq!(message, "locations.get: answered 400 Bad Request: no error body of Google's, but `text/html`");
    }
}

#[cfg(test)]
mod table;
