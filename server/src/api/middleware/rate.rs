//! Rate limit of calls: each subject has a bucket that fills at a steady rate.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

use crate::api::limits::CallLimits;
use crate::error::Error;

/// Maximum number of subjects whose buckets are not full. A subject that has been idle for long enough to fill its
/// bucket is forgotten.
const MAX_SUBJECTS: usize = 16_384;
/// Below this number, there is no search for subjects to forget.
const MIN_SUBJECTS_TO_CLEAN: usize = 256;
/// Time after which a caller may retry if there are too many subjects. It cannot be predicted when one becomes idle.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

type Buckets<C> = RateLimiter<String, HashMapStateStore<String>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The buckets of all subjects.
pub(in crate::api) struct RateLimit<C: Clock = DefaultClock> {
    /// `None`: no limit.
    buckets: Option<Buckets<C>>,
    rate: u32,
    clock: C,
    max_subjects: usize,
    /// Number of subjects at which idle ones are forgotten: twice as many as remained the last time, so that the search
    /// costs each call next to nothing.
    sweep_at: AtomicUsize,
}

impl RateLimit {
    pub(in crate::api) fn new(limits: &CallLimits) -> Self {
        Self::with_clock(limits, DefaultClock::default(), MAX_SUBJECTS)
    }
}

impl<C: Clock + Clone> RateLimit<C> {
    fn with_clock(limits: &CallLimits, clock: C, max_subjects: usize) -> Self {
        let burst = NonZeroU32::new(limits.burst).unwrap_or(NonZeroU32::MIN);
        let quota = NonZeroU32::new(limits.rate).map(|rate| Quota::per_second(rate).allow_burst(burst));
        let buckets = quota.map(|quota| RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()));
        let sweep_at = AtomicUsize::new(MIN_SUBJECTS_TO_CLEAN.min(max_subjects));
        Self { buckets, rate: limits.rate, clock, max_subjects, sweep_at }
    }

    /// Counts a call of `subject`, which has been verified: no other text may fill the memory.
    ///
    /// # Errors
    /// [`Error::RateLimited`], with the time after which the same call would be accepted.
    pub(in crate::api) fn take(&self, subject: &String) -> Result<(), Error> {
        let Some(buckets) = &self.buckets else { return Ok(()) };
        if buckets.len() >= self.sweep_at.load(Ordering::Relaxed) {
            buckets.retain_recent();
            let left = buckets.len();
            self.sweep_at.store((left * 2).max(MIN_SUBJECTS_TO_CLEAN).min(self.max_subjects), Ordering::Relaxed);
            if left >= self.max_subjects {
                let problem = "too many callers at once";
                return Err(Error::RateLimited { problem, limit: self.max_subjects, wait: FULL_RETRY_AFTER });
            }
        }
        buckets.check_key(subject).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            // Rounded up: a caller that retries after this time must not be early by a fraction of a millisecond.
            let wait = Duration::from_millis(u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX));
            let limit = usize::try_from(self.rate).unwrap_or(usize::MAX);
            Error::RateLimited { problem: "too many calls per second from one caller", limit, wait }
        })
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(rate: u32, burst: u32, max_subjects: usize) -> (RateLimit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limits = CallLimits { rate, burst, ..CallLimits::default() };
        (RateLimit::with_clock(&limits, clock.clone(), max_subjects), clock)
    }

    fn wait(taken: Result<(), Error>) -> Duration {
        match taken {
            Err(Error::RateLimited { wait, .. }) => wait,
            other => panic!("not limited, but {other:?}"),
        }
    }

    #[test]
    fn after_the_burst_the_rate_and_the_wait_is_exact() {
        let (limit, clock) = limit(3, 5, 100);
        let (one, other) = ("one".to_owned(), "other".to_owned());
        (0..5).for_each(|_| limit.take(&one).expect("within the burst"));
        // A third of a second, rounded up.
        assert_eq!(wait(limit.take(&one)), Duration::from_millis(334));
        limit.take(&other).expect("a bucket of its own");
        clock.advance(Duration::from_millis(333));
        assert_eq!(wait(limit.take(&one)), Duration::from_millis(1));
        clock.advance(Duration::from_millis(1));
        limit.take(&one).expect("as told");
        wait(limit.take(&one));
    }

    #[test]
    fn zero_is_no_limit() {
        let (limit, _) = limit(0, 0, 1);
        for subject in 0..1000 {
            limit.take(&subject.to_string()).expect("no limit");
        }
    }

    #[test]
    fn who_is_quiet_is_forgotten_and_there_are_never_too_many() {
        let (limit, clock) = limit(10, 10, 1000);
        let buckets = limit.buckets.as_ref().expect("a limit");
        for subject in 0..5000 {
            clock.advance(Duration::from_millis(1));
            limit.take(&subject.to_string()).expect("two hundred of them are remembered at a time");
            assert!(buckets.len() <= 2 * 200, "{}", buckets.len());
        }
        clock.advance(Duration::from_secs(10));
        let refused = (0..2000).filter(|subject| limit.take(&format!("busy-{subject}")).is_err()).count();
        assert!((1000..=1000 + MIN_SUBJECTS_TO_CLEAN).contains(&refused), "{refused}");
        assert_eq!(buckets.len(), 1000);
        clock.advance(FULL_RETRY_AFTER);
        limit.take(&"late".to_owned()).expect("there is room again");
    }
}
