//! `gbp-emulator`: see `gbp-emulator --help`.

use std::{io, process::ExitCode};

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Emulates Google Business Profile on this machine, for development and tests.
#[derive(Debug, Parser)]
#[command(name = "gbp-emulator", version)]
struct Cli {
    #[command(flatten)]
    args: gbp_emulator::Args,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { args } = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // Standard output has one line: the address.
    tracing_subscriber::fmt().with_writer(io::stderr).with_env_filter(filter).init();
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "failed to serve");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the process is asked to end.
async fn serve(args: gbp_emulator::Args) -> io::Result<()> {
    let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    gbp_emulator::run(args, either(interrupt, terminate)).await
}

async fn either(mut one: Signal, mut other: Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
