//! Key sets, from a file and from a provider that rotates its keys.

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
use crate::auth::remote::{Pace, Remote};

async fn from_file(keys: &[Value]) -> Result<Verifier, String> {
    let files = Files::new();
    let args = AuthArgs {
        auth_jwks_file: files.write("keys.json", json!({ "keys": keys }).to_string()),
        ..AuthArgs::default()
    };
    Verifier::from_args(&args).await.map_err(|error| error.to_string())
}

/// A provider on this machine, whose answer the test decides.
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
        Verifier::remote(Remote::connect(&self.url(), Pace { min_pause, max_age }).await.expect("fetched"))
    }

    fn publish(&self, status: StatusCode, body: String) {
        *self.answer.lock().expect("not poisoned") = (status, body);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn the_kid_chooses_the_key_and_the_key_the_algorithm() {
    let [rsa, ec, ed] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(Pair::generate);
    let verifier = from_file(&[rsa.jwk("rsa"), ec.jwk("ec"), ed.jwk("ed")]).await.expect("a set");
    for (pair, kid) in [(&rsa, "rsa"), (&ec, "ec"), (&ed, "ed")] {
        assert!(verifier.verify(&pair.sign(Some(kid), &claims()), now()).await.is_ok(), "{kid}");
        assert_eq!(verifier.verify(&pair.sign(None, &claims()), now()).await, Err(Rejected::NoKeyId));
        for unknown in ["RSA", "", "../rsa", "rsa\0"] {
            assert_eq!(verifier.verify(&pair.sign(Some(unknown), &claims()), now()).await, Err(Rejected::UnknownKey));
        }
    }
    // Pointing at another's key does not make it sign.
    assert_eq!(verifier.verify(&rsa.sign(Some("ec"), &claims()), now()).await, Err(Rejected::Algorithm));
    let stranger = Pair::generate(Algorithm::ES256);
    assert_eq!(verifier.verify(&stranger.sign(Some("ec"), &claims()), now()).await, Err(Rejected::Signature));
}

#[tokio::test]
async fn a_single_key_needs_no_name() {
    let pair = Pair::generate(Algorithm::ES256);
    let mut nameless = pair.jwk("");
    nameless.as_object_mut().expect("an object").remove("kid");
    nameless.as_object_mut().expect("an object").remove("alg");
    let verifier = from_file(&[nameless]).await.expect("a set");
    assert!(verifier.verify(&pair.sign(None, &claims()), now()).await.is_ok());
    assert_eq!(verifier.verify(&pair.sign(Some("x"), &claims()), now()).await, Err(Rejected::UnknownKey));
}

#[tokio::test]
async fn keys_that_must_not_verify_are_left_out() {
    let pair = Pair::generate(Algorithm::RS256);
    let changed = |member: &str, value: Value| {
        let mut jwk = pair.jwk("k");
        jwk[member] = value;
        jwk
    };
    let symmetric = json!({ "kty": "oct", "kid": "k", "alg": "HS256", "k": BASE64_URL_SAFE_NO_PAD.encode(SECRET) });
    let unusable = [
        symmetric,
        changed("alg", json!("HS256")),
        changed("alg", json!("RS512")),
        changed("alg", json!("none")),
        changed("use", json!("enc")),
        changed("key_ops", json!(["sign"])),
        changed("kty", json!("EC")),
        changed("n", json!("AQAB")),
        json!({ "kty": "EC", "crv": "P-384", "kid": "k", "x": "AA", "y": "AA" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": "AA", "y": "AA" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AA" }),
        json!("k"),
        json!(null),
    ];
    for jwk in unusable {
        let error = from_file(std::slice::from_ref(&jwk)).await.expect_err("no key is left");
        assert!(
            error.starts_with("AUTH_JWKS_FILE") && error.ends_with("holds no key that can verify a token"),
            "{jwk}: {error}"
        );
        // One that cannot be used does not spoil the set, nor does it take the other's place.
        let verifier = from_file(&[pair.jwk("good"), jwk.clone()]).await.expect("one is left");
        let secret = sign(Algorithm::HS256, Some("k"), &claims(), &EncodingKey::from_secret(SECRET));
        assert_eq!(verifier.verify(&secret, now()).await, Err(Rejected::UnknownKey), "{jwk}");
    }
    let double = from_file(&[pair.jwk("k"), Pair::generate(Algorithm::RS256).jwk("k")]).await.expect("a set");
    assert!(double.verify(&pair.sign(Some("k"), &claims()), now()).await.is_ok(), "the first one of a name counts");
    for text in ["", "{}", "[]", "{\"keys\": {}}"] {
        let files = Files::new();
        let args = AuthArgs { auth_jwks_file: files.write("keys.json", text), ..AuthArgs::default() };
        let error = Verifier::from_args(&args).await.expect_err("no set").to_string();
        assert!(error.contains("is not a JSON Web Key Set"), "{text}: {error}");
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
        (credentials.as_str(), "must not hold a user name"),
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
        let args = AuthArgs { auth_jwks_url: Some(provider.url()), ..AuthArgs::default() };
        let error = Verifier::from_args(&args).await.expect_err("refused").to_string();
        assert!(error.contains(problem), "{error}");
    }
}
