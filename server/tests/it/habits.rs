//! Habits of the tests that no lint can see.

use std::{fs, path::Path};

/// Files that may sleep, with the reason. A test that waits for an event waits for the event itself.
const SLEEPERS: [(&str, &str); 9] = [
    ("it/floods/abandoning.rs", "the pace of an attack"),
    ("it/floods/attacks.rs", "the pace of an attack"),
    ("it/floods/headers.rs", "the pace of an attack"),
    ("it/floods/provider.rs", "an identity provider that is slow"),
    ("it/floods/requests.rs", "the pace of an attack"),
    ("it/floods/strangers.rs", "the pace of an attack, and its length"),
    ("it/pooler.rs", "PgBouncer sends no event when it is ready"),
    ("it/processes/failover.rs", "the pace of a caller during a failover"),
    ("support/node.rs", "PostgreSQL sends no event when it is ready or has ended"),
];

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.display().to_string());
        }
    }
}

/// The storm is not among them: when its blows fall is what it is about.
#[test]
fn no_other_test_sleeps() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files = Vec::new();
    for folder in ["it", "support", "../../client/tests"] {
        sources(&tests.join(folder), &mut files);
    }
    let sleeps = |file: &&String| {
        let source = fs::read_to_string(file).expect("source");
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.map(str::to_owned).any(|line| line.contains(concat!("sle", "ep(")))
    };
    let mut sleepers: Vec<&String> = files.iter().filter(sleeps).collect();
    sleepers.retain(|file| !SLEEPERS.iter().any(|(known, _)| file.ends_with(known)));
    assert!(sleepers.is_empty(), "{sleepers:?}");
}
