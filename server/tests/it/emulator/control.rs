//! Wrong input of the control interface.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Google, answer, set};

#[tokio::test]
async fn wrong_control_input_is_refused_by_name_and_changes_nothing() {
    let google = Google::start().await;
    let before = google.control(Method::GET, "/locations/2001", json!({})).await;
    let valid = set("bar", &[]);
    for (method, path, body, part) in [
        (Method::PUT, "/locations/2001", json!({ "account": "1", "categories": valid, "colour": 1 }), "colour"),
        (Method::PUT, "/locations/2001", json!({ "categories": valid }), "account"),
        (Method::PUT, "/locations/2001", json!({ "account": "a/b", "categories": valid }), "accounts/"),
        (Method::PUT, "/locations/2001", json!({ "account": "1", "categories": set("a-b", &[]) }), "hyphens"),
        (
            Method::PUT,
            "/locations/2001",
            json!({ "account": "1", "categories": set("bar", &["bar"]) }),
            "more than once",
        ),
        (Method::PUT, "/locations/20.01", json!({ "account": "1", "categories": valid }), "20.01"),
        (
            Method::PUT,
            "/locations/2001",
            json!({ "account": "1", "categories": valid, "metadata": { "placeId": "p" } }),
            "placeId",
        ),
        (Method::PATCH, "/locations/2001", json!({ "categories": valid }), "categories"),
        (Method::PATCH, "/locations/2001", json!({ "openInfo": { "status": "GONE" } }), "GONE"),
        (Method::PATCH, "/locations/2001", json!({ "metadata": { "duplicateLocation": "2" } }), "duplicateLocation"),
        (Method::PATCH, "/locations/2001", json!({ "metadata": { "hasVoiceOfMerchant": 1 } }), "boolean"),
        (Method::POST, "/locations/2001:edit", json!({ "by": "nobody", "categories": valid }), "nobody"),
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

#[tokio::test]
async fn a_browser_that_shows_another_site_controls_nothing() {
    let google = Google::start().await;
    let port = google.address.port();
    let own = format!("127.0.0.1:{port}");
    let ask = async |method: Method, headers: &[(&str, &str)]| {
        let mut request = google.request(method, "/_control/calls");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await.0
    };
    for method in [Method::GET, Method::DELETE] {
        for headers in [
            // DNS rebinding: a name of the attacker's that means this machine by now.
            &[("host", "attacker.example")][..],
            &[("host", &format!("attacker.example:{port}"))],
            &[("host", &format!("localhost.attacker.example:{port}"))],
            &[("host", &format!("127.0.0.1.attacker.example:{port}"))],
            &[("host", &format!("192.0.2.1:{port}"))],
            &[("host", "0.0.0.0")],
            &[("host", "")],
            // A page of another site asks this one.
            &[("origin", "https://attacker.example")],
            &[("origin", "null")],
            &[("origin", "http://localhost:3000")],
            &[("origin", &format!("http://attacker.example:{port}"))],
            &[("origin", &format!("http://127.0.0.1:{port}")), ("origin", "https://attacker.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
        ] {
            assert_eq!(ask(method.clone(), headers).await, StatusCode::FORBIDDEN, "{headers:?}");
        }
        for headers in [
            &[][..],
            &[("host", own.as_str())],
            &[("host", &format!("localhost:{port}"))],
            &[("host", "LocalHost")],
            &[("host", &format!("[::1]:{port}"))],
            &[("host", &format!("127.9.9.9:{port}"))],
            &[("origin", &format!("http://127.0.0.1:{port}"))],
            &[("origin", &format!("http://localhost:{port}"))],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert_eq!(ask(method.clone(), headers).await, StatusCode::OK, "{headers:?}");
        }
    }
    // What stands for Google answers whoever reaches it.
    let read = google.api(Method::GET, "/v1/locations/2001?readMask=name").header("host", "google.example");
    assert_eq!(answer(read.header("origin", "https://attacker.example")).await.0, StatusCode::OK);
}
