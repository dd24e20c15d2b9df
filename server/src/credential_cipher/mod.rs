//! Credentials at rest: encrypted with keys that the database never sees.
//!
//! AES-256-GCM with a random nonce. The account and the key's id are associated data: what was encrypted for one account is decrypted for no other,
//! whoever moves it in the database. The newest key encrypts, every key decrypts.

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest,
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    domain::{AccountId, AuthorizedUser, EncryptedCredentials},
    key_files::{self, Current, KeyFileError, Watched},
    secret_file::{KEY_BYTES, SecretFileError, secret_file},
};

/// The development key's file.
const DEVELOPMENT_KEY_FILE: &str = "credentials.key";
/// Bytes of a key file that are read.
const MAX_FILE_BYTES: u64 = 64 * 1024;
/// Bytes of a key's digest that name it: enough to tell a few keys apart, and nothing to find one by.
const KEY_ID_BYTES: usize = 4;

/// A key file that cannot be used. What is in it is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum CredentialCipherError {
    /// It cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyFileError,
    },
    /// A line is no key.
    #[error("{path:?}, line {line}: must be a key of 64 hexadecimal digits, as printed by `openssl rand -hex 32`")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// Two lines are the same key.
    #[error("{path:?}, line {line}: duplicate of an earlier key")]
    Twice {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// There is nothing in it.
    #[error("{path:?} contains no key: one per line, 64 hexadecimal digits, the newest first")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is too long to be a key file.
    #[error("{path:?} is longer than {MAX_FILE_BYTES} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The development key cannot be used.
    #[error(transparent)]
    Development(#[from] SecretFileError),
}

/// Why something does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// It was encrypted with a key that is not among ours.
    #[error("they are encrypted with a key that this server does not have")]
    UnknownKey,
    /// It is not what was encrypted for this account.
    #[error("the stored data is not what was encrypted for this account")]
    Tampered,
}

/// The keys of a process, the newest first. Without any it encrypts nothing and decrypts nothing. Cheap to clone.
#[derive(Clone)]
pub struct CredentialCipher(Arc<Current<Vec<EncryptionKey>>>);

impl Default for CredentialCipher {
    fn default() -> Self {
        Self(Arc::new(Current::new(Vec::new())))
    }
}

struct EncryptionKey {
    id: String,
    key: RandomizedNonceKey,
}

/// What is encrypted. Wiped from memory when it is dropped.
#[derive(Serialize, Deserialize)]
struct Content {
    client_id: String,
    client_secret: String,
    refresh_token: String,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.client_secret.zeroize();
        self.refresh_token.zeroize();
    }
}

impl CredentialCipher {
    /// Reads a key file: a key a line, the newest first; empty lines and those that begin with `#` do not count.
    ///
    /// # Errors
    /// [`CredentialCipherError`] names the file and the line, and never what is there.
    pub fn from_file(path: &Path) -> Result<Self, CredentialCipherError> {
        Self::load("", path).map(|(cipher, _)| cipher)
    }

    /// The same, with what reads the file again when it changes; `setting` is how logs name it.
    ///
    /// # Errors
    /// [`CredentialCipherError`] names the file and the line, and never what is there.
    pub fn load(setting: &'static str, path: &Path) -> Result<(Self, Watched), CredentialCipherError> {
        let contents = key_files::read(path);
        let contents =
            contents.map_err(|source| CredentialCipherError::Unreadable { path: path.to_owned(), source })?;
        let keys = Arc::new(Current::new(keys(path, &contents)?));
        let (replaced, file) = (Arc::clone(&keys), path.to_owned());
        let watched = Watched::new(setting, vec![path.to_owned()], &[contents], move |contents| {
            let [contents] = contents else { return Err("is not one file".to_owned()) };
            replaced.set(self::keys(&file, contents).map_err(|error| error.to_string())?);
            Ok(())
        });
        Ok((Self(keys), watched))
    }

    /// The development key of a folder, made where there is none.
    ///
    /// # Errors
    /// When the folder or the file cannot be used.
    pub fn development(data_dir: &Path) -> Result<Self, CredentialCipherError> {
        let secret = secret_file(data_dir, DEVELOPMENT_KEY_FILE)?;
        Ok(Self(Arc::new(Current::new(EncryptionKey::new(&secret).into_iter().collect()))))
    }

    /// The id of the key that encrypts; `None`: there is none.
    #[must_use]
    pub fn key_id(&self) -> Option<String> {
        self.0.get().first().map(|key| key.id.clone())
    }

    /// Whether something that this key encrypted can be decrypted.
    #[must_use]
    pub fn has(&self, key_id: &str) -> bool {
        self.0.get().iter().any(|key| key.id == key_id)
    }

