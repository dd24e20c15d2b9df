//! Commands in the documents exist: those of `category-mirror` with their options, packages, tests and aliases of cargo. Those of `mirrorctl`
//! are held by a test of the client, which has the tool.

use std::fs;

use category_mirror::config::Cli;
use clap::{Command, CommandFactory};

use super::documents::{commands, pages, root};

/// Commands of cargo itself, and of its extensions that pages may name.
const CARGO: [&str; 14] = [
    "add", "bench", "build", "check", "clippy", "deny", "doc", "fmt", "install", "package", "run", "test", "tree",
    "update",
];

/// What is wrong with a command of a command line.
fn check(command: &Command, words: &[String]) -> Result<(), String> {
    let (mut at, mut words) = (command, words.iter());
    while let Some(word) = words.next() {
        if let Some(option) = word.strip_prefix("--") {
            let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
            if matches!(name, "help" | "version") {
                continue;
            }
            let known = at.get_arguments().find(|argument| argument.get_long() == Some(name));
            let known = known.ok_or_else(|| format!("{} has no option --{name}", at.get_name()))?;
            if known.get_action().takes_values() && value.is_none() {
                words.next();
            }
        } else if at.has_subcommands() {
            at = at.find_subcommand(word).ok_or_else(|| format!("{} has no command {word}", at.get_name()))?;
        }
    }
    Ok(())
}

/// The value of an option, such as that of `-p`.
fn value<'a>(words: &'a [String], option: &str) -> Option<&'a str> {
    words.iter().position(|word| word == option).and_then(|at| words.get(at + 1)).map(String::as_str)
}

fn has_package(name: &str) -> bool {
    let manifest = fs::read_to_string(root().join("Cargo.lock")).expect("a lock file");
    manifest.contains(&format!("name = \"{name}\"\n"))
}

fn has_alias(name: &str) -> bool {
    let aliases = fs::read_to_string(root().join(".cargo/config.toml")).unwrap_or_default();
    aliases.lines().any(|line| line.split_once(" = ").is_some_and(|(alias, _)| alias == name))
}

fn has_test(name: &str) -> bool {
    let tests = ["server/tests", "client/tests"].map(|folder| root().join(folder));
    tests.iter().any(|folder| folder.join(name).is_dir() || folder.join(format!("{name}.rs")).is_file())
}

fn check_cargo(words: &[String]) -> Result<(), String> {
    let words: Vec<String> = words.iter().filter(|word| !word.starts_with('+')).cloned().collect();
    let Some(subcommand) = words.first() else { return Ok(()) };
    if has_alias(subcommand) {
        return Ok(());
    }
    if !CARGO.contains(&subcommand.as_str()) {
        return Err(format!("cargo has no command {subcommand}"));
    }
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (own, rest) = (&words[..end], words.get(end + 1..).unwrap_or_default());
    if let Some(package) = value(own, "-p").filter(|package| !has_package(package)) {
        return Err(format!("there is no package {package}"));
    }
    if let Some(test) = value(own, "--test").filter(|test| !has_test(test)) {
        return Err(format!("there is no test {test}"));
    }
    match value(own, "-p").or(value(own, "--bin")) {
        None if subcommand == "run" => check(&built(), rest),
        _ => Ok(()),
    }
}

/// The command line, with the options of all commands among those of each.
fn built() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

fn fault(words: &[String]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let checked = match program.as_str() {
        "cargo" => check_cargo(arguments),
        "category-mirror" => check(&built(), arguments),
        _ => Ok(()),
    };
    checked.err()
}

#[test]
fn every_command_in_the_documents_exists() {
    let mut faults = Vec::new();
    for (page, text) in pages() {
        faults.extend(commands(&text).iter().filter_map(|words| fault(words)).map(|fault| format!("{page}: {fault}")));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let page = "`category-mirror dance`, `cargo jump`, and\n```sh\nA=b cargo run -- serve --deaf # no\n\
                cargo test -p category-mirror-server --test none\nX=$(category-mirror token --dev --role admin)\n```\n";
    let found: Vec<String> = commands(page).iter().filter_map(|words| fault(words)).collect();
    assert_eq!(
        found,
        [
            "category-mirror-server has no command dance",
            "cargo has no command jump",
            "serve has no option --deaf",
            "there is no test none"
        ]
    );
}
