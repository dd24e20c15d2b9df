//! Secrets in settings: reads them from files, and warns if other users could read them.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, parser::ValueSource};

use super::{ConfigError, ServeArgs};
use crate::{auth::AuthArgs, domain::Secret, key_files};

/// Settings whose values are, or contain, secrets. Every user of a machine can read the arguments of its processes, so
/// secrets belong in the environment or in a file. (`AUTH_JWKS_URL` may have a token in its query.)
const SECRETS: [(&str, &str); 4] = [
    ("database_url", "DATABASE_URL"),
    ("gbp_access_token", "GBP_ACCESS_TOKEN"),
    ("otel_exporter_otlp_headers", "OTEL_EXPORTER_OTLP_HEADERS"),
    ("auth_jwks_url", "AUTH_JWKS_URL"),
];

/// Parses a secret. Never fails, and never displays the value.
pub(super) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(text.into())
}

/// Reads a setting from a file, without leading and trailing white space.
pub(super) fn from_file<T, E: Display>(
    setting: &str,
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, ConfigError> {
    let wrong = |problem: &dyn Display| ConfigError(format!("{setting}={}: {problem}", path.display()));
    let contents = key_files::read(path).map_err(|error| wrong(&error))?;
    parse(text_of(&contents).map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))
}

/// Returns the text of a file, without leading and trailing white space.
pub(super) fn text_of(contents: &[u8]) -> Result<&str, &'static str> {
    match std::str::from_utf8(contents).map(str::trim) {
        Ok("") => Err("is empty"),
        Ok(text) => Ok(text),
        Err(_) => Err("is not UTF-8"),
    }
}

/// Returns the variable names of the secrets that were given as arguments.
pub(super) fn among_arguments(matches: &ArgMatches) -> Vec<&'static str> {
    let Some((_, command)) = matches.subcommand() else { return Vec::new() };
    let is_argument = |id: &str| {
        let is_known = command.try_contains_id(id).is_ok();
        is_known && command.value_source(id) == Some(ValueSource::CommandLine)
    };
    SECRETS.into_iter().filter(|(id, _)| is_argument(id)).map(|(_, name)| name).collect()
}

/// Warns of each secret that was given as an argument.
pub fn warn_of_arguments(settings: &[&str]) {
    for setting in settings {
        tracing::warn!(setting, "a secret is among the arguments, which every user of this machine can read");
    }
}

impl ServeArgs {
    /// Warns of each file with secrets that other users can read.
    pub fn warn_of_exposed_files(&self) {
        let others = [
            ("CREDENTIALS_KEYS_FILE", self.credentials.credentials_keys_file.as_ref()),
            ("DATABASE_URL_FILE", self.database.database_url_file.as_ref()),
            ("GBP_CREDENTIALS_FILE", self.gbp.gbp_credentials_file.as_ref()),
            ("GBP_ACCESS_TOKEN_FILE", self.gbp.gbp_access_token_file.as_ref()),
            ("TLS_KEY", self.listen.tls_key.as_ref()),
        ];
        warn(self.auth.secret_files().into_iter().chain(others));
    }
}

/// Warns of each key file that other users can read, for a command that only needs keys.
pub fn warn_of_exposed_keys(keys: &AuthArgs) {
    warn(keys.secret_files().into_iter());
}

fn warn<'a>(files: impl Iterator<Item = (&'static str, Option<&'a PathBuf>)>) {
    for (setting, path) in files {
        if let Some(path) = path {
            key_files::warn_if_exposed(setting, path);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory, Parser};

    use super::*;
    use crate::config::Cli;

    /// Suffixes of variable names whose value may contain a secret.
    const ENDS: [&str; 7] = ["URL", "ENDPOINT", "TOKEN", "SECRET", "PASSWORD", "HEADERS", "ATTRIBUTES"];

    fn visit(command: &Command, found: &mut usize) {
        for argument in command.get_arguments() {
            let Some(name) = argument.get_env().and_then(|name| name.to_str()) else { continue };
            if ENDS.iter().any(|end| name.ends_with(end)) {
                assert!(argument.is_hide_env_values_set(), "{name} shows its value in --help and in errors");
                *found += 1;
            }
        }
        command.get_subcommands().for_each(|command| visit(command, found));
    }

    #[test]
    fn no_setting_that_may_hold_a_secret_shows_its_value() {
        let mut found = 0;
        visit(&Cli::command(), &mut found);
        assert!(found >= 8, "{found}");
    }

    #[test]
    fn no_secret_is_in_a_debug_print() {
        let arguments = [
            "category-mirror",
            "serve",
            "--database-url=postgres://user:hunter2@host/database",
            "--gbp-access-token=hunter2",
            "--auth-jwks-url=https://id.example/keys?token=hunter2",
            "--otel-exporter-otlp-headers=api-key=hunter2",
        ];
        let cli = Cli::try_parse_from(arguments).expect("taken");
        assert!(!format!("{cli:?}").contains("hunter2"), "{cli:?}");
        let matches = Cli::command().try_get_matches_from(arguments).expect("taken");
        let names = SECRETS.map(|(_, name)| name);
        assert_eq!(among_arguments(&matches), names);
    }
}
