//! Wake-ups, and their ways through the process.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast;

use crate::domain::RunId;

/// Wake-ups that a slow subscriber may lag behind before it has to read everything.
pub(super) const CHANNEL_CAPACITY: usize = 1024;

/// Something may have happened.
#[derive(Debug, Clone)]
pub enum WakeUp {
    /// There is work to claim.
    RunsReady,
    /// There will be work to claim after so long. It stays in this process: the others poll often enough for a process that died.
    RunDueIn(Duration),
    /// Somebody wants this run cancelled.
    CancelRequested(RunId),
    /// These runs changed.
    RunsChanged(Arc<[RunId]>),
    /// Somebody changed a feature flag.
    FlagsChanged,
    /// There is something to do of a batch.
    BatchesChanged,
    /// Anything may have changed: wake-ups were lost.
    Resync,
}

/// What wake-ups are about. Each has its own way through the process, so that nobody is woken for what concerns others: there are as many
/// changes as runs have states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// [`WakeUp::Queued`] and [`WakeUp::Waiting`].
    Work,
    /// [`WakeUp::Changed`].
    Changes,
    /// [`WakeUp::Cancel`].
    Cancellations,
    /// [`WakeUp::Flags`].
    Flags,
    /// [`WakeUp::Batch`].
    Batches,
}

impl WakeUp {
    /// What it is about; `None` is everything.
    fn topic(&self) -> Option<Topic> {
        match self {
            Self::RunsReady | Self::RunDueIn(_) => Some(Topic::Work),
            Self::RunsChanged(_) => Some(Topic::Changes),
            Self::CancelRequested(_) => Some(Topic::Cancellations),
            Self::FlagsChanged => Some(Topic::Flags),
            Self::BatchesChanged => Some(Topic::Batches),
            Self::Resync => None,
        }
    }
}

/// The ways through the process, one a topic.
#[derive(Debug, Clone)]
pub(super) struct TopicChannels([broadcast::Sender<WakeUp>; 5]);

impl TopicChannels {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| broadcast::channel(CHANNEL_CAPACITY).0))
    }

    pub(super) fn send(&self, wake_up: WakeUp) {
        // Nobody may be listening.
        match wake_up.topic() {
            Some(topic) => drop(self.0[topic as usize].send(wake_up)),
            None => self.0.iter().for_each(|channel| drop(channel.send(wake_up.clone()))),
        }
    }

    pub(super) fn subscribe(&self, topic: Topic) -> WakeUpReceiver {
        WakeUpReceiver(self.0[topic as usize].subscribe())
    }
}

/// A subscription to wake-ups.
#[derive(Debug)]
pub struct WakeUpReceiver(broadcast::Receiver<WakeUp>);

impl WakeUpReceiver {
    /// Waits for the next wake-up. Cancel-safe.
    pub async fn next(&mut self) -> WakeUp {
        match self.0.recv().await {
            Ok(wake_up) => wake_up,
            Err(broadcast::error::RecvError::Lagged(_)) => WakeUp::Resync,
            // The process is ending; there will be no more.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// The next wake-up that is there already.
    pub fn pending(&mut self) -> Option<WakeUp> {
        match self.0.try_recv() {
            Ok(wake_up) => Some(wake_up),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(WakeUp::Resync),
            Err(_) => None,
        }
    }
}
