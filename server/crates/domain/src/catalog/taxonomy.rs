//! Google's list of categories: complete or not at all, and what is different in it.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};

use crate::{GbpCategory, Gcid, Locale, text::is_same_name};

/// A list that shrank by more than this many percent is more likely broken than true.
pub const MAX_SHRINK_PERCENT: i64 = 5;
/// Google has some 4,000 categories. A list that goes on beyond this goes on for ever.
const MAX_CATEGORIES: usize = 50_000;
/// The same, in pages: also empty ones must come to an end.
const MAX_PAGES: usize = 2_000;

/// A page of Google's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxonomyPage {
    /// The categories, with their names.
    pub categories: Vec<GbpCategory>,
    /// What asks for the next page. `None`: this is the last one.
    pub next: Option<String>,
}

/// The pages of a list that were read so far. Nothing can be concluded from what they lack.
#[derive(Debug, Default)]
pub struct TaxonomyPages {
    names: BTreeMap<Gcid, String>,
    tokens: HashSet<String>,
}

/// A list after one more page.
#[derive(Debug)]
pub enum TaxonomyRead {
    /// There are more pages; the token asks for the next one.
    More(TaxonomyPages, String),
    /// That was the last one.
    Complete(CompleteTaxonomy),
}

/// Pages that make no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTaxonomyList {
    /// Following the tokens leads in a circle.
    #[error("the pages repeat: a page token was returned twice")]
    RepeatedPageToken,
    /// It does not end.
    #[error("the list does not end after {0} pages")]
    TooManyPages(usize),
    /// It ended, and there was nothing in it.
    #[error("the list is empty")]
    Empty,
    /// It changed while it was read.
    #[error("`{0}` is in the list twice under different names")]
    ConflictingNames(Gcid),
}

impl TaxonomyPages {
    /// Adds the next page.
    ///
    /// # Errors
    /// [`InvalidTaxonomyList`]; then the list has to be read again from its beginning.
    pub fn with(mut self, page: TaxonomyPage) -> Result<TaxonomyRead, InvalidTaxonomyList> {
        for GbpCategory { gcid, display_name } in page.categories {
            // A list that Google changes between two pages can show a category on both.
            if self.names.get(&gcid).is_some_and(|name| !is_same_name(name, &display_name)) {
                return Err(InvalidTaxonomyList::ConflictingNames(gcid));
            }
            self.names.insert(gcid, display_name);
        }
        let Some(token) = page.next else {
            let complete = CompleteTaxonomy(self.names);
            return if complete.0.is_empty() {
                Err(InvalidTaxonomyList::Empty)
            } else {
                Ok(TaxonomyRead::Complete(complete))
            };
        };
        if !self.tokens.insert(token.clone()) {
            return Err(InvalidTaxonomyList::RepeatedPageToken);
        }
        if self.names.len() > MAX_CATEGORIES || self.tokens.len() >= MAX_PAGES {
            return Err(InvalidTaxonomyList::TooManyPages(self.tokens.len()));
        }
        Ok(TaxonomyRead::More(self, token))
    }
}

/// A list that was read to its last page; nothing else makes one. Only from this can be concluded that a category is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteTaxonomy(BTreeMap<Gcid, String>);

impl CompleteTaxonomy {
    /// How many categories it has; never 0.
    #[must_use]
    pub fn count(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    /// Whether it is so much shorter than a list of `current` categories that it must not be taken for Google's without a person's word.
    #[must_use]
    pub fn shrank(&self, current: i64) -> bool {
        (current - self.count()) * 100 > current * MAX_SHRINK_PERCENT
    }

    /// What is different in it from `current`.
    #[must_use]
    pub fn diff(&self, current: &BTreeMap<Gcid, String>) -> TaxonomyDiff {
        let mut diff = TaxonomyDiff { count: self.count(), ..TaxonomyDiff::default() };
        for (gcid, name) in &self.0 {
            let category = GbpCategory::new(gcid.clone(), name);
            match current.get(gcid) {
                None => diff.added.push(category),
                Some(before) if !is_same_name(before, name) => {
                    diff.renamed.push(Renamed { category, before: before.clone() })
                }
                Some(_) => {}
            }
        }
        let retired = current.iter().filter(|(gcid, _)| !self.0.contains_key(gcid));
        diff.retired = retired.map(|(gcid, name)| GbpCategory::new(gcid.clone(), name)).collect();
        diff
    }
}

/// A category with another name than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The category, with its new name.
    pub category: GbpCategory,
    /// Its name before.
    pub before: String,
}

/// What a complete list changes. Only [`CompleteTaxonomy::diff`] makes one that retires something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaxonomyDiff {
    count: i64,
    added: Vec<GbpCategory>,
    renamed: Vec<Renamed>,
    retired: Vec<GbpCategory>,
}

