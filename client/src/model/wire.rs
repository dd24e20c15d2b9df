//! Conversions from the protocol's conventions to Rust's.

use chrono::{DateTime, Utc};

/// Returns `None` if the time is absent or outside the calendar's range.
pub(crate) fn time(wire: Option<prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    let wire = wire?;
    DateTime::from_timestamp(wire.seconds, u32::try_from(wire.nanos).ok()?)
}

/// Returns `None` for the empty string, which means "none" in the protocol.
pub(crate) fn text(wire: String) -> Option<String> {
    Some(wire).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_times_are_none() {
        let at = |seconds, nanos| time(Some(prost_types::Timestamp { seconds, nanos }));
        assert_eq!(at(1, 500_000_000).map(|t| t.timestamp_millis()), Some(1500));
        assert_eq!(at(i64::MAX, 0), None);
        assert_eq!(at(0, -1), None);
    }
}
