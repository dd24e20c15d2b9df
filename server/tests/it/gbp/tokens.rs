//! Access tokens: renewed when needed, once for all, and shown to nobody but Google.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use category_mirror::{
    domain::{AuthorizedUser, FailureReason, LocationId, Retry},
    gbp::{Client, Credentials, Endpoint, GbpConfig, WriteFailure},
};
use futures::future::join_all;
use serde_json::{Value, json};

use super::fake::{
    AT_ANY_TIME, Fake, HUSH, answer, categories, client, config, id, location, location_of, real, renewing_client,
};

/// A token endpoint that hands out `hush-hush-1`, `hush-hush-2` and so on.
async fn tokens(expires_in: u64) -> Fake {
    let count = AtomicU32::new(0);
    Fake::start(move |_| {
        let token = format!("{HUSH}-{}", count.fetch_add(1, Ordering::Relaxed) + 1);
        answer(200, json!({"access_token": token, "expires_in": expires_in, "token_type": "Bearer", "scope": "s"}))
    })
    .await
}

/// An API that knows one access token.
async fn api(token: &'static str) -> Fake {
    Fake::start(move |seen| match seen.authorization() == format!("Bearer {token}") {
        true => answer(200, location()),
        false => answer(401, json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "Expired."}})),
    })
    .await
}

async fn ten_reads(client: &Client) -> usize {
    let reader = client.reader();
    let id = id();
    join_all((0..10).map(|_| reader.location(&id))).await.into_iter().filter(Result::is_ok).count()
}

#[tokio::test]
async fn ten_calls_share_one_renewal_and_the_token_lasts() {
    let (tokens, api) = (tokens(3600).await, api("hush-hush-1").await);
    let client = renewing_client(&api.endpoint, &tokens.endpoint);
    assert_eq!(ten_reads(&client).await, 10);
    assert_eq!(ten_reads(&client.clone()).await, 10);
    let [renewal] = &tokens.seen()[..] else { panic!("{} renewals", tokens.seen().len()) };
    assert_eq!((renewal.method.as_str(), renewal.uri.as_str()), ("POST", "/"));
    let form = "grant_type=refresh_token&client_id=the-client&client_secret=hush-hush-1&refresh_token=hush-hush-2";
    assert_eq!(renewal.body, form);
    assert!(!renewal.headers.contains_key("authorization"));
}

#[tokio::test]
async fn ten_rejected_calls_share_one_renewal_and_are_sent_again() {
    let (tokens, api) = (tokens(3600).await, api("hush-hush-2").await);
    let client = renewing_client(&api.endpoint, &tokens.endpoint);
    assert_eq!(ten_reads(&client).await, 10);
    assert_eq!(tokens.seen().len(), 2);
    assert_eq!(api.seen().len(), 20);
}

#[tokio::test]
async fn a_token_that_expires_at_once_is_used_once() {
    let (tokens, api) = (tokens(0).await, Fake::start(|_| answer(200, location())).await);
    let reader = renewing_client(&api.endpoint, &tokens.endpoint).reader();
    for _ in 0..2 {
        reader.location(&id()).await.expect("read");
    }
    let sent: Vec<String> = api.seen().iter().map(|seen| seen.authorization().to_owned()).collect();
    assert_eq!(sent, ["Bearer hush-hush-1", "Bearer hush-hush-2"]);
}

#[tokio::test]
async fn a_write_is_sent_again_after_a_rejected_token_and_only_then() {
    let (tokens, api) = (tokens(3600).await, api("hush-hush-2").await);
    let writer = renewing_client(&api.endpoint, &tokens.endpoint).writer(real());
    writer.replace_categories(&id(), &categories(), AT_ANY_TIME).await.expect("written");
    assert_eq!(api.seen().len(), 2);
}

