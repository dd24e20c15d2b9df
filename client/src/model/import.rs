//! Results of bulk imports.

use category_mirror_proto::v1;

use crate::FieldViolation;

/// Result of an import. All valid items were imported.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ImportReport {
    /// Number of items that were created.
    pub created: i32,
    /// Number of existing items that were changed.
    pub updated: i32,
    /// Number of existing items that already had the imported values.
    pub unchanged: i32,
    /// The items that were not imported, by index.
    pub failures: Vec<ImportFailure>,
}

/// An item that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ImportFailure {
    /// Index of the item in the request, from 0.
    pub index: usize,
    /// The item's own name, as given and shortened. It may be malformed.
    pub name: String,
    /// All violations of the item.
    pub violations: Vec<FieldViolation>,
}

impl ImportReport {
    pub(crate) fn new([created, updated, unchanged]: [i32; 3], failures: Vec<v1::ImportFailure>) -> Self {
        let violation = |it: v1::ImportViolation| FieldViolation { field: it.field, description: it.description };
        let failure = |it: v1::ImportFailure| ImportFailure {
            index: usize::try_from(it.index).unwrap_or_default(),
            name: it.name,
            violations: it.violations.into_iter().map(violation).collect(),
        };
        Self { created, updated, unchanged, failures: failures.into_iter().map(failure).collect() }
    }
}
