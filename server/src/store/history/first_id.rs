//! Run ids as times.

use chrono::{DateTime, Utc};

use crate::domain::RunId;

/// The first id that a run accepted at `time` can have.
pub(in crate::store) fn first_id(time: DateTime<Utc>) -> RunId {
    let ms = u64::try_from(time.timestamp_millis()).unwrap_or_default();
    RunId::from_u128(u128::from(ms) << 80)
}
