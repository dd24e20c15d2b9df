//! Output that cannot be written: an error where the disk is full, a quiet end where the reader has seen enough, and never a panic.

use std::{
    fs::OpenOptions,
    process::{Output, Stdio},
};

use tokio::process::Command;

use super::{commands, hostile::answer_all, text};
use crate::fake::Fake;

/// How the tool ends when it cannot write.
const UNWRITTEN: i32 = 6;

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("it is always full").into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

async fn run(fake: &Fake, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorctl"));
    command.args(arguments).env_clear().env("MIRRORCTL_ENDPOINT", fake.endpoint());
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).kill_on_drop(true);
    // `output` would take pipes, whatever it was told.
    command.spawn().expect("the tool starts").wait_with_output().await.expect("ended")
}

fn assert_unwritten(what: &str, output: &Output) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(UNWRITTEN), "{what}: {errors}");
    assert!(
        errors.starts_with("mirrorctl: cannot write the output") && errors.lines().count() == 1,
        "{what}: {errors}"
    );
}

#[tokio::test]
async fn every_command_that_cannot_write_its_output_ends_with_an_error() {
    let start = Fake::start().await;
    let folder = std::env::temp_dir().join(format!("mirrorctl-output-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for command in commands::all(&start, &folder).await.iter().filter(|command| command.prints) {
        let arguments: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        for form in [&[][..], &["--output", "json"]] {
            let fake = Fake::start().await;
            answer_all(&fake);
            let arguments = [&arguments[..], form].concat();
            let what = arguments.join(" ");
            assert_unwritten(&what, &run(&fake, &arguments, full(), Stdio::piped()).await);

            let fake = Fake::start().await;
            answer_all(&fake);
            let output = run(&fake, &arguments, closed(), Stdio::piped()).await;
            assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{what}");
        }
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[tokio::test]
async fn every_help_text_that_cannot_be_written_is_an_error() {
    let fake = Fake::start().await;
    for way in commands::ways(&fake).await {
        let arguments: Vec<&str> = way.iter().map(String::as_str).chain(["--help"]).collect();
        assert_unwritten(&arguments.join(" "), &run(&fake, &arguments, full(), Stdio::piped()).await);
        let output = run(&fake, &arguments, closed(), Stdio::piped()).await;
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    }
}

/// Where not even the error can be written, the exit code is what it would be.
#[tokio::test]
async fn an_error_that_cannot_be_written_keeps_its_exit_code() {
    let fake = Fake::start().await;
    for (arguments, code) in [(&["run", "get", "1"][..], 6), (&["no-such-command"], 2), (&[], 2), (&["run"], 2)] {
        let output = run(&fake, arguments, Stdio::piped(), full()).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}
