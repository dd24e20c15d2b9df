//! A location's categories.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::Gcid;

/// A category of Google's taxonomy. Its identity is the [`Gcid`] alone: the name differs by language and region.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GbpCategory {
    /// What it is.
    pub gcid: Gcid,
    /// What people call it; empty where nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
}

impl GbpCategory {
    /// A category with its name.
    #[must_use]
    pub fn new(gcid: Gcid, display_name: impl Into<String>) -> Self {
        Self { gcid, display_name: display_name.into() }
    }
}

impl PartialEq for GbpCategory {
    fn eq(&self, other: &Self) -> bool {
        self.gcid == other.gcid
    }
}

impl Eq for GbpCategory {}

impl Hash for GbpCategory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.gcid.hash(state);
    }
}

/// One primary category and additional ones: no duplicates, the primary not among them, their order without meaning.
///
/// Two sets are equal when they hold the same identifiers in the same roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategorySet {
    primary: GbpCategory,
    /// Sorted by gcid, so that equal sets are equal values.
    additional: Vec<GbpCategory>,
}

/// Categories that make no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is there more than once")]
pub struct InvalidSet(pub Gcid);

impl CategorySet {
    /// Makes a set.
    ///
    /// # Errors
    /// [`InvalidSet`] with the first category that is there more than once, the primary one included.
    pub fn new(primary: GbpCategory, mut additional: Vec<GbpCategory>) -> Result<Self, InvalidSet> {
        additional.sort_by(|a, b| a.gcid.cmp(&b.gcid));
        if let Some(pair) = additional.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(InvalidSet(pair[0].gcid.clone()));
        }
        if additional.contains(&primary) {
            return Err(InvalidSet(primary.gcid));
        }
        Ok(Self { primary, additional })
    }

    /// The primary category.
    #[must_use]
    pub fn primary(&self) -> &GbpCategory {
        &self.primary
    }

    /// The additional categories, sorted by gcid.
    #[must_use]
    pub fn additional(&self) -> &[GbpCategory] {
        &self.additional
    }

    /// The category with this identifier, in whatever role.
    #[must_use]
    pub fn get(&self, gcid: &Gcid) -> Option<&GbpCategory> {
        std::iter::once(&self.primary).chain(&self.additional).find(|c| c.gcid == *gcid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(slug: &str) -> GbpCategory {
        GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), "")
    }

    #[test]
    fn order_and_names_do_not_matter() {
        let one = CategorySet::new(category("a"), vec![category("b"), category("c")]).expect("valid");
        let mut named = category("c");
        named.display_name = "C".to_owned();
        let two = CategorySet::new(category("a"), vec![named, category("b")]).expect("valid");
        assert_eq!(one, two);
    }

    #[test]
    fn duplicates_are_refused() {
        let twice = CategorySet::new(category("a"), vec![category("b"), category("c"), category("b")]);
        assert_eq!(twice, Err(InvalidSet(category("b").gcid)));
        let primary_too = CategorySet::new(category("a"), vec![category("a")]);
        assert_eq!(primary_too, Err(InvalidSet(category("a").gcid)));
    }
}
