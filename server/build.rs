//! Lists the files of `migrations/`, so that adding a migration is adding two files, and the server carries them.
//!
//! sqlx's own `migrate!` needs its macros, which build the TLS library a second time, for the host.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    println!("cargo::rerun-if-changed={}", folder.display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("migrations.rs");
    fs::write(out, list(&folder)).expect("OUT_DIR is writable");
}

/// Rust source: `&[(version, name, up, down), …]`, sorted by version.
fn list(folder: &Path) -> String {
    let mut versions = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let file = entry.expect("migrations/ is readable").file_name().into_string().expect("names are UTF-8");
        if let Some(name) = file.strip_suffix(".up.sql") {
            let version = name.split_once('_').and_then(|(number, _)| number.parse::<i64>().ok());
            let version = version.unwrap_or_else(|| panic!("migrations/{file} must be called NNNN_name.up.sql"));
            assert!(versions.insert(version, name.to_owned()).is_none(), "two migrations have the number {version}");
        } else {
            assert!(file.ends_with(".down.sql"), "migrations/{file} must end in .up.sql or .down.sql");
        }
    }
    let mut source = String::from("&[\n");
    for (version, name) in versions {
        let path = |direction: &str| folder.join(format!("{name}.{direction}.sql"));
        assert!(path("down").exists(), "migrations/{name}.down.sql is missing");
        let (up, down) = (path("up"), path("down"));
        writeln!(source, "    ({version}, {name:?}, include_str!({up:?}), include_str!({down:?})),")
            .expect("a string grows");
    }
    source.push(']');
    source
}
