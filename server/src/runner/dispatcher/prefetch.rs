//! Runs that are claimed and wait for a place: as many as are used up in a moment, so that no place waits for the database.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::held_leases::HeldLease;
use crate::{
    domain::AccountId,
    store::{ClaimedRun, LeaseKey, TenantSnapshot},
};

/// What is claimed ahead is what the last so long used up. Longer would save few statements, and have runs wait here that another process
/// could carry out.
const PREFETCH_WINDOW: Duration = Duration::from_millis(50);
/// The most that is claimed ahead.
const MAX_PREFETCHED: usize = 512;
/// A run that waited so long is released: this process is not as quick as it was.
const MAX_PREFETCH_AGE: Duration = Duration::from_secs(1);

/// A claimed run without a place.
pub(super) struct PrefetchedRun {
    pub(super) claimed: ClaimedRun,
    pub(super) claim: HeldLease,
    /// The platform's side, or that the tenant is gone; where the read for all failed, it is for the attempt to read.
    pub(super) source: Option<Option<TenantSnapshot>>,
    pub(super) since: Instant,
}

impl PrefetchedRun {
    /// Whom a probe with it is about: its tenant, and an account whose credentials and quota are its own.
    pub(super) fn names(&self) -> Vec<String> {
        let source = self.source.as_ref().and_then(Option::as_ref);
        let account = source.filter(|source| source.credentials.is_some()).and_then(|it| it.tenant.account.as_ref());
        let tenant = self.claimed.run.tenant.resource_name();
        std::iter::once(tenant).chain(account.map(AccountId::resource_name)).collect()
    }
}

/// What is claimed and waits, interactive runs first.
#[derive(Default)]
pub(super) struct PrefetchQueue {
    interactive: VecDeque<PrefetchedRun>,
    bulk: VecDeque<PrefetchedRun>,
    throughput: Throughput,
}

impl PrefetchQueue {
    /// Adds a run, behind those of its kind.
    pub(super) fn push(&mut self, prefetched: PrefetchedRun) {
        if prefetched.claimed.bulk { self.bulk.push_back(prefetched) } else { self.interactive.push_back(prefetched) }
    }

    /// Whether the next run is a bulk one; `None` when there is none.
    pub(super) fn next_is_bulk(&self) -> Option<bool> {
        let next = self.interactive.front().or(self.bulk.front())?;
        Some(next.claimed.bulk)
    }

    /// Takes the next run.
    pub(super) fn pop(&mut self) -> Option<PrefetchedRun> {
        self.interactive.pop_front().or_else(|| self.bulk.pop_front())
    }

    /// Notes that a run has ended here.
    pub(super) fn ended(&mut self) {
        self.throughput.step(Instant::now());
    }

    /// How many wait, of the runs that go before a run of this kind.
    pub(super) fn len(&self, bulk: bool) -> usize {
        self.interactive.len() + if bulk { self.bulk.len() } else { 0 }
    }

    /// How many should wait, at most.
    pub(super) fn prefetch_size(&mut self) -> usize {
        self.throughput.of_one_window(Instant::now()).min(MAX_PREFETCHED)
    }

    /// Takes out those that waited too long.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<PrefetchedRun> {
        let is_expired =
            |prefetched: &PrefetchedRun| now.saturating_duration_since(prefetched.since) > MAX_PREFETCH_AGE;
        let mut expired = Vec::new();
        for queue in [&mut self.interactive, &mut self.bulk] {
            let fresh_from = queue.iter().position(|prefetched| !is_expired(prefetched)).unwrap_or(queue.len());
            expired.extend(queue.drain(..fresh_from));
        }
        expired
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<PrefetchedRun> {
        self.interactive.drain(..).chain(self.bulk.drain(..)).collect()
    }
}

/// What statements call those that wait.
pub(super) fn held(prefetched: &[PrefetchedRun]) -> Vec<LeaseKey> {
    prefetched.iter().map(|prefetched| prefetched.claim.held).collect()
}

/// How many runs end in a moment, counted over windows of [`PREFETCH_WINDOW`].
struct Throughput {
    window: Instant,
    current: usize,
    last: usize,
}

impl Default for Throughput {
    fn default() -> Self {
        Self { window: Instant::now(), current: 0, last: 0 }
    }
}

impl Throughput {
    fn step(&mut self, now: Instant) {
        self.roll(now);
        self.current += 1;
    }

    fn of_one_window(&mut self, now: Instant) -> usize {
        self.roll(now);
        self.current.max(self.last)
    }

    fn roll(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.window);
        if elapsed >= PREFETCH_WINDOW {
            // After a window without a step, what was before is no guide.
            self.last = if elapsed < PREFETCH_WINDOW * 2 { self.current } else { 0 };
            (self.current, self.window) = (0, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_moment() {
        let begin = Instant::now();
        let mut throughput = Throughput { window: begin, current: 0, last: 0 };
        let at = |ms| begin + Duration::from_millis(ms);
        for ms in 0..40 {
            throughput.step(at(ms));
        }
        assert_eq!(throughput.of_one_window(at(45)), 40);
        assert_eq!(throughput.of_one_window(at(60)), 40, "the window before counts until the next has more");
        throughput.step(at(61));
        assert_eq!(throughput.of_one_window(at(115)), 1);
        assert_eq!(throughput.of_one_window(at(400)), 0, "an idle process claims nothing ahead");
    }
}