impl TaxonomyDiff {
    /// How many categories the list has.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.count
    }

    /// What was not there before, by gcid.
    #[must_use]
    pub fn added(&self) -> &[GbpCategory] {
        &self.added
    }

    /// What is called otherwise, by gcid.
    #[must_use]
    pub fn renamed(&self) -> &[Renamed] {
        &self.renamed
    }

    /// What is there no more, with its last name, by gcid.
    #[must_use]
    pub fn retired(&self) -> &[GbpCategory] {
        &self.retired
    }

    /// Whether the list is the one that was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.renamed.is_empty() && self.retired.is_empty()
    }
}

/// A version of a list, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxonomyVersion {
    /// Whose list.
    pub locale: Locale,
    /// Its number, from 1.
    pub version: i32,
    /// How many categories it has.
    pub category_count: i32,
    /// How many it added.
    pub added: i32,
    /// How many it renamed.
    pub renamed: i32,
    /// How many it retired.
    pub retired: i32,
    /// Who imported it.
    pub caller: String,
    /// Why, although it had shrunk.
    pub allow_shrink_reason: String,
    /// When it was imported.
    pub imported_at: DateTime<Utc>,
    /// When Google's list was last found to be this one.
    pub checked_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(slug: &str, name: &str) -> GbpCategory {
        GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), name)
    }

    fn page(categories: &[(&str, &str)], next: Option<&str>) -> TaxonomyPage {
        let categories = categories.iter().map(|(slug, name)| category(slug, name)).collect();
        TaxonomyPage { categories, next: next.map(str::to_owned) }
    }

    fn more(pages: TaxonomyPages, page: TaxonomyPage) -> TaxonomyPages {
        match pages.with(page).expect("good") {
            TaxonomyRead::More(pages, _) => pages,
            TaxonomyRead::Complete(_) => panic!("not yet"),
        }
    }

    fn complete(categories: &[(&str, &str)]) -> CompleteTaxonomy {
        match TaxonomyPages::default().with(page(categories, None)).expect("good") {
            TaxonomyRead::Complete(complete) => complete,
            TaxonomyRead::More(..) => panic!("there is no more"),
        }
    }

    #[test]
    fn d7_only_the_last_page_completes_a_list() {
        let pages = more(TaxonomyPages::default(), page(&[("a", "A")], Some("1")));
        let pages = more(pages, page(&[], Some("2")));
        let Ok(TaxonomyRead::Complete(list)) = pages.with(page(&[("b", "B"), ("a", "A")], None)) else {
            panic!("the last page")
        };
        assert_eq!(list.count(), 2);
    }

    #[test]
    fn d7_pages_that_make_no_list_are_refused() {
        let begun = || more(TaxonomyPages::default(), page(&[("a", "A")], Some("1")));
        assert_eq!(
            begun().with(page(&[("b", "B")], Some("1"))).expect_err("a circle"),
            InvalidTaxonomyList::RepeatedPageToken
        );
        let twice = begun().with(page(&[("a", "Other")], None)).expect_err("two names");
        assert_eq!(twice, InvalidTaxonomyList::ConflictingNames(category("a", "").gcid));
        assert_eq!(TaxonomyPages::default().with(page(&[], None)).expect_err("nothing"), InvalidTaxonomyList::Empty);
        let mut pages = TaxonomyPages::default();
        let endless =
            (0..=MAX_PAGES).find_map(|n| match std::mem::take(&mut pages).with(page(&[], Some(&n.to_string()))) {
                Ok(TaxonomyRead::More(more, _)) => {
                    pages = more;
                    None
                }
                end => Some(end),
            });
        assert_eq!(endless.expect("it ends").expect_err("endless"), InvalidTaxonomyList::TooManyPages(MAX_PAGES));
    }

    #[test]
    fn what_is_different_is_told_apart() {
        let current = [category("a", "A"), category("b", "B"), category("c", "C")];
        let current = current.into_iter().map(|it| (it.gcid, it.display_name)).collect();
        let diff = complete(&[("a", "A"), ("b", "Bee"), ("d", "D")]).diff(&current);
        assert_eq!(diff.added(), [category("d", "D")]);
        assert_eq!(diff.renamed(), [Renamed { category: category("b", "Bee"), before: "B".to_owned() }]);
        assert_eq!(diff.retired(), [category("c", "C")]);
        assert!(complete(&[("a", "A"), ("b", "B"), ("c", "C")]).diff(&current).is_empty());
    }

    #[test]
    fn d7_more_than_five_percent_less_is_a_shrunken_list() {
        let names: Vec<String> = (0..95).map(|n| format!("c{n}")).collect();
        let list = complete(&names.iter().map(|name| (name.as_str(), name.as_str())).collect::<Vec<_>>());
        assert!(!list.shrank(100), "exactly five percent");
        assert!(list.shrank(101));
        assert!(!list.shrank(0) && !list.shrank(95) && !list.shrank(10));
    }
}
