//! What breaks: on purpose, by garbage, at the end.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Google, WRITE, reasons, set};

#[tokio::test]
async fn a_fault_answers_in_googles_place() {
    let google = Google::start().await;
    let html = "<html>502</html>";
    let fault = json!({
        "method": "locations.get", "location": "2001", "times": 1, "status": 502, "body": html, "headers": { "retry-after": "7" },
    });
    google.control(Method::POST, "/faults", fault).await;
    google.control(Method::POST, "/faults", json!({ "method": "categories.list", "status": 429 })).await;
    assert_eq!(google.get("/v1/locations/2002?readMask=name").await.0, StatusCode::OK);
    let response = google.api(Method::GET, "/v1/locations/2001?readMask=name").send().await.expect("an answer");
    assert_eq!(
        (response.status(), &response.headers()["retry-after"]),
        (StatusCode::BAD_GATEWAY, &"7".parse().expect("a header"))
    );
    assert_eq!(response.text().await.expect("text"), html);
    assert_eq!(google.get("/v1/locations/2001?readMask=name").await.0, StatusCode::OK, "once");
    assert_eq!(reasons(&google.get("/v1/categories?view=BASIC").await.1), ["RATE_LIMIT_EXCEEDED"]);
    google.control(Method::DELETE, "/faults", json!({})).await;
    assert_eq!(google.get("/v1/categories?view=BASIC").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_dropped_connection_breaks_where_it_says() {
    for (drop, arrives, took_effect) in [("before", false, false), ("truncate", true, true), ("after", false, true)] {
        let google = Google::start().await;
        google.control(Method::POST, "/faults", json!({ "method": "locations.patch", "times": 1, "drop": drop })).await;
        let body = json!({ "categories": set("bakery", &[]) });
        let request = google.api(Method::PATCH, WRITE).json(&body);
        match request.send().await {
            Ok(response) => {
                assert!(arrives, "{drop}: an answer");
                assert_eq!(response.status(), StatusCode::OK);
                let broken = response.bytes().await.expect_err("the rest is missing");
                assert!(broken.is_body() || broken.is_decode(), "{drop}: {broken:?}");
            }
            Err(broken) => assert!(!arrives && broken.is_request(), "{drop}: {broken:?}"),
        }
        let calls = google.control(Method::GET, "/calls", json!({})).await;
        assert_eq!(calls["locations.patch"], json!(1), "{drop}");
        assert_eq!(calls["writes"].as_array().map(Vec::len), Some(usize::from(took_effect)), "{drop}");
    }
}

#[tokio::test]
async fn not_a_byte_leaves_a_connection_that_is_dropped() {
    let google = Google::start().await;
    let raw = "GET /v1/locations/2001?readMask=name HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t\r\n\r\n";
    for drop in ["before", "after"] {
        google.control(Method::POST, "/faults", json!({ "times": 1, "drop": drop })).await;
        let mut stream = TcpStream::connect(google.address).await.expect("connected");
        stream.write_all(raw.as_bytes()).await.expect("sent");
        let mut received = Vec::new();
        // A reset is as good as an end: what counts is that nothing came.
        let _ = stream.read_to_end(&mut received).await;
        assert_eq!(String::from_utf8_lossy(&received), "", "{drop}");
    }
}

#[tokio::test]
async fn garbage_is_answered_and_survived() {
    let google = Google::start().await;
    for path in
        ["/", "/v1", "/v1/locations/", "/v1/locations/a/b", "/v1/locations/..%2f..%2f?readMask=name", "/v1/%ff%00"]
    {
        let response = google.api(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    for body in [vec![b'['; 500_000], vec![0xff; 10], b"{\"categories\":".to_vec(), vec![b' '; 1024 * 1024 + 1]] {
        let response = google.api(Method::PATCH, WRITE).body(body).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    let mut stream = TcpStream::connect(google.address).await.expect("connected");
    stream.write_all(b"\x00\xffnot http\r\n\r\n").await.expect("sent");
    let _ = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(google.get("/v1/locations/2001?readMask=name").await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_end_breaks_what_is_open() {
    let google = Google::start().await;
    google.control(Method::POST, "/faults", json!({ "method": "locations.get", "delay_ms": 600_000 })).await;
    let waiting = tokio::spawn(google.api(Method::GET, "/v1/locations/2001?readMask=name").send());
    // The call has arrived, and waits for its delay, once it is counted.
    while google.control(Method::GET, "/calls", json!({})).await.get("locations.get").is_none() {
        tokio::task::yield_now().await;
    }
    google.stop.send(()).expect("it still serves");
    google.served.await.expect("no panic").expect("no error");
    assert!(waiting.await.expect("no panic").is_err(), "the delayed call breaks");
    assert!(TcpStream::connect(google.address).await.is_err(), "nobody listens any more");
}
