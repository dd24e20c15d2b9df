//! Keeping accounts' own credentials for Google.

use std::path::PathBuf;

use clap::Subcommand;

use super::DeleteArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsCommand {
    /// List the accounts that have credentials of their own
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
        /// File with Google's `authorized_user` JSON: client_id, client_secret and refresh_token; `-` is standard input. No option takes
        /// a secret itself, because everyone on the machine can read the arguments of a process
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Ask Google now whether it accepts an account's own credentials; exit code 3 if it does not
    Verify {
        /// GBP account, an id or accounts/{id}
        account: String,
    },
    /// Delete an account's own credentials; from then on the server's own are used
    Delete {
        /// GBP account, an id or accounts/{id}
        account: String,
        #[command(flatten)]
        confirmation: DeleteArgs,
    },
    /// Encrypt with the newest key what is encrypted with an older one
    Reencrypt,
}
