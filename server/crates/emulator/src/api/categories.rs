//! The calls about Google's list of categories.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::answer::GoogleError;
use crate::api::paging::Paging;
use crate::api::query::{Query, snake_case};
use crate::state::EmulatorState;
use crate::state::ids::Gcid;
use crate::state::taxonomy::Locale;

/// `categories.list`
pub(crate) fn list(state: &EmulatorState, query: &Query) -> Result<Value, GoogleError> {
    query.check(&["regionCode", "languageCode", "view", "filter", "pageSize", "pageToken"], &[])?;
    check_locale(query, &["regionCode", "languageCode", "view"])?;
    let prefix = match query.one("filter") {
        None => "",
        Some(filter) => match filter.trim().split_once('=') {
            Some((field, text)) if matches!(field.trim(), "displayName" | "display_name") => {
                text.trim().trim_matches('"')
            }
            _ => return Err(GoogleError::field("filter", "Only displayName=… is supported.")),
        },
    };
    let paging = Paging::read(query, "categories", 100)?;
    let page = paging.cut(state.taxonomy.search(paging.after(), prefix, locale(query)));
    let mut answer = json!({});
    if !page.items.is_empty() {
        answer["categories"] = json!(page.items);
    }
    if let Some(token) = page.next {
        answer["nextPageToken"] = json!(token);
    }
    Ok(answer)
}

/// `categories.batchGet`; a name that is not in the list is missing from the answer.
pub(crate) fn batch_get(state: &EmulatorState, query: &Query) -> Result<Value, GoogleError> {
    query.check(&["languageCode", "regionCode", "view"], &["names"])?;
    check_locale(query, &["names", "languageCode", "view"])?;
    let mut error = GoogleError::invalid();
    let mut wanted = BTreeSet::new();
    for (index, name) in query.all("names").enumerate() {
        match Gcid::parse(name) {
            Ok(gcid) => drop(wanted.insert(gcid)),
            Err(problem) => error = error.with_violation(&format!("names[{index}]"), format!("'{name}' {problem}")),
        }
    }
    if error.has_details() {
        return Err(error);
    }
    // Sorted, so not in the order of the request: Google promises none.
    let known = wanted.iter().filter(|gcid| state.taxonomy.contains(gcid));
    let found: Vec<_> = known.map(|gcid| state.taxonomy.category(gcid, locale(query))).collect();
    Ok(if found.is_empty() { json!({}) } else { json!({ "categories": found }) })
}

fn locale(query: &Query) -> Locale<'_> {
    Locale { region: query.one("regionCode").unwrap_or("US"), language: query.one("languageCode").unwrap_or("en") }
}

/// Checks what is required, and the form of region, language and view; every problem in one answer.
fn check_locale(query: &Query, required: &[&str]) -> Result<(), GoogleError> {
    let mut error = GoogleError::invalid();
    for name in required {
        // The first value of an enum is the same as none.
        if matches!(query.one(name), None | Some("CATEGORY_VIEW_UNSPECIFIED")) {
            error = error.with_violation(&snake_case(name), "Field is required");
        }
    }
    if let Some(region) = query.one("regionCode")
        && !(region.len() == 2 && region.bytes().all(|b| b.is_ascii_alphabetic()))
    {
        error = error.with_violation("region_code", format!("'{region}' is no ISO 3166-1 alpha-2 code."));
    }
    if let Some(language) = query.one("languageCode")
        && !(language.len() >= 2 && language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
    {
        error = error.with_violation("language_code", format!("'{language}' is no BCP 47 code."));
    }
    if let Some(view) = query.one("view")
        && !matches!(view, "BASIC" | "FULL" | "CATEGORY_VIEW_UNSPECIFIED")
    {
        error = error.with_violation("view", format!("Invalid value at 'view' (TYPE_ENUM), \"{view}\""));
    }
    if error.has_details() { Err(error) } else { Ok(()) }
}
