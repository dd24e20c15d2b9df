//! Ending runs as a group: attempts that end at the same time share a commit.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::group::{GroupCommitter, GroupLimits, PendingItem, fail_all};
use crate::{
    error::Error,
    store::{handle::Store, runs::attempt::finish::Finish, statement::StatementTime},
};

/// The slots of the runner bound the queue. One committer: while its statement runs, the next group collects.
const GROUP_LIMITS: GroupLimits =
    GroupLimits { committers: 1, min_batch: 1, linger: Duration::ZERO, max_batch: 256, queue_capacity: 4096 };

/// Ends runs, for all attempts of the process: those that end at the same time share a commit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Finisher(GroupCommitter<(StatementTime, Finish), bool>);

impl Finisher {
    /// Starts the committer; it ends with `stop`.
    #[must_use]
    pub fn start(store: &Store, stop: &CancellationToken) -> Self {
        let store = store.clone();
        Self(GroupCommitter::start(GROUP_LIMITS, stop, move |group| finish_group(store.clone(), group)))
    }

    /// Ends a run. Returns whether its lease was still held; once this returns, the end is durable.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`], [`Error::Internal`], or [`Error::Draining`] after the stop.
    pub async fn finish(&self, now: StatementTime, end: Finish) -> Result<bool, Error> {
        self.0.submit_when_free((now, end)).await
    }
}

async fn finish_group(store: Store, group: Vec<PendingItem<(StatementTime, Finish), bool>>) {
    let (ends, answers): (Vec<_>, Vec<_>) = group.into_iter().map(|w| (w.item, w.answer)).unzip();
    // Tests alone have times of their own, and one for all.
    let now = ends.first().and_then(|(now, _)| *now);
    let ends: Vec<Finish> = ends.into_iter().map(|(_, end)| end).collect();
    match store.finish(now, &ends).await {
        Ok(finished) => {
            for (end, answer) in ends.iter().zip(answers) {
                let _ = answer.send(Ok(finished.contains(&end.held.id)));
            }
        }
        // The database may have rejected one of them: alone, each meets its own error.
        Err(Error::Internal(_)) if ends.len() > 1 => {
            for (end, answer) in ends.iter().zip(answers) {
                let finished = store.finish(now, std::slice::from_ref(end)).await;
                let _ = answer.send(finished.map(|finished| finished.contains(&end.held.id)));
            }
        }
        Err(error) => fail_all(answers.into_iter(), &error),
    }
}
