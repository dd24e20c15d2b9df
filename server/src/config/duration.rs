//! Durations as settings have them: `500ms`, `30s`, `5m`.

use std::time::Duration;

/// Longer is a mistake of units; and some clocks cannot count much further.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 3600);

/// Any duration up to a year.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > MAX_DURATION => Err("must be at most 365d".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(error.to_string()),
    }
}

/// The same, for a limit that nothing could keep if it were 0.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(Duration::ZERO) => Err("must be more than 0".to_owned()),
        other => other,
    }
}
