//! The client that the command line and the environment describe.

use std::{env, path::Path, path::PathBuf};

use category_mirror_client::{Client, TokenFuture, TokenProvider};

use crate::{args::Connection, exit::Exit, import::without_mark};

pub(crate) fn client(connection: &Connection) -> Result<Client, Exit> {
    let mut builder = Client::builder(&connection.endpoint).timeout(connection.timeout);
    // From the environment and not a flag: everybody on the machine can read the arguments of a process.
    if let Some(file) = &connection.token_file {
        builder = builder.token(TokenFile(file.clone()));
    } else if let Ok(token) = env::var("MIRROR_TOKEN")
        && !token.is_empty()
    {
        builder = builder.token(token);
    }
    if connection.allow_plaintext_token {
        builder = builder.allow_plaintext_token();
    }
    if let Some(file) = &connection.ca_file {
        let pem = std::fs::read(file).map_err(|error| Exit::usage(unreadable("--ca-file", file, &error)))?;
        builder = builder.ca_certificate(pem);
    }
    builder.build().map_err(|error| Exit::usage(error.message()))
}

/// A token that something else renews.
struct TokenFile(PathBuf);

impl TokenProvider for TokenFile {
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(async {
            let text = tokio::fs::read_to_string(&self.0).await;
            let text = text.map_err(|error| unreadable("--token-file", &self.0, &error))?;
            Ok(without_mark(&text).trim().to_owned())
        })
    }
}

fn unreadable(setting: &str, file: &Path, error: &std::io::Error) -> String {
    format!("{setting} {}: {error}", file.display())
}
