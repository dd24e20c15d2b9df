//! Google's lists of categories: imported whole or not at all, and everything that is checked against them.

mod broken;
mod changes;
mod import;
mod mapping;
mod search;
mod untidy;

use category_mirror_client::{CategoryMatch, TaxonomyRefresh};
use serde_json::json;

use super::service::Service;

/// How many categories the emulator has.
const ALL: i32 = 436;

impl Service {
    /// Imports the list of the US in English.
    async fn refresh(&self) -> TaxonomyRefresh {
        self.client.refresh_taxonomy("US", "en").send().await.expect("imported")
    }

    /// Google changes its list.
    async fn google_changes(&self, retire: &[&str], rename: &[(&str, &str)], add: &[(&str, &str)]) {
        let named = |list: &[(&str, &str)]| {
            list.iter().map(|(gcid, name)| ((*gcid).to_owned(), json!(name))).collect::<serde_json::Map<_, _>>()
        };
        let change = json!({"retire": retire, "rename": named(rename), "add": named(add)});
        self.google.change_taxonomy(change).await;
    }

    async fn search(&self, query: &str) -> Vec<CategoryMatch> {
        self.client.search_categories(query, "US", "en").send().collect().await.expect("found")
    }
}

/// The bare slugs of what was found.
fn slugs(found: &[CategoryMatch]) -> Vec<&str> {
    found.iter().map(|it| it.category.name.trim_start_matches("categories/gcid:")).collect()
}
