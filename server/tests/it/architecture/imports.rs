//! Which file of a crate imports from which.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::Source;

/// A path, by its names.
type Path = Vec<String>;

/// The imports between the files of a crate.
pub(super) struct Imports(BTreeMap<String, BTreeSet<String>>);

/// A path that a file has, the name that it gets there, and whether the file gives it on.
struct Mention {
    path: Path,
    name: String,
    is_public: bool,
}

impl Imports {
    /// Reads the imports of a crate's files.
    pub(super) fn of(sources: &[Source]) -> Self {
        let mut mentions: BTreeMap<Path, Vec<Mention>> = BTreeMap::new();
        for source in sources {
            mentions.entry(source.module.clone()).or_default().extend(mentioned(&source.code()));
        }
        let crates = Crate { modules: mentions.keys().cloned().collect(), exports: BTreeMap::new() };
        let exports = mentions.iter().map(|(module, mentions)| (module.clone(), exports(&crates, module, mentions)));
        let crates = Crate { exports: exports.collect(), ..crates };
        let mut imports = BTreeMap::new();
        for (module, mentions) in &mentions {
            let targets = mentions.iter().filter_map(|mention| {
                let path = crates.absolute(module, &mention.path)?;
                // A folder gives on what is in it: that is wiring.
                if mention.is_public && path.starts_with(module) {
                    return None;
                }
                crates.home(&path, 0)
            });
            let targets = targets.filter(|target| target != module).map(|target| target.join("::")).collect();
            imports.insert(module.join("::"), targets);
        }
        Self(imports)
    }

    /// Each file with each file that it imports from.
    pub(super) fn arrows(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(from, targets)| targets.iter().map(|to| (from.as_str(), to.as_str())))
    }

    /// All files that a file reaches by its imports, and theirs.
    fn reached(&self, from: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = self.0.get(from).into_iter().flatten().map(String::as_str).collect();
        while let Some(file) = open.pop() {
            if reached.insert(file) {
                open.extend(self.0.get(file).into_iter().flatten().map(String::as_str));
            }
        }
        reached
    }
}

/// The largest groups of files of which each reaches each, each with its files in order.
pub(super) fn circles(imports: &Imports) -> Vec<String> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.0.keys().map(|file| (file.as_str(), imports.reached(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, all) in &reached {
        if all.contains(file) {
            circles.insert(all.iter().copied().filter(|other| reached[other].contains(file)).collect::<Vec<_>>());
        }
    }
    circles.into_iter().map(|files| files.join(" ")).collect()
}

/// The modules of a crate, and what each gives on of others.
struct Crate {
    modules: BTreeSet<Path>,
    exports: BTreeMap<Path, BTreeMap<String, Option<Path>>>,
}

impl Crate {
    /// The path from the crate's root; `None`: it is another crate's.
    fn absolute(&self, module: &Path, path: &[String]) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let mut base = module.clone();
                base.pop();
                match rest.first().map(String::as_str) {
                    Some("super") => self.absolute(&base, rest),
                    _ => Some([&base[..], rest].concat()),
                }
            }
            _ => {
                let inside = [&module[..], std::slice::from_ref(first)].concat();
                self.modules.contains(&inside).then(|| [module, path].concat())
            }
        }
    }

    /// The file that an item is from: where a module only gives it on, the one that has it. `None`: it is another crate's.
    fn home(&self, path: &[String], depth: usize) -> Option<Path> {
        let length = (0..=path.len()).rev().find(|&length| self.modules.contains(&path[..length]))?;
        let (module, item) = path.split_at(length);
        match item.first().and_then(|name| self.exports.get(module)?.get(name)) {
            Some(None) => None,
            // Something that is given on in a circle is not looked for without end.
            Some(Some(given)) if depth < 8 => self.home(&[&given[..], &item[1..]].concat(), depth + 1),
            _ => Some(module.to_vec()),
        }
    }
}

/// What a module gives on, by name; `None`: it is another crate's.
fn exports(crates: &Crate, module: &Path, mentions: &[Mention]) -> BTreeMap<String, Option<Path>> {
    // A macro of the module's own is shown under its own name.
    let is_own = |mention: &Mention| mention.path == [mention.name.clone()];
    let public = mentions.iter().filter(|mention| mention.is_public && !is_own(mention));
    public.map(|mention| (mention.name.clone(), crates.absolute(module, &mention.path))).collect()
}

