//! Which benchmark runs, on what.

use std::pin::pin;

use category_mirror::commands::{CommandError, first_signal};

use crate::{
    args::{BenchArgs, Figures},
    batch, drain, enqueue, environment, expensive, flags, latency, memory, reads, streams,
};

/// Measures, and prints. Whenever it is interrupted, nothing is left behind.
///
/// # Errors
/// When something that is needed cannot be started, and [`CommandError::Interrupted`] after a signal.
pub(crate) async fn run(args: BenchArgs) -> Result<(), CommandError> {
    // Subscribed before anything is created.
    let interrupted = pin!(first_signal());
    let tenants = match args.figures {
        Figures::Memory { queued } => queued + 1,
        Figures::Batch { tenants } | Figures::Expensive { tenants, .. } => tenants,
        // The history names tenants of its own.
        Figures::Reads { .. } | Figures::Flags => 1,
        Figures::Streams { streams } => streams,
        _ => environment::TENANTS,
    };
    let environment = environment::BenchEnvironment::open(&args, tenants).await?;
    let measured = tokio::select! {
        measured = measure(&environment, &args) => measured,
        () = interrupted => Err(CommandError::Interrupted),
    };
    environment.close().await;
    measured
}

async fn measure(environment: &environment::BenchEnvironment, args: &BenchArgs) -> Result<(), CommandError> {
    match &args.figures {
        Figures::Enqueue { callers } => enqueue::run(environment, callers, args.window).await,
        Figures::Drain { concurrency, runs } => drain::run(environment, concurrency, *runs).await,
        Figures::Latency { bulk } => latency::run(environment, *bulk, args.window).await,
        Figures::Batch { tenants } => batch::run(environment, *tenants).await,
        Figures::Expensive { callers, platform_categories, runs, .. } => {
            let sizes = expensive::Sizes { platform_categories: *platform_categories, runs: *runs };
            expensive::run(environment, *callers, sizes, args.window).await
        }
        Figures::Flags => flags::run(environment, args.window).await,
        Figures::Reads { rows, spread } => reads::run(environment, rows, spread).await,
        Figures::Memory { queued } => memory::run(environment, 1_000, *queued, args.window).await,
        Figures::Streams { streams } => streams::run(environment, *streams, args.window).await,
    }
}
