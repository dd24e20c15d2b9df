//! The sources of a crate, without what is no code.

use std::{ffi::OsStr, fs, path::PathBuf};

use crate::documentation::documents::{files_below, root};

/// A file.
pub(super) struct Source {
    /// From the root of the repository.
    pub(super) path: String,
    /// Where it is as a module, from the root of its crate.
    pub(super) module: Vec<String>,
    /// All of it.
    pub(super) text: String,
}

impl Source {
    /// Its code without comments, texts and tests.
    pub(super) fn code(&self) -> String {
        without_tests(&without_comments_and_texts(&self.text))
    }
}

/// Reads a file of the repository.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files below a folder but those of tests.
pub(super) fn sources(folder: &str) -> Vec<Source> {
    let (root, folder) = (root(), root().join(folder));
    let mut paths = files_below(&folder, &["rs"]);
    let is_of_tests = |part: &OsStr| part == "tests" || part.to_string_lossy().ends_with("tests.rs");
    paths.retain(|path| !path.strip_prefix(&folder).expect("below it").iter().any(is_of_tests));
    assert!(paths.len() > 5, "{} has only {paths:?}", folder.display());
    let source = |path: &PathBuf| {
        let inside = path.strip_prefix(&folder).expect("below it").with_extension("");
        let names = inside.iter().map(|name| name.to_string_lossy().into_owned());
        let module = names.filter(|name| !["lib", "mod"].contains(&name.as_str())).collect();
        let text = fs::read_to_string(path).expect("text");
        Source { path: path.strip_prefix(&root).expect("below it").display().to_string(), module, text }
    };
    paths.iter().map(source).collect()
}

/// Drops comments and what is between quotes, which may look like code.
fn without_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['/', '"', '\'']) {
        code.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match rest.as_bytes() {
            [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
            [b'"', ..] if code.ends_with('#') => rest[1..].find("\"#").map_or(rest.len(), |end| end + 3),
            [b'"', ..] => quoted(rest, b'"'),
            // A character, and no lifetime.
            [b'\'', b'\\', ..] => quoted(rest, b'\''),
            [b'\'', _, b'\'', ..] => 3,
            _ => {
                code.push_str(&rest[..1]);
                1
            }
        };
        rest = &rest[length..];
    }
    code + rest
}

/// The length of a text that begins with `quote`.
fn quoted(text: &str, quote: u8) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Drops every item that is only compiled for tests.
fn without_tests(code: &str) -> String {
    const CONDITION: &str = "#[cfg(";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(CONDITION) {
        let (before, item) = rest.split_at(at);
        kept.push_str(before);
        let condition = &item[CONDITION.len()..];
        if !condition.starts_with("test") && !condition.starts_with("all(test") {
            kept.push_str(CONDITION);
            rest = condition;
            continue;
        }
        let item = item.split_once(']').map_or("", |(_, item)| item);
        let mut depth = 0;
        let end = item.bytes().position(|byte| {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            depth == 0 && (byte == b';' || byte == b'}')
        });
        rest = &item[end.map_or(item.len(), |end| end + 1)..];
    }
    kept + rest
}

#[test]
fn only_code_is_left() {
    let text = "let a = \"crate::x // \\\" {\"; // crate::y\nlet b: &'a str = '\\''; let c = '\"';\n#[cfg(test)]\nmod tests { use crate::z; {} }\n#[cfg(all(test, unix))]\nuse crate::u;\n#[cfg(unix)]\nfn d() {}";
    let code = without_tests(&without_comments_and_texts(text));
    assert_eq!(code, "let a = ; \nlet b: &'a str = ; let c = ;\n\n\n#[cfg(unix)]\nfn d() {}");
}
