//! Runs that are claimed and wait for a slot: as many as are used up in a moment, so that no slot waits for the database.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    domain::AccountId,
    runner::{
        attempt::{BegunAttempt, PrefetchedSnapshot},
        context::RunnerContext,
        leases::HeldLease,
    },
    store::{ClaimedRun, LeaseKey, StatementTime},
};

/// Runs are claimed ahead for this long at the current throughput. A longer window would save few statements, and have runs wait here that
/// another process could execute.
const PREFETCH_WINDOW: Duration = Duration::from_millis(50);
/// The most runs that are claimed ahead.
const MAX_PREFETCHED: usize = 512;
/// A run that waited for so long is released: this process is not as fast as it was.
const MAX_PREFETCH_AGE: Duration = Duration::from_secs(1);

/// A claimed run without a slot.
pub(super) struct PrefetchedRun {
    pub(super) claimed: ClaimedRun,
    pub(super) lease: HeldLease,
    pub(super) snapshot: PrefetchedSnapshot,
    /// When it was claimed.
    pub(super) since: Instant,
}

impl PrefetchedRun {
    /// Returns the names that a probe with it is about: its tenant, and an account whose credentials and quota are its own.
    pub(super) fn names(&self) -> Vec<String> {
        let source = self.snapshot.as_ref().and_then(Option::as_ref);
        let account = source.filter(|source| source.credentials.is_some()).and_then(|it| it.tenant.account.as_ref());
        let tenant = self.claimed.run.tenant.resource_name();
        std::iter::once(tenant).chain(account.map(AccountId::resource_name)).collect()
    }

    /// Begins an attempt of it.
    pub(super) fn begin(self, context: &Arc<RunnerContext>, now: StatementTime) -> Box<BegunAttempt> {
        let Self { claimed, lease, snapshot, since } = self;
        Box::new(BegunAttempt::new(context.clone(), claimed, lease, snapshot, since, now))
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

    /// Takes the next run, an interactive one first.
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
        // Each queue is in the order of claims, so the expired ones are at its front.
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

/// The names by which statements know runs and their leases.
pub(super) fn keys(prefetched: &[PrefetchedRun]) -> Vec<LeaseKey> {
    prefetched.iter().map(|prefetched| prefetched.lease.key).collect()
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
