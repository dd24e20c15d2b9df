//! `mirrorctl`: Category Mirror from the command line.

mod args;
mod batches;
mod categories;
mod connect;
mod credentials;
mod exit;
mod flag_lists;
mod flags;
mod import;
mod output;
mod plan;
mod report;
mod run;
mod secret_file;
mod taxonomy;
mod tenant_sync;
mod tenants;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Args, Command},
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
    Ok(printed.and_then(|()| Output::new(false).end())?)
}

async fn execute(args: Args) -> Result<(), Exit> {
    let client = connect::client(&args.connection)?;
    let mut output = Output::new(args.json);
    match args.command {
        Command::Trigger(trigger) => run::trigger(&client, &mut output, trigger).await,
        Command::Run(command) => run::run(&client, &mut output, command).await,
        Command::Plan(command) => plan::plan(&client, &mut output, command).await,
        Command::Batch(command) => batches::batches(&client, &mut output, command).await,
        Command::Watch { tenant, organization } => {
            let request = match (tenant, organization) {
                (Some(tenant), _) => client.watch_tenant(tenant),
                (None, Some(organization)) => client.watch_organization(organization),
                (None, None) => client.watch_all(),
            };
            run::watch_many(&mut output, request).await
        }
        Command::Logs(filter) => report::logs(&client, &mut output, filter).await,
        Command::Stats { tenant, organization, window } => {
            report::stats(&client, &mut output, tenant, organization, window).await
        }
        Command::Tenants(command) => tenants::tenants(&client, &mut output, command).await,
        Command::Categories(command) => categories::categories(&client, &mut output, command).await,
        Command::Taxonomy(command) => taxonomy::taxonomy(&client, &mut output, command).await,
        Command::Flags(command) => flags::flags(&client, &mut output, command).await,
        Command::Credentials(command) => credentials::credentials(&client, &mut output, command).await,
    }
}
