//! Reading the command line.

use clap::{CommandFactory, FromArgMatches};

use super::{Cli, secrets};

impl Cli {
    /// Reads the command line of this process, and its environment.
    ///
    /// # Errors
    /// clap's, for [`explain`](super::explain).
    pub fn read() -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches()?;
        let cli = Self::from_arg_matches(&matches)?;
        Ok(Self { secret_arguments: secrets::among_arguments(&matches), ..cli })
    }
}
