//! The `Retry-After` header.

use std::time::{Duration, SystemTime};

/// The longest wait that an answer can ask for: a wrong clock or a hostile proxy must not park a run for days.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The wait that `value` asks for, at most [`MAX_RETRY_AFTER`]: seconds, or an HTTP date, of which a past one is no wait. `None`: it is neither.
pub(crate) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number holds are still a long wait.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_all_three_forms_of_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:07 GMT").expect("a date");
        for value in [
            "30",
            " 30 ",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(value, now), Some(Duration::from_secs(30)), "{value:?}");
        }
        assert_eq!(parse("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
    }

    #[test]
    fn long_waits_are_bounded_and_nonsense_is_none() {
        let now = SystemTime::UNIX_EPOCH;
        for value in ["86400", "99999999999999999999999999", "Sun, 06 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse(value, now), Some(MAX_RETRY_AFTER), "{value:?}");
        }
        for value in ["", "soon", "-1", "1.5", "+3"] {
            assert_eq!(parse(value, now), None, "{value:?}");
        }
    }
}
