//! Group commit: callers that ask at the same time share a statement and a commit, and each is answered after it.
//!
//! Nobody waits for company. A caller who is alone is served at once; what arrives while a commit is under way goes into the next.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Accepted, NewRun, Store};
use crate::error::Error;

/// Commits under way at once: while one waits for the disk, the next is made ready.
const COMMITTERS: usize = 2;
/// Runs in one statement. Above, a batch takes longer and saves little more.
const MAX_BATCH: usize = 128;
/// Callers that wait. Above, the next one is told to come back: an unbounded queue would only hide that the database is too slow.
const MAX_WAITING: usize = 4096;
/// When those should come back: by then, a database that works has taken in all who wait.
const FULL_WAIT: Duration = Duration::from_secs(1);

struct Waiting {
    new: NewRun,
    answer: oneshot::Sender<Result<Accepted, Error>>,
}

/// Accepts runs, for all callers of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor {
    waiting: mpsc::Sender<Waiting>,
}

impl Acceptor {
    /// Starts the committers; they end with `stop`.
    #[must_use]
    pub fn start(store: &Store, stop: &CancellationToken) -> Self {
        let (waiting, queue) = mpsc::channel(MAX_WAITING);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..COMMITTERS {
            tokio::spawn(stop.clone().run_until_cancelled_owned(commit_groups(store.clone(), queue.clone())));
        }
        Self { waiting }
    }

    /// Accepts a run. When this returns, the answer is durable.
    ///
    /// # Errors
    /// Those of [`Store::accept`], [`Error::RateLimited`] when too many wait already, and [`Error::Draining`] after the stop.
    pub async fn accept(&self, new: NewRun) -> Result<Accepted, Error> {
        let (answer, answered) = oneshot::channel();
        self.waiting.try_send(Waiting { new, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::RateLimited {
                problem: "too many requests are waiting for the database",
                limit: MAX_WAITING,
                wait: FULL_WAIT,
            },
            mpsc::error::TrySendError::Closed(_) => Error::Draining,
        })?;
        answered.await.unwrap_or(Err(Error::Draining))
    }
}

async fn commit_groups(store: Store, queue: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
    let mut group = Vec::with_capacity(MAX_BATCH);
    loop {
        if queue.lock().await.recv_many(&mut group, MAX_BATCH).await == 0 {
            return;
        }
        while !group.is_empty() {
            let rest = split_duplicates(&mut group);
            commit(&store, std::mem::replace(&mut group, rest)).await;
        }
    }
}

/// Keeps one request a tenant and one a request id, and gives the others: in one statement they would not see each other.
fn split_duplicates(group: &mut Vec<Waiting>) -> Vec<Waiting> {
    let mut tenants = HashSet::new();
    let mut requests = HashSet::new();
    // A caller who no longer waits has no use for a run.
    let (unique, rest) = group.drain(..).filter(|waiting| !waiting.answer.is_closed()).partition(|waiting| {
        let Waiting { new, .. } = waiting;
        let is_first_request = match &new.request_id {
            Some(id) => requests.insert((new.caller.clone(), id.clone())),
            None => true,
        };
        is_first_request && tenants.insert(new.tenant.clone())
    });
    *group = unique;
    rest
}

async fn commit(store: &Store, group: Vec<Waiting>) {
    let (wanted, answers): (Vec<NewRun>, Vec<_>) = group.into_iter().map(|w| (w.new, w.answer)).unzip();
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
        Err(error) => {
            // An error is not cloneable, as its cause is not; the cause is told once, here.
            tracing::warn!(cause = ?std::error::Error::source(&error).map(ToString::to_string), callers = wanted.len(), "{error}");
            for answer in answers {
                let _ = answer.send(Err(match error {
                    Error::DatabaseUnavailable(_) => Error::DatabaseUnavailable("the group commit failed".into()),
                    _ => Error::Internal("the group commit failed".into()),
                }));
            }
        }
    }
}
