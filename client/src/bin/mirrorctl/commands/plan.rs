//! Showing plans.

use category_mirror_client::{Client, Printable};

use crate::{
    args::{OutputFormat, PlanCommand},
    commands::{find, overrides::override_command},
    exit::Exit,
    show::output::Output,
};

pub(crate) async fn plan(client: &Client, output: &mut Output, command: PlanCommand) -> Result<(), Exit> {
    let PlanCommand::Get { run } = command;
    let run = client.get_run(find::run(client, run).await?).send().await?;
    let plan = run.plan.as_ref().ok_or(Exit::NoPlan)?;
    match output.format() {
        OutputFormat::Text => {
            output.changes(plan)?;
            output.field("to override", override_command(&run).as_deref().map(Printable))?;
        }
        OutputFormat::Json => output.json(&plan.to_json())?,
        OutputFormat::Markdown => output.line(run.plan_to_markdown().ok_or(Exit::NoPlan)?)?,
    }
    Ok(())
}
