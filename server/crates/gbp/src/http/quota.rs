//! How much of Google's quota this process has used: counted, not yet kept to.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Requests a minute that Google lets a project make, unless it was given more.
pub const DEFAULT_QUOTA: u32 = 300;

/// The seconds of a minute.
const SECONDS: usize = 60;

/// The requests that one process has sent in one name during the last minute, beside what Google lets a project send.
#[derive(Debug)]
pub struct Quota {
    limit: u32,
    begin: Instant,
    last_minute: Mutex<LastMinute>,
}

/// How many requests each of the last seconds had.
#[derive(Debug)]
struct LastMinute {
    requests: [u32; SECONDS],
    second: u64,
}

impl Quota {
    pub(crate) fn new(limit: u32) -> Self {
        let last_minute = Mutex::new(LastMinute { requests: [0; SECONDS], second: 0 });
        Self { limit, begin: Instant::now(), last_minute }
    }

    /// Requests that are left of the limit, if no other process uses it.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.limit.saturating_sub(self.at_now(|last_minute| last_minute.requests.iter().sum()))
    }

    pub(crate) fn spend(&self) {
        self.at_now(LastMinute::add);
    }

    fn at_now<T>(&self, what: impl FnOnce(&mut LastMinute) -> T) -> T {
        let mut last_minute = self.last_minute.lock().unwrap_or_else(PoisonError::into_inner);
        last_minute.forget_until(self.begin.elapsed().as_secs());
        what(&mut last_minute)
    }
}

impl LastMinute {
    /// Makes `second` the last one.
    fn forget_until(&mut self, second: u64) {
        for passed in (self.second + 1..=second).take(SECONDS) {
            self.requests[place(passed)] = 0;
        }
        if second > self.second + 60 {
            self.requests = [0; SECONDS];
        }
        self.second = self.second.max(second);
    }

    fn add(&mut self) {
        let requests = &mut self.requests[place(self.second)];
        *requests = requests.saturating_add(1);
    }
}

fn place(second: u64) -> usize {
    usize::try_from(second % 60).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_for_a_minute() {
        let mut last_minute = LastMinute { requests: [0; SECONDS], second: 0 };
        let mut counted = |second, add: u32| {
            last_minute.forget_until(second);
            (0..add).for_each(|_| last_minute.add());
            last_minute.requests.iter().sum::<u32>()
        };
        assert_eq!(counted(0, 2), 2);
        assert_eq!(counted(30, 3), 5);
        assert_eq!(counted(59, 0), 5);
        assert_eq!(counted(60, 0), 3);
        assert_eq!(counted(89, 1), 4);
        assert_eq!(counted(90, 0), 1);
        assert_eq!(counted(1_000_000, 0), 0);
        assert_eq!(counted(1_000_000, 4), 4);
    }

    #[test]
    fn what_is_left_is_never_less_than_nothing() {
        let quota = Quota::new(2);
        assert_eq!(quota.left(), 2);
        (0..3).for_each(|_| quota.spend());
        assert_eq!(quota.left(), 0);
    }
}
