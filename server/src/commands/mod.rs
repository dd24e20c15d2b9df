//! What the commands do. Each starts the parts that it needs, and stops them in reverse order.

mod command_error;
mod database;
mod demo;
mod emulator;
mod migrate;
mod output;
mod scratch;
mod serve;
mod signals;
mod token;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

pub use self::{command_error::CommandError, output::print, scratch::Scratch, signals::first_signal};

use self::{
    command_error::EXIT_CONFIGURATION,
    output::{complain, unwritten},
    signals::{Hangup, shutdown_signal},
};
use crate::config::{self, Cli, Command};

/// Reads the command line.
///
/// # Errors
/// The exit code, after one line that names the setting: 64 for a wrong command line, 0 for `--help`.
pub fn parse() -> Result<Cli, ExitCode> {
    use clap::error::ErrorKind;
    Cli::read().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match error.print().and_then(|()| io::stdout().flush()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(unwritten(&error));
                ExitCode::FAILURE
            }
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(EXIT_CONFIGURATION)
        }
        _ => {
            complain(config::explain(&error));
            ExitCode::from(EXIT_CONFIGURATION)
        }
    })
}

/// How long work on threads of its own may take when the command has ended.
const LAST_THREADS: Duration = Duration::from_millis(200);

/// Executes a program's one command on a runtime of its own. Returns its exit code, after one line for the operator if it failed.
pub fn execute(command: impl Future<Output = Result<(), CommandError>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(format_args!("cannot start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(command);
    // What still runs on threads of its own, such as the look-up of a name that no server answers, is nothing that the end waits for.
    runtime.shutdown_timeout(LAST_THREADS);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            error.exit_code()
        }
    }
}

/// Carries a command out.
///
/// # Errors
/// [`CommandError`], in words for the operator.
pub async fn run(cli: Cli) -> Result<(), CommandError> {
    let exporter = match &cli.command {
        Command::Serve(args) => args.otlp.exporter()?,
        _ => None,
    };
    let default = match cli.command {
        // What becomes of the runs is what the demo shows itself, and how slow this machine's disk is does not matter to it.
        Command::Demo(_) => "warn,category_mirror::runner=off,sqlx=error",
        Command::Token(_) => "warn",
        _ => "info",
    };
    cli.log.start(default, exporter.as_ref())?;
    let secret_arguments = cli.secret_arguments;
    // `serve` warns once its settings are known to be right: if one is wrong, that is all it says.
    if !matches!(cli.command, Command::Serve(_)) {
        config::warn_of_arguments(&secret_arguments);
    }
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Serve(args) => serve::run(*args, &secret_arguments, exporter).await,
        Command::Migrate(args) => migrate::run(*args).await,
        Command::Token(args) => token::run(*args).await,
        Command::GbpEmulator(args) => crate::emulator::run(args, shutdown_signal(Hangup::Ends))
            .await
            .map_err(|error| CommandError::failed("the emulator cannot listen", error)),
    }
}
