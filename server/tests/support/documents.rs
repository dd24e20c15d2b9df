//! The pages that people read, and the commands in them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where pages are. The change log is not among them: it may name what is gone.
const PLACES: [&str; 7] =
    ["README.md", "CONTRIBUTING.md", "SECURITY.md", "client/README.md", "deploy", "docs", "server"];

/// The root of the repository; the packages whose tests use this are one folder below it.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package below the root").to_owned()
}

/// Returns the files with one of these endings below a folder, however deep, in their order. A file is below itself.
pub(crate) fn files_below(path: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    if !path.is_dir() {
        let is_one = path.extension().is_some_and(|extension| extensions.iter().any(|known| extension == *known));
        return Vec::from_iter(is_one.then(|| path.to_owned()));
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<PathBuf> =
        entries.flat_map(|entry| files_below(&entry.expect("an entry").path(), extensions)).collect();
    found.sort();
    found
}

/// Returns every page, by its path from the root.
pub(crate) fn pages() -> Vec<(String, String)> {
    let (root, mut found) = (root(), Vec::new());
    for place in PLACES {
        assert!(root.join(place).exists(), "{place} is missing");
        found.extend(files_below(&root.join(place), &["md"]));
    }
    found.sort();
    let named = found.into_iter().map(|path| {
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        (name, fs::read_to_string(path).expect("a page"))
    });
    named.collect()
}

/// Returns what stands between single backticks outside of code blocks, each with the text that follows it.
pub(crate) fn inline_code(page: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    // Every other part is a block of code.
    for mut rest in page.split("```").step_by(2) {
        while let Some((_, after)) = rest.split_once('`') {
            let Some((code, after)) = after.split_once('`') else { break };
            found.push((code, after));
            rest = after;
        }
    }
    found
}

/// Returns the commands of a page as words: those in blocks of `sh`, and those that stand in a sentence.
pub(crate) fn commands(page: &str) -> Vec<Vec<String>> {
    let mut lines: Vec<String> = inline_code(page).into_iter().map(|(code, _)| code.replace('\n', " ")).collect();
    for block in page.split("```sh\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default().replace("\\\n", " ");
        lines.extend(block.lines().map(str::to_owned));
    }
    lines.iter().flat_map(|line| simple_commands(line)).collect()
}

/// Splits a line of a shell into its simple commands: quotes hold words together, `#` begins a comment.
fn simple_commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => word.push(character),
            (None, '\'' | '"') => quote = Some(character),
            (None, '#') if word.is_empty() => break,
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            (None, ';' | '|' | '&' | '(' | ')') => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                commands.push(std::mem::take(&mut words));
            }
            (None, _) => word.push(character),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    commands.push(words);
    // Settings that a command begins with are not its name.
    let bare = commands.into_iter().map(|words| {
        let is_setting = |word: &String| word.split_once('=').is_some_and(|(name, _)| is_variable(name));
        words.into_iter().skip_while(is_setting).collect::<Vec<_>>()
    });
    bare.filter(|words| !words.is_empty()).collect()
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}
