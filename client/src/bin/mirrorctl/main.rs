//! `mirrorctl`: Category Mirror from the command line.

mod args;
mod batch;
mod cli;
mod config;
mod confirm;
mod connect;
mod context;
mod credentials;
mod examples;
mod exit;
mod failures;
mod flag;
mod flag_lists;
mod generate;
mod ids;
mod import;
mod list;
mod output;
mod overrides;
mod plan;
mod platform_category;
mod progress;
mod report;
mod run;
mod secret_file;
mod stderr;
mod sync;
mod table;
mod taxonomy;
mod tenant;
mod version;
mod words;

use std::{io, io::Write, process::ExitCode};

use category_mirror_client::Client;

use crate::{
    args::{Command, OutputFormat},
    cli::Parsed,
    exit::Exit,
    output::Output,
    words::Words,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (done, words) = match cli::parse() {
        Ok(Parsed { args, mut words, given }) => (execute(args, &mut words, &given).await, words),
        Err(said) => (explain(&said), Words::default()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(&words),
    }
}

/// Shows a help text, or what is wrong with the command line. clap itself would ignore that it cannot be written.
fn explain(said: &clap::Error) -> Result<(), Exit> {
    let printed = said.print();
    // What is wrong with the command line is wrong whether it can be written or not.
    if said.exit_code() != 0 {
        return Err(Exit::CommandLine);
    }
    Ok(printed.and_then(|()| io::stdout().lock().flush())?)
}

async fn execute(args: args::Args, words: &mut Words, given: &args::ConnectionArgs) -> Result<(), Exit> {
    if args.output.output == OutputFormat::Markdown && !matches!(args.command, Command::Plan(_)) {
        return Err(Exit::usage("--output markdown is for `plan get`"));
    }
    let mut output = Output::new(&args.output);
    match args.command {
        // These need no server.
        Command::Context(command) => context::context(&mut output, command, given),
        Command::Completions(shell) => generate::completions(cli::command(), shell.shell),
        Command::Man(man) => generate::man(cli::command(), &man.directory),
        command => {
            let server = connect::server(&args.connection)?;
            words.endpoint.clone_from(&server.endpoint);
            let client = connect::client(&server, &args.connection)?;
            ask(&client, &mut output, command, &server.endpoint).await?;
            Ok(output.end()?)
        }
    }
}

async fn ask(client: &Client, output: &mut Output, command: Command, endpoint: &str) -> Result<(), Exit> {
    match command {
        Command::Run(command) => run::run(client, output, command).await,
        Command::Plan(command) => plan::plan(client, output, command).await,
        Command::Batch(command) => batch::batch(client, output, command).await,
        Command::Tenant(command) => tenant::tenant(client, output, command).await,
        Command::Sync(command) => sync::sync(client, output, command).await,
        Command::PlatformCategory(command) => platform_category::platform_category(client, output, command).await,
        Command::Taxonomy(command) => taxonomy::taxonomy(client, output, command).await,
        Command::Flag(command) => flag::flag(client, output, command).await,
        Command::Credentials(command) => credentials::credentials(client, output, command).await,
        Command::Version => version::version(client, output, endpoint).await,
        Command::Context(_) | Command::Completions(_) | Command::Man(_) => Ok(()),
    }
}
