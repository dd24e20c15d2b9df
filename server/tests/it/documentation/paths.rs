//! Paths, functions and links that the documents name exist.
//!
//! Pages may name code by the end of its path, with `src/` and `crates/` left out: `store/pool.rs` is the file whose path ends so.

use std::{fs, path::Path};

use super::documents::{inline_code, pages, root};

/// Ends of names that only files have.
const EXTENSIONS: [&str; 10] = ["json", "md", "proto", "py", "rs", "sh", "sql", "svg", "toml", "yaml"];
/// Where paths begin that name something in the repository whatever their end.
const FOLDERS: [&str; 8] = [".cargo/", ".ci/", ".github/", "client/", "deploy/", "docs/", "migrations/", "server/"];
/// Files that a reader is to write.
const EXAMPLES: [&str; 4] = ["adc.json", "google.json", "NNNN_name.up.sql", "NNNN_name.down.sql"];

/// The paths of all files and folders of the repository, as they are and as pages may shorten them.
struct Tree {
    exact: Vec<String>,
    short: Vec<(String, usize)>,
}

impl Tree {
    fn read() -> Self {
        fn below(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(root).expect("below the root").display().to_string();
                if name == "target" || name == ".git" || name.ends_with("node_modules") {
                    continue;
                }
                if path.is_dir() {
                    below(&path, root, found);
                }
                found.push(name);
            }
        }
        let (root, mut exact) = (root(), Vec::new());
        below(&root, &root, &mut exact);
        let shorten = |path: &String| {
            let parts: Vec<&str> = path.split('/').filter(|part| *part != "src" && *part != "crates").collect();
            format!("/{}", parts.join("/"))
        };
        let short = exact.iter().enumerate().map(|(index, path)| (shorten(path), index)).collect();
        Self { exact, short }
    }

    /// Returns what a page names by a path or by the end of one.
    fn find(&self, name: &str) -> Vec<&str> {
        let name = name.trim_end_matches('/');
        let end = format!("/{name}");
        let short = self.short.iter().filter(|(path, _)| path.ends_with(&end)).map(|(_, index)| &self.exact[*index]);
        self.exact.iter().filter(|path| *path == name).chain(short).map(String::as_str).collect()
    }
}

/// Whether a piece of code is a path in the repository, and not one of a machine, a URL or a resource.
fn is_path(code: &str) -> bool {
    let is_plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let has_extension = code.rsplit_once('.').is_some_and(|(name, end)| !name.is_empty() && EXTENSIONS.contains(&end));
    let is_below = FOLDERS.iter().any(|folder| code.starts_with(folder));
    is_plain && !code.starts_with('/') && (has_extension || is_below) && !EXAMPLES.contains(&code)
}

/// The names in parentheses after a path: `` `store/pool.rs` (`Pool::take`, `Place`) ``.
fn names_after(rest: &str) -> Vec<&str> {
    let list = rest.trim_start().strip_prefix("(`").and_then(|rest| rest.split_once(')')).map(|(list, _)| list);
    let names = list.into_iter().flat_map(|list| list.split(',')).map(|name| name.trim().trim_matches('`'));
    names.filter_map(|name| name.rsplit("::").next()).collect()
}

fn defines(source: &str, name: &str) -> bool {
    // Some enums are made by a macro, from the lines within them.
    if source.lines().any(|line| line.trim() == format!("{name} {{")) {
        return true;
    }
    let is_end = |rest: &str| rest.chars().next().is_none_or(|c| !c.is_alphanumeric() && c != '_');
    ["fn ", "struct ", "enum ", "const ", "static ", "trait ", "type ", "mod "].iter().any(|kind| {
        let wanted = format!("{kind}{name}");
        source.match_indices(&wanted).any(|(at, _)| is_end(&source[at + wanted.len()..]))
    })
}

/// What is wrong with the paths and functions of a page.
fn faults(page: &str, text: &str, tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (code, rest) in inline_code(text) {
        let code = code.split_once(' ').map_or(code, |(first, _)| first);
        if !is_path(code) {
            continue;
        }
        let found = tree.find(code);
        if found.is_empty() {
            faults.push(format!("{page}: {code} does not exist"));
        }
        for name in names_after(rest).into_iter().filter(|_| code.ends_with(".rs") && !found.is_empty()) {
            let is_there = found.iter().any(|file| {
                let source = fs::read_to_string(root().join(file)).expect("source");
                defines(&source, name)
            });
            if !is_there {
                faults.push(format!("{page}: {code} has no {name}"));
            }
        }
    }
    faults
}

#[test]
fn every_path_and_function_in_the_documents_exists() {
    let tree = Tree::read();
    let faults: Vec<String> = pages().iter().flat_map(|(page, text)| faults(page, text, &tree)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_path_and_a_function_that_do_not_exist_are_found() {
    let tree = Tree::read();
    let text = "In `store/nowhere.rs` (`Store::claim`), `store/queue.rs` (`Store::unclaim`) and `server/nothing`.";
    assert_eq!(
        faults("page", text, &tree),
        [
            "page: store/nowhere.rs does not exist",
            "page: store/queue.rs has no unclaim",
            "page: server/nothing does not exist"
        ]
    );
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_link_in_the_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for (page, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if target.contains("://") || target.contains("::") || target.contains('`') {
                continue;
            }
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let path = root().join(&page);
            let path = if file.is_empty() { path } else { path.parent().expect("a folder").join(file) };
            let is_good = path.exists()
                && (part.is_empty()
                    || fs::read_to_string(&path).is_ok_and(|text| anchors(&text).iter().any(|known| known == part)));
            if !is_good {
                broken.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
