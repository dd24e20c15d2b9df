//! Lists that do not arrive whole.

use std::time::Duration;

use category_mirror::domain::Role;
use category_mirror_client::{Client, Code};
use serde_json::{Value, json};

use super::{ALL, slugs};
use crate::{
    service::{self, Service},
    wire::contents,
};

/// Lets two pages through, and then strikes the third one.
async fn third_page(service: &Service, mut fault: Value) {
    service.google.fault(json!({"method": "categories.list", "delay_ms": 1, "times": 2})).await;
    fault["method"] = json!("categories.list");
    service.google.fault(fault).await;
}

#[tokio::test]
async fn d7_a_list_that_breaks_off_changes_nothing() {
    let service = service::start().await;
    service.refresh().await;
    service.google_changes(&["gcid:deli"], &[("gcid:bar", "Taproom")], &[("gcid:moon_base", "Moon base")]).await;
    let before = contents(&service.pool).await;
    let page = |name: &str| json!([{"name": name, "displayName": "X"}]);
    for (fault, code, reason) in [
        (json!({"status": 503}), Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
        (json!({"status": 429, "headers": {"retry-after": "3000"}}), Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
        (json!({"status": 502, "body": "<html>502</html>"}), Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
        (json!({"status": 200, "body": "<html>sign in</html>"}), Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
        (json!({"drop": "truncate"}), Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
        (json!({"drop": "before"}), Code::Unavailable, "UPSTREAM_UNAVAILABLE"),
        (json!({"status": 403}), Code::FailedPrecondition, "UPSTREAM_REJECTED"),
        (json!({"status": 401}), Code::FailedPrecondition, "UPSTREAM_REJECTED"),
        // What is no category, a list that goes in a circle, and a last page that comes too early.
        (
            json!({"status": 200, "body": {"categories": page("categories/gcid:a-b")}}),
            Code::Unavailable,
            "UPSTREAM_UNAVAILABLE",
        ),
        (
            json!({"status": 200, "body": {"categories": page("categories/gcid:x"), "nextPageToken": "7"}}),
            Code::Unavailable,
            "UPSTREAM_UNAVAILABLE",
        ),
        (
            json!({"status": 200, "body": {"categories": page("categories/gcid:x")}}),
            Code::FailedPrecondition,
            "TAXONOMY_SHRANK",
        ),
        (json!({"status": 200, "body": {}}), Code::FailedPrecondition, "TAXONOMY_SHRANK"),
    ] {
        third_page(&service, fault.clone()).await;
        let error = service.client.refresh_taxonomy("US", "en").send().await.expect_err("not whole");
        assert_eq!((error.code(), error.reason()), (code, Some(reason)), "{fault}: {error}");
        assert!(error.message().contains("nothing was changed"), "{error}");
        assert_eq!(contents(&service.pool).await, before, "{fault}");
        service.google.heal().await;
    }

    let whole = service.refresh().await;
    assert_eq!((whole.added_count, whole.renamed_count, whole.retired_count), (1, 1, 1));
}

#[tokio::test]
async fn d7_an_empty_list_is_no_list_whatever_a_person_says() {
    let service = service::start().await;
    let before = contents(&service.pool).await;
    service.google.fault(json!({"method": "categories.list", "status": 200, "body": {}})).await;
    let request = service.client.refresh_taxonomy("US", "en").allow_shrink("I know");
    let error = request.send().await.expect_err("empty");
    assert_eq!(error.reason(), Some("UPSTREAM_UNAVAILABLE"), "{error}");
    assert_eq!(contents(&service.pool).await, before);
}

#[tokio::test]
async fn d7_a_caller_who_goes_leaves_nothing_half_done() {
    let service = service::start().await;
    service.refresh().await;
    service.google_changes(&["gcid:deli"], &[], &[]).await;
    let before = contents(&service.pool).await;
    third_page(&service, json!({"delay_ms": 600_000})).await;
    let token = service.token(Role::Admin, "impatient", None);
    let client =
        Client::builder(format!("http://{}", service.address)).token(token).timeout(Duration::from_millis(300));
    let error = client.build().expect("a client").refresh_taxonomy("US", "en").send().await.expect_err("too late");
    assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
    assert_eq!(contents(&service.pool).await, before);
}

#[tokio::test]
async fn what_passes_is_tried_again_page_by_page() {
    let service = service::start().await;
    third_page(&service, json!({"status": 503, "times": 3})).await;
    assert_eq!(service.refresh().await.version.category_count, ALL);
    assert_eq!(service.google.count("categories.list").await, 5 + 3, "five pages, one of them four times");
}

/// Google's answer to a page token that it no longer takes.
fn expired() -> Value {
    let violation = json!({"field": "page_token", "description": "The page token has expired."});
    let details = json!([{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}]);
    let message = "Request contains an invalid argument.";
    json!({"status": 400, "body": {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": message, "details": details}}})
}

#[tokio::test]
async fn a_list_is_begun_anew_where_a_page_token_has_expired_and_not_without_end() {
    let service = service::start().await;
    let mut once = expired();
    once["times"] = json!(1);
    third_page(&service, once).await;
    assert_eq!(service.refresh().await.version.category_count, ALL);
    assert_eq!(service.google.count("categories.list").await, 3 + 5, "two pages and the refusal, then all five");

    let before = contents(&service.pool).await;
    third_page(&service, expired()).await;
    let error = service.client.refresh_taxonomy("US", "en").send().await.expect_err("never whole");
    assert_eq!(error.reason(), Some("UPSTREAM_REJECTED"), "{error}");
    assert_eq!(contents(&service.pool).await, before);
}

#[tokio::test]
async fn d7_a_list_that_shrank_needs_a_persons_word() {
    let service = service::start().await;
    service.refresh().await;
    let all = service.search("").await;
    let gcids: Vec<String> = slugs(&all).iter().map(|slug| format!("gcid:{slug}")).collect();
    let gcids: Vec<&str> = gcids.iter().map(String::as_str).collect();
    // 21 of 436 are less than 5 %, and 22 are more.
    service.google_changes(&gcids[..22], &[], &[]).await;
    let before = contents(&service.pool).await;

    let error = service.client.refresh_taxonomy("US", "en").send().await.expect_err("shrank");
    assert_eq!((error.code(), error.reason()), (Code::FailedPrecondition, Some("TAXONOMY_SHRANK")));
    let (current, imported) = (&error.metadata()["current_count"], &error.metadata()["imported_count"]);
    assert_eq!((current.as_str(), imported.as_str()), ("436", "414"), "{error}");
    let error = service.client.refresh_taxonomy("US", "en").allow_shrink(" ").send().await.expect_err("no reason");
    assert_eq!(error.field_violations()[0].field, "reason");
    assert_eq!(contents(&service.pool).await, before);

    let request = service.client.refresh_taxonomy("US", "en").allow_shrink("Google says so in its release notes");
    let taken = request.send().await.expect("taken");
    assert_eq!((taken.retired_count, taken.version.version, taken.version.category_count), (22, 2, 414));
    assert_eq!(taken.version.allow_shrink_reason.as_deref(), Some("Google says so in its release notes"));
    service.google_changes(&gcids[22..42], &[], &[]).await;
    assert_eq!(service.refresh().await.version.allow_shrink_reason, None, "20 of 414 are less than 5 %");
}