    /// Seals an account's credentials with the newest key; `None`: there is no key.
    #[must_use]
    pub fn encrypt(&self, account: &AccountId, user: &AuthorizedUser) -> Option<EncryptedCredentials> {
        let keys = self.0.get();
        let key = keys.first()?;
        let content = Content {
            client_id: user.client_id.clone(),
            client_secret: user.client_secret.reveal().to_owned(),
            refresh_token: user.refresh_token.reveal().to_owned(),
        };
        // Room for all of it, with escapes: a vector that grows leaves copies of the secrets behind. It is encrypted where it is.
        let room = 2 * (content.client_id.len() + content.client_secret.len() + content.refresh_token.len()) + 256;
        let mut text = Vec::with_capacity(room);
        serde_json::to_writer(&mut text, &content).expect("texts have a JSON form");
        // It fails for texts of many gigabytes only.
        let nonce = key.key.seal_in_place_append_tag(associated(account, &key.id), &mut text).ok()?;
        let bytes = [nonce.as_ref(), &text[..]].concat();
        Some(EncryptedCredentials { key_id: key.id.clone(), bytes })
    }

    /// Decrypts what was encrypted for an account.
    ///
    /// # Errors
    /// [`DecryptError`]: a key is missing, or it is not what was encrypted.
    pub fn decrypt(
        &self,
        account: &AccountId,
        encrypted: &EncryptedCredentials,
    ) -> Result<AuthorizedUser, DecryptError> {
        let keys = self.0.get();
        let key = keys.iter().find(|key| key.id == encrypted.key_id).ok_or(DecryptError::UnknownKey)?;
        let (nonce, text) = encrypted.bytes.split_at_checked(NONCE_LEN).ok_or(DecryptError::Tampered)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DecryptError::Tampered)?;
        let mut text = Zeroizing::new(text.to_vec());
        let text = key.key.open_in_place(nonce, associated(account, &key.id), &mut text);
        // The parser's error may repeat the text.
        let content = serde_json::from_slice(text.map_err(|_| DecryptError::Tampered)?);
        let mut content: Content = content.map_err(|_| DecryptError::Tampered)?;
        let mut take = |secret: fn(&mut Content) -> &mut String| std::mem::take(secret(&mut content));
        Ok(AuthorizedUser {
            client_id: take(|content| &mut content.client_id),
            client_secret: take(|content| &mut content.client_secret).into(),
            refresh_token: take(|content| &mut content.refresh_token).into(),
        })
    }
}

/// The keys of a file.
fn keys(path: &Path, contents: &[u8]) -> Result<Vec<EncryptionKey>, CredentialCipherError> {
    let owned = || path.to_owned();
    if contents.len() as u64 > MAX_FILE_BYTES {
        return Err(CredentialCipherError::TooLong { path: owned() });
    }
    let no_text =
        |_| CredentialCipherError::Unreadable { path: owned(), source: io::Error::other("is not UTF-8").into() };
    let text = std::str::from_utf8(contents).map_err(no_text)?;
    let mut keys: Vec<EncryptionKey> = Vec::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = bytes_of(line).and_then(|bytes| EncryptionKey::new(&bytes));
        let key = key.ok_or_else(|| CredentialCipherError::NoKey { path: owned(), line: number })?;
        if keys.iter().any(|known| known.id == key.id) {
            return Err(CredentialCipherError::Twice { path: owned(), line: number });
        }
        keys.push(key);
    }
    if keys.is_empty() { Err(CredentialCipherError::Empty { path: owned() }) } else { Ok(keys) }
}

/// What has to be the same when it is opened. No id holds a line end.
fn associated(account: &AccountId, key_id: &str) -> Aad<String> {
    Aad::from(format!("category-mirror credentials 1\n{key_id}\n{account}"))
}

impl EncryptionKey {
    fn new(secret: &[u8]) -> Option<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, secret).ok()?;
        let digest = digest::digest(&digest::SHA256, &Zeroizing::new([b"category-mirror key id", secret].concat()));
        let id = digest.as_ref()[..KEY_ID_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Self { id, key })
    }
}

impl std::fmt::Debug for CredentialCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.get().iter().map(|key| &key.id)).finish()
    }
}

fn bytes_of(hex: &str) -> Option<Zeroizing<Vec<u8>>> {
    if hex.len() != 2 * KEY_BYTES || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES));
    for at in (0..hex.len()).step_by(2) {
        bytes.push(u8::from_str_radix(&hex[at..at + 2], 16).ok()?);
    }
    Some(bytes)
}
