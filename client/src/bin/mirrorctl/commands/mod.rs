//! The commands, by their nouns.

mod batch;
pub(crate) mod context;
mod credentials;
mod failures;
mod find;
mod flag;
mod flag_lists;
pub(crate) mod generate;
pub(crate) mod import;
mod overrides;
mod plan;
mod platform_category;
mod progress;
mod report;
mod run;
mod sync;
mod taxonomy;
mod tenant;
mod version;

use category_mirror_client::Client;

use crate::{args::Command, exit::Exit, show::output::Output};

/// Executes a command that asks a server.
pub(crate) async fn ask(client: &Client, output: &mut Output, command: Command, endpoint: &str) -> Result<(), Exit> {
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
