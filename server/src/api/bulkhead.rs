//! Places for calls: no caller and no method holds more than a share of the database's connections, and methods that read or write much have
//! compartments of their own, so that they leave the others alone.
//!
//! A call takes its place when its message has arrived: one whose message never ends holds none. It leaves the place when it is answered; a
//! stream, when it is open.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::future::BoxFuture;
use hyper::body::{Bytes, Frame};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tonic::{Status, body::Body};

use super::status::status;
use crate::error::Error;

/// How long a call waits for a place. A call takes some milliseconds, so one that waits longer stands behind calls that hang.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a call that was refused may be sent again.
const FULL_WAIT: Duration = Duration::from_secs(1);
/// Calls of one subject, or of one method, that wait for a place: as many as some connections may have open.
const MAX_WAITING: usize = 1024;
/// Requests for runs of one subject at a time: a quarter of those that may wait for the group commit.
const MAX_REQUESTS: usize = 1024;
/// Expensive calls of one kind that wait for a place, and those of one subject among them.
const MAX_EXPENSIVE_WAITING: usize = 64;
const MAX_EXPENSIVE_WAITING_PER_SUBJECT: usize = 16;

/// What a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    /// It goes by the group commit, which has connections of its own. One that asks for a batch takes a place in [`Compartment::Batch`] besides.
    Shared,
    /// A few statements that go by an index.
    Light,
    /// It reads or writes much.
    Expensive(Compartment),
}

/// A kind of expensive calls, which has places of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Compartment {
    /// Searches in Google's lists: processor time.
    Search,
    /// Lists and statistics that may read long histories.
    History,
    /// Some thousand rows in one transaction.
    Import,
    /// Reads Google's whole list, and marks every tenant that it concerns.
    Taxonomy,
    /// Counts and writes down every tenant of a batch.
    Batch,
}

/// What each method that is not light costs, by the end of its path.
const COSTS: [(&str, Cost); 13] = [
    ("CategoryMirrorService/MirrorCategories", Cost::Shared),
    ("CategoryService/SearchCategories", Cost::Expensive(Compartment::Search)),
    ("CategoryService/ListMappingSuggestions", Cost::Expensive(Compartment::Search)),
    ("CategoryMirrorService/ListSyncLogs", Cost::Expensive(Compartment::History)),
    ("CategoryMirrorService/GetSyncStats", Cost::Expensive(Compartment::History)),
    ("TenantService/ListTenantSyncs", Cost::Expensive(Compartment::History)),
    ("BatchService/ListBatches", Cost::Expensive(Compartment::History)),
    ("CategoryService/ListPlatformCategories", Cost::Expensive(Compartment::History)),
    ("TenantService/ImportTenants", Cost::Expensive(Compartment::Import)),
    ("CategoryService/ImportPlatformCategories", Cost::Expensive(Compartment::Import)),
    ("CredentialService/ReencryptCredentials", Cost::Expensive(Compartment::Import)),
    ("CategoryService/RefreshTaxonomy", Cost::Expensive(Compartment::Taxonomy)),
    ("CategoryService/DeletePlatformCategory", Cost::Expensive(Compartment::Import)),
];

/// What a method costs.
pub(super) fn cost(path: &str) -> Cost {
    let method = path.strip_prefix("/categorymirror.v1.").unwrap_or_default();
    COSTS.iter().find(|(name, _)| *name == method).map_or(Cost::Light, |(_, cost)| *cost)
}

/// The places of all calls of the process.
#[derive(Debug)]
pub(super) struct Bulkhead {
    /// Of each subject.
    subjects: Shares,
    /// Of each subject, for requests for runs.
    requests: Shares,
    /// Of each light method.
    methods: Shares,
    /// Of each subject in each compartment.
    expensive_subjects: Shares,
    compartments: Shares,
    /// Whether the database answers.
    is_serving: watch::Receiver<bool>,
}

