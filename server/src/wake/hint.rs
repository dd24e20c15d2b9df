//! Hints, and their ways through the process.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast;

use crate::domain::RunId;

/// Hints that a slow subscriber may lag behind before it has to look at everything.
pub(super) const BACKLOG: usize = 1024;

/// Something may have happened.
#[derive(Debug, Clone)]
pub enum Hint {
    /// There is work to claim.
    Queued,
    /// There will be work to claim after so long. It stays in this process: the others look often enough for a process that died.
    Waiting(Duration),
    /// Somebody wants this run cancelled.
    Cancel(RunId),
    /// These runs changed.
    Changed(Arc<[RunId]>),
    /// Somebody changed a feature flag.
    Flags,
    /// There is something to do of a batch.
    Batch,
    /// Anything may have changed: hints were lost.
    Everything,
}

/// What hints are about. Each has its own way through the process, so that nobody is woken for what concerns others: there are as many
/// changes as runs have states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// [`Hint::Queued`] and [`Hint::Waiting`].
    Work,
    /// [`Hint::Changed`].
    Changes,
    /// [`Hint::Cancel`].
    Cancellations,
    /// [`Hint::Flags`].
    Flags,
    /// [`Hint::Batch`].
    Batches,
}

impl Hint {
    /// What it is about; `None` is everything.
    fn topic(&self) -> Option<Topic> {
        match self {
            Self::Queued | Self::Waiting(_) => Some(Topic::Work),
            Self::Changed(_) => Some(Topic::Changes),
            Self::Cancel(_) => Some(Topic::Cancellations),
            Self::Flags => Some(Topic::Flags),
            Self::Batch => Some(Topic::Batches),
            Self::Everything => None,
        }
    }
}

/// The ways through the process, one a topic.
#[derive(Debug, Clone)]
pub(super) struct Ways([broadcast::Sender<Hint>; 5]);

impl Ways {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| broadcast::channel(BACKLOG).0))
    }

    pub(super) fn send(&self, hint: Hint) {
        // Nobody may be listening.
        match hint.topic() {
            Some(topic) => drop(self.0[topic as usize].send(hint)),
            None => self.0.iter().for_each(|way| drop(way.send(hint.clone()))),
        }
    }

    pub(super) fn subscribe(&self, topic: Topic) -> Hints {
        Hints(self.0[topic as usize].subscribe())
    }
}

/// A subscription to hints.
#[derive(Debug)]
pub struct Hints(broadcast::Receiver<Hint>);

impl Hints {
    /// Waits for the next hint. Cancel-safe.
    pub async fn next(&mut self) -> Hint {
        match self.0.recv().await {
            Ok(hint) => hint,
            Err(broadcast::error::RecvError::Lagged(_)) => Hint::Everything,
            // The process is ending; there will be no more.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// The next hint that is there already.
    pub fn pending(&mut self) -> Option<Hint> {
        match self.0.try_recv() {
            Ok(hint) => Some(hint),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(Hint::Everything),
            Err(_) => None,
        }
    }
}
