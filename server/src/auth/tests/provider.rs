//! Key sets of a provider that rotates and withdraws its keys, has problems, or is unreachable.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;
use crate::auth::Rejected;
use crate::auth::{refresh, remote::FetchPolicy};

/// A provider on this machine, whose response the test determines.
struct Provider {
    address: SocketAddr,
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn start(keys: &[Value]) -> Self {
        let answer = Arc::new(Mutex::new((StatusCode::OK, json!({ "keys": keys }).to_string())));
        let asked = Arc::new(AtomicUsize::new(0));
        let (shown, count) = (Arc::clone(&answer), Arc::clone(&asked));
        let handler = move || async move {
            count.fetch_add(1, Ordering::SeqCst);
            shown.lock().expect("not poisoned").clone()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/keys", get(handler))).await });
        Self { address, answer, asked }
    }

    fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    async fn verifier(&self, min_pause: Duration, max_age: Duration) -> Verifier {
        self.with_policy(FetchPolicy { min_pause, max_age, max_staleness: Duration::MAX }).await
    }

    async fn with_policy(&self, policy: FetchPolicy) -> Verifier {
        Verifier::remote(refresh::connect(&self.url(), policy).await.expect("fetched"))
    }

    fn publish(&self, status: StatusCode, body: String) {
        *self.answer.lock().expect("not poisoned") = (status, body);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_rotated_key_is_found_and_a_failing_provider_changes_nothing() {
    let (old, new) = (Pair::generate(Algorithm::ES256), Pair::generate(Algorithm::EdDSA));
    let provider = Provider::start(&[old.jwk("old")]).await;
    let verifier = provider.verifier(Duration::ZERO, Duration::MAX).await;
    assert!(verifier.verify(&old.sign(Some("old"), &claims()), now()).await.is_ok());
    assert_eq!(provider.asked(), 1, "a known key needs no question");

    for (status, body) in
        [(StatusCode::BAD_GATEWAY, "down".into()), (StatusCode::OK, "{}".into()), (StatusCode::FOUND, String::new())]
    {
        provider.publish(status, body);
        assert_eq!(verifier.verify(&new.sign(Some("new"), &claims()), now()).await, Err(Rejected::UnknownKey));
        assert!(
            verifier.verify(&old.sign(Some("old"), &claims()), now()).await.is_ok(),
            "the keys from before are kept"
        );
    }

    provider.publish(StatusCode::OK, json!({ "keys": [new.jwk("new")] }).to_string());
    assert!(verifier.verify(&new.sign(Some("new"), &claims()), now()).await.is_ok());
    assert_eq!(verifier.verify(&old.sign(Some("old"), &claims()), now()).await, Err(Rejected::UnknownKey), "withdrawn");
}

#[tokio::test]
async fn a_withdrawn_key_stops_being_good_without_being_asked_for() {
    let (old, new) = (Pair::generate(Algorithm::ES256), Pair::generate(Algorithm::ES256));
    let provider = Provider::start(&[old.jwk("old")]).await;
    let verifier = provider.verifier(Duration::ZERO, Duration::ZERO).await;
    provider.publish(StatusCode::OK, json!({ "keys": [new.jwk("new")] }).to_string());
    let token = old.sign(Some("old"), &claims());
    assert!(verifier.verify(&token, now()).await.is_ok(), "nobody waits for the fetch");
    let withdrawn = async {
        while verifier.verify(&token, now()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), withdrawn).await.expect("fetched in the background");
}

#[tokio::test]
async fn an_empty_set_is_a_set_and_so_is_one_of_other_keys() {
    let pair = Pair::generate(Algorithm::ES256);
    let token = pair.sign(Some("k"), &claims());
    let symmetric = json!({ "kty": "oct", "kid": "k", "k": BASE64_URL_SAFE_NO_PAD.encode(SECRET) });
    for published in [vec![], vec![symmetric]] {
        let provider = Provider::start(&[pair.jwk("k")]).await;
        let verifier = provider.verifier(Duration::ZERO, Duration::MAX).await;
        assert!(verifier.verify(&token, now()).await.is_ok());
        provider.publish(StatusCode::OK, json!({ "keys": published }).to_string());
        // A token with an unknown key triggers a fetch.
        assert_eq!(verifier.verify(&pair.sign(Some("x"), &claims()), now()).await, Err(Rejected::UnknownKey));
        assert_eq!(verifier.verify(&token, now()).await, Err(Rejected::UnknownKey), "withdrawn");
        // The first set may be empty, because the provider responded.
        let verifier = provider.verifier(Duration::ZERO, Duration::MAX).await;
        assert!(verifier.is_ready());
        assert_eq!(verifier.verify(&token, now()).await, Err(Rejected::UnknownKey));
    }
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_for_too_long_are_good_no_longer() {
    let pair = Pair::generate(Algorithm::ES256);
    let (token, set) = (pair.sign(Some("k"), &claims()), json!({ "keys": [pair.jwk("k")] }).to_string());
    let provider = Provider::start(&[pair.jwk("k")]).await;
    let policy =
        FetchPolicy { min_pause: Duration::ZERO, max_age: Duration::MAX, max_staleness: Duration::from_millis(500) };
    let verifier = provider.with_policy(policy).await;
    let becomes = async |wanted: Result<(), Rejected>| {
        let reached = async {
            while verifier.verify(&token, now()).await.map(drop) != wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached).await.unwrap_or_else(|_| panic!("never {wanted:?}"));
    };
    for (status, body) in [
        (StatusCode::BAD_GATEWAY, "down".to_owned()),
        (StatusCode::OK, "<html>".into()),
        (StatusCode::NOT_FOUND, set.clone()),
    ] {
        provider.publish(status, body);
        becomes(Err(Rejected::KeysUnavailable)).await;
        // The token is reported neither as invalid nor as valid.
        assert!(!verifier.is_ready(), "it was there once, which is worth nothing now");
        provider.publish(StatusCode::OK, set.clone());
        becomes(Ok(())).await;
        assert!(verifier.is_ready());
    }
}

#[tokio::test]
async fn a_set_is_kept_fresh_without_any_call_and_however_often_a_fetch_fails() {
    let pair = Pair::generate(Algorithm::ES256);
    let provider = Provider::start(&[pair.jwk("k")]).await;
    let policy =
        FetchPolicy { min_pause: Duration::MAX, max_age: Duration::ZERO, max_staleness: Duration::from_secs(60) };
    let verifier = provider.with_policy(policy).await;
    let asked = async |times: usize| {
        let asked = async {
            while provider.asked() < times {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asked).await.unwrap_or_else(|_| panic!("{times} times"));
    };
    asked(4).await;
    provider.publish(StatusCode::BAD_GATEWAY, String::new());
    let before = provider.asked();
    asked(before + 3).await;
    let new = Pair::generate(Algorithm::ES256);
    provider.publish(StatusCode::OK, json!({ "keys": [new.jwk("new")] }).to_string());
    let token = new.sign(Some("new"), &claims());
    let found = async {
        while verifier.verify(&token, now()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("fetched in the background");
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_end_the_fetch_that_others_wait_for() {
    let (old, new) = (Pair::generate(Algorithm::ES256), Pair::generate(Algorithm::ES256));
    let provider = Provider::start(&[old.jwk("old")]).await;
    let verifier = provider.verifier(Duration::ZERO, Duration::MAX).await;
    provider.publish(StatusCode::OK, json!({ "keys": [new.jwk("new")] }).to_string());
    let stranger = new.sign(Some("stranger"), &claims());
    let mut left = Box::pin(verifier.verify(&stranger, now()));
    assert!(futures::poll!(left.as_mut()).is_pending());
    let token = new.sign(Some("new"), &claims());
    let mut waits = Box::pin(verifier.verify(&token, now()));
    assert!(futures::poll!(waits.as_mut()).is_pending());
    // A known key is used without waiting for the fetch.
    let known = old.sign(Some("old"), &claims());
    assert!(matches!(futures::poll!(Box::pin(verifier.verify(&known, now()))), std::task::Poll::Ready(Ok(_))));
    drop(left);
    assert!(waits.await.is_ok());
    assert_eq!(provider.asked(), 2, "one fetch for all of them");
}

#[tokio::test]
async fn a_provider_in_trouble_is_no_wrong_setting() {
    let pair = Pair::generate(Algorithm::ES256);
    let token = pair.sign(Some("k"), &claims());
    let provider = Provider::start(&[pair.jwk("k")]).await;
    for status in [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS] {
        provider.publish(status, String::new());
        let verifier = provider.verifier(Duration::from_secs(3600), Duration::MAX).await;
        assert!(!verifier.is_ready());
        assert_eq!(verifier.verify(&token, now()).await, Err(Rejected::KeysUnavailable));
        provider.publish(StatusCode::OK, json!({ "keys": [pair.jwk("k")] }).to_string());
        let ready = async {
            while !verifier.is_ready() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), ready).await.expect("fetched in the background");
        assert!(verifier.verify(&token, now()).await.is_ok());
    }
}

#[tokio::test]
async fn strangers_cannot_make_us_ask_again_and_again() {
    let pair = Pair::generate(Algorithm::ES256);
    let provider = Provider::start(&[pair.jwk("k")]).await;
    let verifier = provider.verifier(Duration::from_secs(3600), Duration::MAX).await;
    for kid in 0..50 {
        let token = pair.sign(Some(&kid.to_string()), &claims());
        assert_eq!(verifier.verify(&token, now()).await, Err(Rejected::UnknownKey));
    }
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_url_that_cannot_be_trusted_is_refused() {
    let provider = Provider::start(&[Pair::generate(Algorithm::ES256).jwk("k")]).await;
    let credentials = format!("http://user:hunter2@{}/keys?token=hunter2", provider.address);
    let table = [
        ("http://id.example.com/keys", "must begin with https://"),
        ("http://127.0.0.1.example.com/keys", "must begin with https://"),
        ("http://localhost.example.com/keys", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("keys", "relative URL"),
        ("", "relative URL"),
        (credentials.as_str(), "must not contain a user name"),
    ];
    for (url, problem) in table {
        let args = AuthArgs { auth_jwks_url: Some(url.into()), ..AuthArgs::default() };
        let error = Verifier::from_args(&args).await.expect_err("refused").to_string();
        assert!(error.starts_with("AUTH_JWKS_URL") && error.contains(problem), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(provider.asked(), 0);

    provider.publish(StatusCode::OK, " ".repeat((1 << 20) + 1));
    for (status, problem) in [(StatusCode::OK, "more than"), (StatusCode::NOT_FOUND, "answered 404")] {
        provider.publish(status, " ".repeat((1 << 20) + 1));
        let args = AuthArgs { auth_jwks_url: Some(provider.url().into()), ..AuthArgs::default() };
        let error = Verifier::from_args(&args).await.expect_err("refused").to_string();
        assert!(error.contains(problem), "{error}");
    }
}
