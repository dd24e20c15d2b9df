//! Importing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File to import; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Form of the file [default: csv where its name ends in .csv, else jsonl]
    #[arg(long)]
    pub(crate) format: Option<ImportFormat>,
    /// Report what would happen, and change nothing
    #[arg(long)]
    pub(crate) validate_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// A JSON object a line
    Jsonl,
    /// Comma-separated values, with a header that names the columns
    Csv,
}
