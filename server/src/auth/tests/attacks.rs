//! Valid tokens, and tokens that are almost valid.

use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;
use crate::auth::Rejected;
use crate::domain::{Role, TenantId, TenantScope};

#[tokio::test]
async fn every_supported_algorithm_verifies_its_own_tokens_only() {
    let pairs = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA].map(Pair::generate);
    for pair in &pairs {
        let verifier = public_key(pair).await;
        let caller = verifier.verify(&pair.sign(None, &claims()), now()).await.expect("good");
        assert_eq!((caller.subject.as_str(), caller.role, caller.scope), ("me", Some(Role::Admin), TenantScope::All));
        assert_eq!(caller.expires_at.timestamp(), NOW + 3600 + 60);
        for other in pairs.iter().filter(|other| other.algorithm != pair.algorithm) {
            let token = other.sign(None, &claims());
            assert_eq!(verifier.verify(&token, now()).await, Err(Rejected::Algorithm), "{:?}", other.algorithm);
        }
        let stranger = Pair::generate(pair.algorithm);
        assert_eq!(verifier.verify(&stranger.sign(None, &claims()), now()).await, Err(Rejected::Signature));
    }
}

#[tokio::test]
async fn a_public_key_is_no_secret() {
    // Algorithm confusion: the verifier of RS256 is asked to check an HMAC whose secret is public.
    let pair = Pair::generate(Algorithm::RS256);
    let verifier = public_key(&pair).await;
    for secret in [pair.public_pem.as_str(), pair.public_pem.trim_end()] {
        let token = sign(Algorithm::HS256, None, &claims(), &EncodingKey::from_secret(secret.as_bytes()));
        assert_eq!(verifier.verify(&token, now()).await, Err(Rejected::Algorithm));
    }
}

#[tokio::test]
async fn a_token_is_rejected_for_what_is_wrong_with_it() {
    let number = |claim| Rejected::Claim { claim, rule: "a number of seconds since 1970" };
    let subject = Rejected::Claim { claim: "sub", rule: "1 to 200 letters, digits, spaces and ASCII punctuation" };
    let roles = Rejected::Claim { claim: "roles", rule: "an array of strings" };
    let tenants = Rejected::Claim { claim: "tenants", rule: "an array of tenant ids" };
    let table = [
        (without("exp"), Rejected::Missing("exp")),
        (with("exp", Value::Null), number("exp")),
        (with("exp", json!("1800000000")), number("exp")),
        (with("exp", json!(-1)), number("exp")),
        (with("exp", json!(1e300)), number("exp")),
        (with("exp", json!(u64::MAX)), number("exp")),
        (with("exp", json!(NOW - 60)), Rejected::Expired),
        (with("exp", json!(0)), Rejected::Expired),
        (with("nbf", json!(NOW + 61)), Rejected::NotYetValid),
        (with("nbf", json!("tomorrow")), number("nbf")),
        (without("sub"), Rejected::Missing("sub")),
        (with("sub", Value::Null), subject.clone()),
        (with("sub", json!("")), subject.clone()),
        (with("sub", json!("   ")), subject.clone()),
        (with("sub", json!(7)), subject.clone()),
        (with("sub", json!("me\nERROR forged log line")), subject.clone()),
        (with("sub", json!("me\u{202e}nimda")), subject.clone()),
        (with("sub", json!("x".repeat(201))), subject),
        (with("roles", json!("admin")), roles.clone()),
        (with("roles", json!([1])), roles.clone()),
        (with("roles", Value::Null), roles),
        (with("tenants", Value::Null), tenants.clone()),
        (with("tenants", json!("store-1")), tenants.clone()),
        (with("tenants", json!(["store-1", 2])), tenants.clone()),
        (with("tenants", json!(["store-1", "*"])), tenants.clone()),
        (with("tenants", json!(["-"])), tenants.clone()),
        (with("tenants", json!(["organizations/chain"])), tenants.clone()),
        (with("tenants", json!([""])), tenants),
        (json!(["no", "object"]), Rejected::Malformed),
    ];
    let verifier = hs256().await;
    for (claims, expected) in table {
        assert_eq!(verifier.verify(&hs256_token(&claims), now()).await, Err(expected), "{claims}");
    }
}

