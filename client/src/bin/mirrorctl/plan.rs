//! Showing plans.

use category_mirror_client::{Client, Printable};

use crate::{
    args::{Format, Plan},
    exit::Exit,
    output::Output,
    run::override_command,
};

pub(crate) async fn plan(client: &Client, output: &mut Output, command: Plan) -> Result<(), Exit> {
    let Plan::Show { run, format } = command;
    let run = client.get_run(run).send().await?;
    let plan = run.plan.as_ref().ok_or(Exit::NoPlan)?;
    match format {
        Format::Text if output.is_json() => output.json(&plan.to_json())?,
        Format::Text => {
            output.changes(plan)?;
            output.field("to override", override_command(&run).as_deref().map(Printable))?;
        }
        Format::Json => output.json(&plan.to_json())?,
        Format::Markdown => output.line(plan.to_markdown())?,
    }
    Ok(())
}