#[tokio::test]
async fn a_second_rejection_is_final() {
    let (tokens, api) = (tokens(3600).await, api("none").await);
    let writer = renewing_client(&api.endpoint, &tokens.endpoint).writer(real());
    let WriteFailure::Refused(failure) =
        writer.replace_categories(&id(), &categories(), AT_ANY_TIME).await.expect_err("rejected")
    else {
        panic!("a rejected token writes nothing")
    };
    assert_eq!((failure.reason, failure.retry), (FailureReason::CredentialsRejected, Retry::Never));
    assert_eq!((api.seen().len(), tokens.seen().len()), (3, 2), "the last call asks for something else");
    assert_eq!(of_locations(&api), 2);
}

/// How many of the calls were about a location.
fn of_locations(api: &Fake) -> usize {
    api.seen().iter().filter(|seen| seen.uri.contains("/locations/")).count()
}

/// A renewed token that Google rejects, too, is tried elsewhere before it is the credentials' end, and everybody's.
#[tokio::test]
async fn a_second_rejection_is_looked_into() {
    use FailureReason::{CredentialsRejected, UpstreamUnavailable};
    let google = |status: u16| json!({"error": {"code": status, "message": "No.", "status": "X"}}).to_string();
    let (never, later) = (Retry::Never, Retry::Backoff);
    for (elsewhere, body, class, is_elsewhere, is_kept) in [
        (200, "{}".to_owned(), (CredentialsRejected, never), true, false),
        (400, google(400), (CredentialsRejected, never), true, false),
        (403, google(403), (CredentialsRejected, never), true, false),
        (401, google(401), (CredentialsRejected, never), false, true),
        // What is no answer of Google's, and what it may answer before it checks who asks.
        (401, "<html>".to_owned(), (UpstreamUnavailable, later), false, false),
        (403, String::new(), (UpstreamUnavailable, later), false, false),
        (429, google(429), (UpstreamUnavailable, later), false, false),
        (503, google(503), (UpstreamUnavailable, later), false, false),
    ] {
        let case = format!("{elsewhere} {body}");
        let (rejected, tokens) = (google(401), tokens(3600).await);
        let api = Fake::start(move |seen| match seen.uri.as_str() {
            "/v1/locations/2?readMask=name%2Ctitle%2Ccategories%2Cmetadata%2CopenInfo" => answer(200, location_of("2")),
            uri if uri.contains("/locations/") => answer(401, &rejected),
            _ => answer(elsewhere, &body),
        })
        .await;
        let reader = renewing_client(&api.endpoint, &tokens.endpoint).reader();
        let failure = reader.location(&id()).await.expect_err("rejected");
        assert_eq!((failure.reason, failure.retry), class, "{case}: {failure:?}");
        assert_eq!((failure.is_accepted_elsewhere(), failure.is_cached()), (is_elsewhere, false), "{case}");
        assert_eq!((of_locations(&api), api.seen().len(), tokens.seen().len()), (2, 3, 2), "{case}");
        // Whether others pay for it.
        let other = reader.location(&LocationId::parse("2").expect("valid")).await;
        assert_eq!(other.is_err_and(|failure| failure.is_cached()), is_kept, "{case}");
    }
}

#[tokio::test]
async fn a_401_that_is_not_googles_is_no_rejection_and_no_write_is_sent_again_for_it() {
    let (tokens, api) = (tokens(3600).await, Fake::start(|_| answer(401, "<html>Sign in</html>")).await);
    let client = renewing_client(&api.endpoint, &tokens.endpoint);
    let failure = client.reader().location(&id()).await.expect_err("not read");
    assert_eq!((failure.reason, failure.retry), (FailureReason::UpstreamInvalid, Retry::Backoff));
    assert_eq!((api.seen().len(), tokens.seen().len()), (2, 2), "a read may be sent again");
    let WriteFailure::Unknown(failure) =
        client.writer(real()).replace_categories(&id(), &categories(), AT_ANY_TIME).await.expect_err("no answer")
    else {
        panic!("what stands before Google may have passed it on")
    };
    assert_eq!((failure.reason, failure.retry), (FailureReason::UpstreamInvalid, Retry::Backoff));
    assert_eq!((api.seen().len(), tokens.seen().len()), (3, 2));
}

