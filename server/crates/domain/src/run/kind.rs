//! What tells one run from another: its id, and its kind.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::failure::text_enum;

/// A run's id, a UUIDv7: it sorts by the time of acceptance.
pub type RunId = Uuid;

text_enum! {
    /// Which side wins, and so which side is written.
    Strategy {
        /// The platform wins; Google is written.
        PlatformToGbp = "platform_to_gbp",
        /// Google wins; the platform is written.
        GbpToPlatform = "gbp_to_platform",
    }
}

/// What makes two runs of a tenant interchangeable: a request for a live one's kind joins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunKind {
    /// Which side wins.
    pub strategy: Strategy,
    /// Whether it only plans.
    pub dry_run: bool,
}
