//! Finding GBP categories, and suggesting what platform categories may map to: by an index of each list, in memory.
//!
//! Asked of the database, one look-up by trigrams took up to 30 s of a connection. An index answers in well under a millisecond, and the
//! database is asked for the number of the newest version and for rows by their keys.

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

/// Platform categories that are read at a time to find those that need a decision.
const READ_BATCH_SIZE: usize = 1000;
/// How long suggestions are made for one page; then it is what was found until then.
const SUGGESTIONS_TIME_BUDGET: Duration = Duration::from_millis(250);

/// A platform category that maps to nothing that Google has.
#[derive(Debug, Clone, PartialEq)]
pub struct MappingSuggestion {
    /// The platform category.
    pub slug: Slug,
    /// Its name for people.
    pub display_name: String,
    /// What it maps to, and Google does not have.
    pub gcid: Option<Gcid>,
    /// The categories that are named like it, the best first.
    pub matches: Vec<CategoryMatch>,
}

impl App {
    /// Gets the index of the newest version of a list.
    ///
    /// # Errors
    /// [`Error::NoTaxonomy`], or the database's.
    pub async fn category_index(&self, locale: &Locale) -> Result<Arc<CategoryIndex>, Error> {
        let version = self.taxonomy(locale).await?.version;
        self.category_indexes.get(&self.store, locale, version).await
    }

    /// Finds categories. The page's filters hold the version of the list, so that positions in it do not move.
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

    /// Lists the platform categories that map to nothing that Google has, by slug, each with `matches` suggestions. A page may have fewer
    /// than it may, before the last.
    ///
    /// # Errors
    /// [`Error::NoTaxonomy`], or the database's.
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

/// What was found in some platform categories.
struct Suggested {
    suggestions: Vec<MappingSuggestion>,
    /// The last one that was looked at.
    last: Option<String>,
    /// Whether all of them were.
    is_whole: bool,
}

/// Finds at most `limit` that map to nothing that Google has, until `deadline`; one is looked at even after it, so that pages go on.
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
