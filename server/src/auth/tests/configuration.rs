//! Settings: errors name the invalid one, and the verifier of the same settings accepts a signed token.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::auth::{AuthConfigError, Grant, Rejected, Signer};
use crate::domain::{Role, TenantId, TenantScope};

fn grant() -> Grant {
    let tenants = Some(vec![TenantId::parse("store-1").expect("valid")]);
    Grant { subject: "me".into(), role: Role::Viewer, tenants, ttl: Duration::from_secs(3600) }
}

async fn refused(args: AuthArgs) -> String {
    Verifier::from_args(&args).await.expect_err("a wrong setting").to_string()
}

#[tokio::test]
async fn wrong_settings_are_named() {
    let files = Files::new();
    let none = AuthArgs::default();
    assert!(refused(none.clone()).await.starts_with("no key to verify tokens with: set one of AUTH_HS256_SECRET_FILE"));

    let secret =
        |content: &[u8]| AuthArgs { auth_hs256_secret_file: files.write("secret", content), ..AuthArgs::default() };
    let error = refused(secret(&[b'x'; 31])).await;
    assert!(
        error.starts_with("AUTH_HS256_SECRET_FILE") && error.ends_with("has 31 bytes and needs at least 32"),
        "{error}"
    );
    let error = refused(secret(&[&[b'x'; 31], &b"\r\n"[..]].concat())).await;
    assert!(error.contains("has 31 bytes"), "the line's end does not count: {error}");
    let pem = Pair::generate(Algorithm::ES256).public_pem;
    assert!(refused(secret(pem.as_bytes())).await.contains("holds a PEM key"), "a public key as a secret");

    let with = |before: &[u8], middle: &[u8], after: &[u8]| [before, middle, after].concat();
    for (content, length) in [
        (vec![b' '; 64], 0),
        (vec![0; 64], 0),
        (with(b"\n\n\t ", &[b'x'; 31], b" \t\n\n"), 31),
        (with(&[0; 32], &[b'x'; 31], &[0; 32]), 31),
        (vec![], 0),
    ] {
        let error = refused(secret(&content)).await;
        assert!(error.ends_with(&format!("has {length} bytes and needs at least 32")), "{content:?}: {error}");
    }
    for before in ["\n", "\u{feff}", "# the key of production\n", "Bag Attributes\n    friendlyName: k\n"] {
        let error = refused(secret(format!("{before}{pem}").as_bytes())).await;
        assert!(error.contains("holds a PEM key"), "{before:?}: {error}");
    }
    let set = json!({ "keys": [Pair::generate(Algorithm::ES256).jwk("k")] }).to_string();
    assert!(refused(secret(set.as_bytes())).await.contains("holds JSON"), "a key set as a secret");
    // Secrets that only look like another format.
    for good in [&b"{not JSON, 32 bytes of secret...}"[..], b"12345678901234567890123456789012", &[0xff; 32]] {
        Verifier::from_args(&secret(good)).await.expect("a secret");
    }

    let key = |content: &str| AuthArgs { auth_public_key_file: files.write("key.pem", content), ..AuthArgs::default() };
    for content in
        ["", "not a key", &Pair::generate(Algorithm::RS256).private_pem, &Pair::generate(Algorithm::EdDSA).private_pem]
    {
        let error = refused(key(content)).await;
        assert!(error.starts_with("AUTH_PUBLIC_KEY_FILE") && error.contains("public key"), "{error}");
    }

    let missing = AuthArgs { auth_jwks_file: Some("/nonexistent/keys.json".into()), ..AuthArgs::default() };
    assert!(refused(missing).await.starts_with("AUTH_JWKS_FILE: cannot read"));
    let two = AuthArgs { auth_jwks_file: Some("keys.json".into()), ..key(&pem) };
    assert_eq!(refused(two).await, "AUTH_PUBLIC_KEY_FILE and AUTH_JWKS_FILE are both set: set only one of them");
}

