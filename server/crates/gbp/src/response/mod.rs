//! Google's answers: checked, bounded and classified before anything else reads them.

pub(crate) mod answer;
pub(crate) mod classify;
pub(crate) mod google_error;
pub(crate) mod location;
pub(crate) mod location_views;
pub(crate) mod retry_after;
pub(crate) mod text;
