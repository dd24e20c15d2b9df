//! Both of Google's views of a location.
use category_mirror_domain::{CategorySet, Complete, GbpState, LocationIssue, WriteIntent, WriteOutcome};

use crate::{Location, PublicLocation};

/// The categories of a location in each of Google's views, from complete reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocationViews {
    /// The merchant's record.
    pub merchant: Complete<Option<CategorySet>>,
    /// What the public sees, where that is something else.
    pub public: Option<Complete<Option<CategorySet>>>,
    /// Whether an edit of the merchant's record waits to be published.
    pub in_review: bool,
    /// Why Google does not publish edits of the location. Empty: it does.
    pub issues: Vec<LocationIssue>,
}

impl LocationViews {
    pub(crate) fn of(merchant: Location, public: Option<PublicLocation>) -> Self {
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

    /// What became of an update whose answer was lost. Where the merchant's record was as asked before the update, which told Google to
    /// take back an edit of its own, the public's view decides.
    #[must_use]
    pub fn outcome_of(&self, intent: &WriteIntent) -> WriteOutcome {
        let is_as_before = |public: &Complete<Option<CategorySet>>| *public.get() == intent.before;
        if self.merchant.get().as_ref() == Some(&intent.after)
            && (self.in_review || !self.issues.is_empty() || !self.public.as_ref().is_some_and(is_as_before))
        {
            WriteOutcome::Applied
        } else if *self.target(&intent.after).get() == intent.before {
            WriteOutcome::NotApplied
        } else {
            WriteOutcome::Unknown
        }
    }

    /// What it comes to, as a fact to be kept.
    #[must_use]
    pub fn state(&self) -> GbpState {
        GbpState {
            merchant: self.merchant.get().clone(),
            public: self.public.as_ref().and_then(|public| public.get().clone()),
            in_review: self.in_review,
            issues: self.issues.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use category_mirror_domain::{GbpCategory, Gcid};

    fn set(slugs: &str) -> Option<CategorySet> {
        let category = |slug: char| GbpCategory::new(Gcid::parse(&format!("gcid:{slug}")).expect("valid"), "");
        let mut categories = slugs.chars().map(category);
        Some(CategorySet::new(categories.next()?, categories.collect()).expect("a set"))
    }

    #[test]
    fn a_lost_answer_is_settled_only_by_what_was_there_or_what_was_asked_for() {
        use WriteOutcome::{Applied, NotApplied, Unknown};
        for (before, after, merchant, public, in_review, outcome) in [
            ("a", "ab", "ab", None, false, Applied),
            ("a", "ab", "a", None, false, NotApplied),
            ("a", "ab", "ac", None, false, Unknown),
            ("a", "ab", "abc", None, false, Unknown),
            ("", "ab", "", None, false, NotApplied),
            ("a", "ab", "", None, false, Unknown),
            // In review, the public still sees what was there.
            ("a", "ab", "ab", Some("a"), true, Applied),
            // Google showed the public `a`, and the update told it to take that back.
            ("a", "ab", "ab", Some("a"), false, NotApplied),
            ("a", "ab", "ab", Some("x"), false, Applied),
        ] {
            let side = LocationViews {
                merchant: Complete::read(set(merchant)),
                public: public.map(|public| Complete::read(set(public))),
                in_review,
                issues: vec![],
            };
            let after = set(after).expect("never empty");
            let intent = WriteIntent { before: set(before), after, changes: vec![], location: None, account: None };
            assert_eq!(side.outcome_of(&intent), outcome, "{before} -> {intent:?}: {merchant} {public:?} {in_review}");
        }
    }
}
