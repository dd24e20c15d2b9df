//! An index of the names on one version of Google's list: finds by beginning and by trigrams, in memory.
//!
//! A version never changes, so an index of it is made once. What a look-up costs is bounded by the list and by the length of the query,
//! and does not depend on who asks, or for what.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use crate::{
    GbpCategory, Gcid,
    catalog::trigram::{Trigram, can_be_alike_in_words, is_alike, similarity, trigrams, word_similarity},
};

/// A category that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryMatch {
    /// The category, with its name.
    pub category: GbpCategory,
    /// How alike the texts are, from 0 to 1.
    pub score: f32,
}

/// The names on one version of a list.
#[derive(Debug)]
pub struct CategoryIndex {
    version: i32,
    /// By name without its case, then by gcid.
    entries: Vec<Entry>,
    gcids: HashSet<Gcid>,
    /// The numbers of all trigrams.
    numbers: HashMap<Trigram, usize>,
    /// By the number of a trigram: the entries that have it.
    postings: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Entry {
    category: GbpCategory,
    lower: String,
    /// The distinct trigrams of the name.
    distinct: Vec<usize>,
    /// The trigrams in their order, as positions in `distinct`.
    positions: Vec<u16>,
}

/// A text that is looked for.
struct Query {
    /// How many distinct trigrams it has, also those that no name has.
    distinct: usize,
    /// By the number of a trigram: whether it has it.
    has: Vec<bool>,
    /// By entry: how many distinct trigrams it has in common with the text.
    common: Vec<usize>,
}

impl CategoryIndex {
    /// Makes an index of all categories of a version.
    #[must_use]
    pub fn new(version: i32, categories: Vec<GbpCategory>) -> Self {
        let gcids = categories.iter().map(|category| category.gcid.clone()).collect();
        let mut index = Self { version, entries: Vec::new(), gcids, numbers: HashMap::new(), postings: Vec::new() };
        let mut named: Vec<_> =
            categories.into_iter().map(|category| (category.display_name.to_lowercase(), category)).collect();
        named.sort_by(|(one, left), (other, right)| one.cmp(other).then_with(|| left.gcid.cmp(&right.gcid)));
        for (lower, category) in named {
            index.push(lower, category);
        }
        index
    }

    fn push(&mut self, lower: String, category: GbpCategory) {
        let number = self.entries.len();
        let (mut distinct, mut positions, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
        for trigram in trigrams(&category.display_name) {
            let position = *seen.entry(trigram).or_insert_with(|| {
                let next = self.numbers.len();
                let trigram = *self.numbers.entry(trigram).or_insert(next);
                if trigram == self.postings.len() {
                    self.postings.push(Vec::new());
                }
                self.postings[trigram].push(number);
                distinct.push(trigram);
                distinct.len() - 1
            });
            // The text is cut to some hundred characters.
            positions.extend(u16::try_from(position));
        }
        self.entries.push(Entry { category, lower, distinct, positions });
    }

    /// The version of the list.
    #[must_use]
    pub fn version(&self) -> i32 {
        self.version
    }

    /// Whether the list has a category.
    #[must_use]
    pub fn has(&self, gcid: &Gcid) -> bool {
        self.gcids.contains(gcid)
    }

    /// Finds categories whose name or identifier begins with `query`, then those whose name is like it; of each, the most alike first. An empty
    /// query finds all. Leaves the first `offset` out, and gives at most `limit`.
    #[must_use]
    pub fn find(&self, query: &str, offset: usize, limit: usize) -> Vec<CategoryMatch> {
        let identifier = query.strip_prefix("categories/").unwrap_or(query);
        let slug = identifier.strip_prefix("gcid:");
        let beginning = query.to_lowercase();
        let asked = self.query(query);
        let mut found: Vec<(bool, f32, usize)> = Vec::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let begins = entry.lower.starts_with(&beginning)
                || slug.is_some_and(|slug| entry.category.gcid.slug().starts_with(slug));
            if let Some(score) = self.score(&asked, number, begins) {
                found.push((begins, score, number));
            }
        }
        found
            .sort_by(|one, other| other.0.cmp(&one.0).then_with(|| by_score(one.1, other.1)).then(one.2.cmp(&other.2)));
        found.into_iter().skip(offset).take(limit).map(|(_, score, number)| self.found(number, score)).collect()
    }