impl Bulkhead {
    /// With shares of so many connections. `is_serving`: whether the database answers.
    pub(super) fn new(connections: u32, is_serving: watch::Receiver<bool>) -> Self {
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
            is_serving,
        }
    }

    /// Waits for a place for a call.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when too many wait already, or none is free in time; [`Error::DatabaseUnavailable`] when that is because the
    /// database does not answer those who have the places.
    pub(super) async fn admit(&self, path: &str, cost: Cost, subject: &str) -> Result<CallPermit, Error> {
        self.take(path, cost, subject).await.map_err(|error| match error {
            Error::RateLimited { .. } if !*self.is_serving.borrow() => {
                Error::DatabaseUnavailable("the database does not answer the calls before".into())
            }
            error => error,
        })
    }

    async fn take(&self, path: &str, cost: Cost, subject: &str) -> Result<CallPermit, Error> {
        let permits = match cost {
            Cost::Shared => vec![self.requests.take(subject).await?],
            // Always in this order: two calls that each held what the other one waits for would wait indefinitely.
            Cost::Light => vec![self.subjects.take(subject).await?, self.methods.take(path).await?],
            Cost::Expensive(compartment) => {
                let name = format!("{compartment:?}");
                let own = self.expensive_subjects.take(&format!("{name} {subject}")).await?;
                vec![own, self.compartments.take(&name).await?]
            }
        };
        Ok(CallPermit { _permits: permits })
    }
}

/// The place of a call, free again when this is dropped.
#[derive(Debug)]
pub(super) struct CallPermit {
    _permits: Vec<Permit>,
}

/// Equal shares of those who have any place now.
#[derive(Debug)]
struct Shares {
    places: usize,
    max_waiting: usize,
    problem: &'static str,
    /// Only of those who have a place or wait for one.
    holders: Arc<Mutex<HashMap<String, Share>>>,
}

#[derive(Debug)]
struct Share {
    semaphore: Arc<Semaphore>,
    /// Calls that have a place or wait for one.
    calls: usize,
}

impl Shares {
    fn new(places: usize, max_waiting: usize, problem: &'static str) -> Self {
        Self { places, max_waiting, problem, holders: Arc::default() }
    }

    async fn take(&self, holder: &str) -> Result<Permit, Error> {
        let full = || Error::RateLimited { problem: self.problem, limit: self.places, wait: FULL_WAIT };
        let (semaphore, presence) = self.join(holder).ok_or_else(full)?;
        let permit = timeout(PATIENCE, semaphore.acquire_owned()).await;
        let permit = permit.map_err(|_| full())?.map_err(|closed| Error::Internal(closed.into()))?;
        Ok(Permit { _permit: permit, _presence: presence })
    }

    /// Counts a call of a holder; `None`: too many wait.
    fn join(&self, holder: &str) -> Option<(Arc<Semaphore>, Presence)> {
        // Nothing panics while it is held.
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let share = holders.entry(holder.to_owned());
        let share = share.or_insert_with(|| Share { semaphore: Arc::new(Semaphore::new(self.places)), calls: 0 });
        if share.calls >= self.places + self.max_waiting {
            return None;
        }
        share.calls += 1;
        Some((share.semaphore.clone(), Presence { holder: holder.to_owned(), holders: self.holders.clone() }))
    }
}

/// A place of a share. The permit is given back before the call is no longer counted.
#[derive(Debug)]
struct Permit {
    _permit: OwnedSemaphorePermit,
    _presence: Presence,
}

/// A counted call. A holder without calls is forgotten, and with it a semaphore that has all its permits.
#[derive(Debug)]
struct Presence {
    holder: String,
    holders: Arc<Mutex<HashMap<String, Share>>>,
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = holders.get_mut(&self.holder) {
            share.calls = share.calls.saturating_sub(1);
            if share.calls == 0 {
                holders.remove(&self.holder);
            }
        }
    }
}

/// Where a call's place is kept, from the end of its message to its answer.
pub(super) type PermitSlot = Arc<Mutex<Option<CallPermit>>>;

/// A message whose end arrives only when its call has a place.
pub(super) struct AdmissionBody {
    body: Body,
    has_ended: bool,
    /// `None`: it has one.
    admission: Option<BoxFuture<'static, Result<CallPermit, Error>>>,
    slot: PermitSlot,
}

impl AdmissionBody {
    /// Holds back the end of `body` until there is a place.
    pub(super) fn wrap(
        body: Body,
        slot: PermitSlot,
        admission: impl Future<Output = Result<CallPermit, Error>> + Send + 'static,
    ) -> Body {
        Body::new(Self { body, has_ended: false, admission: Some(Box::pin(admission)), slot })
    }

