//! Who may call, and how often.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Google, READ, WRITE, answer, reasons, set};

#[tokio::test]
async fn tokens_are_issued_expire_and_are_revoked() {
    let google = Google::start().await;
    let read = format!("/v1/locations/2001?{READ}");
    let (status, error) = answer(google.request(Method::GET, &read)).await;
    assert_eq!((status, reasons(&error)), (StatusCode::UNAUTHORIZED, vec!["CREDENTIALS_MISSING"]));
    let in_url = google.request(Method::GET, &format!("{read}&access_token=fixed"));
    assert_eq!(answer(in_url).await.0, StatusCode::UNAUTHORIZED, "a token in a URL is no credential");

    let form = [("grant_type", "refresh_token"), ("client_id", "i"), ("client_secret", "s"), ("refresh_token", "r")];
    let grant = || answer(google.request(Method::POST, "/token").form(&form));
    let (status, granted) = grant().await;
    assert_eq!(
        (status, &granted["token_type"], &granted["expires_in"]),
        (StatusCode::OK, &json!("Bearer"), &json!(3599))
    );
    let token = granted["access_token"].as_str().expect("a token");
    let with_token = || answer(google.request(Method::GET, &read).bearer_auth(token));
    assert_eq!(with_token().await.0, StatusCode::OK);
    google.control(Method::POST, "/tokens", json!({ "expire_access": true })).await;
    assert_eq!(reasons(&with_token().await.1), ["ACCESS_TOKEN_EXPIRED"]);
    google.control(Method::POST, "/tokens", json!({ "revoke_refresh": ["r"] })).await;
    let (status, error) = grant().await;
    assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
}

#[tokio::test]
async fn quotas_are_kept_and_zero_means_no_access() {
    let google = Google::start().await;
    google.control(Method::PUT, "/quota", json!({ "edits_per_minute_per_location": 1 })).await;
    let body = json!({ "categories": set("bakery", &[]) });
    assert_eq!(google.patch(WRITE, body.clone()).await.0, StatusCode::OK);
    let (status, error) = google.patch(WRITE, body.clone()).await;
    assert_eq!((status, reasons(&error)), (StatusCode::TOO_MANY_REQUESTS, vec!["RATE_LIMIT_EXCEEDED"]));
    assert_eq!(google.patch("/v1/locations/2001?updateMask=categories", body).await.0, StatusCode::OK);
    google.control(Method::PUT, "/quota", json!({ "requests_per_minute": 0 })).await;
    let (status, error) = google.get("/v1/locations/2001?readMask=name").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(error["error"]["details"][0]["metadata"]["quota_limit_value"], json!("0"));
    google.control(Method::PUT, "/quota", json!({})).await;
    assert_eq!(google.get("/v1/locations/2001?readMask=name").await.0, StatusCode::OK);
}
