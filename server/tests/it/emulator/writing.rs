//! What is written, and who sees it when.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Google, READ, WRITE, names, reasons, set};

#[tokio::test]
async fn d6_a_patch_replaces_the_whole_field() {
    let google = Google::start().await;
    let only_primary = json!({ "categories": { "primaryCategory": { "name": "categories/gcid:bakery" } } });
    let (status, location) = google.patch(WRITE, only_primary).await;
    assert_eq!(status, StatusCode::OK, "{location}");
    assert_eq!(names(&location["categories"]), ("categories/gcid:bakery".to_owned(), vec![]));
    let (_, read) = google.get(&format!("/v1/locations/2002?{READ}")).await;
    assert_eq!(read["categories"], location["categories"]);
    assert_eq!(read["categories"].get("additionalCategories"), None, "proto3 JSON leaves out what is empty");
}

#[tokio::test]
async fn a_validation_changes_nothing_and_finds_what_the_patch_would() {
    let google = Google::start().await;
    let validate = format!("{WRITE}&validateOnly=true");
    let valid = json!({ "categories": set("grocery_store", &["bakery"]) });
    assert_eq!(google.patch(&validate, valid.clone()).await, (StatusCode::OK, json!({})));
    let bad = json!({ "categories": set("grocery_store", &["no_such_category"]) });
    let (status, error) = google.patch(&validate, bad.clone()).await;
    assert_eq!((status, reasons(&error)), (StatusCode::BAD_REQUEST, vec!["INVALID_CATEGORY"]));
    assert_eq!(google.patch(WRITE, bad).await, (status, error));
    google.patch(WRITE, valid).await;

    let calls = google.control(Method::GET, "/calls", json!({})).await;
    assert_eq!(calls["locations.patch.validateOnly"], json!(2));
    assert_eq!(calls["locations.patch"], json!(2));
    let writes = calls["writes"].as_array().expect("a list");
    assert_eq!(writes.len(), 1, "only what took effect: {writes:?}");
    assert_eq!(writes[0]["location"], json!("locations/2002"));
    assert_eq!(writes[0]["categories"], set("grocery_store", &["bakery"]));
    google.control(Method::DELETE, "/calls", json!({})).await;
    assert_eq!(google.control(Method::GET, "/calls", json!({})).await, json!({ "writes": [] }));
}

#[tokio::test]
async fn the_views_differ_until_someone_settles_it() {
    let google = Google::start().await;
    let updated = || google.get("/v1/locations/2001:getGoogleUpdated?readMask=categories");
    let metadata = || google.get("/v1/locations/2001?readMask=metadata");
    let edit = |by: &str, primary: &str| json!({ "by": by, "categories": set(primary, &[]) });

    google.control(Method::POST, "/locations/2001:edit", edit("google", "supermarket")).await;
    let (_, answer) = updated().await;
    assert_eq!(answer["diffMask"], json!("categories"));
    assert_eq!(answer.get("pendingMask"), None);
    assert_eq!(names(&answer["location"]["categories"]).0, "categories/gcid:supermarket");
    assert_eq!(metadata().await.1["metadata"]["hasGoogleUpdated"], json!(true));

    let edited = google.control(Method::POST, "/locations/2001:edit", edit("owner", "bakery")).await;
    let (_, answer) = updated().await;
    assert_eq!((answer.get("diffMask"), answer.get("pendingMask")), (None, None), "{answer}");

    google.control(Method::PUT, "/review", json!({ "enabled": true })).await;
    let body = json!({ "categories": set("deli", &[]) });
    google.patch("/v1/locations/2001?updateMask=categories", body).await;
    let written = google.control(Method::GET, "/calls", json!({})).await["writes"][0]["time"].clone();
    let is_before = edited["time"].as_str().zip(written.as_str()).is_some_and(|(edited, written)| edited < written);
    assert!(is_before, "edits and writes are in one order: {} and {written}", edited["time"]);
    assert_eq!(updated().await.1["pendingMask"], json!("categories"));
    assert_eq!(metadata().await.1["metadata"]["hasPendingEdits"], json!(true));
    assert_eq!(metadata().await.1["metadata"].get("hasGoogleUpdated"), None);
    let views = google.control(Method::GET, "/locations/2001", json!({})).await;
    assert_eq!(names(&views["merchant"]).0, "categories/gcid:deli");
    assert_eq!(names(&views["public"]).0, "categories/gcid:bakery");
    assert_eq!(names(&views["pending"]).0, "categories/gcid:deli");

    let published = google.control(Method::POST, "/locations/2001:publish", json!({})).await;
    assert_eq!(names(&published["public"]).0, "categories/gcid:deli");
    assert_eq!(updated().await.1.get("pendingMask"), None);
}

#[tokio::test]
async fn a_patch_is_on_record_with_its_caller_whether_or_not_it_takes_effect() {
    let google = Google::start().await;
    let body = json!({ "categories": set("bakery", &["deli"]) });
    google.control(Method::POST, "/faults", json!({ "method": "locations.patch", "times": 1 })).await;
    google.control(Method::POST, "/faults", json!({ "method": "locations.get" })).await;
    google.patch(WRITE, body.clone()).await;
    google.patch(WRITE, body.clone()).await;
    let other = google.request(Method::PATCH, WRITE).bearer_auth("another").json(&body).send().await;
    assert_eq!(other.expect("an answer").status(), StatusCode::OK);
    google.get("/v1/locations/2002?readMask=name").await;

    let record = google.control(Method::GET, "/patches", json!({})).await;
    let patches = record["patches"].as_array().expect("a list");
    assert_eq!(patches.len(), 3, "{record}");
    for patch in patches {
        assert_eq!((&patch["location"], &patch["categories"]), (&json!("locations/2002"), &body["categories"]));
        assert!(patch["received"].is_string(), "{patch}");
    }
    let effects: Vec<bool> = patches.iter().map(|patch| patch["tookEffect"].is_string()).collect();
    assert_eq!(effects, [false, true, true]);
    assert_eq!(patches[0]["caller"], patches[1]["caller"]);
    assert_ne!(patches[1]["caller"], patches[2]["caller"]);
    assert!(!record.to_string().contains("another"), "the token itself is not shown: {record}");
    let struck = google.control(Method::GET, "/faults", json!({})).await;
    assert_eq!(struck, json!({ "struck": [1] }), "the one that is used up is gone");
    google.control(Method::DELETE, "/calls", json!({})).await;
    assert_eq!(google.control(Method::GET, "/patches", json!({})).await, json!({ "patches": [] }));
}
