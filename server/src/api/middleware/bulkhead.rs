//! Permits for calls. No subject and no method holds more than a share of the database connections, and methods that
//! read or write large amounts have their own compartments, so that they leave capacity for the others.
//!
//! A call takes its permit once its message has arrived, so that a call whose message never ends holds none. It returns
//! the permit when its work is done, not when its caller abandons it (see [`super::abandoned`]). A stream returns it
//! once it is open.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api::middleware::costs::Cost;
use crate::{
    admission::{HeldPermits, SharePermit, Shares},
    error::Error,
};

/// Maximum number of calls of one subject, or of one method, that wait for a permit. It equals the number of streams of
/// a few connections.
const MAX_WAITING: usize = 1024;
/// Maximum number of concurrent requests for runs of one subject: a quarter of those that may wait for the group
/// commit.
const MAX_REQUESTS: usize = 1024;
/// Maximum number of expensive calls that wait for a permit, per compartment and, within it, per subject.
const MAX_EXPENSIVE_WAITING: usize = 64;
const MAX_EXPENSIVE_WAITING_PER_SUBJECT: usize = 16;

/// The permits of all calls of the process.
#[derive(Debug)]
pub(in crate::api) struct Bulkhead {
    /// Shares per subject.
    subjects: Shares,
    /// Shares per subject, for requests for runs.
    requests: Shares,
    /// Shares per light method.
    methods: Shares,
    /// Shares per subject in each compartment.
    expensive_subjects: Shares,
    compartments: Shares,
    /// Total per subject over everything that uses the connections. No call waits for it, so that a call never holds a
    /// permit that others wait for in the meantime.
    totals: Shares,
    /// Whether the database responds.
    is_serving: watch::Receiver<bool>,
    drain: CancellationToken,
}

impl Bulkhead {
    /// Creates shares of `connections`. `is_serving`: whether the database responds; `drain`: whether the server is
    /// shutting down.
    pub(in crate::api) fn new(connections: u32, is_serving: watch::Receiver<bool>, drain: CancellationToken) -> Self {
        let connections = usize::try_from(connections).unwrap_or(usize::MAX);
        let expensive = (connections / 8).clamp(1, 8);
        Self {
            subjects: Shares::new(connections.div_ceil(2), MAX_WAITING, "too many calls at once of one caller"),
            requests: Shares::new(MAX_REQUESTS, 0, "too many requests for runs at once of one caller"),
            methods: Shares::new((connections * 3).div_ceil(4), MAX_WAITING, "too many calls at once of one method"),
            expensive_subjects: Shares::new(
                expensive.div_ceil(2),
                MAX_EXPENSIVE_WAITING_PER_SUBJECT,
                "too many calls at once of one caller that read or write much",
            ),
            compartments: Shares::new(
                expensive,
                MAX_EXPENSIVE_WAITING,
                "too many calls at once that read or write much",
            ),
            totals: Shares::new((connections * 5 / 8).max(2), 0, "too many calls at once of one caller"),
            is_serving,
            drain,
        }
    }

    /// Waits for a permit for a call and stores it in `held`.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if too many calls wait already, or no permit is free in time;
    /// [`Error::DatabaseUnavailable`] if the cause is that the database does not respond to the calls that hold the
    /// permits; [`Error::Draining`] if the server is shutting down.
    pub(in crate::api) async fn admit(
        &self,
        path: &str,
        cost: Cost,
        subject: &str,
        held: &HeldPermits,
    ) -> Result<(), Error> {
        held.wait_for(self.take(path, cost, subject)).await.map_err(|error| match error {
            // A draining server serves no call, whatever the state of its database.
            Error::RateLimited { .. } if self.drain.is_cancelled() => Error::Draining,
            Error::RateLimited { .. } if !*self.is_serving.borrow() => {
                Error::DatabaseUnavailable("the database does not answer the calls before".into())
            }
            error => error,
        })
    }

