//! The files of these folders are a one-way street: none of them imports, however indirectly, a file that imports it.
//!
//! Read from the `use` lines, with names resolved through re-exports to the files that define them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    path::Path,
};

const FOLDERS: [&str; 2] = ["app/feed/", "runner/"];

type ModulePath = Vec<String>;

/// The modules of the server, by their paths, with what each imports and re-exports.
#[derive(Default)]
struct Modules {
    files: BTreeMap<ModulePath, String>,
    imports: BTreeMap<ModulePath, Vec<ModulePath>>,
    exports: BTreeMap<ModulePath, BTreeMap<String, ModulePath>>,
}

fn module_path(file: &str) -> ModulePath {
    let mut path: ModulePath = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    path.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
    path
}

fn sources(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            found.push((name, fs::read_to_string(&path).expect("text")));
        }
    }
}

/// The paths of a `use` tree, without renames.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or_default().to_owned()];
    };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[begin..]);
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts.flat_map(leaves).map(|leaf| format!("{}{leaf}", prefix.trim())).collect()
}

impl Modules {
    fn read(sources: &[(String, String)]) -> Self {
        let mut modules = Self::default();
        for (file, _) in sources {
            modules.files.insert(module_path(file), file.clone());
        }
        for (file, text) in sources {
            modules.read_uses(&module_path(file), text);
        }
        modules
    }

    fn read_uses(&mut self, module: &ModulePath, text: &str) {
        // Tests at a file's end may use what they like.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        for statement in code.join("\n").split(';') {
            let statement = statement.trim();
            let statement = statement.rsplit_once("\n\n").map_or(statement, |(_, last)| last).trim_start();
            let Some((visibility, tree)) = statement.split_once("use ") else { continue };
            let visibility = visibility.lines().last().unwrap_or_default().trim();
            if !visibility.is_empty() && !visibility.starts_with("pub") {
                continue;
            }
            for leaf in leaves(tree) {
                let Some(target) = self.absolute(module, &leaf) else { continue };
                if visibility.is_empty() {
                    self.imports.entry(module.clone()).or_default().push(target);
                } else if let Some(name) = target.last().cloned() {
                    self.exports.entry(module.clone()).or_default().insert(name, target);
                }
            }
        }
    }

    /// A path from the root of the crate; `None`: it is another crate's.
    fn absolute(&self, module: &ModulePath, path: &str) -> Option<ModulePath> {
        let mut parts: VecDeque<String> = path.split("::").map(|part| part.trim().to_owned()).collect();
        let mut base = module.clone();
        match parts.front()?.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()),
            child => {
                let below: ModulePath = base.iter().cloned().chain([child.to_owned()]).collect();
                return self.files.contains_key(&below).then(|| base.into_iter().chain(parts).collect());
            }
        }
        parts.pop_front();
        while parts.front().is_some_and(|part| part == "super") {
            parts.pop_front();
            base.pop();
        }
        Some(base.into_iter().chain(parts).collect())
    }

    /// The file that defines what is at a path.
    fn file(&self, path: &[String]) -> Option<&str> {
        let length = (0..=path.len()).rev().find(|length| self.files.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        let exported = rest.first().and_then(|name| self.exports.get(module)?.get(name));
        match exported {
            Some(target) => self.file(target),
            None => self.files.get(module).map(String::as_str),
        }
    }

    /// The files that each file imports.
    fn graph(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let imported = |module: &ModulePath, file: &str| {
            let targets = self.imports.get(module).into_iter().flatten().filter_map(|path| self.file(path));
            targets.filter(|target| *target != file).collect()
        };
        self.files.iter().map(|(module, file)| (file.as_str(), imported(module, file))).collect()
    }
}

/// The shortest way from a file back to itself.
fn circle<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &'a str) -> Option<Vec<&'a str>> {
    let (mut came_from, mut queue) = (BTreeMap::new(), VecDeque::from([start]));
    while let Some(file) = queue.pop_front() {
        for next in &graph[file] {
            if *next == start {
                let mut way = vec![file];
                while let Some(before) = came_from.get(way[way.len() - 1]) {
                    way.push(*before);
                }
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(*next, file);
                queue.push_back(next);
            }
        }
    }
    None
}

#[test]
fn no_file_of_the_runner_or_the_feed_imports_one_that_imports_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &root, &mut found);
    let modules = Modules::read(&found);
    let graph = modules.graph();
    let checked: Vec<&str> =
        graph.keys().copied().filter(|file| FOLDERS.iter().any(|folder| file.starts_with(folder))).collect();
    let arrows: usize = checked.iter().map(|file| graph[file].len()).sum();
    assert!(checked.len() > 40 && arrows > 150, "the search is broken: {} files, {arrows} imports", checked.len());
    let circles: Vec<Vec<&str>> = checked.into_iter().filter_map(|file| circle(&graph, file)).collect();
    assert!(
        circles.is_empty(),
        "each of these is imported by the next one, and the first imports the last: {circles:#?}"
    );
}

#[test]
fn a_circle_is_found_through_a_re_export_and_a_nested_tree() {
    let source = |file: &str, text: &str| (file.to_owned(), text.to_owned());
    let mut files = vec![
        source("lib.rs", "mod a;\nmod b;"),
        source("a/mod.rs", "mod one;\n\npub(crate) use self::{one::One};"),
        source(
            "a/one.rs",
            "//! Doc.\n\nuse std::fmt;\n\nuse crate::{\n    b::{self, Two as Other},\n};\n\npub struct One;",
        ),
        source("b.rs", "pub struct Two;\n// use crate::a::One;\n"),
    ];
    let modules = Modules::read(&files);
    assert_eq!(circle(&modules.graph(), "b.rs"), None);
    files[3].1.push_str("use super::a::One;\n");
    let modules = Modules::read(&files);
    assert_eq!(circle(&modules.graph(), "b.rs"), Some(vec!["a/one.rs", "b.rs"]));
}
