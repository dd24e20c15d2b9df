//! How long to wait between attempts.

use std::time::Duration;

/// Exponential backoff with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first attempt.
    pub initial: Duration,
    /// The longest wait, jitter not counted.
    pub max: Duration,
    /// The longest jitter, which is added on top.
    pub jitter: Duration,
}

impl Backoff {
    /// The wait after attempt `attempt`, from 1: `initial` doubled with each attempt up to `max`, plus `fraction` (0 to 1) of the jitter.
    /// A longer wait that the other side asked for is honoured.
    #[must_use]
    pub fn after(&self, attempt: u32, fraction: f64, retry_after: Option<Duration>) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let wait = self.initial.saturating_mul(1 << doublings).min(self.max);
        let wait = wait + self.jitter.mul_f64(fraction.clamp(0.0, 1.0));
        wait.max(retry_after.unwrap_or_default())
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_millis(500), max: Duration::from_secs(30), jitter: Duration::from_millis(250) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_limit_and_adds_jitter() {
        let waits: Vec<u128> = (1..=8).map(|n| Backoff::default().after(n, 0.0, None).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(Backoff::default().after(u32::MAX, 1.0, None), Duration::from_millis(30_250));
    }

    #[test]
    fn a_longer_retry_after_wins_and_a_shorter_one_does_not() {
        let backoff = Backoff::default();
        assert_eq!(backoff.after(1, 0.0, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff.after(5, 0.0, Some(Duration::from_secs(7))), Duration::from_secs(8));
    }
}
