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
        self.paced(Pace { min_pause, max_age, max_staleness: Duration::MAX }).await
    }

    async fn paced(&self, pace: Pace) -> Verifier {
        Verifier::remote(Remote::connect(&self.url(), pace).await.expect("fetched"))
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
        // Zeros before it do not make a number longer.
        changed("n", json!(format!("{}AQAB", "A".repeat(400)))),
        // With the exponent 1 every message is its own signature.
        changed("e", json!("AQ")),
        changed("e", json!("AAAB")),
        changed("e", json!("AA")),
        changed("e", json!("Ag")),
        changed("e", json!("")),
        off_curve(),
        json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": coordinate(&[0; 32]), "y": coordinate(&[0; 32]) }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "k", "x": coordinate(&[0xff; 32]), "y": coordinate(&[0xff; 32]) }),
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

fn coordinate(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A point that has another's x.
fn off_curve() -> Value {
    let [mut one, other] = [Pair::generate(Algorithm::ES256).jwk("k"), Pair::generate(Algorithm::ES256).jwk("k")];
    one["x"] = other["x"].clone();
    one
}

/// Every encoding of the eight points of small order, with either sign of x.
fn small_order() -> Vec<[u8; 32]> {
    let order_8: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    // The other two are p less than these: the lowest byte is taken from 0xed, all others from 0xff, the highest from 0x7f.
    let mut negated = order_8.map(|byte| 0xff - byte);
    (negated[0], negated[31]) = (0xed - order_8[0], 0x7f - order_8[31]);
    let number = |low: u8, rest: u8, high: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (low, high);
        bytes
    };
    let canonical = [number(0, 0, 0), number(1, 0, 0), order_8, negated, number(0xec, 0xff, 0x7f)];
    let others = [number(0xed, 0xff, 0x7f), number(0xee, 0xff, 0x7f)];
    let with_sign = |mut bytes: [u8; 32]| {
        bytes[31] |= 0x80;
        [
            {
                let mut plain = bytes;
                plain[31] &= 0x7f;
                plain
            },
            bytes,
        ]
    };
    canonical.into_iter().chain(others).flat_map(with_sign).collect()
}

#[tokio::test]
async fn keys_for_which_anybody_can_sign_are_refused_in_sets_and_in_files() {
    for point in small_order() {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": coordinate(&point) });
        let error = from_file(&[jwk]).await.expect_err("no key is left");
        assert!(error.ends_with("holds no key that can verify a token"), "{point:x?}: {error}");
        let header: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let error = from_public_key(&[header, &point].concat()).await.expect_err("refused");
        assert!(error.starts_with("AUTH_PUBLIC_KEY_FILE") && error.contains("small order"), "{point:x?}: {error}");
    }
    // A point that is on the curve, and one that is not.
    let bytes =
        |jwk: &Value, name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("text")).expect("base64");
    for (jwk, is_on_curve) in [(Pair::generate(Algorithm::ES256).jwk("k"), true), (off_curve(), false)] {
        let header: &[u8] = &[
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
            0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
        ];
        let file = from_public_key(&[header, &bytes(&jwk, "x"), &bytes(&jwk, "y")].concat()).await;
        assert_eq!(file.is_ok(), is_on_curve, "{file:?}");
    }
}

async fn from_public_key(der: &[u8]) -> Result<Verifier, String> {
    let files = Files::new();
    let args = AuthArgs { auth_public_key_file: files.write("key.pem", pem("PUBLIC KEY", der)), ..AuthArgs::default() };
    Verifier::from_args(&args).await.map_err(|error| error.to_string())
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
        // Whoever shows an unknown key makes us ask.
        assert_eq!(verifier.verify(&pair.sign(Some("x"), &claims()), now()).await, Err(Rejected::UnknownKey));
        assert_eq!(verifier.verify(&token, now()).await, Err(Rejected::UnknownKey), "withdrawn");
        // The first set may be empty, too: its provider is there.
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
    let pace = Pace { min_pause: Duration::ZERO, max_age: Duration::MAX, max_staleness: Duration::from_millis(500) };
    let verifier = provider.paced(pace).await;
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
        // Nobody is told that the token is bad, nor that it is good.
        assert!(verifier.is_ready(), "it was there once");
        provider.publish(StatusCode::OK, set.clone());
        becomes(Ok(())).await;
    }
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
        let args = AuthArgs { auth_jwks_url: Some(provider.url().into()), ..AuthArgs::default() };
        let error = Verifier::from_args(&args).await.expect_err("refused").to_string();
        assert!(error.contains(problem), "{error}");
    }
}
