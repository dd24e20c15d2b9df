//! A feature that is switched off, as the reason of a skip.

use crate::{
    domain::{Skip, SkipReason},
    error::Error,
};

/// Returns the skip of a run whose feature is off, if it is. `required` is the result of
/// [`FlagSnapshot::require`](crate::app::FlagSnapshot::require).
pub(super) fn feature_skip(required: Result<(), Error>) -> Option<Skip> {
    let off = required.err()?;
    let metadata = off.metadata().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Some(Skip { reason: SkipReason::FeatureDisabled, message: off.to_string(), metadata })
}
