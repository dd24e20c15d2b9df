//! Counts refused connections, and logs the first one of a burst.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use metrics::counter;

use super::port::Port;

/// Time without refusals after which the next one begins a new burst, which is logged.
const BURST_INTERVAL: Duration = Duration::from_secs(10);
/// Interval between log lines during a burst.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Why a connection was refused, or closed early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// There are too many connections in total.
    Total,
    /// There are too many connections from its address.
    Address,
    /// It had sent no valid token, and a newer connection needed its permit.
    Displaced,
    /// A step took too long.
    Timeout,
    /// The process has no descriptor left, or the system no memory for one.
    Descriptors,
}

impl RefusalReason {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::Total, Self::Address, Self::Displaced, Self::Timeout, Self::Descriptors];

    /// Returns its name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Address => "address",
            Self::Displaced => "displaced",
            Self::Timeout => "timeout",
            Self::Descriptors => "descriptors",
        }
    }
}

/// The refusals of one port.
#[derive(Debug)]
pub(super) struct Refusals {
    port: Port,
    bursts: Mutex<[Burst; RefusalReason::ALL.len()]>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Burst {
    last_at: Option<Instant>,
    logged_at: Option<Instant>,
    /// Number of refusals since the last log line.
    unlogged: u64,
}

impl Burst {
    /// Adds a refusal. If a log line is due, returns the number of refusals that it covers.
    fn add(&mut self, now: Instant) -> Option<u64> {
        let is_after = |at: Option<Instant>, gap| at.is_none_or(|at| now.saturating_duration_since(at) >= gap);
        let is_due = is_after(self.last_at, BURST_INTERVAL) || is_after(self.logged_at, LOG_INTERVAL);
        self.last_at = Some(now);
        self.unlogged += 1;
        if !is_due {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

impl Refusals {
    pub(super) fn new(port: Port) -> Self {
        Self { port, bursts: Mutex::default() }
    }

    pub(super) fn add(&self, reason: RefusalReason, address: Option<IpAddr>) {
        let (port, name) = (self.port.as_str(), reason.as_str());
        counter!("category_mirror_refused_connections_total", "port" => port, "reason" => name).increment(1);
        // No code panics while holding the lock.
        let mut bursts = self.bursts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = bursts[reason as usize].add(Instant::now()) else { return };
        drop(bursts);
        let address = address.map(tracing::field::display);
        tracing::warn!(port, reason = name, address, count, "connections refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_logged_once_and_then_each_minute() {
        let (mut burst, begin) = (Burst::default(), Instant::now());
        let mut lines = Vec::new();
        for second in 0..150 {
            lines.extend(burst.add(begin + Duration::from_secs(second)).map(|count| (second, count)));
        }
        assert_eq!(lines, [(0, 1), (60, 60), (120, 60)]);
        assert_eq!(burst.add(begin + Duration::from_secs(159)), Some(30), "a new burst");
        assert_eq!(burst.add(begin + Duration::from_secs(160)), None);
    }

    #[test]
    fn each_reason_has_a_place() {
        for (index, reason) in RefusalReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }
}
