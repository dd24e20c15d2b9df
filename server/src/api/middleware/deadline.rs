//! The deadline of a call: that of its caller, but never later than the server's own limit.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

/// The deadline of a call: the one that the caller of a stream set, or the limit of a unary call.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct Deadline {
    /// The point in time.
    pub(in crate::api) at: Instant,
    /// The duration from the start of the call.
    pub(in crate::api) after: Duration,
}

/// Returns the value of the `grpc-timeout` header. `None`: it is missing or malformed, so only the server's own limit
/// applies.
pub(in crate::api) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    // gRPC allows at most eight digits, so nothing below overflows. `parse` alone would accept a sign.
    if number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_and_nothing_else() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().expect("a header value"));
            asked(&headers)
        };
        for (text, wanted) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("4S", Duration::from_secs(4)),
            ("5m", Duration::from_millis(5)),
            ("6u", Duration::from_micros(6)),
            ("7n", Duration::from_nanos(7)),
            ("0S", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(asked(text), Some(wanted), "{text}");
        }
        for text in ["", "S", "5", "5s", "+5S", "-5S", "5.0S", "5 S", "123456789S"] {
            assert_eq!(asked(text), None, "{text:?}");
        }
        assert_eq!(super::asked(&HeaderMap::new()), None);
    }
}
