//! The benchmarks: the server's figures beside PostgreSQL's own `pgbench`, on the same PostgreSQL in the same minute, one JSON object a
//! line. See `category-mirror-bench --help`.
//!
//! Absolute figures belong to the machine; the ratios are what counts.

mod args;
mod batch;
mod drain;
mod echo;
mod enqueue;
mod environment;
mod expensive;
mod figures;
mod flags;
mod in_process;
mod latency;
mod load;
mod memory;
mod pgbench;
mod process;
mod reads;
mod report;
mod streams;

use std::process::ExitCode;

use category_mirror::{
    commands::{self, CommandError},
    config::LogArgs,
};
use clap::Parser;
use mimalloc::MiMalloc;

// The server's own: figures are those of the product.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measure Category Mirror in comparison with PostgreSQL's `pgbench`; print one JSON object per line
#[derive(Debug, Parser)]
#[command(name = "category-mirror-bench", version)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    bench: args::BenchArgs,
}

fn main() -> ExitCode {
    // Benchmarks of a server in a process of its own start this program again, as one.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == process::SERVE) {
        return match commands::parse() {
            Ok(cli) => commands::execute(commands::run(cli)),
            Err(exit_code) => exit_code,
        };
    }
    let Cli { log, bench } = Cli::parse();
    commands::execute(async {
        // Filling a database is slow on purpose, and shows how far it is.
        log.start("error,category_mirror::store::bench=info", None).map_err(CommandError::from)?;
        figures::run(bench).await
    })
}
