//! Contexts: servers by name, in a file without secrets.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use category_mirror_proto::v1::{self, run::State};
use tokio::process::Command;

use super::{Folder, text};
use crate::fake::{Fake, run};

/// The tool with its configuration in a folder, and no other settings.
fn configured(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorctl"));
    command.args(arguments).env_clear().env("XDG_CONFIG_HOME", folder.path()).kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> Output {
    command.output().await.expect("the tool starts")
}

fn will_get(fake: &Fake) {
    fake.methods.get_run.will(Ok(v1::GetRunResponse { run: Some(run("1", 1, State::Queued)) }));
}

/// Whether the fake was asked, and with which token.
fn token(fake: &Fake) -> Option<Option<String>> {
    fake.methods.get_run.asked().pop().map(|one| one.authorization)
}

fn config(folder: &Folder) -> String {
    fs::read_to_string(folder.path().join("mirrorctl/config.toml")).expect("the file")
}

#[tokio::test]
async fn a_context_is_set_used_and_listed() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    let folder = Folder::new("contexts");
    let file = folder.file("token", "hush\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("private");
    for (name, fake) in [("first", &first), ("second", &second)] {
        let arguments = ["context", "set", name, "--endpoint", &fake.endpoint(), "--token-file", &file];
        // What the environment says is not what is to be kept.
        let mut command = configured(&folder, &arguments);
        command.env("MIRRORCTL_CA_FILE", "/other.pem").env("MIRRORCTL_TOKEN", "s3cret");
        let output = output(command).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
    let written = config(&folder);
    assert!(!written.contains("other.pem") && !written.contains("s3cret") && !written.contains("hush"), "{written}");
    let mode = fs::metadata(folder.path().join("mirrorctl/config.toml")).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // The first one is current, until another is.
    will_get(&first);
    let got = output(configured(&folder, &["run", "get", "1"])).await;
    assert_eq!(got.status.code(), Some(0), "{}", text(&got.stderr));
    assert_eq!(token(&first), Some(Some("Bearer hush".into())));
    for (arguments, variable) in
        [(&["run", "get", "1", "--context", "second"][..], None), (&["run", "get", "1"], Some("second"))]
    {
        will_get(&second);
        let mut command = configured(&folder, arguments);
        command.envs(variable.map(|name| ("MIRRORCTL_CONTEXT", name)));
        assert_eq!(output(command).await.status.code(), Some(0));
        assert_eq!(token(&second), Some(Some("Bearer hush".into())));
    }
    let used = output(configured(&folder, &["context", "use", "second"])).await;
    assert_eq!(used.status.code(), Some(0), "{}", text(&used.stderr));
    let listed = output(configured(&folder, &["context", "list"])).await;
    let lines: Vec<Vec<&str>> = text(&listed.stdout).lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..3], ["-", "first", &first.endpoint()]);
    assert_eq!(lines[2], ["*", "second", &second.endpoint(), &file, "-"]);
    let listed = output(configured(&folder, &["context", "list", "--output", "json"])).await;
    assert!(text(&listed.stdout).contains(r#""name":"second","current":true"#), "{}", text(&listed.stdout));
}

#[tokio::test]
async fn options_and_variables_go_before_the_file_and_its_token_stays_with_its_server() {
    let (own, other) = (Fake::start().await, Fake::start().await);
    let folder = Folder::new("precedence");
    let file = folder.file("token", "hush");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("private");
    let arguments = ["context", "set", "own", "--endpoint", &own.endpoint(), "--token-file", &file];
    assert_eq!(output(configured(&folder, &arguments)).await.status.code(), Some(0));

    will_get(&other);
    let got = output(configured(&folder, &["run", "get", "1", "--endpoint", &other.endpoint()])).await;
    assert_eq!((got.status.code(), token(&other)), (Some(0), Some(None)), "{}", text(&got.stderr));
    will_get(&other);
    let mut command = configured(&folder, &["run", "get", "1", "--context", "own"]);
    command.env("MIRRORCTL_ENDPOINT", other.endpoint());
    let got = output(command).await;
    assert_eq!((got.status.code(), token(&other)), (Some(0), Some(None)), "{}", text(&got.stderr));

    will_get(&own);
    let mut command = configured(&folder, &["run", "get", "1"]);
    command.env("MIRRORCTL_TOKEN", "s3cret");
    assert_eq!(output(command).await.status.code(), Some(0));
    assert_eq!(token(&own), Some(Some("Bearer s3cret".into())));
}

#[tokio::test]
async fn a_bad_file_is_one_error_that_says_what_to_do() {
    let folder = Folder::new("bad-config");
    let path = folder.path().join("mirrorctl/config.toml");
    fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    for (text_of_file, mode, named) in [
        ("current = \"a\"\n[contexts.a\n", 0o600, "line 2: "),
        ("[contexts.a]\ntoken = \"hush\"\n", 0o600, "secrets are not kept here, use token_file"),
        (
            "[contexts.a]\nendpont = \"x\"\n",
            0o600,
            "unknown setting `endpont`: there are endpoint, token_file, ca_file",
        ),
        ("[contexts.a]\nendpoint = 7\n", 0o600, "`endpoint` of the context a must be a text"),
        ("curent = \"a\"\n", 0o600, "unknown setting `curent`"),
        ("current = \"b\"\n[contexts.a]\nendpoint = \"x\"\n", 0o600, "no context b: there is a"),
        ("[contexts.a]\nendpoint = \"x\"\n", 0o660, "other users can change it (mode 660)"),
        ("[contexts.a]\nendpoint = \"x\"\n", 0o602, "other users can change it (mode 602)"),
    ] {
        fs::write(&path, text_of_file).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        let output = output(configured(&folder, &["run", "get", "1"])).await;
        let shown = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text_of_file}: {shown}");
        assert!(shown.contains(named) && shown.contains("config.toml"), "{named}: {shown}");
        assert!(shown.lines().count() == 1 && !shown.contains("hush"), "{shown}");
    }
}

#[tokio::test]
async fn setting_a_context_keeps_what_else_is_in_the_file() {
    let folder = Folder::new("kept");
    let path = folder.path().join("mirrorctl/config.toml");
    fs::create_dir_all(path.parent().expect("a folder")).expect("created");
    let before = "# ours\ncurrent = \"a\"\n\n[contexts.a]\nendpoint = \"http://127.0.0.1:1\" # the old one\nca_file = \"a.pem\"\n";
    fs::write(&path, before).expect("written");
    let set = output(configured(&folder, &["context", "set", "b", "--endpoint", "http://127.0.0.1:2"])).await;
    assert_eq!(set.status.code(), Some(0), "{}", text(&set.stderr));
    assert_eq!(config(&folder), format!("{before}\n[contexts.b]\nendpoint = \"http://127.0.0.1:2\"\n"));
    for (arguments, named) in [
        (&["context", "set", "c"][..], "needs an --endpoint"),
        (&["context", "set", "c", "--endpoint", "ftp://x"], "must begin with https://"),
        (&["context", "use", "c"], "no context c: there is a, b"),
    ] {
        let output = output(configured(&folder, arguments)).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(named), "{}", text(&output.stderr));
    }
    // A file that a context names is beside the configuration.
    let output = output(configured(&folder, &["run", "get", "1"])).await;
    let beside = Path::new("mirrorctl").join("a.pem");
    assert!(text(&output.stderr).contains(beside.to_str().expect("UTF-8")), "{}", text(&output.stderr));
}
