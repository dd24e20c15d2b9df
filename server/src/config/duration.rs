//! Durations of settings, such as `500ms`, `30s` or `5m`.

use std::time::Duration;

/// A longer duration is most likely a wrong unit, and some clocks cannot represent much more.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);

/// Parses a duration of up to 365 days.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > MAX_DURATION => Err("must be at most 365d".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

/// Parses a duration of more than 0 and up to 365 days.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(Duration::ZERO) => Err("must be greater than 0".to_owned()),
        other => other,
    }
}
