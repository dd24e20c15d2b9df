//! Every command of the tool, by its own help texts, with arguments that make it work.

use std::path::Path;

use super::{mirrorctl, text};
use crate::fake::Fake;

/// A command with arguments.
pub(super) struct Command {
    /// All arguments, the way first.
    pub(super) arguments: Vec<String>,
    /// Whether it prints something when all goes well.
    pub(super) prints: bool,
}

/// What follows each command, where `FILE` is a file that it reads. Those of `SILENT` print nothing.
const ARGUMENTS: [(&str, &str); 48] = [
    ("run create", "a --strategy platform_to_gbp --wait"),
    ("run get", "1"),
    ("run last", "a platform_to_gbp"),
    ("run cancel", "1"),
    ("run revert", "1 --wait"),
    ("run watch", "1"),
    ("run watch", ""),
    ("run list", "-n 1"),
    ("run stats", ""),
    ("plan get", "1"),
    ("batch create", "--strategy platform_to_gbp --organization a --wait"),
    ("batch list", ""),
    ("batch get", "b"),
    ("batch watch", "b"),
    ("batch cancel", "b"),
    ("tenant list", ""),
    ("tenant get", "a"),
    ("tenant create", "a --display-name A"),
    ("tenant update", "a --display-name A"),
    ("tenant delete", "a --yes"),
    ("tenant import", "--file FILE"),
    ("tenant get-categories", "a"),
    ("sync get", "a"),
    ("sync list", ""),
    ("sync decide", "a ignore --reason x"),
    ("tenant set-categories", "a --primary cafe"),
    ("platform-category list", ""),
    ("platform-category get", "a"),
    ("platform-category create", "a --display-name A"),
    ("platform-category update", "a --display-name A"),
    ("platform-category delete", "a --yes"),
    ("platform-category import", "--file FILE"),
    ("taxonomy refresh", "US en"),
    ("taxonomy list", ""),
    ("taxonomy search", "US en q"),
    ("taxonomy suggest", "US en"),
    ("flag list", ""),
    ("flag get", "F"),
    ("flag update", "F --tenants b --replace --reason x"),
    ("flag evaluate", "F a"),
    ("flag history", ""),
    ("credentials list", ""),
    ("credentials get", "1"),
    ("credentials set", "1 --file FILE"),
    ("credentials verify", "1"),
    ("credentials delete", "1 --yes"),
    ("credentials reencrypt", ""),
    ("version", ""),
];
/// Commands that ask no server, and so show nothing of one.
const LOCAL: [&str; 5] = ["context list", "context use", "context set", "completions", "man"];
const SILENT: [&str; 3] = ["tenant delete", "platform-category delete", "credentials delete"];

/// The names below a command, from its help text.
async fn below(fake: &Fake, way: &[String]) -> Vec<String> {
    let arguments: Vec<&str> = way.iter().map(String::as_str).chain(["--help"]).collect();
    let help = mirrorctl(fake, &arguments).await;
    let lines = text(&help.stdout).lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let name = line.strip_prefix("  ").filter(|line| !line.starts_with(' '))?;
        Some(name.split(' ').next().unwrap_or_default().to_owned())
    });
    names.filter(|name| name != "help").collect()
}

/// All ways to a command, also those to commands that only have others below them.
pub(super) async fn ways(fake: &Fake) -> Vec<Vec<String>> {
    let mut ways = vec![Vec::new()];
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        for name in below(fake, &way).await {
            ways.push([&way[..], &[name]].concat());
        }
        next += 1;
    }
    ways
}

/// Every command that does something. `folder` gets the files that some read.
pub(super) async fn all(fake: &Fake, folder: &Path) -> Vec<Command> {
    let mut commands = Vec::new();
    let ways = ways(fake).await;
    for way in &ways {
        if ways.iter().any(|other| other.len() > way.len() && other.starts_with(way)) {
            continue;
        }
        let name = way.join(" ");
        if LOCAL.contains(&name.as_str()) {
            continue;
        }
        let known: Vec<_> = ARGUMENTS.iter().filter(|(known, _)| *known == name).collect();
        assert!(!known.is_empty(), "a new command, `{name}`: what are its arguments?");
        let file = folder.join(way[0].as_str());
        let content = match way[0].as_str() {
            "tenant" => r#"{"tenant":"a"}"#,
            "platform-category" => r#"{"slug":"a"}"#,
            _ => r#"{"client_id":"a","client_secret":"b","refresh_token":"c"}"#,
        };
        std::fs::write(&file, content).expect("written");
        // Else the tool warns of what others can read.
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
        let file = file.to_str().expect("UTF-8");
        for (_, rest) in known {
            let rest = rest.split_whitespace().map(|word| word.replace("FILE", file));
            let arguments = way.iter().cloned().chain(rest).collect();
            commands.push(Command { arguments, prints: !SILENT.contains(&name.as_str()) });
        }
    }
    assert!(commands.len() > 40, "{}", commands.len());
    commands
}
