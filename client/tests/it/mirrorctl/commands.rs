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
const ARGUMENTS: [(&str, &str); 47] = [
    ("trigger", "a platform_to_gbp --watch"),
    ("run get", "1"),
    ("run last", "a platform_to_gbp"),
    ("run cancel", "1"),
    ("run revert", "1 --watch"),
    ("run watch", "1"),
    ("plan show", "1"),
    ("batch start", "platform_to_gbp --organization a --watch"),
    ("batch list", ""),
    ("batch get", "b"),
    ("batch watch", "b"),
    ("batch cancel", "b"),
    ("watch", ""),
    ("logs", "-n 1"),
    ("stats", ""),
    ("tenants list", ""),
    ("tenants get", "a"),
    ("tenants create", "a --display-name A"),
    ("tenants update", "a --display-name A"),
    ("tenants delete", "a"),
    ("tenants import", "FILE"),
    ("tenants categories", "a"),
    ("tenants sync", "a"),
    ("tenants syncs", ""),
    ("tenants decide", "a ignore --reason x"),
    ("tenants set-categories", "a cafe"),
    ("categories list", ""),
    ("categories get", "a"),
    ("categories create", "a --display-name A"),
    ("categories update", "a --display-name A"),
    ("categories delete", "a"),
    ("categories import", "FILE"),
    ("taxonomy refresh", "US en"),
    ("taxonomy versions", ""),
    ("taxonomy search", "US en q"),
    ("taxonomy suggest", "US en"),
    ("flags list", ""),
    ("flags get", "F"),
    ("flags update", "F --tenants b --replace --reason x"),
    ("flags evaluate", "F a"),
    ("flags changes", ""),
    ("credentials list", ""),
    ("credentials get", "1"),
    ("credentials set", "1 --file FILE"),
    ("credentials verify", "1"),
    ("credentials delete", "1"),
    ("credentials reencrypt", ""),
];
const SILENT: [&str; 3] = ["tenants delete", "categories delete", "credentials delete"];

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
        let known = ARGUMENTS.iter().find(|(known, _)| *known == name);
        let (_, rest) = known.unwrap_or_else(|| panic!("a new command, `{name}`: what are its arguments?"));
        let file = folder.join(way[0].as_str());
        let content = match way[0].as_str() {
            "tenants" => r#"{"tenant":"a"}"#,
            "categories" => r#"{"slug":"a"}"#,
            _ => r#"{"client_id":"a","client_secret":"b","refresh_token":"c"}"#,
        };
        std::fs::write(&file, content).expect("written");
        // Else the tool warns of what others can read.
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
        let file = file.to_str().expect("UTF-8");
        let rest = rest.split_whitespace().map(|word| word.replace("FILE", file));
        let arguments = way.iter().cloned().chain(rest).collect();
        commands.push(Command { arguments, prints: !SILENT.contains(&name.as_str()) });
    }
    assert!(commands.len() > 40, "{}", commands.len());
    commands
}
