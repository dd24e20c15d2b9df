//! Accepting runs as a group: concurrent calls share a commit.

use std::collections::HashSet;

use tokio_util::sync::CancellationToken;

use super::{
    Accepted, NewRun, Store,
    group::{Group, Limits, Waiting, refuse},
};
use crate::error::Error;

const LIMITS: Limits = Limits { committers: 3, batch: 128, waiting: 4096 };

type Asking = Waiting<NewRun, Accepted>;

/// Accepts runs, for all callers of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor(Group<NewRun, Accepted>);

impl Acceptor {
    /// Starts the committers; they end with `stop`.
    #[must_use]
    pub fn start(store: &Store, stop: &CancellationToken) -> Self {
        let store = store.clone();
        Self(Group::start(LIMITS, stop, move |group| accept_group(store.clone(), group)))
    }

    /// Accepts a run. When this returns, the answer is durable.
    ///
    /// # Errors
    /// Those of [`Store::accept`], [`Error::RateLimited`] when too many wait already, and [`Error::Draining`] after the stop.
    pub async fn accept(&self, new: NewRun) -> Result<Accepted, Error> {
        self.0.ask(new).await
    }
}

async fn accept_group(store: Store, mut group: Vec<Asking>) {
    while !group.is_empty() {
        let rest = split_duplicates(&mut group);
        commit(&store, std::mem::replace(&mut group, rest)).await;
    }
}

/// Keeps one request a tenant and one a request id, and gives the others: in one statement they would not see each other.
fn split_duplicates(group: &mut Vec<Asking>) -> Vec<Asking> {
    let mut tenants = HashSet::new();
    let mut requests = HashSet::new();
    // A caller who no longer waits has no use for a run.
    let (unique, rest) = group.drain(..).filter(|waiting| !waiting.answer.is_closed()).partition(|waiting| {
        let new = &waiting.question;
        let is_first_request = match &new.request_id {
            Some(id) => requests.insert((new.caller.clone(), id.clone())),
            None => true,
        };
        is_first_request && tenants.insert(new.tenant.clone())
    });
    *group = unique;
    rest
}

async fn commit(store: &Store, group: Vec<Asking>) {
    let (wanted, answers): (Vec<NewRun>, Vec<_>) = group.into_iter().map(|w| (w.question, w.answer)).unzip();
    if wanted.is_empty() {
        return;
    }
    match store.accept_all(None, &wanted).await {
        Ok(found) => {
            for ((new, answer), found) in wanted.iter().zip(answers).zip(found) {
                let accepted = match found {
                    Some(accepted) => accepted,
                    None => store.accept(None, new).await,
                };
                let _ = answer.send(accepted);
            }
        }
        // One of them may be what the database refuses: alone, each meets its own error.
        Err(Error::Internal(_)) if wanted.len() > 1 => {
            for (new, answer) in wanted.iter().zip(answers) {
                let _ = answer.send(store.accept(None, new).await);
            }
        }
        Err(error) => refuse(answers.into_iter(), &error),
    }
}
