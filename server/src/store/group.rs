//! Group commit: those who ask at the same time share a statement and a commit, and each is answered after it.
//!
//! Nobody waits for company. Who is alone is served at once; what arrives while a commit is under way goes into the next.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// When those should come back who found no place: by then, a database that works has taken in all who wait.
const FULL_WAIT: Duration = Duration::from_secs(1);

/// Somebody who asked, and where the answer goes.
pub(super) struct Waiting<Q, A> {
    pub(super) question: Q,
    pub(super) answer: oneshot::Sender<Result<A, Error>>,
}

/// How many questions wait, and how many go together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Commits under way at once: while one waits for the disk, the next is made ready.
    pub(super) committers: usize,
    /// Questions in one statement. Above, a batch takes longer and saves little more.
    pub(super) batch: usize,
    /// Questions that wait.
    pub(super) waiting: usize,
}

/// The way in. Cheap to clone.
#[derive(Debug)]
pub(super) struct Group<Q, A>(mpsc::Sender<Waiting<Q, A>>);

impl<Q, A> Clone for Group<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q: Send + 'static, A: Send + 'static> Group<Q, A> {
    /// Starts the committers; they end with `stop`. Each answers all of the questions that it is given.
    pub(super) fn start<F>(
        limits: Limits,
        stop: &CancellationToken,
        commit: impl Fn(Vec<Waiting<Q, A>>) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let (sender, queue) = mpsc::channel(limits.waiting);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..limits.committers {
            let (queue, commit) = (queue.clone(), commit.clone());
            tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
                loop {
                    let mut group = Vec::new();
                    if queue.lock().await.recv_many(&mut group, limits.batch).await == 0 {
                        return;
                    }
                    commit(group).await;
                }
            }));
        }
        Self(sender)
    }

    /// Asks, unless too many wait already: an unbounded queue would only hide that the database is too slow.
    pub(super) async fn ask(&self, question: Q) -> Result<A, Error> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Waiting { question, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::RateLimited {
                problem: "too many requests are waiting for the database",
                limit: self.0.max_capacity(),
                wait: FULL_WAIT,
            },
            mpsc::error::TrySendError::Closed(_) => Error::Draining,
        })?;
        answered.await.unwrap_or(Err(Error::Draining))
    }

    /// Asks, and waits for a place in the queue if there is none.
    pub(super) async fn ask_patiently(&self, question: Q) -> Result<A, Error> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Waiting { question, answer }).await.map_err(|_| Error::Draining)?;
        answered.await.unwrap_or(Err(Error::Draining))
    }
}

/// Answers everybody with the error that all of them met. An error is not cloneable, as its cause is not; the cause is told once, here.
pub(super) fn refuse<A>(answers: impl ExactSizeIterator<Item = oneshot::Sender<Result<A, Error>>>, error: &Error) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(?cause, waiting = answers.len(), "{error}");
    for answer in answers {
        let _ = answer.send(Err(match error {
            Error::DatabaseUnavailable(_) => Error::DatabaseUnavailable("the group commit failed".into()),
            _ => Error::Internal("the group commit failed".into()),
        }));
    }
}
