//! The circuit breaker before Google: when everything fails, runs wait instead of burning their attempts.
//!
//! It is about Google as a whole. A few broken locations never open it: what fails for them alone is for their runs to bear.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Calls that fail in a row before it opens.
const MIN_FAILURES: u32 = 10;
/// The different locations that those calls were about.
const MIN_LOCATIONS: usize = 5;
/// How long it stays open at first; each probe that fails doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest that it stays open, unless Google asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// When to ask again while a probe is under way: nobody knows how long it takes.
const PROBE_WAIT: Duration = Duration::from_secs(1);

/// What may be done now.
#[derive(Debug)]
pub(super) enum Permit {
    /// Anything: Google works, as far as we know.
    Go,
    /// One attempt, to find out whether Google works again. It holds this until its end.
    Probe(Probe),
    /// Nothing for this long.
    Wait(Duration),
}

/// The breaker of one process. Cheap to clone; it takes the time from its callers.
#[derive(Debug, Clone, Default)]
pub(super) struct Circuit(Arc<Mutex<Breaker>>);

impl Circuit {
    /// A closed one.
    pub(super) fn new() -> Self {
        metrics::gauge!("category_mirror_gbp_circuit_open").set(0.0);
        Self::default()
    }

    /// Whether to go on, to probe, or to wait.
    pub(super) fn permits(&self, now: Instant) -> Permit {
        let mut breaker = self.breaker();
        let Breaker { open, probes, .. } = &mut *breaker;
        let Some(open) = open else { return Permit::Go };
        let wait = open.until.saturating_duration_since(now);
        if !wait.is_zero() {
            return Permit::Wait(wait);
        }
        if open.probe.is_some() {
            return Permit::Wait(PROBE_WAIT);
        }
        *probes += 1;
        open.probe = Some((*probes, now));
        Permit::Probe(Probe { circuit: self.clone(), number: *probes })
    }

    /// Google answered, be it with a refusal of something in particular: it works, whenever that call began.
    pub(super) fn succeeded(&self, now: Instant) {
        let mut breaker = self.breaker();
        breaker.streak = Streak::default();
        if let Some(open) = breaker.open.take() {
            metrics::gauge!("category_mirror_gbp_circuit_open").set(0.0);
            let open_ms = millis(now.saturating_duration_since(open.since));
            tracing::info!(open_ms, "google works again, runs go on");
        }
    }

    /// A call that began at `began` failed in a way that may pass, for a location. `retry_after`: how long Google wants to be left alone.
    pub(super) fn failed(&self, began: Instant, now: Instant, location: &str, retry_after: Option<Duration>) {
        let mut breaker = self.breaker();
        let Breaker { streak, open, .. } = &mut *breaker;
        // No `Retry-After` is as long as what an `Instant` can hold, so one that does not fit is not worth a panic.
        streak.not_before = streak.not_before.max(retry_after.and_then(|wait| now.checked_add(wait)));
        match open {
            Some(open) => {
                // What began before the probe is old news.
                let is_probe = open.probe.is_some_and(|(_, permitted)| began >= permitted);
                if is_probe {
                    open.probe = None;
                    open.wait = (open.wait * 2).min(LONGEST_WAIT);
                    open.until = now + open.wait;
                }
                open.until = open.until.max(streak.not_before.unwrap_or(open.until));
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
                    let first = now + FIRST_WAIT;
                    let until = first.max(streak.not_before.unwrap_or(first));
                    *open = Some(Open { since: now, until, wait: FIRST_WAIT, probe: None });
                    metrics::gauge!("category_mirror_gbp_circuit_open").set(1.0);
                    let wait_ms = millis(until.saturating_duration_since(now));
                    tracing::warn!(failures = streak.failures, wait_ms, "google fails for every location, runs wait");
                }
            }
        }
    }

    /// Whether it is open: from the last of the failures that opened it to the first answer that closes it, probes included.
    pub(super) fn is_open(&self) -> bool {
        self.breaker().open.is_some()
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The only attempt that may call Google while the circuit is open. One that ends without an answer makes room for another at once.
#[derive(Debug)]
pub(super) struct Probe {
    circuit: Circuit,
    number: u64,
}

impl Drop for Probe {
    fn drop(&mut self) {
        let mut breaker = self.circuit.breaker();
        // Its place may be taken by a later one already.
        let is_mine = |open: &&mut Open| open.probe.is_some_and(|(number, _)| number == self.number);
        if let Some(open) = breaker.open.as_mut().filter(is_mine) {
            open.probe = None;
        }
    }
}

#[derive(Debug, Default)]
struct Breaker {
    streak: Streak,
    /// Present while the circuit is open.
    open: Option<Open>,
    /// All probes so far, which numbers them.
    probes: u64,
}

/// The failures since the last success.
#[derive(Debug, Default)]
struct Streak {
    failures: u32,
    /// At most [`MIN_LOCATIONS`]: more would not say more.
    locations: BTreeSet<String>,
    /// The latest time that a `Retry-After` asked for.
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    until: Instant,
    /// The wait that led to `until`, as far as it is ours.
    wait: Duration,
    /// The number of the probe under way, and when it was permitted.
    probe: Option<(u64, Instant)>,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