#[tokio::test]
async fn credentials_that_google_refused_are_not_shown_to_it_again_at_once() {
    let gone = Fake::start(|_| answer(400, json!({"error": "invalid_grant"}))).await;
    let refused = (gone, api("none").await, 1, 0);
    // Google gives out tokens for these, and takes none of them.
    let useless = (tokens(3600).await, api("none").await, 2, 3);
    for (tokens, api, renewals, calls) in [refused, useless] {
        let client = renewing_client(&api.endpoint, &tokens.endpoint);
        let first = client.reader().location(&id()).await.expect_err("refused");
        assert_eq!((first.reason, first.is_cached()), (FailureReason::CredentialsRejected, false));
        for _ in 0..3 {
            let later = client.reader().location(&id()).await.expect_err("remembered");
            assert_eq!((later.reason, later.is_cached()), (FailureReason::CredentialsRejected, true));
        }
        assert_eq!((tokens.seen().len(), api.seen().len()), (renewals, calls));
        // Somebody who wants to know it is told, and in another's name all is as it was.
        assert_eq!(client.refresh().await.is_ok(), renewals == 2);
        let user = || "another".to_owned().into();
        let other = client.with_credentials(AuthorizedUser {
            client_id: "another".to_owned(),
            client_secret: user(),
            refresh_token: user(),
        });
        assert!(!other.reader().location(&id()).await.expect_err("refused").is_cached());
        assert!(tokens.seen().last().expect("asked").body.contains("client_id=another"));
    }
}

#[tokio::test]
async fn an_error_that_repeats_the_token_is_kept_without_it() {
    let body = json!({"error": {
        "code": 400,
        "message": format!("{HUSH} is bad"),
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": HUSH, "metadata": {HUSH: HUSH}}],
    }});
    // As JSON may also write it.
    let escaped = body.to_string().replace("hush-hush", "hush\\u002dhush");
    for body in [body.to_string(), escaped] {
        let api = Fake::start(move |_| answer(400, &body)).await;
        let failure = client(&api.endpoint).reader().location(&id()).await.expect_err("refused");
        let shown = format!("{failure:?}");
        assert!(!shown.contains("hush") && shown.contains("[redacted]"), "{shown}");
    }
}

#[tokio::test]
async fn a_fixed_token_is_not_tried_twice() {
    let api = api("another").await;
    let failure = client(&api.endpoint).reader().location(&id()).await.expect_err("rejected");
    assert_eq!((failure.reason, failure.retry), (FailureReason::CredentialsRejected, Retry::Never));
    assert_eq!((of_locations(&api), api.seen().len()), (1, 2), "there is no other, but another call");
}

/// How a write fails for which no token can be had, and how often the token endpoint was asked for ten of them.
async fn without_token(status: u16, body: Value) -> (FailureReason, Retry, usize) {
    let tokens = Fake::start(move |_| answer(status, &body)).await;
    let api = api("none").await;
    let writer = renewing_client(&api.endpoint, &tokens.endpoint).writer(real());
    let (id, categories) = (id(), categories());
    let mut results = join_all((0..10).map(|_| writer.replace_categories(&id, &categories, AT_ANY_TIME))).await;
    let Some(Err(WriteFailure::Refused(failure))) = results.pop() else { panic!("nothing was sent") };
    assert!(results.iter().all(|result| *result == Err(WriteFailure::Refused(failure.clone()))));
    assert!(api.seen().is_empty());
    assert!(!format!("{failure:?}").contains(HUSH), "{failure:?}");
    (failure.reason, failure.retry, tokens.seen().len())
}

