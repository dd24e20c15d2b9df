//! Importing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File to import; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Format of the file [default: csv if its name ends in .csv, else jsonl]
    #[arg(long)]
    pub(crate) format: Option<ImportFormat>,
    /// Report what the import would do, without changing anything
    #[arg(long)]
    pub(crate) validate_only: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// One JSON object per line
    Jsonl,
    /// Comma-separated values, with a header that names the columns
    Csv,
}
