//! Google's list of categories, a page at a time.

use category_mirror_domain::{Failure, GbpCategory, Locale, TaxonomyPage};
use reqwest::Method;
use serde::Deserialize;

use crate::{
    WriteFailure,
    http::call::{Call, Target},
    response::answer::unreadable,
    response::google_error::GoogleError,
    response::location::WireCategory,
    response::text,
    session::Session,
};

/// Categories of a page: the most that Google gives.
const PAGE_SIZE: &str = "100";
/// Bytes of a page token that is sent back; it has to fit into a URL.
const MAX_TOKEN: usize = 4096;

/// One entry in so many may be odd. A page with more of them is another list than the one that was asked for.
const MAX_INVALID_ENTRY_DIVISOR: usize = 10;

/// An entry of Google's list.
enum Entry {
    /// A category.
    Category(GbpCategory),
    /// What has a name that no category can have, so that nothing maps to it, and nothing is lost with it: why.
    Odd(Failure),
}

/// Reads Google's list of categories.
#[derive(Debug, Clone)]
pub struct TaxonomyReader(pub(crate) Session);

/// The answer's fields that are read; others may come and go.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePage {
    #[serde(default)]
    categories: Vec<WireCategory>,
    #[serde(default)]
    next_page_token: String,
}

impl TaxonomyReader {
    /// Reads the page that `token` asks for; `None` is the first one.
    ///
    /// # Errors
    /// The class of each of Google's answers; `UPSTREAM_INVALID` for one that is incomplete or has what is no category.
    pub async fn page(&self, locale: &Locale, token: Option<&str>) -> Result<TaxonomyPage, Failure> {
        let mut query = vec![
            ("regionCode", locale.region.as_str()),
            ("languageCode", locale.language.as_str()),
            ("view", "BASIC"),
            ("pageSize", PAGE_SIZE),
        ];
        query.extend(token.map(|token| ("pageToken", token)));
        let call = Call {
            name: "categories.list",
            method: Method::GET,
            target: Target::Categories,
            query: &query,
            body: None,
            deadline: None,
        };
        let answer = self.0.call(&call).await.map_err(WriteFailure::into_failure)?;
        if !answer.status.is_success() {
            let failure = call.refused(&answer).into_failure();
            let error = answer.body.as_ref().ok().and_then(|body| GoogleError::parse(body));
            let is_of_token = token.is_some() && error.is_some_and(|error| error.is_about_page_token());
            return Err(if is_of_token { failure.of_page_token() } else { failure });
        }
        let label = call.label();
        answer.json::<WirePage>(&label)?.checked(&label)
    }
}

impl WireCategory {
    /// The entry at `position` of the list.
    ///
    /// # Errors
    /// `UPSTREAM_INVALID`, and which entry it is, for one without a name or without a name for people: it may be a category that is known
    /// already, and a list without that would retire it.
    fn in_list(self, label: &str, position: usize) -> Result<Entry, Failure> {
        if self.name.is_empty() {
            let shown = text::bounded(&self.display_name, 150);
            return Err(unreadable(
                label,
                format_args!("the answer's entry {position}, `{shown}`, has no category name"),
            ));
        }
        let category = match self.checked(label) {
            Ok(category) => category,
            Err(why) => return Ok(Entry::Odd(why)),
        };
        if category.display_name.is_empty() {
            let gcid = &category.gcid;
            return Err(unreadable(label, format_args!("the answer's entry {position}, `{gcid}`, has no name")));
        }
        Ok(Entry::Category(category))
    }
}

impl WirePage {
    fn checked(self, label: &str) -> Result<TaxonomyPage, Failure> {
        if self.next_page_token.len() > MAX_TOKEN {
            return Err(unreadable(label, "the answer's page token is too long"));
        }
        let (mut categories, mut odd) = (Vec::new(), Vec::new());
        let count = self.categories.len();
        for (position, entry) in self.categories.into_iter().enumerate() {
            match entry.in_list(label, position)? {
                Entry::Category(category) => categories.push(category),
                Entry::Odd(failure) => odd.push(failure),
            }
        }
        match odd.first() {
            Some(first) if odd.len() * MAX_INVALID_ENTRY_DIVISOR > count => return Err(first.clone()),
            Some(first) => {
                tracing::warn!(left_out = odd.len(), error = first.message, "left odd entries out of google's list");
            }
            None => {}
        }
        Ok(TaxonomyPage { categories, next: Some(self.next_page_token).filter(|token| !token.is_empty()) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use category_mirror_domain::FailureReason;

    fn read(answer: Value) -> Result<TaxonomyPage, Failure> {
        serde_json::from_value::<WirePage>(answer).expect("of the expected form").checked("categories.list")
    }

    #[test]
    fn absent_fields_are_empty_ones() {
        let page = read(json!({"totalCount": 7})).expect("a page");
        assert_eq!(page, TaxonomyPage { categories: vec![], next: None });
        let categories = json!([{"name": "categories/gcid:cafe", "displayName": "Café", "serviceTypes": []}]);
        let page = read(json!({"categories": categories, "nextPageToken": "t"})).expect("a page");
        assert_eq!((page.categories[0].display_name.as_str(), page.next.as_deref()), ("Café", Some("t")));
    }

    #[test]
    fn d7_a_page_with_what_is_no_category_is_no_page() {
        for category in [
            json!({}),
            json!({"name": "categories/gcid:cafe"}),
            json!({"name": "categories/gcid:cafe", "displayName": " "}),
            json!({"name": "categories/gcid:african-grocery-store", "displayName": "African grocery store"}),
            json!({"displayName": "Café"}),
        ] {
            let failure = read(json!({"categories": [category]})).expect_err("no category");
            assert_eq!(failure.reason, FailureReason::UpstreamInvalid, "{category}");
        }
        let valid = |n: usize| json!({"name": format!("categories/gcid:a{n}"), "displayName": "A"});
        let without_name = json!({"name": "categories/gcid:cafe"});
        let many: Vec<Value> = (0..99).map(valid).chain([without_name]).collect();
        let failure = read(json!({"categories": many})).expect_err("a category may be missing");
        assert!(failure.message.contains("entry 99, `gcid:cafe`"), "{}", failure.message);
        assert!(read(json!({"nextPageToken": "x".repeat(MAX_TOKEN + 1)})).is_err());
    }

    #[test]
    fn d7_an_odd_entry_costs_itself_and_not_the_list() {
        let odd = json!({"name": "categories/gcid:african-grocery-store", "displayName": "African grocery store"});
        let list = |count: usize, odd_ones: usize| -> Vec<Value> {
            let valid = |n: usize| json!({"name": format!("categories/gcid:a{n}"), "displayName": "A"});
            (0..count - odd_ones).map(valid).chain(std::iter::repeat_n(odd.clone(), odd_ones)).collect()
        };
        for (count, odd_ones, is_read) in
            [(100, 1, true), (100, 10, true), (100, 11, false), (9, 1, false), (1, 1, false)]
        {
            let page = read(json!({"categories": list(count, odd_ones)}));
            assert_eq!(page.is_ok(), is_read, "{odd_ones} of {count}");
            match page {
                Ok(page) => assert_eq!(page.categories.len(), count - odd_ones),
                Err(failure) => assert!(failure.message.contains("african-grocery-store"), "{}", failure.message),
            }
        }
    }
}