#[tokio::test]
async fn what_is_within_the_rules_is_accepted() {
    let verifier = hs256().await;
    for claims in [
        with("exp", json!(NOW - 59)),
        with("exp", json!(NOW as f64 + 0.5)),
        with("nbf", json!(NOW + 60)),
        with("aud", json!("anybody")),
        with("iss", json!("anybody")),
        with("sub", json!("système:compte:ünïcode|auth0 <me@example.com>")),
        with("sub", json!("é".repeat(200))),
    ] {
        let caller =
            verifier.verify(&hs256_token(&claims), now()).await.unwrap_or_else(|error| panic!("{claims}: {error}"));
        assert_eq!(claims["sub"], caller.subject);
    }
}

#[tokio::test]
async fn time_passes() {
    let verifier = hs256().await;
    let token = hs256_token(&claims());
    let last = now() + TimeDelta::seconds(3600 + 59);
    assert!(verifier.verify(&token, last).await.is_ok());
    assert_eq!(verifier.verify(&token, last + TimeDelta::seconds(1)).await, Err(Rejected::Expired));
}

#[tokio::test]
async fn roles_and_tenants_limit() {
    let verifier = hs256().await;
    let roles = [
        (json!(["viewer"]), Some(Role::Viewer)),
        (json!(["viewer", "admin", "viewer"]), Some(Role::Admin)),
        (json!(["billing", "viewer"]), Some(Role::Viewer)),
        (json!(["Admin", "root"]), None),
        (json!([]), None),
    ];
    for (roles, role) in roles {
        let token = hs256_token(&with("roles", roles.clone()));
        assert_eq!(verifier.verify(&token, now()).await.expect("good").role, role, "{roles}");
    }
    assert_eq!(verifier.verify(&hs256_token(&without("roles")), now()).await.expect("good").role, None);

    let id = |id| TenantId::parse(id).expect("valid");
    let token = hs256_token(&with("tenants", json!(["store-1", "tenants/store-2"])));
    let scope = verifier.verify(&token, now()).await.expect("good").scope;
    assert_eq!(scope, TenantScope::Only(vec![id("store-1"), id("store-2")]));
    let scope = verifier.verify(&hs256_token(&with("tenants", json!([]))), now()).await.expect("good").scope;
    assert!(!scope.allows(&id("store-1")), "an empty list is no tenant, not every tenant");
}

#[tokio::test]
async fn issuer_and_audience_are_checked_when_configured() {
    let files = Files::new();
    let args = AuthArgs {
        auth_hs256_secret_file: files.write("secret", SECRET),
        auth_issuer: Some("https://id.example.com".into()),
        auth_audience: Some("category-mirror".into()),
        ..AuthArgs::default()
    };
    let verifier = Verifier::from_args(&args).await.expect("configured");
    let token = |iss: Value, aud: Value| {
        let mut claims = claims();
        (claims["iss"], claims["aud"]) = (iss, aud);
        hs256_token(&claims)
    };
    let (iss, aud) = (json!("https://id.example.com"), json!("category-mirror"));
    assert!(verifier.verify(&token(iss.clone(), aud.clone()), now()).await.is_ok());
    assert!(verifier.verify(&token(iss.clone(), json!(["other", "category-mirror"])), now()).await.is_ok());
    for wrong in
        [Value::Null, json!("https://id.example.com.evil.example"), json!(["https://id.example.com"]), json!("")]
    {
        assert_eq!(verifier.verify(&token(wrong, aud.clone()), now()).await, Err(Rejected::Issuer));
    }
    for wrong in [Value::Null, json!("category"), json!(["other"]), json!([]), json!({ "category-mirror": true })] {
        assert_eq!(verifier.verify(&token(iss.clone(), wrong), now()).await, Err(Rejected::Audience));
    }
    assert_eq!(verifier.verify(&hs256_token(&claims()), now()).await, Err(Rejected::Issuer), "missing");
}

