//! The keys of accounts' own credentials.

use std::path::{Path, PathBuf};

use clap::Args;

use super::ConfigError;
use crate::{key_files::Watched, vault::Vault};

/// Accounts' own credentials.
#[derive(Debug, Args)]
#[command(next_help_heading = "Credentials of Google accounts' own, kept in the database by CredentialService")]
pub struct CredentialArgs {
    /// The keys that encrypt them: one a line, 64 hexadecimal digits, as `openssl rand -hex 32` prints it. The first encrypts, all decrypt;
    /// a new key is put second on every server, and only then first, and the old one goes after `mirrorctl credentials reencrypt`. Read
    /// again when it changes, and on SIGHUP
    #[arg(long, env = "CREDENTIALS_KEY_FILE", value_name = "FILE")]
    pub credentials_key_file: Option<PathBuf>,
}

impl CredentialArgs {
    /// The keys, and what reads them again when they change; with `development`, that of the folder where none is configured. None at all is no mistake: then no account has credentials
    /// of its own.
    ///
    /// # Errors
    /// A file that holds no keys, naming the setting and never a key.
    pub fn vault(&self, development: Option<&Path>) -> Result<(Vault, Option<Watched>), ConfigError> {
        const SETTING: &str = "CREDENTIALS_KEY_FILE";
        match (&self.credentials_key_file, development) {
            (Some(file), _) => {
                let loaded = Vault::load(SETTING, file).map(|(vault, watched)| (vault, Some(watched)));
                loaded.map_err(|error| ConfigError(format!("{SETTING}: {error}")))
            }
            (None, Some(folder)) => {
                let vault = Vault::development(folder).map_err(|error| ConfigError(error.to_string()))?;
                Ok((vault, None))
            }
            (None, None) => Ok((Vault::default(), None)),
        }
    }
}
