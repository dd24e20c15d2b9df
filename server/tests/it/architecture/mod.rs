//! The order of the layers, held by the sources themselves: imports point down and never in circles, rooms and files stay small.
//!
//! What is read are the `use` lines and the qualified paths (`crate::…`, `super::…`) of every file; tests are left out. Exceptions are
//! listed here, and an exception that is no longer needed fails as well.

mod imports;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    imports::{Imports, circles},
    sources::{Source, sources},
};

/// The crates, and which of the workspace's crates each may depend on.
const CRATES: [(&str, &[&str]); 6] = [
    ("server/crates/domain", &[]),
    ("server/crates/postgres", &[]),
    ("server/crates/emulator", &[]),
    ("server/crates/gbp", &["category-mirror-domain"]),
    (
        "server",
        &[
            "category-mirror-client",
            "category-mirror-domain",
            "category-mirror-gbp",
            "category-mirror-proto",
            "gbp-emulator",
            "private-postgres",
        ],
    ),
    ("server/crates/bench", &["category-mirror-client", "category-mirror-proto", "category-mirror-server"]),
];

/// The layers of the server above the other crates, from the bottom to the top. A module imports from lower rows only: modules of one
/// row never meet. The root is no layer: it declares them, and the name of the program.
const LAYERS: [&[&str]; 10] = [
    &["error", "version"],
    &["admission", "spans", "key_files"],
    &["secret_file", "tls"],
    &["auth", "credential_cipher", "connections", "store"],
    &["wake"],
    &["app"],
    &["api", "runner", "web"],
    &["serve"],
    &["config"],
    &["commands"],
];

/// Files that import each other in a circle all the same, each circle once, its files in order.
const CIRCLES: &[&str] = &[];

/// Files of `api` that name the store all the same.
const API_NAMES_STORE: &[&str] = &[];

/// Folders with more files.
const LARGE_ROOMS: &[&str] = &[];

/// Files with more lines.
const LONG_FILES: &[&str] = &[];

/// Files of a folder.
const MAX_FILES: usize = 20;

/// Lines of a file.
const MAX_LINES: usize = 330;

/// Fails for what is not excepted, and for what is excepted and need not be.
fn assert_only(what: &str, found: BTreeSet<String>, excepted: &[&str]) {
    let excepted: BTreeSet<String> = excepted.iter().map(|&name| name.to_owned()).collect();
    let (new, gone): (Vec<_>, Vec<_>) = (found.difference(&excepted).collect(), excepted.difference(&found).collect());
    assert!(new.is_empty(), "{what}: {new:#?}");
    assert!(gone.is_empty(), "no longer needed as exceptions from \"{what}\": {gone:#?}");
}

fn crates() -> impl Iterator<Item = (&'static str, Vec<Source>)> {
    CRATES.iter().map(|&(folder, _)| (folder, sources(&format!("{folder}/src"))))
}

fn server() -> Imports {
    Imports::of(&sources("server/src"))
}

#[test]
fn files_never_import_each_other_in_circles() {
    let found = crates().flat_map(|(_, sources)| circles(&Imports::of(&sources))).collect();
    assert_only("files that import each other in a circle", found, CIRCLES);
}

#[test]
fn imports_point_down_and_never_sideways() {
    let rows = LAYERS.iter().enumerate().flat_map(|(row, modules)| modules.iter().map(move |&module| (module, row)));
    let rows: BTreeMap<&str, usize> = rows.collect();
    let layer = |file: &str| file.split("::").next().unwrap_or_default().to_owned();
    let row = |layer: &str| *rows.get(layer).unwrap_or_else(|| panic!("`{layer}` has no place in LAYERS"));
    let mut wrong = BTreeSet::new();
    for (from, to) in server().arrows() {
        let (above, below) = (layer(from), layer(to));
        if above != below && !below.is_empty() && row(&above) <= row(&below) {
            wrong.insert(format!("{from} imports {to}"));
        }
    }
    assert_only("arrows that point up or sideways", wrong, &[]);
}

#[test]
fn the_interface_never_names_the_store() {
    let imports = server();
    let names = imports.arrows().filter(|(from, to)| from.starts_with("api") && to.starts_with("store"));
    assert_only(
        "files of `api` that name the store",
        names.map(|(from, _)| from.to_owned()).collect(),
        API_NAMES_STORE,
    );
}

#[test]
fn rooms_and_files_stay_small() {
    let (mut rooms, mut long) = (BTreeMap::new(), BTreeSet::new());
    for source in crates().flat_map(|(_, sources)| sources) {
        let (folder, _) = source.path.rsplit_once('/').expect("a path");
        *rooms.entry(folder.to_owned()).or_insert(0) += 1;
        if source.text.lines().count() > MAX_LINES {
            long.insert(source.path);
        }
    }
    let large = rooms.into_iter().filter(|(_, files)| *files > MAX_FILES).map(|(folder, _)| folder).collect();
    assert_only("folders with too many files", large, LARGE_ROOMS);
    assert_only("files with too many lines", long, LONG_FILES);
}

#[test]
fn crates_depend_on_lower_ones_only() {
    for (folder, allowed) in CRATES {
        let manifest = sources::read(&format!("{folder}/Cargo.toml"));
        let depends = manifest.split("\n[").find_map(|section| section.strip_prefix("dependencies]")).expect("some");
        let names = depends.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        let own =
            |name: &&str| name.starts_with("category-mirror") || ["gbp-emulator", "private-postgres"].contains(name);
        for name in names.filter(own) {
            assert!(allowed.contains(&name), "{folder} must not depend on {name}");
        }
    }
}

/// The manifest keeps most of it out already; this is what the standard library and the features of others would let in.
#[test]
fn the_domain_has_no_io_no_clock_and_no_async() {
    const FORBIDDEN: [&str; 11] = [
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "Instant::now",
        "SystemTime::now",
        "Utc::now",
        "now_v7",
        "async fn",
    ];
    for source in sources("server/crates/domain/src") {
        for word in FORBIDDEN {
            assert!(!source.code().contains(word), "{} has {word}", source.path);
        }
    }
}

#[test]
fn d3_only_the_code_that_reads_a_side_says_that_it_saw_all_of_it() {
    let all = crates().flat_map(|(_, sources)| sources);
    // However it is named: called, passed on, with its type spelled out, or under another name.
    let creates = |code: &str| {
        code.contains("Complete::read")
            || code.contains("Complete as ")
            || code
                .split("Complete::<")
                .skip(1)
                .any(|rest| rest.lines().next().is_some_and(|line| line.contains(">::read")))
            || code
                .split("<Complete<")
                .skip(1)
                .any(|rest| rest.lines().next().is_some_and(|line| line.contains(">::read")))
    };
    let found: Vec<_> = all.filter(|source| creates(&source.code())).collect();
    assert!(!found.is_empty(), "the search is broken");
    for Source { path, .. } in found {
        assert!(path.starts_with("server/crates/gbp/") || path.starts_with("server/src/store/"), "{path}");
    }
}
