//! Key sets from a file, and keys that must not verify.

use super::*;
use crate::auth::Rejected;

async fn from_file(keys: &[Value]) -> Result<Verifier, String> {
    let files = Files::new();
    let args = AuthArgs {
        auth_jwks_file: files.write("keys.json", json!({ "keys": keys }).to_string()),
        ..AuthArgs::default()
    };
    Verifier::from_args(&args).await.map_err(|error| error.to_string())
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
    // Naming another key does not make it the signer.
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
        // Leading zeros do not make a number longer.
        changed("n", json!(format!("{}AQAB", "A".repeat(400)))),
        // With exponent 1, every message is its own signature.
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
        // An unusable key neither invalidates the set nor replaces the other key.
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

/// A point with the x coordinate of another one.
fn off_curve() -> Value {
    let [mut one, other] = [Pair::generate(Algorithm::ES256).jwk("k"), Pair::generate(Algorithm::ES256).jwk("k")];
    one["x"] = other["x"].clone();
    one
}

/// All encodings of the eight points of small order, with either sign of x.
fn small_order() -> Vec<[u8; 32]> {
    let order_8: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    // The other two are p minus these: subtract the lowest byte from 0xed, the highest from 0x7f, and all others from
    // 0xff.
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
    // A point on the curve, and one off the curve.
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
