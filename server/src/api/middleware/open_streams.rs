//! Numbers of open streams, in total and per subject.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::api::{
    limits::CallLimits,
    middleware::open_permits::{Displaces, OpenPermit, OpenPermits, PermitLimits},
};
use crate::{connections::Connection, error::Error};

/// Time after which a refused caller may retry. Streams end when their watchers leave, which cannot be predicted.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Watches of health may use at most this part of all permits.
const WATCH_SHARE_DIVISOR: usize = 4;

/// The open streams of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::api) struct OpenStreams {
    per_subject: usize,
    total: usize,
    /// Watches of health, which need no token.
    watches: OpenPermits,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    /// Includes watches of health.
    total: usize,
    /// Contains only subjects with open streams.
    subjects: HashMap<String, usize>,
}

impl OpenStreams {
    pub(in crate::api) fn new(limits: &CallLimits) -> Self {
        let watches = PermitLimits::new((limits.max_streams / WATCH_SHARE_DIVISOR).max(1), &limits.connections);
        // A watch is long-lived: with the other rule, the watches of two connections with one each would displace each
        // other forever.
        let watches = OpenPermits::new(watches, Displaces::Heavier, "too many open watches of health");
        Self { per_subject: limits.max_streams_per_subject, total: limits.max_streams, watches, open: Arc::default() }
    }

    /// Takes a permit for one more stream of `subject`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there is none.
    pub(in crate::api) fn admit(&self, subject: &str) -> Result<StreamPermit, Error> {
        let full = |problem, limit| Err(Error::RateLimited { problem, limit, wait: FULL_RETRY_AFTER });
        let mut open = self.open();
        if open.total >= self.total {
            return full("too many open streams", self.total);
        }
        if open.subjects.get(subject).copied().unwrap_or_default() >= self.per_subject {
            return full("too many open streams of one caller", self.per_subject);
        }
        open.total += 1;
        metrics::gauge!("category_mirror_open_streams").increment(1.0);
        *open.subjects.entry(subject.to_owned()).or_default() += 1;
        Ok(StreamPermit { streams: self.clone(), subject: Some(subject.to_owned()), watch: None })
    }

    /// Takes a permit for a watch of health over `connection`. Watches may use only a part of all permits, because they
    /// need no token; [`OpenPermits`] decides which of them are displaced.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there is none.
    pub(in crate::api) fn admit_watch(&self, connection: Option<&Connection>) -> Result<StreamPermit, Error> {
        let mut open = self.open();
        if open.total >= self.total {
            return Err(Error::RateLimited {
                problem: "too many open streams",
                limit: self.total,
                wait: FULL_RETRY_AFTER,
            });
        }
        let watch = self.watches.take(connection)?;
        open.total += 1;
        metrics::gauge!("category_mirror_open_streams").increment(1.0);
        Ok(StreamPermit { streams: self.clone(), subject: None, watch: Some(watch) })
    }

    /// Returns the error of a watch that another one has displaced.
    pub(in crate::api) fn displaced(&self) -> Error {
        self.watches.displaced()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // No code panics while holding the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The permit of an open stream. It is freed when the stream is dropped.
#[derive(Debug)]
pub(in crate::api) struct StreamPermit {
    streams: OpenStreams,
    /// `None` for a watch of health.
    subject: Option<String>,
    /// Only for such a watch.
    watch: Option<OpenPermit>,
}

impl StreamPermit {
    /// Returns a token that is cancelled when another watch displaces this one; `None` if that cannot happen.
    pub(in crate::api) fn displaced(&self) -> Option<CancellationToken> {
        self.watch.as_ref().map(OpenPermit::displaced)
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.total = open.total.saturating_sub(1);
        metrics::gauge!("category_mirror_open_streams").decrement(1.0);
        let Some(subject) = &self.subject else { return };
        if let Some(count) = open.subjects.get_mut(subject) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.subjects.remove(subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(admitted: Result<StreamPermit, Error>) -> usize {
        match admitted {
            Err(Error::RateLimited { limit, .. }) => limit,
            other => panic!("not refused, but {other:?}"),
        }
    }

    #[test]
    fn a_place_is_taken_until_it_is_dropped_and_then_forgotten() {
        let streams =
            OpenStreams::new(&CallLimits { max_streams_per_subject: 2, max_streams: 3, ..CallLimits::default() });
        let mine = [streams.admit("me").expect("the first"), streams.admit("me").expect("the second")];
        assert_eq!(limit(streams.admit("me")), 2);
        let other = streams.admit("you").expect("the third in total");
        assert_eq!(limit(streams.admit("she")), 3);
        drop(mine);
        streams.admit("me").expect("a place again");
        drop(other);
        assert!(streams.open().subjects.is_empty());
        assert_eq!(streams.open().total, 0);
    }

    #[test]
    fn watches_of_health_take_a_part_of_the_places_and_leave_the_others() {
        let streams =
            OpenStreams::new(&CallLimits { max_streams_per_subject: 8, max_streams: 8, ..CallLimits::default() });
        let watches = [streams.admit_watch(None).expect("the first"), streams.admit_watch(None).expect("the second")];
        assert_eq!(limit(streams.admit_watch(None)), 2);
        let others: Vec<StreamPermit> = (0..6).map(|_| streams.admit("me").expect("a place")).collect();
        assert_eq!(limit(streams.admit("me")), 8, "a watch is a stream");
        drop(watches);
        let more = [streams.admit("me").expect("a place"), streams.admit("me").expect("a place")];
        assert_eq!(limit(streams.admit_watch(None)), 8);
        drop((others, more));
        assert_eq!((streams.open().total, streams.watches.taken()), (0, 0));
    }
}
