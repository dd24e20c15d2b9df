//! Figures that cannot be written, because the disk is full or nobody reads on: an error, and no panic.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    thread,
};

/// How a panic ends a program.
const PANIC: i32 = 101;

fn bench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_category-mirror-bench"));
    command.args(["--window", "100ms", "flags"]).env("LOG_FORMAT", "json").stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn figures_that_cannot_be_written_end_it_with_an_error() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("it is always full");
    let output = bench().stdout(full).output().expect("ran");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(matches!(output.status.code(), Some(code) if code != 0 && code != PANIC), "{output:?}");
    // Beside what it logs of its way.
    let told: Vec<&str> = errors.lines().filter(|line| !line.starts_with('{')).collect();
    assert!(matches!(told[..], [line] if line.starts_with("error: cannot write the output")), "{errors}");
}

#[test]
fn a_reader_that_goes_after_the_first_figure_is_no_panic() {
    let mut child = bench().stdout(Stdio::piped()).spawn().expect("started");
    // Read beside: with everything logged, a full pipe would stop it before the first figure.
    let mut stderr = child.stderr.take().expect("piped");
    let log = thread::spawn(move || {
        let mut log = Vec::new();
        stderr.read_to_end(&mut log).map(|_| log)
    });
    let mut first = BufReader::new(child.stdout.take().expect("piped")).lines();
    first.next().expect("a line").expect("text");
    drop(first);
    let status = child.wait().expect("ended");
    let log = log.join().expect("no panic").expect("read");
    let errors = String::from_utf8_lossy(&log);
    assert!(!errors.contains("panicked") && status.code() != Some(PANIC), "{errors}");
}
