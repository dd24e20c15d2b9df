//! What runs here, and what runs there.

use std::io;

use category_mirror_client::{Client, Printable};
use serde::Serialize;

use crate::{exit::Exit, show::output::Output};

/// The commit that was built, where the build was told.
const COMMIT: Option<&str> = option_env!("CATEGORY_MIRROR_COMMIT");

#[derive(Serialize)]
struct Versions<'a> {
    client: &'a str,
    client_commit: Option<&'a str>,
    endpoint: &'a str,
    server: Option<&'a str>,
    server_commit: Option<&'a str>,
}

pub(crate) async fn version(client: &Client, output: &mut Output, endpoint: &str) -> Result<(), Exit> {
    let server = client.get_server_version().send().await;
    let found = server.as_ref().ok().and_then(Option::as_ref);
    let versions = Versions {
        client: env!("CARGO_PKG_VERSION"),
        client_commit: COMMIT,
        endpoint,
        server: found.map(|server| server.version.as_str()),
        server_commit: found.and_then(|server| server.commit.as_deref()),
    };
    output.show(&versions, |output| text(output, &versions))?;
    // The client's version is shown although the server cannot be reached.
    let server = server?;
    if server.is_none() {
        crate::show::stderr::say(format_args!("{}: the server does not tell its version", Printable(endpoint)));
    }
    Ok(())
}

fn text(output: &mut Output, versions: &Versions<'_>) -> io::Result<()> {
    let commit = |commit: Option<&str>| format!("commit {}", Printable(commit.unwrap_or("unknown")));
    output.field("mirrorctl", Some(format_args!("{} ({})", versions.client, commit(versions.client_commit))))?;
    let server = versions.server.map(|version| {
        format!("{} ({}) at {}", Printable(version), commit(versions.server_commit), Printable(versions.endpoint))
    });
    output.field("server", server)
}
