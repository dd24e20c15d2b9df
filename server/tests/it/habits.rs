//! Habits of the tests that no lint can see.

use std::{fs, path::Path};

use crate::documentation::documents::files_below;

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

/// The storm is not among them: when its blows fall is what it is about.
#[test]
fn no_other_test_sleeps() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folders = ["it", "support", "../../client/tests"];
    let files = folders.iter().flat_map(|folder| files_below(&tests.join(folder), &["rs"]));
    let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
    let sleeps = |file: &&String| {
        let source = fs::read_to_string(file).expect("source");
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.map(str::to_owned).any(|line| line.contains(concat!("sle", "ep(")))
    };
    let mut sleepers: Vec<&String> = files.iter().filter(sleeps).collect();
    sleepers.retain(|file| !SLEEPERS.iter().any(|(known, _)| file.ends_with(known)));
    assert!(sleepers.is_empty(), "{sleepers:?}");
}
