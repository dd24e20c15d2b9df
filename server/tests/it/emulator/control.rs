//! Wrong input of the control interface.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Google, answer, set};

#[tokio::test]
async fn wrong_control_input_is_refused_by_name_and_changes_nothing() {
    let google = Google::start().await;
    let before = google.control(Method::GET, "/locations/2001", json!({})).await;
    let good = set("bar", &[]);
    for (method, path, body, part) in [
        (Method::PUT, "/locations/2001", json!({ "account": "1", "categories": good, "colour": 1 }), "colour"),
        (Method::PUT, "/locations/2001", json!({ "categories": good }), "account"),
        (Method::PUT, "/locations/2001", json!({ "account": "a/b", "categories": good }), "accounts/"),
        (Method::PUT, "/locations/2001", json!({ "account": "1", "categories": set("a-b", &[]) }), "hyphens"),
        (
            Method::PUT,
            "/locations/2001",
            json!({ "account": "1", "categories": set("bar", &["bar"]) }),
            "more than once",
        ),
        (Method::PUT, "/locations/20.01", json!({ "account": "1", "categories": good }), "20.01"),
        (
            Method::PUT,
            "/locations/2001",
            json!({ "account": "1", "categories": good, "metadata": { "placeId": "p" } }),
            "placeId",
        ),
        (Method::PATCH, "/locations/2001", json!({ "categories": good }), "categories"),
        (Method::PATCH, "/locations/2001", json!({ "openInfo": { "status": "GONE" } }), "GONE"),
        (Method::PATCH, "/locations/2001", json!({ "metadata": { "duplicateLocation": "2" } }), "duplicateLocation"),
        (Method::PATCH, "/locations/2001", json!({ "metadata": { "hasVoiceOfMerchant": 1 } }), "boolean"),
        (Method::POST, "/locations/2001:edit", json!({ "by": "nobody", "categories": good }), "nobody"),
        (Method::POST, "/locations/2001:erase", json!({}), ":publish"),
        (Method::POST, "/faults", json!({ "method": "locations.gte" }), "locations.gte"),
        (Method::POST, "/faults", json!({ "drop": "sometimes" }), "sometimes"),
        (Method::POST, "/faults", json!({ "probability": 2 }), "probability"),
        (Method::PUT, "/quota", json!({ "requests": 5 }), "requests"),
        (Method::PUT, "/quota", json!({ "requests_per_minute": -1 }), "-1"),
        (Method::POST, "/taxonomy", json!({ "retire": ["gcid:nothing_such"] }), "nothing_such"),
        (Method::POST, "/tokens", json!({ "expires_in": u64::MAX }), "expires_in"),
        (Method::PUT, "/review", json!([]), "Review"),
    ] {
        let (status, error) = answer(google.request(method, &format!("/_control{path}")).json(&body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {body}: {error}");
        assert!(error["error"]["message"].as_str().is_some_and(|message| message.contains(part)), "{path}: {error}");
    }
    assert_eq!(google.control(Method::GET, "/locations/2001", json!({})).await, before);
    assert_eq!(google.get("/v1/locations/2001?readMask=name").await.0, StatusCode::OK, "no fault, no quota");
    assert_eq!(answer(google.request(Method::GET, "/_control/nothing")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(answer(google.request(Method::GET, "/_control/locations/2999")).await.0, StatusCode::NOT_FOUND);
    let unknown = google.request(Method::PATCH, "/_control/locations/2999").json(&json!({}));
    assert_eq!(answer(unknown).await.0, StatusCode::NOT_FOUND);
}
