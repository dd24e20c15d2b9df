//! Keeping accounts' own credentials for Google.

use std::path::PathBuf;

use clap::Subcommand;

const SET_EXAMPLES: &str = "\
Examples:
  mirrorctl credentials set 1001 --file adc.json && mirrorctl credentials verify 1001
  vault read -field=adc secret/gbp/1001 | mirrorctl credentials set 1001 --file -";

#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsCommand {
    /// List the accounts that have credentials of their own
    List,
    /// Show what may be said of an account's own credentials
    Get {
        /// The GBP account, an id or accounts/{id}
        account: String,
    },
    /// Set an account's own credentials; every server goes with them from its next run on
    #[command(after_help = SET_EXAMPLES)]
    Set {
        /// The GBP account
        account: String,
        /// Google's `authorized_user` JSON, with client_id, client_secret and refresh_token; `-` is standard input. There is no flag for
        /// a secret itself: everybody on the machine can read the arguments of a process
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Ask Google now whether it takes an account's own credentials; exit code 3 if it does not
    Verify {
        /// The GBP account
        account: String,
    },
    /// Delete an account's own credentials; it is reached with the server's from then on
    Delete {
        /// The GBP account
        account: String,
    },
    /// Encrypt with the newest key what is encrypted with another
    Reencrypt,
}
