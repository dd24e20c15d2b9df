//! What is sent, and what Google's answers become.

use std::time::Duration;

use axum::{body::Body, http::Response};
use category_mirror::{
    domain::{
        Failure,
        FailureReason::{self, *},
        Retry,
    },
    gbp::WriteFailure,
};
use serde_json::{Value, json};

use super::fake::{AT_ANY_TIME, Fake, HUSH, answer, categories, client, error, id, location, real};

/// What reading a location becomes when the server answers so.
async fn read(response: impl Fn() -> Response<Body> + Send + Sync + 'static) -> Failure {
    let fake = Fake::start(move |_| response()).await;
    client(&fake.endpoint).reader().location(&id()).await.expect_err("a failure")
}

/// What a write becomes when the server answers so. It is always sent once only.
async fn write(status: u16, body: Value) -> WriteFailure {
    let fake = Fake::start(move |_| answer(status, &body)).await;
    let failure = client(&fake.endpoint).writer(real()).replace_categories(&id(), &categories(), AT_ANY_TIME).await;
    assert_eq!(fake.seen().iter().filter(|seen| seen.method == "PATCH").count(), 1, "{status}");
    failure.expect_err("a failure")
}

#[tokio::test]
async fn a_location_is_read_with_its_mask_and_token() {
    let fake = Fake::start(|_| answer(200, location())).await;
    let location = client(&fake.endpoint).reader().location(&id()).await.expect("read");
    assert_eq!(location.title, "Corner Shop");
    assert_eq!(location.categories.get().as_ref(), Some(&categories()));
    assert_eq!(location.categories.into_inner().expect("some").primary().display_name, "Grocery store");
    assert!(location.has_pending_edits && !location.has_google_updated);

    let [seen] = &fake.seen()[..] else { panic!("one request") };
    assert_eq!(seen.method, "GET");
    assert_eq!(seen.uri, "/v1/locations/1?readMask=name%2Ctitle%2Ccategories%2Cmetadata%2CopenInfo");
    assert_eq!(seen.authorization(), format!("Bearer {HUSH}"));
    assert_eq!(seen.headers["user-agent"], concat!("category-mirror/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn d6_a_write_sends_the_whole_set_in_one_request() {
    let fake = Fake::start(|_| answer(200, location())).await;
    let written = client(&fake.endpoint)
        .writer(real())
        .replace_categories(&id(), &categories(), AT_ANY_TIME)
        .await
        .expect("written");
    assert_eq!(written.categories.into_inner(), Some(categories()));

    let [seen] = &fake.seen()[..] else { panic!("one request") };
    assert_eq!((seen.method.as_str(), seen.uri.as_str()), ("PATCH", "/v1/locations/1?updateMask=categories"));
    let body: Value = serde_json::from_str(&seen.body).expect("JSON");
    let expected = json!({"categories": {
        "primaryCategory": {"name": "categories/gcid:grocery_store"},
        "additionalCategories": [{"name": "categories/gcid:cafe"}],
    }});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_validation_succeeds_with_an_empty_object_and_with_nothing() {
    for body in ["{}", ""] {
        let fake = Fake::start(move |_| answer(200, body)).await;
        let validation_errors = client(&fake.endpoint).validator().validate(&id(), &categories()).await;
        assert_eq!(validation_errors, Ok(vec![]), "{body:?}");
        assert_eq!(fake.seen()[0].uri, "/v1/locations/1?updateMask=categories&validateOnly=true");
    }
    let fake = Fake::start(|_| Response::builder().body(Body::from("<html>ok</html>")).expect("a response")).await;
    let page = client(&fake.endpoint).validator().validate(&id(), &categories()).await.expect_err("a page");
    assert_eq!((page.reason, page.retry), (UpstreamInvalid, Retry::Backoff));
}

#[tokio::test]
async fn a_validations_verdict_is_objections_and_anything_else_a_failure() {
    let body = error(400, "INVALID_CATEGORY", json!({"category": "gcid:cafe"}));
    let fake = Fake::start(move |_| answer(400, &body)).await;
    let validation_errors = client(&fake.endpoint).validator().validate(&id(), &categories()).await.expect("a verdict");
    assert_eq!(validation_errors.len(), 1);
    assert_eq!(
        (&*validation_errors[0].reason, &*validation_errors[0].message),
        ("INVALID_CATEGORY", "category=gcid:cafe")
    );

    for (status, body, reason) in [
        (400, error(400, "THROTTLED", json!({})), QuotaExhausted),
        (401, error(401, "", json!({})), CredentialsRejected),
        (403, error(403, "", json!({})), PermissionDenied),
        (404, error(404, "", json!({})), LocationNotFound),
        // Not Google's word.
        (400, json!("not google's"), UpstreamInvalid),
        (401, json!({}), UpstreamInvalid),
        (403, json!({}), UpstreamInvalid),
        (404, json!({}), UpstreamInvalid),
        (429, json!({}), QuotaExhausted),
        (503, json!({}), UpstreamUnavailable),
    ] {
        let fake = Fake::start(move |_| answer(status, &body)).await;
        let failure = client(&fake.endpoint).validator().validate(&id(), &categories()).await.expect_err("a failure");
        assert_eq!(failure.reason, reason, "{status}");
    }
}

#[tokio::test]
async fn d15_each_class_of_error_is_told_apart_and_a_write_knows_its_outcome() {
    let none: fn(FailureReason) -> (FailureReason, Retry) = |reason| (reason, Retry::Never);
    let retried = |reason| (reason, Retry::Backoff);
    for (status, reason, class, refused) in [
        (400, "INVALID_CATEGORY", none(InvalidCategory), true),
        (400, "TOO_MANY_ENTRIES", none(TooManyCategories), true),
        (400, "STALE_DATA", none(UpstreamRejected), true),
        (400, "UNVERIFIED_LOCATION", none(UpstreamRejected), true),
        (400, "THROTTLED", (QuotaExhausted, Retry::After(Duration::from_secs(3600))), true),
        (401, "", none(CredentialsRejected), true),
        (403, "SERVICE_DISABLED", none(PermissionDenied), true),
        (404, "", none(LocationNotFound), true),
        (429, "RATE_LIMIT_EXCEEDED", retried(QuotaExhausted), true),
        (408, "", retried(UpstreamUnavailable), false),
        (500, "", retried(UpstreamUnavailable), false),
        (502, "", retried(UpstreamUnavailable), false),
        (503, "", retried(UpstreamUnavailable), false),
        (504, "", retried(UpstreamUnavailable), false),
    ] {
        let failure = write(status, error(status, reason, json!({}))).await;
        assert_eq!(matches!(failure, WriteFailure::Refused(_)), refused, "{status} {reason}");
        let failure = failure.into_failure();
        assert_eq!((failure.reason, failure.retry), class, "{status} {reason}");
        let body = error(status, reason, json!({}));
        let same = read(move || answer(status, &body)).await;
        assert_eq!((same.reason, same.retry), class, "{status} {reason}");
    }
}

/// What stands in front of Google says nothing about the location, the credentials, or what became of an update.
#[tokio::test]
async fn a_refusal_that_is_not_googles_is_tried_again_and_leaves_an_updates_outcome_unknown() {
    for status in [400, 401, 403, 404, 407, 413] {
        for body in ["<html>Blocked</html>", "", r#"{"error": "blocked"}"#, r#"{"message": "no such route"}"#] {
            let WriteFailure::Unknown(failure) = write(status, serde_json::from_str(body).unwrap_or(json!(body))).await
            else {
                panic!("{status}: nobody knows whether it passed the update on")
            };
            assert_eq!((failure.reason, failure.retry), (UpstreamInvalid, Retry::Backoff), "{status} {body}");
            let failure = read(move || answer(status, body)).await;
            assert_eq!((failure.reason, failure.retry), (UpstreamInvalid, Retry::Backoff), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn a_403_that_is_a_rate_limit_is_waited_for() {
    let older = json!({"error": {
        "code": 403, "message": "User Rate Limit Exceeded",
        "errors": [{"domain": "usageLimits", "reason": "userRateLimitExceeded", "message": "User Rate Limit Exceeded"}],
    }});
    let named = json!({"error": {"code": 403, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}});
    for body in [older, named, error(403, "RATE_LIMIT_EXCEEDED", json!({}))] {
        let WriteFailure::Refused(failure) = write(403, body.clone()).await else { panic!("Google's word: {body}") };
        assert_eq!((failure.reason, failure.retry), (QuotaExhausted, Retry::Backoff), "{body}");
    }
}

#[tokio::test]
async fn d14_a_failure_tells_what_google_told() {
    let failure = write(400, error(400, "TOO_MANY_ENTRIES", json!({"max_count": "9"}))).await.into_failure();
    let told = "locations.patch of locations/1: Google answered 400 Bad Request: TOO_MANY_ENTRIES (max_count=9)";
    assert_eq!(failure.message, told);
    assert_eq!(failure.metadata["max_count"], "9");
    assert_eq!(failure.metadata["upstream_reason"], "TOO_MANY_ENTRIES");
    assert_eq!(failure.upstream_details[0]["reason"], "TOO_MANY_ENTRIES");
}

#[tokio::test]
async fn retry_after_is_honoured_as_seconds_and_as_a_date() {
    let with = |value: String| {
        move || {
            let response = Response::builder().status(429).header("retry-after", value.as_str());
            response.body(Body::empty()).expect("a response")
        }
    };
    assert_eq!(read(with("120".to_owned())).await.retry, Retry::After(Duration::from_secs(120)));
    assert_eq!(read(with("a while".to_owned())).await.retry, Retry::Backoff);
    // Far beyond the bound, so the clock does not matter.
    let date = "Fri, 01 Jan 2100 00:00:00 GMT".to_owned();
    assert_eq!(read(with(date)).await.retry, Retry::After(Duration::from_secs(3600)));
}

#[tokio::test]
async fn d3_an_answer_that_cannot_be_read_is_an_error_and_never_an_empty_set() {
    let html = || {
        let response = Response::builder().header("content-type", "text/html");
        response.body(Body::from(location().to_string())).expect("a response")
    };
    assert_eq!(read(html).await.message, "locations.get of locations/1: the answer is `text/html`, not JSON");
    let huge = json!({"name": "locations/1", "title": "x".repeat(2 * 1024 * 1024)}).to_string();
    let whole = location().to_string();
    let half = whole[..whole.len() / 2].to_owned();
    let other = json!({"name": "locations/2"}).to_string();
    for body in [huge, half, other, String::new(), "{}".to_owned(), "[]".to_owned(), "null".to_owned()] {
        let beginning: String = body.chars().take(40).collect();
        let failure = read(move || answer(200, &body)).await;
        assert_eq!((failure.reason, failure.retry), (UpstreamInvalid, Retry::Backoff), "{beginning}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let elsewhere = Fake::start(|_| answer(200, location())).await;
    let target = format!("{}v1/locations/1", elsewhere.endpoint);
    let redirect = move || {
        Response::builder().status(307).header("location", target.as_str()).body(Body::empty()).expect("a response")
    };
    let failure = read(redirect).await;
    assert_eq!((failure.reason, failure.retry), (UpstreamInvalid, Retry::Never));
    assert!(elsewhere.seen().is_empty());
}
