//! The circuit breaker before Google: when everything fails, runs wait instead of burning their attempts.
//!
//! It is about Google as a whole. A few broken locations never open it, never prolong it, and never hold the probes: a location's own
//! trouble delays its own run and nothing else.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Calls that fail in a row before it opens.
const MIN_FAILURES: u32 = 10;
/// The different locations that those calls were about, and the different locations that have to be sent away for longer before that
/// counts for all of them.
const MIN_LOCATIONS: usize = 5;
/// How long it stays open at first; each probe that fails doubles it.
const MIN_OPEN_DURATION: Duration = Duration::from_secs(5);
/// The longest that it stays open, unless Google asks [`MIN_LOCATIONS`] locations for more.
const MAX_OPEN_DURATION: Duration = Duration::from_secs(60);
/// How many of those that were last probed are left out by the next probe. More would lengthen a statement; a probe a minute does not
/// come back to the first of so many within an hour.
const MAX_REMEMBERED_PROBES: usize = 64;
/// When to ask again while a probe is under way: nobody knows how long it takes.
const PROBE_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What may be done now.
#[derive(Debug)]
pub(super) enum Permission {
    /// Anything: Google works, as far as we know.
    Allowed,
    /// One attempt, to find out whether Google works again. It holds this until its end.
    Probe(Probe),
    /// Nothing for this long.
    Wait(Duration),
}

/// The breaker of one process. Cheap to clone; it takes the time from its callers.
#[derive(Debug, Clone, Default)]
pub(super) struct CircuitBreaker(Arc<Mutex<BreakerState>>);

impl CircuitBreaker {
    /// A closed one.
    pub(super) fn new() -> Self {
        metrics::gauge!("category_mirror_gbp_circuit_open").set(0.0);
        Self::default()
    }

    /// Whether to go on, to probe, or to wait.
    pub(super) fn permits(&self, now: Instant) -> Permission {
        let mut breaker_state = self.breaker_state();
        let BreakerState { open, probes, .. } = &mut *breaker_state;
        let Some(open) = open else { return Permission::Allowed };
        let wait = open.until.saturating_duration_since(now);
        if !wait.is_zero() {
            return Permission::Wait(wait);
        }
        if open.probe.is_some() {
            return Permission::Wait(PROBE_POLL_INTERVAL);
        }
        *probes += 1;
        open.probe = Some((*probes, now));
        Permission::Probe(Probe { circuit: self.clone(), number: *probes })
    }

    /// Google answered, be it with a refusal of something in particular: it works, whenever that call began.
    pub(super) fn succeeded(&self, now: Instant) {
        let mut breaker_state = self.breaker_state();
        breaker_state.streak = FailureStreak::default();
        if let Some(open) = breaker_state.open.take() {
            metrics::gauge!("category_mirror_gbp_circuit_open").set(0.0);
            let open_ms = millis(now.saturating_duration_since(open.since));
            tracing::info!(open_ms, "google works again, runs go on");
        }
    }

    /// A call that began at `began` failed in a way that may pass, for a location. `retry_after`: how long Google wants to be left alone.
    pub(super) fn failed(&self, began: Instant, now: Instant, location: &str, retry_after: Option<Duration>) {
        let mut breaker_state = self.breaker_state();
        let BreakerState { streak, open, .. } = &mut *breaker_state;
        // No `Retry-After` is as long as what an `Instant` can hold, so one that does not fit is not worth a panic.
        if let Some(not_before) = retry_after.and_then(|wait| now.checked_add(wait)) {
            streak.retry_after_seen(location, not_before);
        }
        let not_before = streak.not_before();
        match open {
            Some(open) => {
                // What began before the probe is old news.
                let is_probe = open.probe.is_some_and(|(_, permitted)| began >= permitted);
                if is_probe {
                    open.probe = None;
                    open.wait = (open.wait * 2).min(MAX_OPEN_DURATION);
                    open.until = now + open.wait;
                }
                open.until = open.until.max(not_before.unwrap_or(open.until));
                if is_probe {
                    let wait_ms = millis(open.until.saturating_duration_since(now));
                    tracing::warn!(location, wait_ms, "google still fails, runs wait on");
                }
            }
            None => {
                streak.failures = streak.failures.saturating_add(1);
                if streak.locations.len() < MIN_LOCATIONS && !streak.locations.contains(location) {
                    streak.locations.insert(location.to_owned());
                }
                if streak.failures >= MIN_FAILURES && streak.locations.len() >= MIN_LOCATIONS {
                    let first = now + MIN_OPEN_DURATION;
                    let until = first.max(not_before.unwrap_or(first));
                    *open =
                        Some(Open { since: now, until, wait: MIN_OPEN_DURATION, probe: None, probed: VecDeque::new() });
                    metrics::gauge!("category_mirror_gbp_circuit_open").set(1.0);
                    let wait_ms = millis(until.saturating_duration_since(now));
                    tracing::warn!(failures = streak.failures, wait_ms, "google fails for every location, runs wait");
                }
            }
        }
    }

