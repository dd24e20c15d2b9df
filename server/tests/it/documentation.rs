//! The documentation lists what users look up there: every reason of an error, and every setting of `serve`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
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

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).expect(file)
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
fn every_setting_of_serve_is_in_the_table_of_the_readme() {
    let readme = read("README.md");
    let tables: Vec<&str> = readme.lines().filter(|line| line.starts_with('|')).collect();
    let tables = tables.join("\n");
    let listed = variables(&tables);
    let mut command = Cli::command();
    // Settings of every command are among those of each.
    command.build();
    let serve = command.find_subcommand("serve").expect("serve");
    let settings: BTreeSet<String> =
        serve.get_arguments().filter_map(|it| Some(it.get_env()?.to_str()?.to_owned())).collect();
    assert!(settings.len() > 50, "{settings:?}");
    let missing: Vec<&String> = settings.iter().filter(|name| !listed.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
