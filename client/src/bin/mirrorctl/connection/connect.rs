//! The client that the command line, the environment and the configuration file describe.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use category_mirror_client::{Client, TokenFuture, TokenProvider};

use crate::{
    args::ConnectionArgs,
    connection::{
        config::{self, Context},
        secret_file::{self, warn_if_exposed, without_mark},
    },
    exit::Exit,
    words::setting,
};

/// Where a server is without any setting: where `category-mirror serve --dev` listens.
const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:50051";

/// Which server, and what it is shown.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

/// The server of the options and variables, or else of the context. A context's token and authority are for its own endpoint, so they are not
/// used for another one.
pub(crate) fn server(connection: &ConnectionArgs) -> Result<Server, Exit> {
    let context = match (&connection.context, &connection.endpoint) {
        (None, Some(_)) => Context::default(),
        _ => config::context(connection.context.as_deref())?,
    };
    let is_own = connection.endpoint.is_none();
    let own = |file: Option<PathBuf>| file.filter(|_| is_own);
    let endpoint = connection.endpoint.clone().or(context.endpoint).unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
    // A token of the environment goes before the file's.
    let has_token = env::var_os("MIRRORCTL_TOKEN").is_some_and(|token| !token.is_empty());
    let token_file = connection.token_file.clone().or_else(|| own(context.token_file).filter(|_| !has_token));
    Ok(Server { endpoint, token_file, ca_file: connection.ca_file.clone().or_else(|| own(context.ca_file)) })
}

pub(crate) fn client(server: &Server, connection: &ConnectionArgs) -> Result<Client, Exit> {
    let mut builder = Client::builder(&server.endpoint).timeout(connection.timeout);
    // From the environment and not a flag: everybody on the machine can read the arguments of a process.
    if let Some(file) = &server.token_file {
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
    if let Some(file) = &server.ca_file {
        builder = builder.ca_certificate(read("--ca-file", file)?);
    }
    builder = match (&connection.client_cert_file, &connection.client_key_file) {
        (None, None) => builder,
        (Some(cert), Some(key)) => {
            warn_if_exposed("--client-key-file", key);
            let chain = read("--client-cert-file", cert)?;
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
    builder.build().map_err(|error| Exit::usage(setting(error.message())))
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>, Exit> {
    fs::read(file).map_err(|error| Exit::usage(unreadable(option, file, &error)))
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

fn unreadable(option: &str, file: &Path, error: &std::io::Error) -> String {
    format!("{option} {}: {error}", file.display())
}

/// Checks that a client could be made for this address.
pub(crate) fn check_endpoint(endpoint: &str) -> Result<(), Exit> {
    let built = Client::builder(endpoint).build();
    built.map(drop).map_err(|error| Exit::usage(setting(error.message())))
}
