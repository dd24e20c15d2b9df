//! The whole table of answers: status x envelope x reason, for a read and for an update, and the token endpoint's beside it.

use std::time::Duration;

use serde_json::json;

use super::*;

/// What stands in the body of an answer.
#[derive(Debug, Clone, Copy)]
enum Body {
    /// Google's envelope, with the name of the code, a reason in `details` and one in the older list.
    Google(&'static str, &'static str, &'static str),
    /// A page of something in front of Google.
    Html,
    /// Nothing.
    Empty,
    /// JSON of somebody else's.
    Foreign,
    /// It broke off.
    Half,
}

const NEVER: Retry = Retry::Never;
const LATER: Retry = Retry::Backoff;
const HOUR: Retry = Retry::After(Duration::from_secs(3600));

fn google(reason: &'static str) -> Body {
    Body::Google("X", reason, "")
}

fn answer(status: u16, body: Body) -> UpstreamResponse {
    let broken = Failure::transient(UpstreamUnavailable, "the connection broke");
    let (content_type, body) = match body {
        Body::Google(name, reason, older) => {
            let (reason, value) = reason.split_once(' ').unwrap_or((reason, "300"));
            let info = json!({
                "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason,
                "metadata": {"quota_limit_value": value},
            });
            let mut error = json!({"code": status, "status": name, "message": "Generic."});
            if !reason.is_empty() {
                error["details"] = json!([info]);
            }
            if !older.is_empty() {
                error["errors"] = json!([{"reason": older, "domain": "usageLimits"}]);
            }
            ("application/json", Ok(json!({"error": error}).to_string()))
        }
        Body::Html => ("text/html", Ok("<html>sign in</html>".to_owned())),
        Body::Empty => ("", Ok(String::new())),
        Body::Foreign => ("application/json", Ok(json!({"error": "nope", "code": status}).to_string())),
        Body::Half => ("application/json", Err(broken)),
    };
    UpstreamResponse {
        status: StatusCode::from_u16(status).expect("a status"),
        retry_after: None,
        is_json: content_type == "application/json",
        content_type: content_type.to_owned(),
        body: body.map(String::into_bytes),
    }
}

/// Each row: the status, the body, the class, and whether an update that got it certainly had no effect.
#[rustfmt::skip]
fn table() -> Vec<(u16, Body, (FailureReason, Retry), bool)> {
    let mut table = vec![
        (400, google("INVALID_CATEGORY"), (InvalidCategory, NEVER), true),
        (400, google("INVALID_CATEGORY_FOR_SAB"), (InvalidCategory, NEVER), true),
        (400, google("INCOMPATIBLE_SERVICE_AREA_AND_CATEGORY"), (UpstreamRejected, NEVER), true),
        (400, google("STOREFRONT_REQUIRED_FOR_CATEGORY"), (UpstreamRejected, NEVER), true),
        (400, google("FIELDS_REQUIRED_FOR_CATEGORY"), (UpstreamRejected, NEVER), true),
        (400, google("INCOMPATIBLE_MORE_HOURS_TYPE_FOR_CATEGORY"), (UpstreamRejected, NEVER), true),
        (400, google("ATTRIBUTE_TYPE_NOT_COMPATIBLE_FOR_CATEGORY"), (UpstreamRejected, NEVER), true),
        (400, google("TOO_MANY_ENTRIES"), (TooManyCategories, NEVER), true),
        (400, google("REQUIRED_FIELD_MISSING_VALUE"), (UpstreamRejected, NEVER), true),
        (400, google("A_REASON_OF_TOMORROW"), (UpstreamRejected, NEVER), true),
        (400, google(""), (UpstreamRejected, NEVER), true),
        (400, google("THROTTLED"), (QuotaExhausted, HOUR), true),
        (400, google("STALE_DATA"), (UpstreamRejected, NEVER), true),
        (400, google("UNVERIFIED_LOCATION"), (UpstreamRejected, NEVER), true),
        (401, google(""), (CredentialsRejected, NEVER), true),
        (401, google("ACCESS_TOKEN_EXPIRED"), (CredentialsRejected, NEVER), true),
        (403, google(""), (PermissionDenied, NEVER), true),
        (403, google("SERVICE_DISABLED"), (PermissionDenied, NEVER), true),
        (403, google("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), (PermissionDenied, NEVER), true),
        (403, Body::Google("PERMISSION_DENIED", "IAM_PERMISSION_DENIED", "forbidden"), (PermissionDenied, NEVER), true),
        (403, google("RATE_LIMIT_EXCEEDED"), (QuotaExhausted, LATER), true),
        (403, google("userRateLimitExceeded"), (QuotaExhausted, LATER), true),
        (403, Body::Google("PERMISSION_DENIED", "", "userRateLimitExceeded"), (QuotaExhausted, LATER), true),
        (403, Body::Google("PERMISSION_DENIED", "", "rateLimitExceeded"), (QuotaExhausted, LATER), true),
        (403, Body::Google("RESOURCE_EXHAUSTED", "", ""), (QuotaExhausted, LATER), true),
        (403, google("RATE_LIMIT_EXCEEDED 0"), (QuotaExhausted, NEVER), true),
        (404, google(""), (LocationNotFound, NEVER), true),
        (408, google(""), (UpstreamUnavailable, LATER), false),
        (409, google("ABORTED"), (UpstreamRejected, NEVER), true),
        (429, google("RATE_LIMIT_EXCEEDED"), (QuotaExhausted, LATER), true),
        (429, google(""), (QuotaExhausted, LATER), true),
        (429, google("RATE_LIMIT_EXCEEDED 0"), (QuotaExhausted, NEVER), true),
        (429, Body::Google("RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED 0", ""), (QuotaExhausted, NEVER), true),
        (499, google(""), (UpstreamUnavailable, LATER), false),
        (302, Body::Html, (UpstreamInvalid, NEVER), false),
        (307, Body::Empty, (UpstreamInvalid, NEVER), false),
    ];
    for status in [500, 501, 502, 503, 504] {
        for body in [google(""), google("THROTTLED"), Body::Html, Body::Empty, Body::Foreign, Body::Half] {
            table.push((status, body, (UpstreamUnavailable, LATER), false));
        }
    }
    // Not Google's word, whatever the status: tried again, and never a verdict about the location or the credentials.
    for status in [400, 401, 403, 404, 405, 407, 408, 409, 410, 413, 418, 429, 431, 451, 499] {
        for body in [Body::Html, Body::Empty, Body::Foreign, Body::Half] {
            let reason = match (status, body) {
                (429, _) => QuotaExhausted,
                (408, _) | (_, Body::Half) => UpstreamUnavailable,
                _ => UpstreamInvalid,
            };
            table.push((status, body, (reason, LATER), false));
        }
    }
    table
}

#[test]
fn each_answer_has_its_class_and_an_update_knows_whether_it_took_effect() {
    for (status, body, class, is_certain) in table() {
        let answer = answer(status, body);
        for label in ["locations.get", "locations.patch"] {
            let failure = failure(label, &answer);
            assert_eq!((failure.reason, failure.retry), class, "{status} {body:?} {label}");
            assert!(!failure.message.is_empty() && failure.message.len() < 500, "{}", failure.message);
        }
        assert_eq!(super::is_certain(&answer), is_certain, "{status} {body:?}");
        // A time that is asked for lengthens what is tried again after the backoff, and nothing else.
        let asked = Some(Duration::from_secs(7));
        let waits = UpstreamResponse { retry_after: asked, ..answer };
        let is_half = waits.body.is_err() && waits.status.is_client_error() && status != 429;
        let expected = if class.1 == LATER && !is_half { Retry::After(Duration::from_secs(7)) } else { class.1 };
        assert_eq!(failure("locations.get", &waits).retry, expected, "{status} {body:?}");
    }
}
