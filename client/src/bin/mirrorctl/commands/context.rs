//! Listing, choosing and setting contexts.

use std::{io, path::Path, path::PathBuf};

use serde::Serialize;

use crate::{
    args::{ConnectionArgs, ContextCommand, OutputFormat},
    connection::config::{Config, Context},
    exit::Exit,
    show::{
        output::Output,
        stderr::say,
        table::{Cell, Column, Table},
    },
};

const COLUMNS: [Column; 5] = [
    Column::whole("CURRENT"),
    Column::whole("CONTEXT"),
    Column::whole("ENDPOINT"),
    Column::text("TOKEN FILE"),
    Column::text("CA FILE"),
];

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    current: bool,
    endpoint: Option<String>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

/// `given` are the connection's options as far as the command line has them: no variable of the environment finds its way into the file.
pub(crate) fn context(output: &mut Output, command: ContextCommand, given: &ConnectionArgs) -> Result<(), Exit> {
    match command {
        ContextCommand::List => list(output),
        ContextCommand::Use { name } => {
            Config::open()?.use_context(&name)?;
            Ok(output.note("context", name)?)
        }
        ContextCommand::Set { name } => {
            if let Some(endpoint) = &given.endpoint {
                crate::connection::connect::check_endpoint(endpoint)?;
            }
            let file = |file: &Option<PathBuf>| file.as_deref().map(absolute).transpose();
            let context = Context {
                endpoint: given.endpoint.clone(),
                token_file: file(&given.token_file)?,
                ca_file: file(&given.ca_file)?,
            };
            Config::open()?.set_context(&name, &context)?;
            Ok(output.note("context", name)?)
        }
    }
}

fn list(output: &mut Output) -> Result<(), Exit> {
    let config = Config::open()?;
    let mut table = Table::new(&COLUMNS);
    let names = config.names();
    for name in &names {
        let Context { endpoint, token_file, ca_file } = config.context(name)?;
        let listed = Listed { name, current: config.current() == Some(name), endpoint, token_file, ca_file };
        if output.format() == OutputFormat::Json {
            output.json(&serde_json::to_string(&listed).map_err(io::Error::from)?)?;
        } else {
            table.push(row(&listed));
        }
    }
    output.rows(&mut table)?;
    if names.is_empty() {
        say("there is no context; `mirrorctl context set NAME --endpoint URL` creates one");
    }
    Ok(())
}

fn row(listed: &Listed<'_>) -> Vec<Cell> {
    let file = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let current = if listed.current { "*" } else { "" };
    let endpoint = listed.endpoint.clone().unwrap_or_default();
    vec![
        current.into(),
        listed.name.into(),
        endpoint.into(),
        file(&listed.token_file).into(),
        file(&listed.ca_file).into(),
    ]
}

/// A file of the command line, which is relative to the working folder; the configuration's are not.
fn absolute(file: &Path) -> Result<PathBuf, Exit> {
    std::path::absolute(file).map_err(|error| Exit::usage(format!("{}: {error}", file.display())))
}
