//! Errors in the words of the command line: options instead of fields, commands instead of RPCs, and the address that was tried.

use std::collections::BTreeMap;

use category_mirror_client::{Code, Error, Printable};

use crate::show::ids;

/// What the server and the client crate call something, and what the command line does.
const WORDS: [(&str, &str); 20] = [
    (
        "`tenants/{tenant}/runs/{run}` or `tenants/-/runs/{run}`, the run a UUID in lower case",
        "an id, its last 8 digits, or tenants/{tenant}/runs/{run}",
    ),
    ("must be `tenants/{id}`, the id ", "must be "),
    ("set allow_unknown (mirrorctl: --allow-unknown)", "give --allow-unknown"),
    ("RefreshTaxonomy imports it", "`mirrorctl taxonomy refresh` imports it"),
    ("run RefreshTaxonomy again", "run `mirrorctl taxonomy refresh` again"),
    ("RefreshTaxonomy", "`mirrorctl taxonomy refresh`"),
    ("SetCredentials", "`mirrorctl credentials set`"),
    ("set allow_shrink and a reason", "give --allow-shrink with a reason"),
    (
        "set gbp_account and gbp_location first",
        "set --gbp-account and --gbp-location with `mirrorctl tenant update` first",
    ),
    ("send a token: `authorization: Bearer <token>`", "no token: give one with --token-file or MIRRORCTL_TOKEN"),
    ("allow_plaintext_token()", "--allow-plaintext-token"),
    ("client_certificate: only https:// can show it", "--client-cert-file: only https:// can show it"),
    ("client_certificate: the key", "--client-key-file"),
    ("client_certificate: the chain", "--client-cert-file"),
    ("client_certificate", "--client-cert-file"),
    ("ca_certificate:", "--ca-file"),
    ("override_guards", "--override-guard"),
    ("confirm_override_count", "--confirm-override-count"),
    ("confirm_tenant_count", "--confirm-tenant-count"),
    ("allow_unknown", "--allow-unknown"),
];
/// What the client's settings begin with, each an option of its own name.
const SETTINGS: [&str; 6] = ["endpoint", "timeout", "traceparent", "metadata", "request_id", "expected_revision"];
/// What names a layer of a failed connection, and helps nobody.
const LAYERS: [&str; 5] =
    ["transport error", "tcp connect error", "client error (Connect)", "tcp open error", "connection error"];

/// The words of one command line.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// Where the server is said to be.
    pub(crate) endpoint: String,
    /// Options and arguments of the command, as they are typed, by their names without hyphens.
    options: BTreeMap<String, String>,
    /// The first argument.
    subject: Option<String>,
}

impl Words {
    /// The words of a command.
    pub(crate) fn of(command: &clap::Command) -> Self {
        let mut words = Self::default();
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                words.options.insert(long.replace('-', "_"), format!("--{long}"));
            } else {
                let shown = argument.get_id().as_str().to_ascii_uppercase();
                words.subject.get_or_insert(shown.clone());
                words.options.insert(argument.get_id().to_string(), shown);
            }
        }
        words
    }

    /// One line for an error of a call.
    pub(crate) fn explain(&self, error: &Error) -> String {
        let text = match error.reason() {
            None => self.unanswered(error),
            Some(_) if !error.field_violations().is_empty() => self.violations(error),
            Some("CONFIRMATION_MISMATCH") => self.mismatch(error.metadata()),
            Some(_) => setting(error.message()),
        };
        let reason = error.reason().map(|reason| format!(" [{}]", Printable(reason))).unwrap_or_default();
        format!("{}{reason}", Printable(&text))
    }

    /// Why there is no answer of the server.
    fn unanswered(&self, error: &Error) -> String {
        let message = error.message();
        match error.code() {
            Code::Unavailable if message.starts_with("no connection to the server: ") => {
                let parts = message.split(": ").skip(1).filter(|part| !LAYERS.contains(part));
                let parts: Vec<&str> = parts.map(|part| part.split(" (os error").next().unwrap_or(part)).collect();
                let parts = if parts.is_empty() { "no connection".to_owned() } else { parts.join(": ") };
                format!("cannot reach {}: {parts}", self.endpoint)
            }
            Code::DeadlineExceeded => format!("{}: {message}; --timeout waits longer", self.endpoint),
            code if message.is_empty() => format!("{}: {code}", self.endpoint),
            _ => setting(message),
        }
    }

    /// Everything that is wrong with the request, each under the option that it came from.
    fn violations(&self, error: &Error) -> String {
        let violations = error.field_violations().iter();
        let lines: Vec<String> = violations.map(|it| self.violation(&it.field, &setting(&it.description))).collect();
        lines.join("; ")
    }

    fn violation(&self, field: &str, description: &str) -> String {
        // `tenants/a does not exist` needs no option before it: it names what was typed.
        let first = description.split(' ').next().unwrap_or_default();
        if first.contains('/') { description.to_owned() } else { format!("{} {description}", self.option(field)) }
    }

    /// The option or argument for a field of a request.
    fn option(&self, field: &str) -> String {
        let last = field.rsplit('.').next().unwrap_or(field);
        let last = last.split('[').next().unwrap_or(last);
        let singular = last.strip_suffix("ies").map(|stem| format!("{stem}y"));
        let singular = singular.or_else(|| last.strip_suffix('s').map(str::to_owned)).unwrap_or_default();
        let known = self.options.get(last).or_else(|| self.options.get(&singular));
        // Names are what a command is about.
        let known = known.or_else(|| self.subject.as_ref().filter(|_| matches!(last, "name" | "tenant" | "flag")));
        match last {
            "page_size" => "--limit".to_owned(),
            _ => known.cloned().unwrap_or_else(|| last.replace('_', " ")),
        }
    }

    /// Another number was expected than the server counts.
    fn mismatch(&self, values: &BTreeMap<String, String>) -> String {
        let value = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
        let (expected, confirmed) = (value("expected"), value("confirmed"));
        if let Some(batch) = values.get("batch") {
            let advice = match expected {
                "0" => "override other guards of runs, or none".to_owned(),
                _ => format!("repeat with --confirm-override-count {expected}"),
            };
            return format!(
                "the overridden guards let {expected} runs through, as the dry batch {} found, and not the {confirmed} of \
                 --confirm-override-count; {advice}, or make another dry batch",
                ids::of(batch)
            );
        }
        let target = match value("target") {
            "tenants/-" => "--all-tenants touches".to_owned(),
            name => format!("--organization {} touches", ids::of(name)),
        };
        format!(
            "{target} {expected} tenants with a location, and not the {confirmed} of --confirm-tenant-count; nothing was started: if that is \
             right, repeat with --confirm-tenant-count {expected}"
        )
    }
}

/// A setting of the client crate, or any other text, in the words of the command line.
pub(crate) fn setting(message: &str) -> String {
    // A name of all tenants, or of a run of any tenant, is what the protocol needs and no person has typed.
    let mut text = message.replace("tenants/- has no tenant", "there is no tenant");
    if let Some(run) = text.strip_prefix("tenants/-/runs/") {
        text = format!("run {run}");
    }
    for name in SETTINGS {
        if text.starts_with(name) {
            text = format!("--{}{}", name.replace('_', "-"), &text[name.len()..]);
            break;
        }
    }
    for (theirs, ours) in WORDS {
        // What was replaced already is not replaced again inside its replacement.
        if !(ours.contains(theirs) && text.contains(ours)) {
            text = text.replace(theirs, ours);
        }
    }
    text
}