    /// Finds the categories whose names are like `name`, at most `limit`, the most alike first.
    #[must_use]
    pub fn alike(&self, name: &str, limit: usize) -> Vec<CategoryMatch> {
        let asked = self.query(name);
        let mut found: Vec<(f32, usize)> = (0..self.entries.len())
            .filter(|number| asked.common[*number] > 0)
            .filter_map(|number| Some((self.score(&asked, number, false)?, number)))
            .collect();
        found.sort_by(|one, other| by_score(one.0, other.0).then(one.1.cmp(&other.1)));
        found.into_iter().take(limit).map(|(score, number)| self.found(number, score)).collect()
    }

    fn query(&self, text: &str) -> Query {
        let mut distinct = trigrams(text);
        distinct.sort_unstable();
        distinct.dedup();
        let mut has = vec![false; self.postings.len()];
        let mut common = vec![0; self.entries.len()];
        for number in distinct.iter().filter_map(|trigram| self.numbers.get(trigram)) {
            has[*number] = true;
            self.postings[*number].iter().for_each(|entry| common[*entry] += 1);
        }
        Query { distinct: distinct.len(), has, common }
    }

    /// How alike an entry is; `None`: it is not, and need not be shown.
    fn score(&self, query: &Query, number: usize, is_shown: bool) -> Option<f32> {
        let (entry, common) = (&self.entries[number], query.common[number]);
        let similarity = similarity(common, query.distinct, entry.distinct.len());
        let is_candidate = is_shown || is_alike(similarity, 0.0) || can_be_alike_in_words(common, query.distinct);
        if !is_candidate {
            return None;
        }
        let is_common: Vec<bool> = entry.distinct.iter().map(|trigram| query.has[*trigram]).collect();
        let in_words = word_similarity(query.distinct, &entry.positions, entry.distinct.len(), &is_common);
        (is_shown || is_alike(similarity, in_words)).then_some((similarity + in_words) / 2.0)
    }

    fn found(&self, number: usize, score: f32) -> CategoryMatch {
        CategoryMatch { category: self.entries[number].category.clone(), score }
    }
}

/// The greater score first.
fn by_score(one: f32, other: f32) -> Ordering {
    other.total_cmp(&one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(names: &[(&str, &str)]) -> CategoryIndex {
        let category = |(slug, name): &(&str, &str)| {
            GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("a gcid"), (*name).to_owned())
        };
        CategoryIndex::new(7, names.iter().map(category).collect())
    }

    fn slugs(found: &[CategoryMatch]) -> Vec<&str> {
        found.iter().map(|it| it.category.gcid.slug()).collect()
    }

    #[test]
    fn beginnings_come_first_then_what_is_alike_and_pages_are_parts_of_the_whole() {
        let index = index(&[
            ("bar", "Bar"),
            ("barber", "Barber shop"),
            ("tapas", "Tapas bar"),
            ("zoo", "Zoo"),
            ("cafe", "Café"),
        ]);
        assert_eq!(index.version(), 7);
        let whole = index.find("bar", 0, 9);
        assert_eq!(slugs(&whole), ["bar", "barber", "tapas"]);
        assert!((whole[0].score - 1.0).abs() < f32::EPSILON);
        let pages: Vec<CategoryMatch> = (0..4).flat_map(|page| index.find("bar", page, 1)).collect();
        assert_eq!(pages, whole);
        assert_eq!(slugs(&index.find("", 0, 9)), ["bar", "barber", "cafe", "tapas", "zoo"], "all, by name");
        assert_eq!(slugs(&index.find("CAFÉ", 0, 9)), ["cafe"]);
        assert_eq!(slugs(&index.find("gcid:ta", 0, 9)), ["tapas"]);
        assert_eq!(slugs(&index.find("categories/gcid:zoo", 0, 9)), ["zoo"]);
        assert!(["%", "_", "xq"].iter().all(|query| index.find(query, 0, 9).is_empty()));
    }

    #[test]
    fn suggestions_are_the_most_alike_and_no_more_than_asked_for() {
        let index = index(&[("a", "Grocery store"), ("b", "Store"), ("c", "Grocery delivery service"), ("d", "Zoo")]);
        assert_eq!(slugs(&index.alike("Grocery stores", 2)), ["a", "c"]);
        assert_eq!(slugs(&index.alike("Grocery stores", 9)).len(), 3);
        assert!(index.alike("Qxzzq", 9).is_empty() && index.alike("", 9).is_empty());
        assert!(
            index.has(&Gcid::parse("gcid:a").expect("a gcid")) && !index.has(&Gcid::parse("gcid:e").expect("a gcid"))
        );
    }
}
