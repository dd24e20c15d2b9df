//! Accounts' own credentials for Google.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use category_mirror_client::{Client, Credentials, CredentialsOutcome, Printable};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    args, confirm,
    connection::secret_file::{warn_if_exposed, without_mark},
    exit::Exit,
    show::{
        ids,
        list::List,
        output::Output,
        table::{Cell, Column},
    },
};

const CREDENTIALS: [Column; 6] = [
    Column::whole("ACCOUNT"),
    Column::whole("STATE"),
    Column::whole("CHANGED"),
    Column::text("CHANGED BY"),
    Column::text("PROBLEM"),
    Column::optional("CLIENT"),
];

/// Bytes of a credentials file that are read; a real one has some hundred.
const MAX_FILE: u64 = 64 * 1024;

pub(crate) async fn credentials(
    client: &Client,
    output: &mut Output,
    command: args::CredentialsCommand,
) -> Result<(), Exit> {
    let credentials = match command {
        args::CredentialsCommand::List => {
            let rows = |output: &Output, one: &Credentials| vec![row(output, one)];
            let all = client.list_credentials().send();
            return List { what: "credentials", columns: &CREDENTIALS, limit: None, rows: &rows }
                .show(output, all)
                .await;
        }
        args::CredentialsCommand::Get { account } => client.get_credentials(account).send().await?,
        args::CredentialsCommand::Set { account, file } => {
            let [client_id, client_secret, refresh_token] = read(&file)?;
            warn_if_exposed("--file", &file);
            client.set_credentials(account, client_id, client_secret, refresh_token).send().await?
        }
        args::CredentialsCommand::Verify { account } => {
            let verified = client.verify_credentials(account).send().await?;
            output.show(&verified, |output| {
                output.field("google", Some(verified.outcome))?;
                output.field("problem", verified.problem.as_deref().map(Printable))?;
                details(output, &verified.credentials)
            })?;
            return match verified.outcome {
                CredentialsOutcome::Accepted => Ok(()),
                outcome => Err(Exit::Refused(format!("Google did not accept the credentials: {outcome}"))),
            };
        }
        args::CredentialsCommand::Delete { account, confirmation } => {
            confirm::deletion(&format!("the credentials of account {}", ids::of(&account)), confirmation.yes)?;
            client.delete_credentials(&account).send().await?;
            return Ok(());
        }
        args::CredentialsCommand::Reencrypt => {
            let done = client.reencrypt_credentials().send().await?;
            return Ok(output.show(&done, |output| {
                output.field("reencrypted", Some(done.reencrypted))?;
                output.field("unreadable", Some(done.unreadable))
            })?);
        }
    };
    Ok(output.show(&credentials, |output| details(output, &credentials))?)
}

/// Client id, client secret and refresh token. An error never quotes the file.
fn read(file: &Path) -> Result<[String; 3], Exit> {
    let wrong = |problem: String| Exit::usage(format!("--file {}: {problem}", file.display()));
    // Room for all of it at once: a text that grows leaves copies of the secrets behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
    let read = match file.to_str() {
        Some("-") => io::stdin().take(MAX_FILE).read_to_string(&mut text),
        _ => File::open(file).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)),
    };
    read.map_err(|error| wrong(error.to_string()))?;
    let fields: Map<String, Value> =
        serde_json::from_str(without_mark(&text)).map_err(|_| wrong("is not a JSON object".to_owned()))?;
    if fields.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "authorized_user") {
        return Err(wrong("the field `type` must be `authorized_user`".to_owned()));
    }
    let field = |name: &str| {
        let text = fields.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| wrong(format!("the field `{name}` must be a non-empty string")))
    };
    Ok([field("client_id")?, field("client_secret")?, field("refresh_token")?])
}

fn row(output: &Output, credentials: &Credentials) -> Vec<Cell> {
    let account = credentials.name.strip_suffix("/credentials").unwrap_or(&credentials.name);
    vec![
        output.id(account).into(),
        credentials.state.into(),
        output.time(credentials.update_time).into(),
        Printable(&credentials.updated_by).into(),
        Printable(credentials.reject_reason.as_deref().unwrap_or_default()).into(),
        format!("…{}", Printable(&credentials.client_id_suffix)).into(),
    ]
}

fn details(output: &mut Output, credentials: &Credentials) -> io::Result<()> {
    output.field("credentials", Some(Printable(&credentials.name)))?;
    output.field("state", Some(credentials.state))?;
    output.field("client", Some(format_args!("…{}", Printable(&credentials.client_id_suffix))))?;
    output.field("key", Some(Printable(&credentials.key_id)))?;
    output.field("revision", Some(credentials.revision))?;
    output.time_field("changed", credentials.update_time)?;
    output.field("changed by", Some(Printable(&credentials.updated_by)))?;
    output.time_field("rejected", credentials.reject_time)?;
    output.field("because", credentials.reject_reason.as_deref().map(Printable))
}
