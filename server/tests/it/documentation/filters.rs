//! The filters of tests in the documents match tests: one that matches none passes, and tests nothing.

use std::{fs, path::Path};

use super::documents::{commands, pages, root};

/// Folders whose sources have tests. The path of a test begins below its folder.
const FOLDERS: [&str; 8] = [
    "client/src",
    "client/tests/it",
    "server/crates/domain/src",
    "server/crates/emulator/src",
    "server/crates/gbp/src",
    "server/crates/postgres/src",
    "server/src",
    "server/tests/it",
];

/// The paths of all functions, tests among them.
fn functions() -> Vec<String> {
    fn below(folder: &Path, modules: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy();
            let inside =
                if matches!(&*name, "lib" | "main" | "mod") { modules.into() } else { format!("{modules}{name}::") };
            if path.is_dir() {
                below(&path, &inside, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("source");
                let names = source.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
                found.extend(names.map(|name| format!("{inside}{name}")));
            }
        }
    }
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| below(&root().join(folder), "", &mut found));
    found
}

/// The filters of a command that runs tests. Those of the storm are no filters, but settings.
fn filters(words: &[String]) -> Vec<&str> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["cargo", "it" | "test" | "unit", arguments @ ..] = &words[..] else { return Vec::new() };
    if arguments.contains(&"storm") {
        return Vec::new();
    }
    let has_value = |at: usize| at > 0 && matches!(arguments[at - 1], "-p" | "--test");
    let filters = arguments.iter().enumerate().filter(|(at, word)| !word.starts_with('-') && !has_value(*at));
    filters.map(|(_, word)| *word).collect()
}

fn fault(words: &[String], functions: &[String]) -> Option<String> {
    let is_exact = words.iter().any(|word| word == "--exact");
    let matches =
        |filter: &str| functions.iter().any(|path| if is_exact { path == filter } else { path.contains(filter) });
    filters(words).into_iter().find(|filter| !matches(filter)).map(|filter| format!("no test matches {filter}"))
}

#[test]
fn every_filter_of_tests_in_the_documents_matches_a_test() {
    let functions = functions();
    let mut faults = Vec::new();
    for (page, text) in pages() {
        let found = commands(&text).into_iter().filter_map(|words| fault(&words, &functions));
        faults.extend(found.map(|fault| format!("{page}: {fault}")));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_filter_that_matches_nothing_is_found() {
    let page = "`cargo it documentation::filters`, `cargo unit nowhere::at_all`, `cargo test -p a --test it -- nothing_of_the_kind --nocapture`, and\n\
                `cargo it filters::a_filter_that_matches_nothing_is_found --exact`.";
    let functions = functions();
    let found: Vec<String> = commands(page).iter().filter_map(|words| fault(words, &functions)).collect();
    assert_eq!(
        found,
        [
            "no test matches nowhere::at_all",
            "no test matches nothing_of_the_kind",
            "no test matches filters::a_filter_that_matches_nothing_is_found"
        ]
    );
}
