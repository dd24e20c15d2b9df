//! Group commit: concurrent callers share a statement and a commit, and each is answered after it.
//!
//! A single caller is served at once; callers that arrive during a commit go into the next one. A second commit begins beside the first
//! for a group that is worth one, because a statement costs as much as a dozen of its rows, or when the first one takes long.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, Semaphore, SemaphorePermit, mpsc, oneshot},
    task::yield_now,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{admission::HeldPermits, error::Error};

/// When refused callers should retry: by then, a database that works has taken in all who wait.
const QUEUE_FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A waiting caller's item, and the channel of its answer.
pub(in crate::store) struct PendingItem<Q, A> {
    pub(in crate::store) item: Q,
    pub(in crate::store) answer: oneshot::Sender<Result<A, Error>>,
    /// The permits of the call that asks, which it keeps while the question waits. `None` for what no call asks.
    call: Option<HeldPermits>,
}

impl<Q, A> PendingItem<Q, A> {
    fn new(item: Q) -> (Self, oneshot::Receiver<Result<A, Error>>) {
        let (answer, answered) = oneshot::channel();
        (Self { item, answer, call: HeldPermits::current() }, answered)
    }

    /// Whether the caller no longer waits for the answer.
    pub(in crate::store) fn is_given_up(&self) -> bool {
        self.answer.is_closed() || self.call.as_ref().is_some_and(HeldPermits::is_abandoned)
    }
}

/// How many questions wait, and how many go together.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct GroupLimits {
    /// Concurrent commits: while one waits for the disk, the next is prepared.
    pub(in crate::store) committers: usize,
    /// Questions that are worth a commit beside another one.
    pub(in crate::store) min_batch: usize,
    /// How long a smaller group waits for more. A commit that hangs behind a lock must not hold up all callers.
    pub(in crate::store) linger: Duration,
    /// Questions in one statement. Above, a batch takes longer and saves little more.
    pub(in crate::store) max_batch: usize,
    /// Questions that wait.
    pub(in crate::store) queue_capacity: usize,
}

/// The way in. Cheap to clone.
#[derive(Debug)]
pub(in crate::store) struct GroupCommitter<Q, A>(mpsc::Sender<PendingItem<Q, A>>);

impl<Q, A> Clone for GroupCommitter<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q: Send + 'static, A: Send + 'static> GroupCommitter<Q, A> {
    /// Starts the committers; they end with `stop`. Each answers all of the questions that it is given.
    pub(in crate::store) fn start<F>(
        limits: GroupLimits,
        stop: &CancellationToken,
        commit: impl Fn(Vec<PendingItem<Q, A>>) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let (sender, queue) = mpsc::channel(limits.queue_capacity);
        let queue = Arc::new(Mutex::new(queue));
        let first = Arc::new(Semaphore::new(1));
        for _ in 0..limits.committers {
            let (queue, first, commit) = (queue.clone(), first.clone(), commit.clone());
            tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
                loop {
                    let mut queue = queue.lock().await;
                    let Some(group) = gather(&mut queue, limits.max_batch).await else { return };
                    let (group, _first) = linger_for_more(group, &mut queue, limits, &first).await;
                    drop(queue);
                    commit(group).await;
                }
            }));
        }
        Self(sender)
    }

    /// Asks, unless too many wait already: an unbounded queue would only hide that the database is too slow.
    pub(in crate::store) async fn submit(&self, item: Q) -> Result<A, Error> {
        let (waiting, answered) = PendingItem::new(item);
        self.0.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::RateLimited {
                problem: "too many requests are waiting for the database",
                limit: self.0.max_capacity(),
                wait: QUEUE_FULL_RETRY_AFTER,
            },
            mpsc::error::TrySendError::Closed(_) => Error::Draining,
        })?;
        answered.await.unwrap_or(Err(Error::Draining))
    }

    /// Asks, and waits for a place in the queue if there is none.
    pub(in crate::store) async fn submit_when_free(&self, item: Q) -> Result<A, Error> {
        let (waiting, answered) = PendingItem::new(item);
        self.0.send(waiting).await.map_err(|_| Error::Draining)?;
        answered.await.unwrap_or(Err(Error::Draining))
    }
}

/// Returns the items that wait now; waits for the first one. `None`: the queue is closed.
async fn gather<T>(queue: &mut mpsc::Receiver<T>, limit: usize) -> Option<Vec<T>> {
    let mut group = vec![queue.recv().await?];
    // Who was answered together asks again together: the first of them must not leave without the others, who run in a moment.
    yield_now().await;
    take(queue, &mut group, limit);
    Some(group)
}

