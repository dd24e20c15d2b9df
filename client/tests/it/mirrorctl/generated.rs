//! What the tool says of itself: examples, completions, manual pages, versions.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tokio::process::Command;

use super::{Folder, commands, hostile::answer_all, mirrorctl, text};
use crate::fake::Fake;

/// The examples of a help text, each as one line.
fn examples(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines.map(str::trim).collect::<Vec<_>>().join("\n").replace("\\\n", "").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn every_command_has_examples_that_are_command_lines() {
    let start = Fake::start().await;
    let folder = Folder::new("examples");
    for (name, content) in [
        ("tenants.csv", "tenant\na\n"),
        ("categories.jsonl", "{\"slug\":\"a\"}\n"),
        ("adc.json", r#"{"client_id":"a","client_secret":"b","refresh_token":"c"}"#),
        ("config/mirrorctl/config.toml", "[contexts.production]\nendpoint = \"http://127.0.0.1:1\"\n"),
    ] {
        fs::create_dir_all(folder.path().join(name).parent().expect("a folder")).expect("created");
        let file = folder.file(name, content);
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("private");
    }
    let tool = Path::new(env!("CARGO_BIN_EXE_mirrorctl")).parent().expect("a folder");
    let ways = commands::ways(&start).await;
    for way in &ways {
        let help = mirrorctl(&start, &way.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>()).await;
        let examples = examples(text(&help.stdout));
        let is_leaf = !ways.iter().any(|other| other.len() > way.len() && other.starts_with(way));
        assert_eq!(examples.is_empty(), !is_leaf, "{way:?}: {examples:?}");
        for example in examples {
            assert!(example.contains(&format!("mirrorctl {}", way.join(" "))), "{example}");
            let fake = Fake::start().await;
            answer_all(&fake);
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", &example]).env_clear().env("PATH", tool).current_dir(folder.path());
            shell.env("MIRRORCTL_ENDPOINT", fake.endpoint()).env("MIRRORCTL_TOKEN", "s3cret");
            shell.env("XDG_CONFIG_HOME", folder.path().join("config")).stdin(std::process::Stdio::null());
            let output = shell.kill_on_drop(true).output().await.expect("a shell");
            let code = output.status.code();
            assert!(code.is_some_and(|code| code != 2 && code < 100), "{example}: {code:?} {}", text(&output.stderr));
        }
    }
}

#[tokio::test]
async fn shells_get_completions() {
    let fake = Fake::start().await;
    for (shell, part) in
        [("bash", "complete -F _mirrorctl"), ("zsh", "#compdef mirrorctl"), ("fish", "complete -c mirrorctl")]
    {
        let output = mirrorctl(&fake, &["completions", shell]).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let script = text(&output.stdout);
        assert!(script.contains(part) && script.contains("platform_to_gbp"), "{shell}");
    }
}

#[tokio::test]
async fn every_command_has_a_manual_page() {
    let fake = Fake::start().await;
    let folder = Folder::new("man");
    let pages = folder.path().join("man1");
    let output = mirrorctl(&fake, &["man", "--directory", pages.to_str().expect("UTF-8")]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for way in commands::ways(&fake).await {
        let name = ["mirrorctl".to_owned()].into_iter().chain(way).collect::<Vec<_>>().join("-");
        let page =
            fs::read_to_string(pages.join(format!("{name}.1"))).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    let page = fs::read_to_string(pages.join("mirrorctl-run-create.1")).expect("a page");
    assert!(page.contains("Examples:"), "{page}");
    let file = folder.file("file", "");
    let output = mirrorctl(&fake, &["man", "--directory", &file]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[tokio::test]
async fn the_versions_of_both_sides_are_shown() {
    let fake = Fake::start().await;
    fake.methods.list_flags.will(Ok(category_mirror_proto::v1::ListFlagsResponse::default()));
    let output = mirrorctl(&fake, &["version"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown: Vec<&str> = text(&output.stdout).lines().collect();
    assert!(shown[0].starts_with(concat!("mirrorctl     ", env!("CARGO_PKG_VERSION"), " (commit ")), "{shown:?}");
    assert_eq!(shown[1], format!("server        9.8.7 (commit c0ffee) at {}", fake.endpoint()));

    // Without a server, the tool still tells its own.
    let output = mirrorctl(&fake, &["version"]).await;
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(6), 1), "{}", text(&output.stderr));
}
