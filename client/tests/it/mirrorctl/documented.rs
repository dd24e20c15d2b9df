//! Every command of `mirrorctl` in the documents exists, with the options that it is shown with.

#[path = "../../../../server/tests/support/documents.rs"]
mod documents;

use std::{collections::BTreeMap, process::Command};

/// Returns the help of a command, or `None` if there is no such command.
fn help(path: &[String], known: &mut BTreeMap<Vec<String>, Option<String>>) -> Option<String> {
    let read = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorctl"));
        let output = command.args(path).arg("--help").env_clear().output().expect("the tool starts");
        output.status.success().then(|| String::from_utf8(output.stdout).expect("UTF-8"))
    };
    known.entry(path.to_vec()).or_insert_with(read).clone()
}

/// What is wrong with a command.
fn fault(words: &[String], known: &mut BTreeMap<Vec<String>, Option<String>>) -> Option<String> {
    let is_name = |word: &&String| word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
    // A noun and a verb; only `version`, `help` and the like stand alone.
    let path: Vec<String> = words.iter().take_while(is_name).take(2).cloned().collect();
    let Some(text) = help(&path, known).or_else(|| help(&path[..path.len().min(1)], known)) else {
        return Some(format!("mirrorctl has no command {}", path.join(" ")));
    };
    if help(&path, known).is_none() && text.contains("Commands:") {
        return Some(format!("mirrorctl has no command {}", path.join(" ")));
    }
    let mut options = words.iter().filter_map(|word| word.strip_prefix("--")).map(|word| {
        let name = word.split_once('=').map_or(word, |(name, _)| name);
        format!("--{name}")
    });
    let is_end = |rest: &str| rest.chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '-');
    let has = |option: &String| text.match_indices(option.as_str()).any(|(at, _)| is_end(&text[at + option.len()..]));
    let missing = options.find(|option| !has(option))?;
    Some(format!("mirrorctl {} has no option {missing}", path.join(" ")))
}

fn faults(page: &str) -> Vec<String> {
    let mut known = BTreeMap::new();
    let commands = documents::commands(page);
    let own = commands.iter().filter_map(|words| words.split_first().filter(|(program, _)| *program == "mirrorctl"));
    own.filter(|(_, words)| !words.is_empty()).filter_map(|(_, words)| fault(words, &mut known)).collect()
}

#[test]
fn every_command_of_mirrorctl_in_the_documents_exists() {
    let pages = documents::pages();
    let faults: Vec<String> = pages
        .iter()
        .flat_map(|(page, text)| faults(text).into_iter().map(move |fault| format!("{page}: {fault}")))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let page = "`mirrorctl run dance` and\n```sh\nmirrorctl run list --deaf; mirrorctl run list --limit 3\n```\n";
    assert_eq!(faults(page), ["mirrorctl has no command run dance", "mirrorctl run list has no option --deaf"]);
}