    fn poll_permit(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let Some(admission) = &mut self.admission else { return Poll::Ready(Ok(())) };
        let place = ready!(admission.as_mut().poll(context));
        self.admission = None;
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(place.map_err(status)?);
        Poll::Ready(Ok(()))
    }
}

impl hyper::body::Body for AdmissionBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.has_ended {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => self.has_ended = true,
                frame => return Poll::Ready(frame),
            }
        }
        Poll::Ready(ready!(self.poll_permit(context)).err().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.admission.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use category_mirror_proto::FILE_DESCRIPTOR_SET;

    use super::*;

    fn limit(admitted: Result<CallPermit, Error>) -> usize {
        match admitted {
            Err(Error::RateLimited { limit, wait, .. }) if wait == FULL_WAIT => limit,
            other => panic!("not refused, but {other:?}"),
        }
    }

    #[test]
    fn every_cost_is_that_of_a_method() {
        for (name, wanted) in COSTS {
            let method = name.rsplit('/').next().expect("a name").as_bytes();
            assert!(FILE_DESCRIPTOR_SET.windows(method.len()).any(|part| part == method), "{name}");
            assert_eq!(cost(&format!("/categorymirror.v1.{name}")), wanted);
        }
        assert_eq!(cost("/categorymirror.v1.TenantService/ListTenants"), Cost::Light);
        assert_eq!(cost("/TenantService/ImportTenants"), Cost::Light);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_and_a_method_have_a_share_and_expensive_calls_have_places_of_its_own() {
        let bulkhead = Bulkhead::new(20, watch::channel(true).1);
        let mut places = Vec::new();
        for _ in 0..10 {
            places.push(bulkhead.admit("/a", Cost::Light, "me").await.expect("within the share"));
        }
        assert_eq!(limit(bulkhead.admit("/b", Cost::Light, "me").await), 10);
        for _ in 10..15 {
            places.push(bulkhead.admit("/a", Cost::Light, "you").await.expect("within the share of the method"));
        }
        assert_eq!(limit(bulkhead.admit("/a", Cost::Light, "she").await), 15);
        places.push(bulkhead.admit("/b", Cost::Light, "she").await.expect("another method"));
        let expensive = Cost::Expensive(Compartment::Search);
        let search = bulkhead.admit("/search", expensive, "me").await.expect("places of its own");
        assert_eq!(limit(bulkhead.admit("/search", expensive, "me").await), 1);
        places.push(bulkhead.admit("/search", expensive, "you").await.expect("another's share"));
        assert_eq!(limit(bulkhead.admit("/search", expensive, "she").await), 2);
        places.push(bulkhead.admit("/import", Cost::Expensive(Compartment::Import), "me").await.expect("another kind"));
        drop(search);
        bulkhead.admit("/search", expensive, "she").await.expect("a place again");
        drop(places);
        for shares in [&bulkhead.subjects, &bulkhead.methods, &bulkhead.expensive_subjects, &bulkhead.compartments] {
            assert!(shares.holders.lock().expect("unharmed").is_empty(), "{shares:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_in_turn_and_too_many_are_refused_at_once() {
        let bulkhead = Arc::new(Bulkhead::new(20, watch::channel(true).1));
        let expensive = Cost::Expensive(Compartment::History);
        let first = bulkhead.admit("/logs", expensive, "me").await.expect("a place");
        let waiting: Vec<_> = (0..MAX_EXPENSIVE_WAITING_PER_SUBJECT)
            .map(|_| {
                let bulkhead = bulkhead.clone();
                tokio::spawn(async move { bulkhead.admit("/logs", expensive, "me").await.map(drop) })
            })
            .collect();
        tokio::task::yield_now().await;
        let asked = tokio::time::Instant::now();
        assert_eq!(limit(bulkhead.admit("/logs", expensive, "me").await), 1);
        assert_eq!(asked.elapsed(), Duration::ZERO, "it does not wait");
        drop(first);
        for waiting in waiting {
            waiting.await.expect("no panic").expect("a place");
        }
    }
}
