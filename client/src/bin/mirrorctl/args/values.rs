//! Values that an option chooses from: a typo is answered with what there is, and a shell can complete them.

use std::str::FromStr;

use category_mirror_client::Error;
use clap::builder::{PossibleValuesParser, TypedValueParser};

pub(crate) const STRATEGIES: [&str; 2] = ["platform_to_gbp", "gbp_to_platform"];
pub(crate) const VIEWS: [&str; 2] = ["merchant", "public"];
pub(crate) const RUN_STATES: [&str; 6] = ["queued", "running", "succeeded", "failed", "skipped", "cancelled"];
pub(crate) const DECISIONS: [&str; 3] = ["accept_google", "push_again", "ignore"];
pub(crate) const CAUSES: [&str; 12] = [
    "unknown",
    "location_closed",
    "category_retired",
    "duplicate_location",
    "no_voice_of_merchant",
    "edit_in_review",
    "google_edited",
    "in_sync",
    "never_synced",
    "mapping_changed",
    "platform_changed",
    "merchant_edited",
];

/// One of these texts, as what the client crate calls it.
pub(crate) fn one_of<T>(texts: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = Error> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(texts).try_map(|text| text.parse::<T>())
}
