//! Keys that encrypt accounts' own credentials.

use std::path::{Path, PathBuf};

use clap::Args;

use super::ConfigError;
use crate::{credential_cipher::CredentialCipher, key_files::Watched};

/// Accounts' own credentials.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials of individual GBP accounts, set with CredentialService")]
pub struct CredentialArgs {
    /// File with the keys that encrypt accounts' own credentials, one per line: 64 hexadecimal digits, as printed by
    /// `openssl rand -hex 32`. The first key encrypts; every key decrypts. To replace a key, add the new one as the
    /// second line on every server, then move it to the first line, run `mirrorctl credentials reencrypt`, and remove
    /// the old one. Re-read when it changes and on SIGHUP
    #[arg(long, env = "CREDENTIALS_KEYS_FILE", value_name = "FILE")]
    pub credentials_keys_file: Option<PathBuf>,
}

impl CredentialArgs {
    /// Returns the cipher with its keys, and what re-reads them when they change. With `development`, the default is
    /// the key in that directory. Without any key, no account can have credentials of its own.
    ///
    /// # Errors
    ///
    /// If the file contains no valid keys. Names the setting, and never contains a key.
    pub fn cipher(&self, development: Option<&Path>) -> Result<(CredentialCipher, Option<Watched>), ConfigError> {
        const SETTING: &str = "CREDENTIALS_KEYS_FILE";
        match (&self.credentials_keys_file, development) {
            (Some(file), _) => {
                let loaded = CredentialCipher::load(SETTING, file).map(|(cipher, watched)| (cipher, Some(watched)));
                loaded.map_err(|error| ConfigError(format!("{SETTING}: {error}")))
            }
            (None, Some(folder)) => {
                let cipher = CredentialCipher::development(folder).map_err(|error| ConfigError(error.to_string()))?;
                Ok((cipher, None))
            }
            (None, None) => Ok((CredentialCipher::default(), None)),
        }
    }
}
