//! Searches GBP categories, and suggests mappings for platform categories, by an in-memory index of each list.
//!
//! In the database, a single look-up by trigrams took up to 30 s of a connection. An index answers in well under a
//! millisecond, and the database is only queried for the number of the newest version and for rows by key.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use super::{App, Page, PageRequest};
use crate::{
    domain::{CategoryIndex, CategoryMatch, Gcid, Locale, Slug},
    error::Error,
    store::MappedCategory,
};

/// Number of platform categories that are read per statement to find those that need a decision.
const READ_BATCH_SIZE: usize = 1000;
/// Time for computing the suggestions of one page. After that, the page has what was found so far.
const SUGGESTIONS_TIME_BUDGET: Duration = Duration::from_millis(250);

/// A platform category that does not map to a category of Google's list.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingSuggestion {
    /// The platform category.
    pub slug: Slug,
    /// Its display name.
    pub display_name: String,
    /// The category that it maps to and that Google's list lacks.
    pub gcid: Option<Gcid>,
    /// Categories with similar display names, best first.
    pub matches: Vec<CategoryMatch>,
}

impl App {
    /// Returns the index of the newest version of a list.
    ///
    /// # Errors
    /// [`Error::NoTaxonomy`], or a database error.
    pub async fn category_index(&self, locale: &Locale) -> Result<Arc<CategoryIndex>, Error> {
        let version = self.taxonomy(locale).await?.version;
        self.category_indexes.get(&self.store, locale, version).await
    }

    /// Searches categories. The page's filters include the version of the list, so that positions in it do not change.
    ///
    /// # Errors
    /// [`Error::InvalidPageToken`].
    pub async fn search_categories(
        &self,
        index: Arc<CategoryIndex>,
        query: String,
        page: PageRequest,
    ) -> Result<Page<CategoryMatch>, Error> {
        let offset = page.after.as_deref().map_or(Ok(0), str::parse::<u32>).map_err(|_| Error::InvalidPageToken)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let limit = page.size.saturating_add(1);
        let found = spawn_blocking(move || index.find(&query, start, limit)).await;
        let next = start.saturating_add(page.size);
        Ok(page.page(found.map_err(|error| Error::Internal(error.into()))?, |_| next.to_string()))
    }

    /// Lists the platform categories that do not map to a category of Google's list, by slug, each with `matches`
    /// suggestions. A page before the last may have fewer items than its maximum.
    ///
    /// # Errors
    /// [`Error::NoTaxonomy`], or a database error.
    pub async fn mapping_suggestions(
        &self,
        locale: &Locale,
        matches: usize,
        page: PageRequest,
    ) -> Result<Page<MappingSuggestion>, Error> {
        let index = self.category_index(locale).await?;
        let (deadline, limit) = (Instant::now() + SUGGESTIONS_TIME_BUDGET, page.size.saturating_add(1));
        let mut after = page.after.clone().unwrap_or_default();
        let mut found = Vec::new();
        loop {
            let rows = i64::try_from(READ_BATCH_SIZE).unwrap_or(i64::MAX);
            let chunk = self.store.mapped_categories(&locale.region, &after, rows).await?;
            let is_last = chunk.len() < READ_BATCH_SIZE;
            let (index, left) = (index.clone(), limit - found.len());
            let suggested = spawn_blocking(move || suggest(&index, chunk, matches, left, deadline)).await;
            let Suggested { suggestions, last, is_whole } = suggested.map_err(|error| Error::Internal(error.into()))?;
            found.extend(suggestions);
            let slug = |suggestion: &MappingSuggestion| suggestion.slug.to_string();
            if found.len() == limit || (is_whole && is_last) {
                return Ok(page.page(found, slug));
            }
            if Instant::now() > deadline {
                return Ok(page.page_or_rest(found, last, slug));
            }
            after = last.unwrap_or(after);
        }
    }
}

/// Suggestions for some platform categories.
struct Suggested {
    suggestions: Vec<MappingSuggestion>,
    /// The last category that was processed.
    last: Option<String>,
    /// Whether all of them were processed.
    is_whole: bool,
}

/// Finds at most `limit` categories that do not map to a category of Google's list, until `deadline`. At least one is
/// processed even after it, so that every page makes progress.
fn suggest(
    index: &CategoryIndex,
    categories: Vec<MappedCategory>,
    matches: usize,
    limit: usize,
    deadline: Instant,
) -> Suggested {
    let (mut suggestions, mut last) = (Vec::new(), None);
    for MappedCategory { slug, display_name, gcid } in categories {
        if suggestions.len() == limit || (last.is_some() && Instant::now() > deadline) {
            return Suggested { suggestions, last, is_whole: false };
        }
        last = Some(slug.to_string());
        if gcid.as_ref().is_none_or(|gcid| !index.has(gcid)) {
            let matches = index.alike(&display_name, matches);
            suggestions.push(MappingSuggestion { slug, display_name, gcid, matches });
        }
    }
    Suggested { suggestions, last, is_whole: true }
}