    async fn take(&self, path: &str, cost: Cost, subject: &str) -> Result<Vec<SharePermit>, Error> {
        Ok(match cost {
            Cost::Shared => vec![self.requests.take(subject).await?],
            // Always in this order: otherwise two calls could each wait indefinitely for a permit that the other one
            // holds.
            Cost::Light => {
                vec![
                    self.subjects.take(subject).await?,
                    self.methods.take(path).await?,
                    self.totals.take(subject).await?,
                ]
            }
            Cost::Expensive(compartment) => {
                let name = format!("{compartment:?}");
                let own = self.expensive_subjects.take(&format!("{name} {subject}")).await?;
                vec![own, self.compartments.take(&name).await?, self.totals.take(subject).await?]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::api::middleware::costs::Compartment;

    fn bulkhead() -> Bulkhead {
        Bulkhead::new(20, watch::channel(true).1, CancellationToken::new())
    }

    async fn admit(bulkhead: &Bulkhead, path: &str, cost: Cost, subject: &str) -> Result<HeldPermits, Error> {
        let held = HeldPermits::default();
        bulkhead.admit(path, cost, subject, &held).await.map(|()| held)
    }

    fn limit(admitted: Result<HeldPermits, Error>) -> usize {
        match admitted {
            Err(Error::RateLimited { limit, wait, .. }) if wait == Duration::from_secs(1) => limit,
            other => panic!("not refused, but {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_and_a_method_have_a_share_and_expensive_calls_have_places_of_its_own() {
        let bulkhead = bulkhead();
        let mut slots = Vec::new();
        for _ in 0..10 {
            slots.push(admit(&bulkhead, "/a", Cost::Light, "me").await.expect("within the share"));
        }
        assert_eq!(limit(admit(&bulkhead, "/b", Cost::Light, "me").await), 10);
        for _ in 10..15 {
            slots.push(admit(&bulkhead, "/a", Cost::Light, "you").await.expect("within the share of the method"));
        }
        assert_eq!(limit(admit(&bulkhead, "/a", Cost::Light, "she").await), 15);
        slots.push(admit(&bulkhead, "/b", Cost::Light, "she").await.expect("another method"));
        let expensive = Cost::Expensive(Compartment::Search);
        let search = admit(&bulkhead, "/search", expensive, "me").await.expect("places of its own");
        assert_eq!(limit(admit(&bulkhead, "/search", expensive, "me").await), 1);
        slots.push(admit(&bulkhead, "/search", expensive, "you").await.expect("another's share"));
        assert_eq!(limit(admit(&bulkhead, "/search", expensive, "she").await), 2);
        slots
            .push(admit(&bulkhead, "/import", Cost::Expensive(Compartment::Import), "me").await.expect("another kind"));
        drop(search);
        admit(&bulkhead, "/search", expensive, "she").await.expect("a place again");
        drop(slots);
        let Bulkhead { subjects, methods, expensive_subjects, compartments, totals, .. } = &bulkhead;
        for shares in [subjects, methods, expensive_subjects, compartments, totals] {
            assert!(shares.is_idle(), "{shares:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_shares_of_one_caller_do_not_add_up_to_all_connections() {
        let kinds =
            [Compartment::Search, Compartment::History, Compartment::Import, Compartment::Taxonomy, Compartment::Batch];
        for (connections, most) in [(2, 2), (4, 2), (8, 5), (20, 12), (64, 40)] {
            let bulkhead = Bulkhead::new(connections, watch::channel(true).1, CancellationToken::new());
            let mut slots = Vec::new();
            for number in 0..connections {
                slots.extend(admit(&bulkhead, &format!("/{number}"), Cost::Light, "me").await.ok());
            }
            for _ in 0..connections {
                for kind in kinds {
                    slots.extend(admit(&bulkhead, "/dear", Cost::Expensive(kind), "me").await.ok());
                }
            }
            assert_eq!(slots.len(), most, "of {connections} connections");
            admit(&bulkhead, "/0", Cost::Light, "you").await.expect("another's share");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_in_turn_and_too_many_are_refused_at_once() {
        let bulkhead = Arc::new(bulkhead());
        let expensive = Cost::Expensive(Compartment::History);
        let first = admit(&bulkhead, "/logs", expensive, "me").await.expect("a place");
        let waiting: Vec<_> = (0..MAX_EXPENSIVE_WAITING_PER_SUBJECT)
            .map(|_| {
                let bulkhead = bulkhead.clone();
                tokio::spawn(async move { admit(&bulkhead, "/logs", expensive, "me").await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        let asked = tokio::time::Instant::now();
        assert_eq!(limit(admit(&bulkhead, "/logs", expensive, "me").await), 1);
        assert_eq!(asked.elapsed(), Duration::ZERO, "it does not wait");
        drop(first);
        for waiting in waiting {
            waiting.await.expect("no panic").expect("a place");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_is_told_why() {
        let ((serving, is_serving), drain) = (watch::channel(true), CancellationToken::new());
        let bulkhead = Bulkhead::new(1, is_serving, drain.clone());
        let _place = admit(&bulkhead, "/a", Cost::Light, "me").await.expect("a place");
        let refused = async || admit(&bulkhead, "/a", Cost::Light, "me").await.expect_err("no place").reason();
        assert_eq!(refused().await, "RATE_LIMITED");
        serving.send_replace(false);
        assert_eq!(refused().await, "DATABASE_UNAVAILABLE");
        drain.cancel();
        assert_eq!(refused().await, "DRAINING", "and health is not serving then, either");
    }

    #[tokio::test]
    async fn a_call_is_admitted_while_it_has_all_that_it_asked_for() {
        let bulkhead = bulkhead();
        let held = HeldPermits::default();
        assert!(!held.is_admitted());
        bulkhead.admit("/a", Cost::Shared, "me", &held).await.expect("a place");
        assert!(held.is_admitted());
        let batch = Cost::Expensive(Compartment::Batch);
        let other = admit(&bulkhead, "", batch, "me").await.expect("a place");
        {
            let mut second = std::pin::pin!(bulkhead.admit("", batch, "me", &held));
            assert!(futures::poll!(&mut second).is_pending());
            assert!(!held.is_admitted(), "it waits");
            drop(other);
            second.await.expect("a place");
        }
        assert!(held.is_admitted());
    }
}
