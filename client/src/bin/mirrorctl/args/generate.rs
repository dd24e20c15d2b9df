//! What is generated from the command line itself.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete commands in
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder to write the pages to; it is created where there is none
    #[arg(long, value_name = "FOLDER")]
    pub(crate) directory: PathBuf,
}