/// The paths of `use` lines, and qualified paths elsewhere.
fn mentioned(code: &str) -> Vec<Mention> {
    let code = without_visibilities(code);
    let (mut mentions, mut elsewhere, mut rest) = (Vec::new(), String::new(), code.as_str());
    while let Some(at) = rest.find("use ") {
        let (before, line) = rest.split_at(at);
        elsewhere.push_str(before);
        if before.ends_with(is_of_a_name) {
            // The end of a longer word.
            elsewhere.push_str("use ");
            rest = &line["use ".len()..];
            continue;
        }
        let is_public = before.trim_end().ends_with("pub");
        let end = line.find(';').unwrap_or(line.len());
        let paths = tree(&line["use ".len()..end], &[]);
        mentions.extend(paths.into_iter().map(|(path, name)| Mention { path, name, is_public }));
        rest = &line[end..];
    }
    elsewhere.push_str(rest);
    let elsewhere = qualified(&elsewhere).into_iter();
    mentions.extend(elsewhere.map(|path| Mention { path, name: String::new(), is_public: false }));
    mentions
}

/// Turns each `pub(in crate::api)` into `pub`: whom something is shown to is no import.
fn without_visibilities(code: &str) -> String {
    let mut parts = code.split("pub(");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |code, part| code + "pub" + part.split_once(')').map_or("", |(_, rest)| rest))
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The paths of a tree of imports, such as `a::{b, c::{self, d}}`, below `base`, each with the name that it gets.
fn tree(text: &str, base: &[String]) -> Vec<(Path, String)> {
    let (path, group) = match text.split_once('{') {
        Some((path, group)) => (path, Some(group.trim_end().trim_end_matches('}'))),
        None => (text, None),
    };
    let (path, name) =
        path.split_once(" as ").map_or((path, None), |(path, name)| (path, Some(name.trim().to_owned())));
    let names = path.split("::").map(str::trim).filter(|name| !name.is_empty() && (base.is_empty() || *name != "self"));
    let whole: Path = base.iter().cloned().chain(names.map(str::to_owned)).collect();
    match group {
        Some(group) => members(group).flat_map(|member| tree(member, &whole)).collect(),
        None => {
            let name = name.or_else(|| whole.last().cloned()).unwrap_or_default();
            vec![(whole, name)]
        }
    }
}

/// The members of a group, which may have groups in them.
fn members(group: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = group.split(move |c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// The paths of lower-case names in code.
fn qualified(code: &str) -> Vec<Path> {
    let words = code.split(|c: char| !is_of_a_name(c) && c != ':');
    let paths = words.filter(|word| word.contains("::") && word.starts_with(|c: char| c.is_ascii_lowercase()));
    let names = |path: &str| path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    paths.map(names).collect()
}

#[test]
fn imports_are_found_wherever_they_are() {
    let file = |module: &[&str], text: &str| Source {
        path: String::new(),
        module: module.iter().map(|&name| name.to_owned()).collect(),
        text: text.to_owned(),
    };
    let imports = Imports::of(&[
        file(&[], "pub mod a; mod b; pub use other as outside;"),
        file(&["a"], "mod c; mod d;\npub use c::{Deep, inner::Other};\npub(in crate::b) fn reuse () {}"),
        file(&["a", "c"], "use super::super::b::{self, Thing as Named};\n// use crate::x;"),
        file(
            &["a", "d"],
            "fn f() { let text = \"crate::b::x\"; super::c::f() }\n#[cfg(test)]\nmod tests { use crate::b; }",
        ),
        file(&["b"], "pub use mac;\nuse crate::{\n    a::{Deep, d::{E, F}},\n    outside::G,\n};"),
        file(&["e"], "use crate::b::mac; fn f() { f::g() }"),
        file(&["e", "f"], "use super::X;"),
    ]);
    let arrows: Vec<_> = imports.arrows().collect();
    assert_eq!(
        arrows,
        [("a::c", "b"), ("a::d", "a::c"), ("b", "a::c"), ("b", "a::d"), ("e", "b"), ("e", "e::f"), ("e::f", "e")]
    );
    assert_eq!(circles(&imports), ["a::c a::d b", "e e::f"]);
}
