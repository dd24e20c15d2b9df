//! Calls that end without a whole answer: a write must not pretend to know what became of it.

use std::time::Duration;

use category_mirror::{
    domain::{Failure, FailureReason, Retry},
    gbp::{Client, Credentials, Endpoint, GbpConfig, WriteFailure},
};

use super::fake::{AT_ANY_TIME, Fake, HUSH, answer, categories, client, config, id, location, nobody, raw, real};

async fn write(client: &Client) -> WriteFailure {
    client.writer(real()).replace_categories(&id(), &categories(), AT_ANY_TIME).await.expect_err("a failure")
}

async fn read(endpoint: &Endpoint) -> Failure {
    client(endpoint).reader().location(&id()).await.expect_err("a failure")
}

fn is_unavailable(failure: &Failure) -> bool {
    failure.reason == FailureReason::UpstreamUnavailable && failure.retry == Retry::Backoff
}

#[tokio::test]
async fn without_a_connection_nothing_was_written() {
    let endpoint = nobody().await;
    let WriteFailure::Refused(failure) = write(&client(&endpoint)).await else { panic!("nothing was sent") };
    assert!(is_unavailable(&failure), "{failure:?}");
    let origin = endpoint.to_string().trim_end_matches('/').to_owned();
    assert!(failure.message.contains(&format!("no connection ({origin})")), "{}", failure.message);
    assert!(is_unavailable(&read(&endpoint).await));
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_the_outcome_unknown() {
    let half =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"name\": \"locations/1\"";
    let chunked = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n";
    for broken in ["", "HTTP/1.1 200", half, chunked] {
        let WriteFailure::Unknown(failure) = write(&client(&raw(Some(broken.to_owned())).await)).await else {
            panic!("the server may have acted: {broken}")
        };
        assert!(is_unavailable(&failure), "{broken}: {failure:?}");
        assert!(is_unavailable(&read(&raw(Some(broken.to_owned())).await).await), "{broken}");
    }
}

#[tokio::test]
async fn a_refusal_whose_body_breaks_off_is_nobodys_word() {
    let head =
        |status: &str| format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{{");
    // Whether it was Google that refused, and why, only the body would have told.
    for status in ["404 Not Found", "403 Forbidden", "400 Bad Request"] {
        let WriteFailure::Unknown(failure) = write(&client(&raw(Some(head(status))).await)).await else {
            panic!("{status}: it may come from a gateway")
        };
        assert!(is_unavailable(&failure), "{failure:?}");
    }
}

#[tokio::test]
async fn silence_ends_with_the_timeout_and_leaves_the_outcome_unknown() {
    let endpoint = raw(None).await;
    let credentials = Credentials::access_token(HUSH.to_owned()).expect("a token");
    let timeout = Duration::from_secs(1);
    let client = Client::new(GbpConfig { credentials, timeout, ..config(&endpoint) }).expect("a client");
    let WriteFailure::Unknown(failure) = write(&client).await else { panic!("the server may have acted") };
    assert!(is_unavailable(&failure), "{failure:?}");
    assert!(failure.message.contains("no answer in time"), "{}", failure.message);
}

#[tokio::test]
async fn a_success_that_cannot_be_understood_leaves_the_outcome_unknown() {
    for body in ["", "{}", "<html>", r#"{"name": "locations/2"}"#, r#"{"name": "locations/1", "categories": {}}"#] {
        let fake = Fake::start(move |_| answer(200, body)).await;
        let WriteFailure::Unknown(failure) = write(&client(&fake.endpoint)).await else {
            panic!("it was probably written: {body}")
        };
        assert_eq!((failure.reason, failure.retry), (FailureReason::UpstreamInvalid, Retry::Backoff), "{body}");
        assert_eq!(fake.seen().len(), 1);
    }
}

#[tokio::test]
async fn connections_are_kept() {
    let fake = Fake::start(|_| answer(200, location())).await;
    let reader = client(&fake.endpoint).reader();
    for _ in 0..10 {
        reader.location(&id()).await.expect("read");
    }
    // One is usual. A connection that is a moment late in coming back may be replaced, but not each time.
    assert!(fake.connections() < 10, "{}", fake.connections());
}