#[tokio::test]
async fn an_unsigned_or_changed_token_is_rejected() {
    let verifier = hs256().await;
    for alg in ["none", "None", "NONE", "nOnE", "HS1", ""] {
        let header = json!({ "alg": alg, "typ": "JWT" });
        assert_eq!(verifier.verify(&forge(&header, &claims(), b""), now()).await, Err(Rejected::Malformed), "{alg}");
    }
    for alg in ["HS512", "RS256", "ES256", "EdDSA"] {
        let header = json!({ "alg": alg, "typ": "JWT" });
        assert_eq!(verifier.verify(&forge(&header, &claims(), b"x"), now()).await, Err(Rejected::Algorithm), "{alg}");
    }
    let header = json!({ "alg": "HS256" });
    for signature in [&b""[..], &[0; 32]] {
        assert_eq!(verifier.verify(&forge(&header, &claims(), signature), now()).await, Err(Rejected::Signature));
    }
    // Another token's claims with a valid signature, and a valid token with a modified header.
    let good = hs256_token(&with("roles", json!(["viewer"])));
    let parts = good.split('.').collect::<Vec<_>>();
    let forged = forge(&header, &claims(), b"");
    let forged = forged.split('.').collect::<Vec<_>>();
    let swapped = format!("{}.{}.{}", parts[0], forged[1], parts[2]);
    assert_eq!(verifier.verify(&swapped, now()).await, Err(Rejected::Signature));
    let swapped = format!("{}.{}.{}", forged[0], parts[1], parts[2]);
    assert_eq!(verifier.verify(&swapped, now()).await, Err(Rejected::Signature));
    let header = json!({ "alg": "HS256", "crit": ["exp"] });
    assert_eq!(verifier.verify(&forge(&header, &claims(), b"x"), now()).await, Err(Rejected::Critical));
}

#[tokio::test]
async fn the_key_in_the_token_is_never_used() {
    let stranger = Pair::generate(Algorithm::ES256);
    let mut header = Header::new(Algorithm::ES256);
    header.jwk = Some(Jwk::from_encoding_key(&stranger.signing, Algorithm::ES256).expect("a JWK"));
    header.jku = Some("https://evil.example/keys".into());
    let token = encode(&header, &claims(), &stranger.signing).expect("signed");
    let verifier = public_key(&Pair::generate(Algorithm::ES256)).await;
    assert_eq!(verifier.verify(&token, now()).await, Err(Rejected::Signature));
}

#[tokio::test]
async fn garbage_is_rejected_and_the_message_holds_nothing_of_it() {
    let verifier = hs256().await;
    let good = hs256_token(&claims());
    let big = "x".repeat(8193);
    let no_claims = hs256_token(&json!("text"));
    for token in ["", ".", "..", "...", "a.b.c", "Bearer x", "é.é.é", "\0", &good[1..], &format!("{good}."), &no_claims]
    {
        let error = verifier.verify(token, now()).await.expect_err("garbage");
        assert!(matches!(error, Rejected::Malformed | Rejected::Signature), "{token:?}: {error:?}");
    }
    assert_eq!(verifier.verify(&big, now()).await, Err(Rejected::TooLong));
    let padded = hs256_token(&with("padding", json!("x".repeat(9000))));
    let error = verifier.verify(&padded, now()).await.expect_err("too long, though good");
    assert_eq!(error.to_string(), "token is longer than 8192 bytes");
    assert!(!format!("{verifier:?}").contains("0123456789abcdef"), "a secret in a debug print");
}
