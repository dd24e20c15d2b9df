//! What the crate shows of itself.

use std::{collections::HashSet, fs, path::Path};

/// The generated code and its libraries change on their own; whoever uses this crate shall not notice.
const INNER: [&str; 4] = ["tonic", "tonic_types", "prost_types", "category_mirror_proto"];

#[test]
fn no_public_signature_names_what_is_inside() {
    let mut seen = 0;
    let mut leaks = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |file, source| {
        // Tests at a file's end are not public.
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let inner = inner_names(source);
        for (start, _) in source.match_indices("pub ").chain(source.match_indices("\nimpl")) {
            let item = &source[start..];
            let signature = &item[..item.find(['{', ';']).unwrap_or(item.len())];
            // An impl for a type is public where the type is; one without a trait says no more than the type's own line.
            let is_inherent = signature.starts_with("\nimpl") && !signature.contains(" for ");
            seen += 1;
            if !is_inherent && words(signature).any(|word| inner.contains(word)) {
                leaks.push(format!("{file}: {}", signature.trim()));
            }
        }
    });
    assert!(seen > 100, "only {seen} items were found: the search is broken");
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// The libraries inside, and every name that the file imports from them.
fn inner_names(source: &str) -> HashSet<&str> {
    let imports = source.split(';').filter_map(|statement| Some(statement.split_once("use ")?.1));
    let imported = imports.filter(|path| words(path).next().is_some_and(|first| INNER.contains(&first)));
    imported.flat_map(words).filter(|word| *word != "self").chain(INNER).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn visit(folder: &Path, look: &mut impl FnMut(&str, &str)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("bin") {
            visit(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path.display().to_string(), &fs::read_to_string(&path).expect("UTF-8"));
        }
    }
}
