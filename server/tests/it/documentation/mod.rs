//! What the documents state, and a test can hold: reasons, settings, paths, functions, links, commands and filters of tests.

mod commands;
#[path = "../../support/documents.rs"]
pub(crate) mod documents;
mod filters;
mod paths;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use category_mirror::{config::Cli, error::Reason};
use clap::CommandFactory;

/// The codes of gRPC that errors of calls have.
const CODES: [&str; 11] = [
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
];

/// Lines of the README: more, and a newcomer no longer reads it to the end.
const MAX_README_LINES: usize = 120;

fn read(file: &str) -> String {
    fs::read_to_string(documents::root().join(file)).expect(file)
}

/// The cells of the tables of a file, without the rows above and below their heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(|cell| cell.trim_matches('`')).collect()).collect()
}

#[test]
fn every_reason_of_an_error_is_listed_once_with_its_code() {
    let text = read("docs/errors.md");
    let mut listed = BTreeMap::new();
    for row in rows(&text) {
        let [reason, code, why, remedy] = row[..] else { panic!("{row:?}") };
        assert!(CODES.contains(&code) && !why.is_empty() && !remedy.is_empty(), "{row:?}");
        assert_eq!(listed.insert(reason, code), None, "{reason} is listed twice");
    }
    let known: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(listed.keys().copied().collect::<BTreeSet<_>>(), known);
}

/// The words of a text that could be names of variables.
fn variables(text: &str) -> BTreeSet<&str> {
    text.split(|character: char| !character.is_ascii_uppercase() && !character.is_ascii_digit() && character != '_')
        .collect()
}

#[test]
fn every_setting_of_serve_is_in_a_table_and_no_other() {
    let page = read("docs/configuration.md");
    let tables: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    let tables = tables.join("\n");
    let listed = variables(&tables);
    let mut command = Cli::command();
    // Settings of every command are among those of each.
    command.build();
    let mut settings = BTreeSet::new();
    let mut serve = BTreeSet::new();
    for subcommand in command.get_subcommands() {
        let names = subcommand.get_arguments().filter_map(|it| Some(it.get_env()?.to_str()?.to_owned()));
        let names: Vec<String> = names.collect();
        if subcommand.get_name() == "serve" {
            serve.extend(names.iter().cloned());
        }
        settings.extend(names);
    }
    assert!(serve.len() > 50, "{serve:?}");
    let missing: Vec<&String> = serve.iter().filter(|name| !listed.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // The first cells of tables are names of settings, and of nothing else.
    let cells = rows(&page);
    let named: BTreeSet<&str> = cells.iter().flat_map(|row| row[0].split("`, `")).collect();
    let unknown: Vec<&&str> = named.iter().filter(|name| !settings.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= MAX_README_LINES, "{} lines", readme.lines().count());
    for (page, _) in documents::pages() {
        let is_reached = page == "README.md"
            || readme.contains(&format!("({page})"))
            || page.starts_with("docs/decisions/") && readme.contains("(docs/decisions/");
        assert!(is_reached, "the README does not lead to {page}");
    }
    let decisions = read("docs/decisions/README.md");
    for entry in fs::read_dir(documents::root().join("docs/decisions")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        assert!(name == "README.md" || decisions.contains(&format!("({name})")), "{name} is not in the list");
    }
}
