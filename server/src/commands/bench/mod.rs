//! The benchmarks: our figures beside PostgreSQL's own `pgbench`, on the same PostgreSQL in the same minute, one JSON object a line.
//!
//! Absolute figures belong to the machine; the ratios are what counts.

mod enqueue;
mod ground;
mod load;
mod pgbench;

use super::CommandError;
use crate::config::{BenchArgs, Figures};

/// Measures, and prints.
///
/// # Errors
/// When something that is needed cannot be started.
pub(super) async fn run(args: BenchArgs) -> Result<(), CommandError> {
    let ground = ground::Ground::open(&args).await?;
    let measured = match &args.figures {
        Figures::Enqueue { callers } => enqueue::run(&ground, callers, args.window).await,
    };
    ground.close().await;
    measured
}

/// Prints one figure.
fn report(figure: &serde_json::Value) {
    println!("{figure}");
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
