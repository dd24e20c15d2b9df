//! Output that cannot be written, because the disk is full or nobody reads on: each command ends with an error, and none panics.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use category_mirror::config::Cli;
use clap::CommandFactory;
use nix::sys::signal::{Signal, kill};

use super::site::{self, Site};

/// How a panic ends a program.
const PANIC: i32 = 101;

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("it is always full")
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn ended(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("ran")
}

fn assert_error(what: &str, output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{what}: {errors}");
    assert!(matches!(output.status.code(), Some(code) if code != 0 && code != PANIC), "{what}: {output:?}");
    let told: Vec<&str> = errors.lines().filter(|line| !line.starts_with('{')).collect();
    assert!(matches!(told[..], [line] if line.starts_with("error: cannot write the output")), "{what}: {errors}");
}

/// The command and all below it, each with the way to it.
fn all(command: &clap::Command, way: &[String]) -> Vec<Vec<String>> {
    let mut ways = vec![way.to_vec()];
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        ways.extend(all(below, &[way, &[below.get_name().to_owned()]].concat()));
    }
    ways
}

#[test]
fn every_help_text_that_cannot_be_written_is_an_error() {
    let commands = all(&Cli::command(), &[]);
    assert!(commands.len() > 5, "{commands:?}");
    for way in commands {
        let arguments: Vec<&str> = way.iter().map(String::as_str).chain(["--help"]).collect();
        assert_error(&format!("{way:?}"), &ended(site::program(&arguments).stdout(full()).stderr(Stdio::piped())));
        assert_error(&format!("{way:?}"), &ended(site::program(&arguments).stdout(closed()).stderr(Stdio::piped())));
    }
    assert_error("version", &ended(site::program(&["--version"]).stdout(full()).stderr(Stdio::piped())));
}

/// What a command needs to print something, or `None` for one that prints nothing to standard output.
fn arguments(command: &str) -> Option<&'static [&'static str]> {
    match command {
        "demo" => Some(&["demo"]),
        "migrate" => Some(&["migrate"]),
        "token" => Some(&["token", "--role", "viewer", "--subject", "me"]),
        "serve" | "gbp-emulator" => None,
        other => panic!("a new command: what makes `{other}` print something?"),
    }
}

#[tokio::test]
async fn every_command_that_cannot_write_its_output_ends_with_an_error() {
    let site = Site::new().await;
    for command in Cli::command().get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help") {
        let Some(arguments) = arguments(command) else { continue };
        assert_error(command, &ended(site.program(arguments).stdout(full()).stderr(Stdio::piped())));
        if ["migrate", "token"].contains(&command) {
            assert_error(command, &ended(site.program(arguments).stdout(closed()).stderr(Stdio::piped())));
        }
        // Its line is read, and its end is good.
        let mut child = site.program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut first = BufReader::new(child.stdout.take().expect("piped")).lines();
        first.next().expect("a line").expect("text");
        drop(first);
        let output = child.wait_with_output().expect("ended");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked") && output.status.code() != Some(PANIC), "{command}: {errors}");
    }
}

/// A log on a full disk costs lines of it, and no thread of the server.
#[tokio::test]
async fn a_server_whose_log_cannot_be_written_serves_on() {
    let site = Site::new().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    for format in ["text", "json"] {
        let mut command = site.program(&["serve"]);
        command.env("LOG_FORMAT", format).env("RUST_LOG", "debug").env("ADMIN_LISTEN_ADDR", port.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full()).spawn().expect("started");
        site::until("it serves", || async {
            let answer = reqwest::get(format!("http://{port}/readyz")).await;
            answer.is_ok_and(|answer| answer.status().as_u16() == 200)
        })
        .await;
        kill(nix::unistd::Pid::from_raw(child.id().try_into().expect("a pid")), Signal::SIGTERM).expect("sent");
        assert_eq!(child.wait().expect("ended").code(), Some(0), "{format}");
    }
}

/// Where not even the error can be written, the exit code is what it would be.
#[tokio::test]
async fn an_error_that_cannot_be_written_keeps_its_exit_code() {
    for (arguments, code) in [(&["serve"][..], 64), (&["no-such-command"], 64), (&[], 64), (&["migrate"], 64)] {
        let mut command = site::program(arguments);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full()).status().expect("ran");
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}
