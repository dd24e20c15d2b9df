//! Sets of categories: a location's, or a tenant's.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Category, EitherCategory, GbpCategory};

/// One primary category and additional ones: no duplicates, the primary not among them, their order without meaning.
///
/// Two sets are equal when they hold the same identifiers in the same roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategorySet<C = GbpCategory> {
    primary: C,
    /// Sorted by their identity, so that equal sets are equal values.
    additional: Vec<C>,
}

/// Categories that make no set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` occurs more than once")]
pub struct InvalidSet(pub String);

impl<C: Category> CategorySet<C> {
    /// Makes a set.
    ///
    /// # Errors
    /// [`InvalidSet`] with the first category that is there more than once, the primary one included.
    pub fn new(primary: C, mut additional: Vec<C>) -> Result<Self, InvalidSet> {
        additional.sort_by(|a, b| a.key().cmp(b.key()));
        if let Some(pair) = additional.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(InvalidSet(pair[0].to_string()));
        }
        if additional.contains(&primary) {
            return Err(InvalidSet(primary.to_string()));
        }
        Ok(Self { primary, additional })
    }

    /// The primary category.
    #[must_use]
    pub fn primary(&self) -> &C {
        &self.primary
    }

    /// The additional categories, sorted by their identity.
    #[must_use]
    pub fn additional(&self) -> &[C] {
        &self.additional
    }

    /// All categories, the primary one first.
    pub fn iter(&self) -> impl Iterator<Item = &C> {
        std::iter::once(&self.primary).chain(&self.additional)
    }

    /// The same category as this one, in whatever role.
    #[must_use]
    pub fn get(&self, category: &C) -> Option<&C> {
        self.iter().find(|c| *c == category)
    }

    /// The set as a run records it.
    #[must_use]
    pub fn recorded(self) -> CategorySet<EitherCategory>
    where
        C: Into<EitherCategory>,
    {
        let additional = self.additional.into_iter().map(Into::into).collect();
        CategorySet { primary: self.primary.into(), additional }
    }

    /// The same set of another type's categories, which keep their identities.
    ///
    /// # Errors
    /// What `convert` gives for one of them.
    pub fn try_map<D, E>(self, convert: impl Fn(C) -> Result<D, E>) -> Result<CategorySet<D>, E> {
        let additional = self.additional.into_iter().map(&convert).collect::<Result<_, E>>()?;
        Ok(CategorySet { primary: convert(self.primary)?, additional })
    }
}

/// Such as `gcid:cafe [gcid:bakery, gcid:deli]`.
impl<C: Category> fmt::Display for CategorySet<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let additional: Vec<String> = self.additional.iter().map(ToString::to_string).collect();
        write!(f, "{} [{}]", self.primary, additional.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gcid;

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
        assert_eq!(twice, Err(InvalidSet("gcid:b".to_owned())));
        let primary_too = CategorySet::new(category("a"), vec![category("a")]);
        assert_eq!(primary_too, Err(InvalidSet("gcid:a".to_owned())));
    }
}
