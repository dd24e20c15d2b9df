//! The benchmarks: our figures beside PostgreSQL's own `pgbench`, on the same PostgreSQL in the same minute, one JSON object a line.
//!
//! Absolute figures belong to the machine; the ratios are what counts.

mod batch;
mod drain;
mod echo;
mod enqueue;
mod environment;
mod expensive;
mod flags;
mod latency;
mod load;
mod memory;
mod pgbench;
mod process;
mod reads;
mod streams;

use super::{CommandError, print};
use crate::config::{BenchArgs, Figures};

/// Measures, and prints.
///
/// # Errors
/// When something that is needed cannot be started.
pub(super) async fn run(args: BenchArgs) -> Result<(), CommandError> {
    let tenants = match args.figures {
        Figures::Memory { queued } => queued + 1,
        Figures::Batch { tenants } | Figures::Expensive { tenants, .. } => tenants,
        // The history names tenants of its own.
        Figures::Reads { .. } | Figures::Flags => 1,
        Figures::Streams { streams } => streams,
        _ => environment::TENANTS,
    };
    let environment = environment::BenchEnvironment::open(&args, tenants).await?;
    let measured = match &args.figures {
        Figures::Enqueue { callers } => enqueue::run(&environment, callers, args.window).await,
        Figures::Drain { concurrency, runs } => drain::run(&environment, concurrency, *runs).await,
        Figures::Latency { bulk } => latency::run(&environment, *bulk, args.window).await,
        Figures::Batch { tenants } => batch::run(&environment, *tenants).await,
        Figures::Expensive { callers, platform_categories, runs, .. } => {
            let sizes = expensive::Sizes { platform_categories: *platform_categories, runs: *runs };
            expensive::run(&environment, *callers, sizes, args.window).await
        }
        Figures::Flags => flags::run(&environment, args.window).await,
        Figures::Reads { rows, spread } => reads::run(&environment, rows, spread).await,
        Figures::Memory { queued } => memory::run(&environment, 1_000, *queued, args.window).await,
        Figures::Streams { streams } => streams::run(&environment, *streams, args.window).await,
    };
    environment.close().await;
    measured
}

/// Prints one figure.
fn report(figure: &serde_json::Value) -> Result<(), CommandError> {
    print(figure)
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
