//! Accepting runs as a group: concurrent calls share a commit.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::group::{GroupCommitter, GroupLimits, PendingItem, fail_all};
use crate::{
    domain::RunId,
    error::Error,
    store::{
        handle::Store,
        runs::accept::single::{Accepted, NewRun},
    },
};

const GROUP_LIMITS: GroupLimits = GroupLimits {
    committers: 3,
    min_batch: 32,
    linger: Duration::from_millis(5),
    max_batch: 256,
    queue_capacity: 4096,
};

type PendingRun = PendingItem<NewRun, Accepted>;

/// Accepts runs, for all callers of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor {
    group: GroupCommitter<NewRun, Accepted>,
    store: Store,
}

impl Acceptor {
    /// Starts the committers; they end with `stop`. `on_created` receives the new runs of each commit in one call,
    /// before their callers are answered.
    #[must_use]
    pub fn start(
        store: &Store,
        stop: &CancellationToken,
        on_created: impl Fn(&[RunId]) + Send + Sync + 'static,
    ) -> Self {
        let (committing, on_created) = (store.clone(), Arc::new(on_created));
        let group = GroupCommitter::start(GROUP_LIMITS, stop, move |group| {
            let (store, on_created) = (committing.clone(), on_created.clone());
            async move { accept_group(&store, &*on_created, group).await }
        });
        Self { group, store: store.clone() }
    }

    /// Accepts a run. Once this returns, the answer is durable.
    ///
    /// # Errors
    /// Those of [`Store::accept`], [`Error::RateLimited`] when too many wait already, [`Error::DatabaseUnavailable`] when that is because
    /// the database is away, and [`Error::Draining`] after the stop.
    pub async fn accept(&self, new: NewRun) -> Result<Accepted, Error> {
        self.group.submit(new).await.map_err(|error| match error {
            // The database is the cause, not the rate of the caller.
            Error::RateLimited { .. } if self.store.is_away() => {
                Error::DatabaseUnavailable("the database does not answer the requests before".into())
            }
            error => error,
        })
    }
}

async fn accept_group(store: &Store, on_created: &(impl Fn(&[RunId]) + Sync), mut group: Vec<PendingRun>) {
    while !group.is_empty() {
        let rest = split_duplicates(&mut group);
        commit(store, on_created, std::mem::replace(&mut group, rest)).await;
    }
}

/// Keeps one request per tenant and per request id, and returns the others: requests in one statement do not see each other.
fn split_duplicates(group: &mut Vec<PendingRun>) -> Vec<PendingRun> {
    let mut tenants = HashSet::new();
    let mut requests = HashSet::new();
    // A caller who no longer waits has no use for a run.
    let (unique, rest) = group.drain(..).filter(|waiting| !waiting.is_given_up()).partition(|waiting| {
        let new = &waiting.item;
        let is_first_request = match &new.request_id {
            Some(id) => requests.insert((new.caller.clone(), id.clone())),
            None => true,
        };
        is_first_request && tenants.insert(new.tenant.clone())
    });
    *group = unique;
    rest
}

async fn commit(store: &Store, on_created: &(impl Fn(&[RunId]) + Sync), group: Vec<PendingRun>) {
    let (wanted, answers): (Vec<NewRun>, Vec<_>) = group.into_iter().map(|w| (w.item, w.answer)).unzip();
    if wanted.is_empty() {
        return;
    }
    let found = match store.accept_all(None, &wanted).await {
        Ok(found) => found,
        // The database may have rejected one of them: alone, each meets its own error.
        Err(Error::Internal(_)) if wanted.len() > 1 => wanted.iter().map(|_| None).collect(),
        Err(error) => return fail_all(answers.into_iter(), &error),
    };
    report_created(on_created, found.iter().flatten());
    for ((new, answer), found) in wanted.iter().zip(answers).zip(found) {
        let accepted = match found {
            Some(accepted) => accepted,
            None => {
                let alone = store.accept(None, new).await;
                report_created(on_created, [&alone]);
                alone
            }
        };
        let _ = answer.send(accepted);
    }
}

fn report_created<'a>(on_created: &impl Fn(&[RunId]), accepted: impl IntoIterator<Item = &'a Result<Accepted, Error>>) {
    let runs: Vec<RunId> =
        accepted.into_iter().flatten().filter(|accepted| accepted.created).map(|accepted| accepted.run.id).collect();
    if !runs.is_empty() {
        on_created(&runs);
    }
}
