//! `mirrorctl`: Category Mirror from the command line.

mod args;
mod batch;
mod connect;
mod credentials;
mod exit;
mod flag;
mod flag_lists;
mod import;
mod output;
mod plan;
mod platform_category;
mod report;
mod run;
mod secret_file;
mod sync;
mod taxonomy;
mod tenant;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Args, Command, OutputFormat},
    exit::Exit,
    output::Output,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Args::try_parse() {
        Ok(args) => execute(args).await,
        Err(said) => explain(&said),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(),
    }
}

/// Shows a help text, or what is wrong with the command line. clap itself would ignore that it cannot be written.
fn explain(said: &clap::Error) -> Result<(), Exit> {
    let printed = said.print();
    // What is wrong with the command line is wrong whether it can be written or not.
    if said.exit_code() != 0 {
        return Err(Exit::CommandLine);
    }
    Ok(printed.and_then(|()| Output::new(OutputFormat::Text).end())?)
}

async fn execute(args: Args) -> Result<(), Exit> {
    let client = connect::client(&args.connection)?;
    if args.output == OutputFormat::Markdown && !matches!(args.command, Command::Plan(_)) {
        return Err(Exit::usage("--output markdown is for `plan get`"));
    }
    let mut output = Output::new(args.output);
    match args.command {
        Command::Run(command) => run::run(&client, &mut output, command).await,
        Command::Plan(command) => plan::plan(&client, &mut output, command).await,
        Command::Batch(command) => batch::batch(&client, &mut output, command).await,
        Command::Tenant(command) => tenant::tenant(&client, &mut output, command).await,
        Command::Sync(command) => sync::sync(&client, &mut output, command).await,
        Command::PlatformCategory(command) => platform_category::platform_category(&client, &mut output, command).await,
        Command::Taxonomy(command) => taxonomy::taxonomy(&client, &mut output, command).await,
        Command::Flag(command) => flag::flag(&client, &mut output, command).await,
        Command::Credentials(command) => credentials::credentials(&client, &mut output, command).await,
    }
}
