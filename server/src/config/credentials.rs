//! The keys of accounts' own credentials.

use std::path::{Path, PathBuf};

use clap::Args;

use super::ConfigError;
use crate::{credential_cipher::CredentialCipher, key_files::Watched};

/// Accounts' own credentials.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials of Google accounts' own, kept in the database by CredentialService")]
pub struct CredentialArgs {
    /// The keys that encrypt them: one a line, 64 hexadecimal digits, as `openssl rand -hex 32` prints it. The first encrypts, all decrypt;
    /// a new key is put second on every server, and only then first, and the old one goes after `mirrorctl credentials reencrypt`. Read
    /// again when it changes, and on SIGHUP
    #[arg(long, env = "CREDENTIALS_KEYS_FILE", value_name = "FILE")]
    pub credentials_keys_file: Option<PathBuf>,
}

impl CredentialArgs {
    /// The keys, and what reads them again when they change; with `development`, that of the folder where none is configured. None at all is no mistake: then no account has credentials
    /// of its own.
    ///
    /// # Errors
    /// A file that holds no keys, naming the setting and never a key.
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
