//! The client that the command line and the environment describe.

use std::{env, path::Path, path::PathBuf};

use category_mirror_client::{Client, TokenFuture, TokenProvider};

use crate::{
    args::ConnectionArgs,
    exit::Exit,
    import::without_mark,
    secret_file::{self, warn_if_exposed},
};

pub(crate) fn client(connection: &ConnectionArgs) -> Result<Client, Exit> {
    let mut builder = Client::builder(&connection.endpoint).timeout(connection.timeout);
    // From the environment and not a flag: everybody on the machine can read the arguments of a process.
    if let Some(file) = &connection.token_file {
        warn_if_exposed("--token-file", file);
        builder = builder.token(TokenFile(file.clone()));
    } else if let Ok(token) = env::var("MIRRORCTL_TOKEN")
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
    builder = match (&connection.client_cert_file, &connection.client_key_file) {
        (None, None) => builder,
        (Some(cert), Some(key)) => {
            warn_if_exposed("--client-key-file", key);
            let chain = std::fs::read(cert);
            let chain = chain.map_err(|error| Exit::usage(unreadable("--client-cert-file", cert, &error)))?;
            let key_pem = secret_file::read(key);
            let key_pem = key_pem.map_err(|error| Exit::usage(unreadable("--client-key-file", key, &error)))?;
            builder.client_certificate(chain, key_pem.as_slice())
        }
        (Some(_), None) => return Err(Exit::usage("--client-key-file is required with --client-cert-file")),
        (None, Some(_)) => return Err(Exit::usage("--client-cert-file is required with --client-key-file")),
    };
    // An empty variable is as good as none.
    if let Some(traceparent) = connection.traceparent.as_deref().filter(|text| !text.is_empty()) {
        builder = builder.traceparent(traceparent);
    }
    for (name, value) in &connection.metadata {
        builder = builder.metadata(name, value);
    }
    builder.build().map_err(|error| Exit::usage(error.message()))
}

/// A token that something else renews.
struct TokenFile(PathBuf);

impl TokenProvider for TokenFile {
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(async {
            let file = self.0.clone();
            let read = tokio::task::spawn_blocking(move || secret_file::read(&file)).await;
            let read = read.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
            let contents = read.map_err(|error| unreadable("--token-file", &self.0, &error))?;
            let text = std::str::from_utf8(&contents)
                .map_err(|_| unreadable("--token-file", &self.0, &std::io::Error::other("is not UTF-8")))?;
            Ok(without_mark(text).trim().to_owned())
        })
    }
}

fn unreadable(setting: &str, file: &Path, error: &std::io::Error) -> String {
    format!("{setting} {}: {error}", file.display())
}
