//! Google's list of categories, a page at a time.

use reqwest::Method;
use serde::Deserialize;

use super::{
    Client, WriteFailure,
    answer::unreadable,
    client::{Call, Target},
    location::WireCategory,
};
use crate::domain::{Failure, GbpCategory, Locale, TaxonomyPage};

/// Categories of a page: the most that Google gives.
const PAGE_SIZE: &str = "100";
/// Bytes of a page token that is sent back; it has to fit into a URL.
const MAX_TOKEN: usize = 4096;

/// Reads Google's list of categories.
#[derive(Debug, Clone)]
pub struct TaxonomyReader(pub(super) Client);

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
            return Err(call.refused(&answer).into_failure());
        }
        let label = call.label();
        answer.json::<WirePage>(&label)?.checked(&label)
    }
}

impl WirePage {
    fn checked(self, label: &str) -> Result<TaxonomyPage, Failure> {
        if self.next_page_token.len() > MAX_TOKEN {
            return Err(unreadable(label, "the answer's page token is too long"));
        }
        let categories: Vec<_> = self.categories.into_iter().map(|it| it.checked(label)).collect::<Result<_, _>>()?;
        if let Some(GbpCategory { gcid, .. }) = categories.iter().find(|category| category.display_name.is_empty()) {
            return Err(unreadable(label, format_args!("the answer has `{gcid}` without a name")));
        }
        Ok(TaxonomyPage { categories, next: Some(self.next_page_token).filter(|token| !token.is_empty()) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::FailureReason;

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
        assert!(read(json!({"nextPageToken": "x".repeat(MAX_TOKEN + 1)})).is_err());
    }
}
