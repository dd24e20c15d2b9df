//! What Google says of a location as a whole that keeps edits of it from the public.

use serde::{Deserialize, Serialize};

use crate::failure::text_enum;

text_enum! {
    /// Why Google does not publish edits of a location. In the order in which they are named: the first one decides.
    LocationIssue {
        /// The location is closed for good. It is left alone.
        Closed = "location_closed",
        /// Google takes the location for a copy of another one.
        Duplicate = "duplicate_location",
        /// The merchant has no voice: the location is not verified, or no longer.
        NoVoiceOfMerchant = "no_voice_of_merchant",
    }
}
