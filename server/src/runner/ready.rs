//! Runs that are claimed and wait for a place: as many as are used up in a moment, so that no place waits for the database.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::claims::Claim;
use crate::{
    domain::AccountId,
    store::{Claimed, Held, Source},
};

/// What is claimed ahead is what the last so long used up. Longer would save few statements, and have runs wait here that another process
/// could carry out.
const AHEAD: Duration = Duration::from_millis(50);
/// The most that is claimed ahead.
const MAX_AHEAD: usize = 512;
/// A run that waited so long is handed back: this process is not as quick as it was.
const PATIENCE: Duration = Duration::from_secs(1);

/// A claimed run without a place.
pub(super) struct Waiting {
    pub(super) claimed: Claimed,
    pub(super) claim: Claim,
    /// The platform's side, or that the tenant is gone; where the read for all failed, it is for the attempt to read.
    pub(super) source: Option<Option<Source>>,
    pub(super) since: Instant,
}

impl Waiting {
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
pub(super) struct Ready {
    interactive: VecDeque<Waiting>,
    bulk: VecDeque<Waiting>,
    pace: Pace,
}

impl Ready {
    /// Adds a run, behind those of its kind.
    pub(super) fn push(&mut self, waiting: Waiting) {
        if waiting.claimed.bulk { self.bulk.push_back(waiting) } else { self.interactive.push_back(waiting) }
    }

    /// Whether the next run is a bulk one; `None` when there is none.
    pub(super) fn next_is_bulk(&self) -> Option<bool> {
        let next = self.interactive.front().or(self.bulk.front())?;
        Some(next.claimed.bulk)
    }

    /// Takes the next run.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.interactive.pop_front().or_else(|| self.bulk.pop_front())
    }

    /// Notes that a run has ended here.
    pub(super) fn ended(&mut self) {
        self.pace.step(Instant::now());
    }

    /// How many wait, of the runs that go before a run of this kind.
    pub(super) fn len(&self, bulk: bool) -> usize {
        self.interactive.len() + if bulk { self.bulk.len() } else { 0 }
    }

    /// How many should wait, at most.
    pub(super) fn ahead(&mut self) -> usize {
        self.pace.of_a_moment(Instant::now()).min(MAX_AHEAD)
    }

    /// Takes out those that waited too long.
    pub(super) fn stale(&mut self, now: Instant) -> Vec<Waiting> {
        let is_stale = |waiting: &Waiting| now.saturating_duration_since(waiting.since) > PATIENCE;
        let mut stale = Vec::new();
        for queue in [&mut self.interactive, &mut self.bulk] {
            let kept = queue.iter().position(|waiting| !is_stale(waiting)).unwrap_or(queue.len());
            stale.extend(queue.drain(..kept));
        }
        stale
    }

    /// Takes out all.
    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        self.interactive.drain(..).chain(self.bulk.drain(..)).collect()
    }
}

/// What statements call those that wait.
pub(super) fn held(waiting: &[Waiting]) -> Vec<Held> {
    waiting.iter().map(|waiting| waiting.claim.held).collect()
}

/// How many runs end in a moment, counted over windows of [`AHEAD`].
struct Pace {
    window: Instant,
    current: usize,
    last: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { window: Instant::now(), current: 0, last: 0 }
    }
}

impl Pace {
    fn step(&mut self, now: Instant) {
        self.roll(now);
        self.current += 1;
    }

    fn of_a_moment(&mut self, now: Instant) -> usize {
        self.roll(now);
        self.current.max(self.last)
    }

    fn roll(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.window);
        if elapsed >= AHEAD {
            // After a window without a step, what was before is no guide.
            self.last = if elapsed < AHEAD * 2 { self.current } else { 0 };
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
        let mut pace = Pace { window: begin, current: 0, last: 0 };
        let at = |ms| begin + Duration::from_millis(ms);
        for ms in 0..40 {
            pace.step(at(ms));
        }
        assert_eq!(pace.of_a_moment(at(45)), 40);
        assert_eq!(pace.of_a_moment(at(60)), 40, "the window before counts until the next has more");
        pace.step(at(61));
        assert_eq!(pace.of_a_moment(at(115)), 1);
        assert_eq!(pace.of_a_moment(at(400)), 0, "an idle process claims nothing ahead");
    }
}
