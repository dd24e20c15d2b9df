//! `demo`, as somebody sees it who has just cloned the repository.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    pty::openpty,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::site;

const STORES: [&str; 6] = [
    "Corner Market Oak Street",
    "Corner Market River Road",
    "Corner Market Station",
    "Bella Cucina Harbour",
    "Bella Cucina Market Square",
    "Bella Cucina Airport",
];
const ESCAPE: u8 = 0x1b;

/// The demo, with a folder of its own for what it leaves behind.
fn demo(arguments: &[&str]) -> (Command, TempDir) {
    let folder = site::folder();
    let mut command = site::program(&[&["demo"], arguments].concat());
    command.env("TMPDIR", folder.path()).stdin(Stdio::null());
    (command, folder)
}

fn assert_nothing_is_left(folder: &Path) {
    assert_eq!(fs::read_dir(folder).expect("listed").count(), 0, "the folder is empty again");
    let folder = folder.as_os_str().as_bytes();
    for process in fs::read_dir("/proc").expect("listed").flatten() {
        // What has ended meanwhile has none.
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let is_ours = command.windows(folder.len()).any(|part| part == folder);
        assert!(!is_ours, "still running: {}", String::from_utf8_lossy(&command));
    }
}

#[test]
fn in_a_pipe_it_tells_of_every_store_in_plain_text_and_ends_on_success() {
    let (mut command, folder) = demo(&[]);
    let output = command.output().expect("ran");
    let (text, errors) = (String::from_utf8(output.stdout).expect("text"), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{errors}");
    assert!(errors.is_empty(), "nothing to worry about: {errors}");
    assert!(!text.as_bytes().contains(&ESCAPE), "{text:?}");
    for store in STORES {
        assert!(text.matches(store).count() >= 3, "in each of the three runs, {store}: {text}");
    }
    for part in [
        "+ ",
        "~ ",
        "- ",
        "gcid:",
        "will try again",
        "failed: GUARD",
        "x guard",
        "nothing to do",
        "LOCATION_NOT_FOUND",
        "success rate",
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
    let end = text.split("\n\n").last().expect("a last paragraph");
    assert!(end.starts_with("Success: ") && !end.contains("failed"), "{end}");
    assert!(end.contains("demo --keep") && end.contains("serve --dev"), "{end}");
    assert_nothing_is_left(folder.path());
}

/// What it shows on a terminal.
fn on_a_terminal(mut command: Command) -> Vec<u8> {
    let terminal = openpty(None, None).expect("a terminal");
    let end = || terminal.slave.try_clone().expect("open");
    let mut child = command.env("TERM", "xterm-256color").stdout(end()).stderr(end()).spawn().expect("started");
    // Only the child holds it open now, so that its end is the end of what we read.
    drop((terminal.slave, command));
    let mut shown = Vec::new();
    // Linux ends a terminal that nobody writes to any more with an error.
    let _ = File::from(terminal.master).read_to_end(&mut shown);
    assert!(child.wait().expect("ended").success(), "{}", String::from_utf8_lossy(&shown));
    shown
}

#[test]
fn on_a_terminal_it_has_colour_unless_told_otherwise() {
    const GREEN: &[u8] = b"\x1b[32m";
    let is_green = |shown: &[u8]| shown.windows(GREEN.len()).any(|part| part == GREEN);

    let (command, folder) = demo(&[]);
    assert!(is_green(&on_a_terminal(command)));
    assert_nothing_is_left(folder.path());

    let (mut command, folder) = demo(&[]);
    command.env("NO_COLOR", "1");
    let shown = on_a_terminal(command);
    assert!(!is_green(&shown), "{}", String::from_utf8_lossy(&shown));
    assert_nothing_is_left(folder.path());
}

#[test]
fn kept_it_serves_until_ctrl_c_and_leaves_nothing_behind() {
    let (mut command, folder) = demo(&["--keep"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut lines = lines.map(|line| line.expect("text"));
    let token = lines.find_map(|line| Some(line.strip_prefix("export TOKEN=")?.to_owned())).expect("a token");
    assert_eq!(token.split('.').count(), 3, "{token}");
    lines.find(|line| line.contains("/_control/locations/")).expect("the last line to paste");

    kill(Pid::from_raw(child.id().try_into().expect("a pid")), Signal::SIGINT).expect("sent");
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    assert_nothing_is_left(folder.path());
}

/// Interrupts the demo with each of the signals, one after the other, when it has shown so many lines.
fn interrupt_after(lines: usize, signals: &[Signal]) {
    let (mut command, folder) = demo(&[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
    let mut shown = BufReader::new(child.stdout.take().expect("piped")).lines();
    for _ in 0..lines {
        shown.next().expect("a line").expect("text");
    }
    let pid = Pid::from_raw(child.id().try_into().expect("a pid"));
    for signal in signals {
        // The process may have ended by the signal before.
        let _ = kill(pid, *signal);
    }
    shown.for_each(|line| drop(line.expect("text")));
    assert_eq!(child.wait().expect("ended").code(), Some(130), "after {lines} lines and {signals:?}");
    assert_nothing_is_left(folder.path());
}

#[test]
fn interrupted_at_any_moment_it_leaves_nothing_behind() {
    // It starts PostgreSQL; stores are loaded; a dry run; real runs; guards are overridden.
    for lines in [1, 2, 5, 40] {
        interrupt_after(lines, &[Signal::SIGINT]);
    }
}

#[test]
fn interrupted_twice_or_by_a_supervisor_it_leaves_nothing_behind_either() {
    interrupt_after(1, &[Signal::SIGINT, Signal::SIGINT, Signal::SIGINT]);
    interrupt_after(3, &[Signal::SIGTERM, Signal::SIGINT]);
}

#[test]
fn it_ends_well_when_nobody_reads_on() {
    let (mut command, folder) = demo(&[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    // As with `| head -n 1`.
    let mut first = BufReader::new(child.stdout.take().expect("piped")).lines();
    first.next().expect("it says what it starts").expect("text");
    drop(first);

    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    assert_nothing_is_left(folder.path());
}
