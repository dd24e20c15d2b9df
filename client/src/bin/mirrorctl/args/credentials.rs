//! Keeping accounts' own credentials for Google.

use std::path::PathBuf;

use clap::Subcommand;

use super::DeleteArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsCommand {
    /// List the accounts that have their own credentials
    List,
    /// Show the state of an account's own credentials, without secrets
    Get {
        /// GBP account, an id or accounts/{id}
        account: String,
    },
    /// Set an account's own credentials; every server uses them from its next run on
    Set {
        /// GBP account, an id or accounts/{id}
        account: String,
        /// File with Google's `authorized_user` JSON: client_id, client_secret and refresh_token; `-` is standard input. No option
        /// accepts a secret directly, because all users of a machine can read the arguments of a process
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Test whether Google accepts an account's own credentials; exit code 3 if it does not
    Verify {
        /// GBP account, an id or accounts/{id}
        account: String,
    },
    /// Delete an account's own credentials; from then on, the server's are used
    Delete {
        /// GBP account, an id or accounts/{id}
        account: String,
        #[command(flatten)]
        confirmation: DeleteArgs,
    },
    /// Re-encrypt, with the newest key, all credentials that are encrypted with an older key
    Reencrypt,
}
