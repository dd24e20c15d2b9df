//! Both of Google's views of a location.

use super::Location;
use crate::domain::{AtGoogle, CategorySet, Complete, LocationIssue};

/// The categories of a location in each of Google's views, from complete reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The merchant's record.
    pub merchant: Complete<Option<CategorySet>>,
    /// What the public sees, where that is something else.
    pub public: Option<Complete<Option<CategorySet>>>,
    /// Whether an edit of the merchant's record waits to be published.
    pub in_review: bool,
    /// Why Google does not publish edits of the location. Empty: it does.
    pub issues: Vec<LocationIssue>,
}

/// What the public sees, and what Google says of the difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicLocation {
    /// The location as the public sees it.
    pub location: Location,
    /// Whether its categories are others than the merchant's.
    pub differs: bool,
    /// Whether an edit of the merchant's categories waits to be published.
    pub in_review: bool,
}

impl Side {
    pub(super) fn of(merchant: Location, public: Option<PublicLocation>) -> Self {
        let in_review = public.as_ref().is_some_and(|public| public.in_review);
        let Location { categories: merchant, issues, .. } = merchant;
        let other = public.filter(|public| public.differs).map(|public| public.location.categories);
        let public = other.filter(|public| *public != merchant);
        Self { merchant, public, in_review, issues }
    }

    /// What an update to `desired` would change. That is the merchant's record; where this is as desired already, and Google shows the
    /// public something else by its own decision, it is what the public sees: the update tells Google to take that back. Where it publishes
    /// no edits at all, that would be told again and again, in vain.
    #[must_use]
    pub fn target(&self, desired: &CategorySet) -> Complete<Option<CategorySet>> {
        match &self.public {
            Some(public)
                if self.merchant.get().as_ref() == Some(desired) && !self.in_review && self.issues.is_empty() =>
            {
                public.clone()
            }
            _ => self.merchant.clone(),
        }
    }

    /// Whether an update from `before` to `after` took effect.
    #[must_use]
    pub fn has_taken(&self, before: Option<&CategorySet>, after: &CategorySet) -> bool {
        let is_as_before = |public: &Complete<Option<CategorySet>>| public.get().as_ref() == before;
        self.merchant.get().as_ref() == Some(after)
            && (self.in_review || !self.issues.is_empty() || !self.public.as_ref().is_some_and(is_as_before))
    }

    /// What it comes to, as a fact to be kept.
    #[must_use]
    pub fn seen(&self) -> AtGoogle {
        AtGoogle {
            merchant: self.merchant.get().clone(),
            public: self.public.as_ref().and_then(|public| public.get().clone()),
            in_review: self.in_review,
            issues: self.issues.clone(),
        }
    }
}
