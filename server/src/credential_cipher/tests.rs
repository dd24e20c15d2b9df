//! What is encrypted is decrypted as it was for its account, and in no other way.

use std::fs;

use proptest::prelude::*;

use super::*;

fn cipher(lines: &[&str]) -> Result<CredentialCipher, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys");
    fs::write(&path, lines.join("\n")).expect("written");
    CredentialCipher::from_file(&path).map_err(|error| error.to_string().replace(&format!("{path:?}"), "FILE"))
}

fn account(id: &str) -> AccountId {
    AccountId::parse(id).expect("an id")
}

fn user(refresh_token: &str) -> AuthorizedUser {
    let (client_secret, refresh_token) = ("hush-secret".to_owned().into(), refresh_token.to_owned().into());
    AuthorizedUser { client_id: "hush-client".to_owned(), client_secret, refresh_token }
}

fn opened(cipher: &CredentialCipher, id: &str, encrypted: &EncryptedCredentials) -> Result<String, DecryptError> {
    cipher.decrypt(&account(id), encrypted).map(|user| user.refresh_token.reveal().to_owned())
}

const OLD: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const NEW: &str = "FFEEDDCCBBAA99887766554433221100FFEEDDCCBBAA99887766554433221100";

#[test]
fn what_is_sealed_shows_nothing_and_opens_again() {
    let cipher = cipher(&[OLD]).expect("a key");
    let (one, other) =
        (cipher.encrypt(&account("1"), &user("hush-token")), cipher.encrypt(&account("1"), &user("hush-token")));
    let (one, other) = (one.expect("sealed"), other.expect("sealed"));
    assert_ne!(one.bytes, other.bytes, "a new nonce each time");
    assert!(!one.bytes.windows(4).any(|part| part == b"hush"));
    assert_eq!(opened(&cipher, "1", &one).as_deref(), Ok("hush-token"));
    let shown = format!("{cipher:?}");
    assert!(!shown.to_lowercase().contains(&OLD[..8]) && shown.contains(&one.key_id), "{shown}");
}

#[test]
fn nothing_opens_for_another_account_or_when_a_bit_was_changed() {
    let cipher = cipher(&[OLD]).expect("a key");
    let encrypted = cipher.encrypt(&account("1"), &user("hush-token")).expect("sealed");
    assert_eq!(opened(&cipher, "2", &encrypted), Err(DecryptError::Tampered));
    for at in 0..encrypted.bytes.len() {
        let mut bytes = encrypted.bytes.clone();
        bytes[at] ^= 1;
        assert_eq!(
            opened(&cipher, "1", &EncryptedCredentials { bytes, ..encrypted.clone() }),
            Err(DecryptError::Tampered),
            "byte {at}"
        );
    }
    for length in [0, 11, 12, 27, encrypted.bytes.len() - 1] {
        let bytes = encrypted.bytes[..length].to_vec();
        assert_eq!(
            opened(&cipher, "1", &EncryptedCredentials { bytes, ..encrypted.clone() }),
            Err(DecryptError::Tampered),
            "{length} bytes"
        );
    }
}

#[test]
fn the_newest_key_seals_and_every_key_opens() {
    let (old, both, new) = (cipher(&[OLD]), cipher(&["# the newest first", NEW, "", OLD]), cipher(&[NEW]));
    let (old, both, new) = (old.expect("a key"), both.expect("keys"), new.expect("a key"));
    let encrypted = old.encrypt(&account("1"), &user("hush-token")).expect("sealed");
    assert_eq!(opened(&both, "1", &encrypted).as_deref(), Ok("hush-token"));
    assert_eq!(opened(&new, "1", &encrypted), Err(DecryptError::UnknownKey));
    let resealed = both.encrypt(&account("1"), &user("hush-token")).expect("sealed");
    assert_eq!((Some(resealed.key_id.as_str()), both.has(&encrypted.key_id)), (new.key_id().as_deref(), true));
    assert_eq!(opened(&new, "1", &resealed).as_deref(), Ok("hush-token"));
    // A key under another's name opens nothing.
    let renamed = EncryptedCredentials { key_id: encrypted.key_id.clone(), ..resealed };
    assert_eq!(opened(&both, "1", &renamed), Err(DecryptError::Tampered));
    assert!(CredentialCipher::default().encrypt(&account("1"), &user("x")).is_none());
}

#[test]
fn a_wrong_file_is_named_with_the_line_and_without_what_is_there() {
    let no_key = "FILE, line 1: must be a key of 64 hexadecimal digits, as printed by `openssl rand -hex 32`";
    for (lines, error) in [
        (&[][..], "FILE contains no key: one per line, 64 hexadecimal digits, the newest first"),
        (&["# nothing"], "FILE contains no key: one per line, 64 hexadecimal digits, the newest first"),
        (&["hush"], no_key),
        (&[&OLD[1..]], no_key),
        (&[&OLD.replace('0', "g")], no_key),
        (&[&"é".repeat(32)], no_key),
        (&["", OLD, &OLD.to_uppercase()], "FILE, line 3: duplicate of an earlier key"),
    ] {
        assert_eq!(cipher(lines).expect_err("wrong"), error, "{lines:?}");
    }
    assert_eq!(cipher(&[&" ".repeat(70_000)]).expect_err("long"), "FILE is longer than 65536 bytes");
}

proptest! {
    #[test]
    fn any_credentials_survive(id in "[a-zA-Z0-9_-]{1,64}", client in ".{0,40}", secret in ".{0,40}", token in ".{0,40}") {
        let cipher = cipher(&[NEW, OLD]).expect("keys");
        let user = AuthorizedUser {
            client_id: client.clone(), client_secret: secret.clone().into(), refresh_token: token.clone().into(),
        };
        let encrypted = cipher.encrypt(&account(&id), &user).expect("sealed");
        let opened = cipher.decrypt(&account(&id), &encrypted).expect("opened");
        prop_assert_eq!((opened.client_id, opened.client_secret.reveal(), opened.refresh_token.reveal()), (client, &secret[..], &token[..]));
    }
}
