//! What the crate shows of itself.

use std::{fs, path::Path};

/// The generated code and its libraries change on their own; whoever uses this crate shall not notice.
const INNER: [&str; 5] = ["tonic", "prost", "http::", "v1::", "category_mirror_proto"];

#[test]
fn no_public_signature_names_what_is_inside() {
    let mut seen = 0;
    let mut leaks = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |file, source| {
        // Tests at a file's end are not public, and the tool is not the library.
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for (start, _) in source.match_indices("pub ").chain(source.match_indices("\nimpl")) {
            let item = &source[start..];
            let signature = &item[..item.find(['{', ';']).unwrap_or(item.len())];
            seen += 1;
            let is_inherent = signature.starts_with("\nimpl") && !signature.contains(" for ");
            if !is_inherent && INNER.iter().any(|inner| signature.contains(inner)) {
                leaks.push(format!("{file}: {}", signature.trim()));
            }
        }
    });
    assert!(seen > 100, "only {seen} items were found: the search is broken");
    // A request's page is private: neither the trait nor the field it is for can be named outside.
    leaks.retain(|leak| !leak.contains("crate::items::Paged for v1::$message"));
    assert!(leaks.is_empty(), "{leaks:#?}");
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