/// The group as it leaves: the first one at once, another when it is worth a commit of its own, or the first commit is over or slow.
async fn linger_for_more<'a, T>(
    mut group: Vec<T>,
    queue: &mut mpsc::Receiver<T>,
    limits: GroupLimits,
    first: &'a Semaphore,
) -> (Vec<T>, Option<SemaphorePermit<'a>>) {
    let mut late = pin!(sleep(limits.linger));
    let first = loop {
        if group.len() >= limits.min_batch {
            break first.try_acquire().ok();
        }
        tokio::select! {
            biased;
            first = first.acquire() => break first.ok(),
            Some(next) = queue.recv() => group.push(next),
            () = &mut late => break None,
        }
    };
    take(queue, &mut group, limits.max_batch);
    (group, first)
}

/// Takes those who wait already.
fn take<T>(queue: &mut mpsc::Receiver<T>, group: &mut Vec<T>, limit: usize) {
    while group.len() < limit
        && let Ok(next) = queue.try_recv()
    {
        group.push(next);
    }
}

/// Answers all callers of a group with the error that it met. The error's cause cannot be cloned, so it is logged once, here.
pub(in crate::store) fn fail_all<A>(
    answers: impl ExactSizeIterator<Item = oneshot::Sender<Result<A, Error>>>,
    error: &Error,
) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(error = ?cause, waiting = answers.len(), "{error}");
    for answer in answers {
        let _ = answer.send(Err(match error {
            Error::DatabaseUnavailable(_) => Error::DatabaseUnavailable("the group commit failed".into()),
            _ => Error::Internal("the group commit failed".into()),
        }));
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;

    use super::*;

    /// A group, the sizes of its commits as they begin, and how many of them may end.
    fn group(linger: Duration) -> (GroupCommitter<i32, i32>, mpsc::UnboundedReceiver<usize>, Arc<Semaphore>) {
        let limits = GroupLimits { committers: 2, min_batch: 3, linger, max_batch: 10, queue_capacity: 100 };
        #[expect(clippy::disallowed_methods, reason = "a test that sends a few numbers")]
        let (begun, begins) = mpsc::unbounded_channel();
        let ends = Arc::new(Semaphore::new(0));
        let may_end = ends.clone();
        let group =
            GroupCommitter::start(limits, &CancellationToken::new(), move |group: Vec<PendingItem<i32, i32>>| {
                begun.send(group.len()).expect("somebody listens");
                let ends = may_end.clone();
                async move {
                    ends.acquire().await.expect("open").forget();
                    for waiting in group {
                        waiting.answer.send(Ok(waiting.item)).expect("waited for");
                    }
                }
            });
        (group, begins, ends)
    }

    fn ask(group: &GroupCommitter<i32, i32>, item: i32) -> JoinHandle<i32> {
        let group = group.clone();
        tokio::spawn(async move { group.submit(item).await.expect("answered") })
    }

    #[tokio::test]
    async fn one_leaves_at_once_and_others_with_company_or_after_it() {
        let (group, mut begins, ends) = group(Duration::MAX);
        let first = ask(&group, 1);
        assert_eq!(begins.recv().await, Some(1), "nobody to wait for");
        let others = [ask(&group, 2), ask(&group, 3)];
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(begins.try_recv().is_err(), "two are not worth a commit beside the first");
        let third = ask(&group, 4);
        assert_eq!(begins.recv().await, Some(3), "three are");
        let last = ask(&group, 5);
        ends.add_permits(1);
        assert_eq!(first.await.expect("ended"), 1);
        assert_eq!(begins.recv().await, Some(1), "the first commit is over");
        ends.add_permits(2);
        for (asked, item) in others.into_iter().chain([third, last]).zip(2..) {
            assert_eq!(asked.await.expect("ended"), item);
        }
    }

    #[tokio::test]
    async fn a_commit_that_hangs_holds_nobody_up_for_long() {
        let (group, mut begins, ends) = group(Duration::from_millis(1));
        let hangs = ask(&group, 1);
        assert_eq!(begins.recv().await, Some(1));
        let other = ask(&group, 2);
        assert_eq!(begins.recv().await, Some(1), "beside the first, though alone");
        ends.add_permits(2);
        assert_eq!((hangs.await.expect("ended"), other.await.expect("ended")), (1, 2));
    }
}
