//! What an answer other than success means: a table, and nothing but the answer decides.

use reqwest::StatusCode;
use serde_json::Value;

use super::{answer::Answer, google_error::GoogleError, retry_after, text};
use crate::domain::{
    Failure,
    FailureReason::{
        self, CredentialsRejected, InvalidCategory, LocationNotFound, PermissionDenied, QuotaExhausted,
        TooManyCategories, UpstreamInvalid, UpstreamRejected, UpstreamUnavailable,
    },
    Retry,
};

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
    ("THROTTLED", QuotaExhausted, Retry::After(retry_after::LONGEST)),
];

/// Whether this status proves that the request had no effect.
///
/// 408 and 499 are given up by the other side in the middle, and a gateway's redirect or 5xx says nothing about Google.
pub(super) fn is_certain(status: StatusCode) -> bool {
    status.is_client_error() && !matches!(status.as_u16(), 408 | 499)
}

/// The failure that `answer`, which is no success, means for the call `label`.
pub(super) fn failure(label: &str, answer: &Answer) -> Failure {
    let error = match &answer.body {
        Ok(body) => GoogleError::parse(body),
        // Only the body of a 400 tells what it means.
        Err(broken) if answer.status == 400 => return broken.clone(),
        Err(_) => None,
    };
    let infos = error.as_ref().map(|error| error.infos.as_slice()).unwrap_or_default();
    let row = REASONS.iter().find(|row| infos.iter().any(|info| info.reason == row.0));
    let info = row.and_then(|row| infos.iter().find(|info| info.reason == row.0)).or(infos.first());
    let no_access = infos.iter().any(|info| info.metadata.get("quota_limit_value").is_some_and(|limit| limit == "0"));

    let (reason, retry) = match answer.status.as_u16() {
        400 => row.map_or((UpstreamRejected, Retry::Never), |row| (row.1, row.2)),
        401 => (CredentialsRejected, Retry::Never),
        403 => (PermissionDenied, Retry::Never),
        404 => (LocationNotFound, Retry::Never),
        429 if no_access => (QuotaExhausted, Retry::Never),
        429 => (QuotaExhausted, Retry::Backoff),
        408 => (UpstreamUnavailable, Retry::Backoff),
        _ if answer.status.is_server_error() => (UpstreamUnavailable, Retry::Backoff),
        _ if answer.status.is_client_error() => (UpstreamRejected, Retry::Never),
        // Whatever the endpoint is, it is not Google's: a setting is wrong, and waiting does not mend it.
        _ if answer.status.is_redirection() => (UpstreamInvalid, Retry::Never),
        _ => (UpstreamInvalid, Retry::Backoff),
    };
    let said = match &error {
        Some(error) => error.said(),
        None => format!("no error body of Google's, but `{}`", answer.content_type),
    };
    let message = format!("{label}: Google answered {}: {said}", answer.status);
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

/// Backoff, and not before the time that the answer asks for.
pub(super) fn wait(retry: Retry, answer: &Answer) -> Retry {
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

    fn answer(status: u16, details: Value) -> Answer {
        let body = json!({"error": {"code": status, "status": "X", "message": "Generic.", "details": details}});
        Answer {
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

    fn classed(answer: &Answer) -> (FailureReason, Retry) {
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
            let answer = Answer { retry_after: wait, ..answer(status, json!([])) };
            assert_eq!(classed(&answer).1, retry, "{status}");
        }
    }

    #[test]
    fn a_half_400_is_no_verdict_and_a_foreign_one_is() {
        let broken = Failure::transient(UpstreamUnavailable, "the connection broke");
        let half = Answer { body: Err(broken.clone()), ..answer(400, json!([])) };
        assert_eq!(failure("locations.get", &half), broken);
        let html =
            Answer { body: Ok(b"<html>".to_vec()), content_type: "text/html".to_owned(), ..answer(400, json!([])) };
        assert_eq!(classed(&html), (UpstreamRejected, Retry::Never));
        let message = failure("locations.get", &html).message;
        assert_eq!(
            message,
            "locations.get: Google answered 400 Bad Request: no error body of Google's, but `text/html`"
        );
    }

    #[test]
    fn only_a_refusal_is_certain() {
        let certain = |status| is_certain(StatusCode::from_u16(status).expect("a status"));
        assert!([400, 401, 403, 404, 409, 429].into_iter().all(certain));
        assert!(![200, 302, 408, 499, 500, 502, 503, 504].into_iter().any(certain));
    }
}
