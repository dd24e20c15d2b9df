//! What the files in `deploy/` promise, as far as they can be read: there is no container engine where the tests run.

use std::{fs, path::Path};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).expect(file)
}

/// The instructions of the last stage, each on one line.
fn instructions() -> Vec<String> {
    let text = read("deploy/Containerfile").replace("\\\n", " ");
    let lines: Vec<String> =
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect();
    let last = lines.iter().rposition(|line| line.starts_with("FROM ")).expect("a stage");
    lines[last..].to_vec()
}

#[test]
fn the_container_runs_as_a_user_by_number_who_is_not_root() {
    let users: Vec<String> =
        instructions().iter().filter_map(|line| line.strip_prefix("USER ")).map(str::to_owned).collect();
    let [user] = &users[..] else { panic!("{users:?}") };
    let ids: Vec<u32> = user.split(':').map(|id| id.parse().expect("a number")).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| *id >= 10_000), "{user}");
}

#[test]
fn the_container_says_what_it_is_and_what_it_was_built_from() {
    let labels = instructions().into_iter().find(|line| line.starts_with("LABEL ")).expect("labels");
    for name in ["title", "description", "source", "licenses", "version", "revision"] {
        assert!(labels.contains(&format!("org.opencontainers.image.{name}=")), "{name}: {labels}");
    }
    let version = format!("ARG VERSION={}", env!("CARGO_PKG_VERSION"));
    assert!(instructions().contains(&version), "{version}");
    let all = read("deploy/Containerfile");
    assert!(all.contains("CATEGORY_MIRROR_COMMIT=\"$COMMIT\"") && all.contains("CARGO_PROFILE_RELEASE_STRIP=symbols"));
}

#[test]
fn a_build_of_the_container_is_sent_no_results_of_other_builds_and_no_secrets() {
    let ignored = read(".dockerignore");
    let ignored: Vec<&str> = ignored.lines().collect();
    for path in ["**/target", ".git", "**/*.key", "**/*.pem", "**/.env*"] {
        assert!(ignored.contains(&path), "{path}");
    }
    // What the build needs is sent.
    for path in ["Cargo.lock", "build.rs", "proto", "migrations", "server", "client", "README.md", "LICENSE"] {
        assert!(!ignored.contains(&path), "{path}");
    }
}
