//! The guards of a batch as a whole: how many of its tenants it may change.

use serde::{Deserialize, Serialize};

use crate::{CategoryRole, Change, failure::text_enum};

text_enum! {
    /// A bound on what a batch may do.
    BatchGuardRule {
        /// How many tenants may change.
        Tenants = "batch_tenants",
        /// How many primary categories may change.
        Primary = "batch_primary",
    }
}

/// Below so many tenants a share of them says little.
const MIN_GUARDED_TENANTS: i64 = 20;

impl BatchGuardRule {
    /// The largest share of a batch's tenants, in percent.
    #[must_use]
    pub fn percent(self) -> i64 {
        match self {
            Self::Tenants => 20,
            Self::Primary => 5,
        }
    }

    /// How many of so many tenants may be changed; `None` is any number. A primary category is worth a guard however few there are.
    #[must_use]
    pub fn limit(self, tenants: i64) -> Option<i64> {
        (self == Self::Primary || tenants >= MIN_GUARDED_TENANTS).then(|| tenants * self.percent() / 100)
    }
}

/// Whether the changes put something else in the place of a primary category.
#[must_use]
pub fn changes_primary<C>(changes: &[Change<C>]) -> bool {
    changes.iter().filter_map(Change::before).any(|before| before.role == CategoryRole::Primary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_tenants_and_rounded_down() {
        let limits = |rule: BatchGuardRule| [1, 19, 20, 39, 100, 1_000_000].map(|tenants| rule.limit(tenants));
        assert_eq!(limits(BatchGuardRule::Tenants), [None, None, Some(4), Some(7), Some(20), Some(200_000)]);
        assert_eq!(limits(BatchGuardRule::Primary), [Some(0), Some(0), Some(1), Some(1), Some(5), Some(50_000)]);
    }
}
