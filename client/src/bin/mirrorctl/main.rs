//! `mirrorctl`: Category Mirror from the command line.

mod args;
mod cli;
mod commands;
mod confirm;
mod connection;
mod examples;
mod exit;
mod show;
mod words;

use std::{io, io::Write, process::ExitCode};

use crate::{
    args::{Command, OutputFormat},
    cli::Parsed,
    exit::Exit,
    show::output::Output,
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
        Command::Context(command) => commands::context::context(&mut output, command, given),
        Command::Completions(shell) => commands::generate::completions(cli::command(), shell.shell),
        Command::Man(man) => commands::generate::man(cli::command(), &man.directory),
        command => {
            let server = connection::connect::server(&args.connection)?;
            words.endpoint.clone_from(&server.endpoint);
            let client = connection::connect::client(&server, &args.connection)?;
            commands::ask(&client, &mut output, command, &server.endpoint).await?;
            Ok(output.end()?)
        }
    }
}
