//! `cargo run` and `cargo test --workspace` compile each dependency once: with the same features. One feature that only tests enable in a basic
//! crate would compile half of the dependencies a second time.

use std::{collections::BTreeSet, env, process::Command};

use crate::documentation::documents::root;

/// Every package with its features, as lines of `cargo tree`.
fn packages(selection: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p} [{f}]"]);
    let output = cargo.args(selection).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).filter(|line| !line.is_empty()).collect()
}

#[test]
fn running_and_testing_share_one_build() {
    let run = packages(&["--edges", "normal,build"]);
    let test = packages(&["--workspace", "--edges", "normal,build,dev"]);
    assert!(run.len() > 100, "{run:?}");
    let twice: Vec<&String> = run.difference(&test).collect();
    assert!(twice.is_empty(), "other features in tests than in `cargo run`, see server/Cargo.toml: {twice:#?}");
}