#[tokio::test]
async fn a_signed_token_is_verified_with_the_same_settings() {
    let files = Files::new();
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let pair = Pair::generate(algorithm);
        let args = AuthArgs {
            auth_private_key_file: files.write("private.pem", &pair.private_pem),
            auth_public_key_file: files.write("public.pem", &pair.public_pem),
            auth_issuer: Some("here".into()),
            auth_audience: Some("there".into()),
            auth_key_id: Some("mine".into()),
            ..AuthArgs::default()
        };
        let signer = Signer::from_args(&args).expect("configured");
        let token = signer.sign(&grant(), now()).expect("signed");
        assert_eq!(jsonwebtoken::decode_header(&token).expect("a header").kid.as_deref(), Some("mine"));
        let caller = Verifier::from_args(&args).await.expect("configured").verify(&token, now()).await.expect("good");
        assert_eq!((caller.subject.as_str(), caller.role), ("me", Some(Role::Viewer)));
        assert_eq!(caller.scope, TenantScope::Only(grant().tenants.expect("limited")));
        assert_eq!(caller.expires_at.timestamp(), NOW + 3600 + 60);
        assert!(!format!("{signer:?}").contains("content"), "the key's bytes in a debug print");
    }
}

#[test]
fn what_cannot_sign_is_refused() {
    let files = Files::new();
    assert!(matches!(Signer::from_args(&AuthArgs::default()), Err(AuthConfigError::NoSigningKey)));
    for content in
        ["", "not a key", &Pair::generate(Algorithm::RS256).public_pem, &Pair::generate(Algorithm::ES256).public_pem]
    {
        let args = AuthArgs { auth_private_key_file: files.write("private.pem", content), ..AuthArgs::default() };
        let error = Signer::from_args(&args).expect_err("no private key").to_string();
        assert!(error.starts_with("AUTH_PRIVATE_KEY_FILE") && error.contains("PKCS#8"), "{error}");
    }
    let args = AuthArgs { auth_hs256_secret_file: files.write("secret", SECRET), ..AuthArgs::default() };
    let signer = Signer::from_args(&args).expect("configured");
    for subject in ["", "two\nlines"] {
        assert!(signer.sign(&Grant { subject: subject.into(), ..grant() }, now()).is_err(), "{subject:?}");
    }
    for ttl in [Duration::ZERO, Duration::from_millis(999), Duration::MAX] {
        assert!(signer.sign(&Grant { ttl, ..grant() }, now()).is_err(), "{ttl:?}");
    }
}

#[tokio::test]
async fn the_development_key_is_shared_within_a_folder_and_with_nobody_else() {
    let (mine, theirs) = (Files::new(), Files::new());
    let token = Signer::development(mine.0.path()).expect("made").sign(&grant(), now()).expect("signed");
    let verifier = Verifier::development(mine.0.path()).expect("found");
    assert_eq!(verifier.verify(&token, now()).await.expect("good").subject, "me");
    let stranger = Verifier::development(theirs.0.path()).expect("made");
    assert_eq!(stranger.verify(&token, now()).await, Err(Rejected::Signature));

    let path = mine.0.path().join("dev.key");
    assert_eq!(std::fs::metadata(&path).expect("exists").permissions().mode() & 0o777, 0o600);
    let names = std::fs::read_dir(mine.0.path()).expect("listed").count();
    assert_eq!(names, 2, "the key and the mark, nothing unfinished");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("mode");
    let error = Verifier::development(mine.0.path()).expect_err("others may know it");
    assert!(error.to_string().contains("others may have read"), "{error}");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("mode");
    std::fs::write(&path, "short").expect("written");
    assert!(Verifier::development(mine.0.path()).is_err(), "a guessable key");
}

#[test]
fn the_settings_have_one_name_as_flag_and_variable() {
    use clap::{Args, Command};

    let command = AuthArgs::augment_args(Command::new("test"));
    for arg in command.get_arguments() {
        let flag = arg.get_long().expect("a flag").to_uppercase().replace('-', "_");
        assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(flag.as_str()));
        assert!(arg.get_help().is_some(), "{flag}");
    }
}

#[test]
fn how_old_a_key_set_may_become_has_bounds() {
    use clap::{Args, Command, FromArgMatches};

    let parse = |text: &str| {
        let command = AuthArgs::augment_args(Command::new("test"));
        let matches = command.try_get_matches_from(["test", "--auth-jwks-max-staleness", text]);
        matches.map(|matches| AuthArgs::from_arg_matches(&matches).expect("arguments").max_staleness())
    };
    assert_eq!(AuthArgs::default().max_staleness(), Duration::from_secs(3600));
    assert_eq!(parse("10s").expect("good"), Duration::from_secs(10));
    assert_eq!(parse("7d").expect("good"), Duration::from_secs(7 * 24 * 3600));
    for bad in ["9s", "0s", "8d", "1", "soon", "1000y"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
