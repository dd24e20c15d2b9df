//! What became of an import.

use category_mirror_proto::v1;

use crate::FieldViolation;

/// What became of the items of an import. Every good one was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ImportReport {
    /// How many were created.
    pub created: i32,
    /// How many were there, and changed.
    pub updated: i32,
    /// How many were there already as they should be.
    pub unchanged: i32,
    /// Those that were left out, by their place.
    pub failures: Vec<ImportFailure>,
}

/// An item that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ImportFailure {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The name that it gives itself, shortened.
    pub name: String,
    /// Everything that is wrong with it.
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