#[tokio::test]
async fn a_failed_renewal_is_shared_too_and_classed() {
    use FailureReason::{CredentialsRejected, QuotaExhausted, UpstreamInvalid, UpstreamUnavailable};
    let token = |token: Value| json!({"access_token": token, "expires_in": 3600});
    for (status, body, reason, retry) in [
        (400, json!({"error": "invalid_grant", "error_description": HUSH}), CredentialsRejected, Retry::Never),
        (401, json!({"error": "invalid_client"}), CredentialsRejected, Retry::Never),
        (400, json!({"error": HUSH}), UpstreamInvalid, Retry::Backoff),
        (400, json!({"error": "temporarily_unavailable"}), UpstreamUnavailable, Retry::Backoff),
        (503, json!({"error": "temporarily_unavailable"}), UpstreamUnavailable, Retry::Backoff),
        (401, json!({"error": "server_error"}), UpstreamUnavailable, Retry::Backoff),
        (400, json!({"error": "rate_limit_exceeded"}), QuotaExhausted, Retry::Backoff),
        (403, json!({"error": "rate_limit_exceeded"}), QuotaExhausted, Retry::Backoff),
        (429, json!({"error": "rate_limit_exceeded"}), QuotaExhausted, Retry::Backoff),
        (403, json!({"error": "access_denied"}), CredentialsRejected, Retry::Never),
        (404, json!({"error": "invalid_grant"}), UpstreamInvalid, Retry::Backoff),
        (429, json!({}), QuotaExhausted, Retry::Backoff),
        (503, json!({}), UpstreamUnavailable, Retry::Backoff),
        (200, json!({}), UpstreamInvalid, Retry::Backoff),
        (200, json!(HUSH), UpstreamInvalid, Retry::Backoff),
        (200, token(json!("hush-hush\r\nx-other: 1")), UpstreamInvalid, Retry::Backoff),
        (200, json!({"access_token": "a", "expires_in": HUSH}), UpstreamInvalid, Retry::Backoff),
        (200, json!({"access_token": "a", "token_type": HUSH}), UpstreamInvalid, Retry::Backoff),
    ] {
        let told = body.to_string();
        assert_eq!(without_token(status, body).await, (reason, retry, 1), "{status} {told}");
    }
}

#[tokio::test]
async fn nothing_shows_a_secret() {
    let (tokens, api) = (tokens(3600).await, api("hush-hush-1").await);
    let config = config(&api.endpoint);
    let renewing = renewing_client(&api.endpoint, &tokens.endpoint);
    renewing.reader().location(&id()).await.expect("read");
    let fixed = client(&api.endpoint);
    let rejected = fixed.reader().location(&id()).await.expect_err("rejected");
    let unreachable = client(&Endpoint::parse("http://127.0.0.1:1").expect("a URL")).reader().location(&id()).await;
    let shown = format!(
        "{config:?} {renewing:?} {fixed:?} {:?} {:?} {:?} {rejected:?} {unreachable:?}",
        fixed.reader(),
        fixed.validator(),
        fixed.writer(real())
    );
    assert!(!shown.contains(HUSH), "{shown}");
    assert!(shown.contains("[redacted]"), "{shown}");
}

#[tokio::test]
async fn a_write_that_waited_for_a_token_is_not_sent_when_too_little_time_is_left() {
    // The answer to the first request is 401. The lease ends while the token is renewed: by then another server may hold the run.
    let (tokens, api) = (tokens(3600).await, api("hush-hush-2").await);
    let client = renewing_client(&api.endpoint, &tokens.endpoint);
    let begun = Instant::now();
    let is_lost = || tokens.seen().len() > 1;
    let deadline = move || (!is_lost()).then_some(begun + Duration::from_secs(3600));
    let written = client.writer(real()).replace_categories(&id(), &categories(), &deadline).await;
    assert_eq!(written, Err(WriteFailure::Expired));
    assert_eq!(api.seen().len(), 1, "only the one that was refused");
}

#[tokio::test]
async fn a_write_is_sent_only_while_a_whole_requests_time_is_left() {
    let api = api(HUSH).await;
    let credentials = Credentials::access_token(HUSH.to_owned()).expect("a token");
    let timeout = Duration::from_secs(60);
    let writer =
        Client::new(GbpConfig { credentials, timeout, ..config(&api.endpoint) }).expect("a client").writer(real());
    for (left, is_sent) in [(59, false), (3600, true)] {
        let end = Instant::now() + Duration::from_secs(left);
        let written = writer.replace_categories(&id(), &categories(), &|| Some(end)).await;
        assert_eq!((written.is_ok(), api.seen().len()), (is_sent, usize::from(is_sent)), "{left} s left: {written:?}");
    }
}
