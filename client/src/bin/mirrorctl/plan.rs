//! Showing plans.

use category_mirror_client::{Client, Printable};

use crate::{
    args::{OutputFormat, PlanCommand},
    exit::Exit,
    output::Output,
    run::override_command,
};

pub(crate) async fn plan(client: &Client, output: &mut Output, command: PlanCommand) -> Result<(), Exit> {
    let PlanCommand::Get { run } = command;
    let run = client.get_run(run).send().await?;
    let plan = run.plan.as_ref().ok_or(Exit::NoPlan)?;
    match output.format() {
        OutputFormat::Text => {
            output.changes(plan)?;
            output.field("to override", override_command(&run).as_deref().map(Printable))?;
        }
        OutputFormat::Json => output.json(&plan.to_json())?,
        OutputFormat::Markdown => output.line(plan.to_markdown())?,
    }
    Ok(())
}
