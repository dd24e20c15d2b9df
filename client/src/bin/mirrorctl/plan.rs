//! Showing plans.

use category_mirror_client::Client;

use crate::{
    args::{Format, Plan},
    exit::Exit,
    output::Output,
};

pub(crate) async fn plan(client: &Client, output: &mut Output, command: Plan) -> Result<(), Exit> {
    let Plan::Show { run, format } = command;
    let run = client.get_run(run).send().await?;
    let plan = run.plan.ok_or(Exit::NoPlan)?;
    match format {
        Format::Text if output.is_json() => output.line(plan.to_json())?,
        Format::Text => output.changes(&plan)?,
        Format::Json => output.line(plan.to_json())?,
        Format::Markdown => output.line(plan.to_markdown())?,
    }
    Ok(())
}
