//! Feature flags.

use std::io;

use category_mirror_client::{Client, Flag, FlagChange, FlagState, Printable};

use crate::{
    args,
    commands::flag_lists,
    exit::Exit,
    show::{
        list::{List, page_size},
        output::Output,
        table::{Cell, Column},
    },
};

const FLAGS: [Column; 4] =
    [Column::whole("FLAG"), Column::text("STATE"), Column::whole("CHANGED"), Column::optional("REVISION")];
const CHANGES: [Column; 6] = [
    Column::whole("TIME"),
    Column::whole("FLAG"),
    Column::text("REASON"),
    Column::text("CALLER"),
    Column::text("BEFORE"),
    Column::text("AFTER"),
];

pub(crate) async fn flag(client: &Client, output: &mut Output, command: args::FlagCommand) -> Result<(), Exit> {
    let flag = match command {
        args::FlagCommand::List => {
            let rows = |output: &Output, flag: &Flag| vec![row(output, flag)];
            let flags = client.list_flags().send();
            return List { what: "flags", columns: &FLAGS, limit: None, rows: &rows }.show(output, flags).await;
        }
        args::FlagCommand::History { flag, limit } => return history(client, output, flag, limit).await,
        args::FlagCommand::Evaluate { flag, tenant } => {
            let evaluation = client.evaluate_flag(flag, tenant).send().await?;
            let text = |output: &mut Output| {
                output.field("on", Some(evaluation.enabled))?;
                output.field("why", Some(evaluation.reason))?;
                output.field("decided by", Some(evaluation.origin))?;
                output.line(Printable(&evaluation.explanation))
            };
            return Ok(output.show(&evaluation, text)?);
        }
        args::FlagCommand::Get { flag } => client.get_flag(flag).send().await?,
        args::FlagCommand::Update { flag, fields } => update(client, output, flag, *fields).await?,
    };
    Ok(output.show(&flag, |output| details(output, &flag))?)
}

async fn update(client: &Client, output: &mut Output, flag: String, fields: args::FlagFieldArgs) -> Result<Flag, Exit> {
    let mut request = client.update_flag(&flag);
    if let Some(state) = fields.state {
        request = request.state(state.into());
    }
    if let Some(percent) = fields.percent {
        request = request.percent(percent);
    }
    if let Some(revision) = fields.expected_revision {
        request = request.expected_revision(revision);
    }
    request = flag_lists::edited(client, output, &flag, &fields.lists, fields.expected_revision, request).await?;
    if let Some(reason) = fields.reason {
        request = request.reason(reason);
    }
    Ok(request.send().await?)
}

async fn history(client: &Client, output: &mut Output, flag: Option<String>, limit: usize) -> Result<(), Exit> {
    let mut request = client.list_flag_changes().page_size(page_size(limit));
    if let Some(flag) = flag {
        request = request.flag(flag);
    }
    let rows = |output: &Output, change: &FlagChange| vec![changed(output, change)];
    List { what: "changes of flags", columns: &CHANGES, limit: Some(limit), rows: &rows }
        .show(output, request.send())
        .await
}

fn changed(output: &Output, change: &FlagChange) -> Vec<Cell> {
    vec![
        output.time(change.change_time).into(),
        output.id(&change.flag).into(),
        Printable(change.reason.as_deref().unwrap_or_default()).into(),
        Printable(&change.caller).into(),
        change.before.as_ref().map_or("never set".to_owned(), short).into(),
        change.after.as_ref().map(short).unwrap_or_default().into(),
    ]
}

fn row(output: &Output, flag: &Flag) -> Vec<Cell> {
    let changed = flag.update_time.map_or("never set".to_owned(), |time| output.time(Some(time)));
    vec![output.id(&flag.name).into(), short(flag).into(), changed.into(), flag.revision.into()]
}

/// A flag in a few words.
fn short(flag: &Flag) -> String {
    let mut words = flag.state.to_string();
    if flag.state == FlagState::Partial {
        words += &format!(" {} %", flag.percent);
        for (names, what) in [(&flag.tenants, "tenants"), (&flag.organizations, "organizations")] {
            if !names.is_empty() {
                words += &format!(", {} {what}", names.len());
            }
        }
    }
    let excluded = flag.excluded_tenants.len() + flag.excluded_organizations.len();
    if excluded > 0 {
        words += &format!(", {excluded} excluded");
    }
    match flag.forced {
        Some(true) => words + " (this server: forced on)",
        Some(false) => words + " (this server: forced off)",
        None => words,
    }
}

fn details(output: &mut Output, flag: &Flag) -> io::Result<()> {
    output.field("flag", Some(Printable(&flag.name)))?;
    output.field("state", Some(flag.state))?;
    output.field("percent", Some(flag.percent))?;
    output.field(
        "forced",
        flag.forced.map(|on| if on { "on, by the server's environment" } else { "off, by the server's environment" }),
    )?;
    for (what, names) in [
        ("tenant", &flag.tenants),
        ("organization", &flag.organizations),
        ("excluded", &flag.excluded_tenants),
        ("excluded", &flag.excluded_organizations),
    ] {
        names.iter().try_for_each(|name| output.field(what, Some(Printable(name))))?;
    }
    output.field("revision", Some(flag.revision))?;
    output.time_field("changed", flag.update_time)
}
