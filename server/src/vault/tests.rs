//! What is sealed opens as it was for its account, and in no other way.

use std::fs;

use proptest::prelude::*;

use super::*;

fn vault(lines: &[&str]) -> Result<Vault, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys");
    fs::write(&path, lines.join("\n")).expect("written");
    Vault::from_file(&path).map_err(|error| error.to_string().replace(&format!("{path:?}"), "FILE"))
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).expect("an id")
}

fn user(refresh_token: &str) -> AuthorizedUser {
    let (client_secret, refresh_token) = ("hush-secret".to_owned().into(), refresh_token.to_owned().into());
    AuthorizedUser { client_id: "hush-client".to_owned(), client_secret, refresh_token }
}

fn opened(vault: &Vault, id: &str, sealed: &Sealed) -> Result<String, Unopened> {
    vault.open(&account(id), sealed).map(|user| user.refresh_token.reveal().to_owned())
}

const OLD: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const NEW: &str = "FFEEDDCCBBAA99887766554433221100FFEEDDCCBBAA99887766554433221100";

#[test]
fn what_is_sealed_shows_nothing_and_opens_again() {
    let vault = vault(&[OLD]).expect("a key");
    let (one, other) = (vault.seal(&account("1"), &user("hush-token")), vault.seal(&account("1"), &user("hush-token")));
    let (one, other) = (one.expect("sealed"), other.expect("sealed"));
    assert_ne!(one.bytes, other.bytes, "a new nonce each time");
    assert!(!one.bytes.windows(4).any(|part| part == b"hush"));
    assert_eq!(opened(&vault, "1", &one).as_deref(), Ok("hush-token"));
    let shown = format!("{vault:?}");
    assert!(!shown.to_lowercase().contains(&OLD[..8]) && shown.contains(&one.key_id), "{shown}");
}

#[test]
fn nothing_opens_for_another_account_or_when_a_bit_was_changed() {
    let vault = vault(&[OLD]).expect("a key");
    let sealed = vault.seal(&account("1"), &user("hush-token")).expect("sealed");
    assert_eq!(opened(&vault, "2", &sealed), Err(Unopened::Tampered));
    for at in 0..sealed.bytes.len() {
        let mut bytes = sealed.bytes.clone();
        bytes[at] ^= 1;
        assert_eq!(opened(&vault, "1", &Sealed { bytes, ..sealed.clone() }), Err(Unopened::Tampered), "byte {at}");
    }
    for length in [0, 11, 12, 27, sealed.bytes.len() - 1] {
        let bytes = sealed.bytes[..length].to_vec();
        assert_eq!(opened(&vault, "1", &Sealed { bytes, ..sealed.clone() }), Err(Unopened::Tampered), "{length} bytes");
    }
}

#[test]
fn the_newest_key_seals_and_every_key_opens() {
    let (old, both, new) = (vault(&[OLD]), vault(&["# the newest first", NEW, "", OLD]), vault(&[NEW]));
    let (old, both, new) = (old.expect("a key"), both.expect("keys"), new.expect("a key"));
    let sealed = old.seal(&account("1"), &user("hush-token")).expect("sealed");
    assert_eq!(opened(&both, "1", &sealed).as_deref(), Ok("hush-token"));
    assert_eq!(opened(&new, "1", &sealed), Err(Unopened::UnknownKey));
    let resealed = both.seal(&account("1"), &user("hush-token")).expect("sealed");
    assert_eq!((Some(resealed.key_id.as_str()), both.has(&sealed.key_id)), (new.key_id().as_deref(), true));
    assert_eq!(opened(&new, "1", &resealed).as_deref(), Ok("hush-token"));
    // A key under another's name opens nothing.
    let renamed = Sealed { key_id: sealed.key_id.clone(), ..resealed };
    assert_eq!(opened(&both, "1", &renamed), Err(Unopened::Tampered));
    assert!(Vault::default().seal(&account("1"), &user("x")).is_none());
}

#[test]
fn a_wrong_file_is_named_with_the_line_and_without_what_is_there() {
    let no_key = "FILE, line 1: must be a key of 64 hexadecimal digits, as `openssl rand -hex 32` prints it";
    for (lines, error) in [
        (&[][..], "FILE holds no key: one a line, 64 hexadecimal digits, the newest first"),
        (&["# nothing"], "FILE holds no key: one a line, 64 hexadecimal digits, the newest first"),
        (&["hush"], no_key),
        (&[&OLD[1..]], no_key),
        (&[&OLD.replace('0', "g")], no_key),
        (&[&"é".repeat(32)], no_key),
        (&["", OLD, &OLD.to_uppercase()], "FILE, line 3: this key is there already"),
    ] {
        assert_eq!(vault(lines).expect_err("wrong"), error, "{lines:?}");
    }
    assert_eq!(vault(&[&" ".repeat(70_000)]).expect_err("long"), "FILE is longer than 65536 bytes");
}

proptest! {
    #[test]
    fn any_credentials_survive(id in "[a-zA-Z0-9_-]{1,64}", client in ".{0,40}", secret in ".{0,40}", token in ".{0,40}") {
        let vault = vault(&[NEW, OLD]).expect("keys");
        let user = AuthorizedUser {
            client_id: client.clone(), client_secret: secret.clone().into(), refresh_token: token.clone().into(),
        };
        let sealed = vault.seal(&account(&id), &user).expect("sealed");
        let opened = vault.open(&account(&id), &sealed).expect("opened");
        prop_assert_eq!((opened.client_id, opened.client_secret.reveal(), opened.refresh_token.reveal()), (client, &secret[..], &token[..]));
    }
}