    /// Whom the last probes were about, as `tenants/{tenant}` and `accounts/{account}`: the next one is for somebody else. One location that
    /// keeps failing would otherwise take every probe, and nobody would find out that Google works.
    pub(super) fn probed(&self) -> Vec<String> {
        self.breaker_state().open.iter().flat_map(|open| open.probed.iter().cloned()).collect()
    }

    /// Begins the rotation anew, because nobody is left that was not probed.
    pub(super) fn forget_probed(&self) {
        if let Some(open) = &mut self.breaker_state().open {
            open.probed.clear();
        }
    }

    /// Whether it is open: from the last of the failures that opened it to the first answer that closes it, probes included.
    pub(super) fn is_open(&self) -> bool {
        self.breaker_state().open.is_some()
    }

    fn breaker_state(&self) -> MutexGuard<'_, BreakerState> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The only attempt that may call Google while the circuit is open. One that ends without an answer makes room for another at once.
#[derive(Debug)]
pub(super) struct Probe {
    circuit: CircuitBreaker,
    number: u64,
}

impl Probe {
    /// Notes whom it is about, before it is known what comes of it: also a probe that ends without an answer was this one's turn.
    pub(super) fn is_for(&self, name: String) {
        let mut breaker_state = self.circuit.breaker_state();
        let Some(open) = &mut breaker_state.open else { return };
        open.probed.retain(|probed| *probed != name);
        if open.probed.len() >= MAX_REMEMBERED_PROBES {
            open.probed.pop_front();
        }
        open.probed.push_back(name);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut breaker_state = self.circuit.breaker_state();
        // Its place may be taken by a later one already.
        let is_mine = |open: &&mut Open| open.probe.is_some_and(|(number, _)| number == self.number);
        if let Some(open) = breaker_state.open.as_mut().filter(is_mine) {
            open.probe = None;
        }
    }
}

#[derive(Debug, Default)]
struct BreakerState {
    streak: FailureStreak,
    /// Present while the circuit is open.
    open: Option<Open>,
    /// All probes so far, which numbers them.
    probes: u64,
}

/// The failures since the last success.
#[derive(Debug, Default)]
struct FailureStreak {
    failures: u32,
    /// At most [`MIN_LOCATIONS`]: more would not say more.
    locations: BTreeSet<String>,
    /// Until when a `Retry-After` sent each location away: the latest times, of at most [`MIN_LOCATIONS`] locations.
    retry_after_seen: BTreeMap<String, Instant>,
}

impl FailureStreak {
    fn retry_after_seen(&mut self, location: &str, not_before: Instant) {
        let latest = self.retry_after_seen.entry(location.to_owned()).or_insert(not_before);
        *latest = not_before.max(*latest);
        if self.retry_after_seen.len() > MIN_LOCATIONS {
            let earliest =
                self.retry_after_seen.iter().min_by_key(|(_, until)| **until).map(|(location, _)| location.clone());
            earliest.and_then(|earliest| self.retry_after_seen.remove(&earliest));
        }
    }

    /// The time that Google sent enough different locations away until: what it asks of one alone is for that one's run.
    fn not_before(&self) -> Option<Instant> {
        if self.retry_after_seen.len() < MIN_LOCATIONS { None } else { self.retry_after_seen.values().min().copied() }
    }
}

#[derive(Debug)]
struct Open {
    since: Instant,
    until: Instant,
    /// The wait that led to `until`, as far as it is ours.
    wait: Duration,
    /// The number of the probe under way, and when it was permitted.
    probe: Option<(u64, Instant)>,
    /// Whom the last probes were about, the latest at the end.
    probed: VecDeque<String>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
