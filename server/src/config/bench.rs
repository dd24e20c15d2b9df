//! What to measure.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};

/// Settings of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// How long each window of measurement lasts; every figure has a window of its own, and pgbench one before and one after
    #[arg(long, value_name = "DURATION", default_value = "4s", value_parser = humantime::parse_duration, global = true)]
    pub window: Duration,
    /// Folder of PostgreSQL's binaries, `pgbench` among them; else the newest that is installed
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR", global = true)]
    pub pg_bin_dir: Option<PathBuf>,
    /// Which figures.
    #[command(subcommand)]
    pub figures: Figures,
}

/// The benchmarks.
#[derive(Debug, Subcommand)]
pub enum Figures {
    /// Durably accepted runs a second, through gRPC and by the store alone, against pgbench's single-row insert
    ///
    /// `grpc`: callers of MirrorCategories, each waiting for its answer, through the published client, server and client on the
    /// same processors. `store`: the same group commit without gRPC. `echo`: a call that does nothing, through the same server.
    /// `pgbench`: `insert into run`, one row a transaction, as many clients, before and after; `ratio` is against their mean.
    Enqueue {
        /// How many callers at once; may be given several times
        #[arg(long, value_name = "N", default_values_t = [1, 16, 64])]
        callers: Vec<usize>,
    },
}
