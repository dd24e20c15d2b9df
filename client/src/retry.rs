//! Retry policies.

use std::time::Duration;

/// The longest wait that the client accepts from a server. If the server asks for more, the caller gets the error.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Maximum number of attempts, and the delays between them. Delays double, and each is reduced by a random part of up
/// to half, so that many clients do not retry at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    first_delay: Duration,
    max_delay: Duration,
}

impl RetryPolicy {
    /// Creates a policy of up to `attempts` attempts (including the first), with delays that start at `first_delay` and
    /// double up to `max_delay`.
    #[must_use]
    pub const fn new(attempts: u32, first_delay: Duration, max_delay: Duration) -> Self {
        Self { attempts, first_delay, max_delay }
    }

    /// Creates a policy of one attempt, without retries.
    #[must_use]
    pub const fn never() -> Self {
        Self::new(1, Duration::ZERO, Duration::ZERO)
    }

    /// For calls: up to 4 attempts, delays of 100 ms to 2 s.
    pub(crate) const CALLS: Self = Self::new(4, Duration::from_millis(100), Duration::from_secs(2));

    /// For established streams: up to 12 attempts, delays of 100 ms to 5 s. This takes about half a minute, longer than
    /// a restart of the server.
    pub(crate) const STREAMS: Self = Self::new(12, Duration::from_millis(100), Duration::from_secs(5));

    /// Returns the delay after `failures` failed attempts, at least the duration `asked` by the server. `None`: give
    /// up.
    pub(crate) fn delay(&self, failures: u32, asked: Option<Duration>) -> Option<Duration> {
        let asked = asked.unwrap_or_default();
        if failures >= self.attempts || asked > MAX_RETRY_AFTER {
            return None;
        }
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        let full = self.first_delay.saturating_mul(factor).min(self.max_delay);
        Some(full.mul_f64(1.0 - fastrand::f64() / 2.0).max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_end() {
        let policy = RetryPolicy::new(5, Duration::from_millis(100), Duration::from_millis(300));
        for (failures, full) in [(1, 100), (2, 200), (3, 300), (4, 300)] {
            let delay = policy.delay(failures, None).expect("one more try");
            let full = Duration::from_millis(full);
            assert!(delay > full / 2 - Duration::from_millis(1) && delay <= full, "{failures}: {delay:?}");
        }
        assert_eq!(policy.delay(5, None), None);
        assert_eq!(RetryPolicy::never().delay(1, None), None);
    }

    #[test]
    fn the_server_can_ask_for_more_but_not_for_hours() {
        let policy = RetryPolicy::new(5, Duration::from_millis(1), Duration::from_millis(1));
        assert_eq!(policy.delay(1, Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(policy.delay(1, Some(Duration::from_secs(3600))), None);
    }
}
