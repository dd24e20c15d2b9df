//! Wake-ups, and their channels within the process.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast;

use crate::domain::RunId;

/// Number of wake-ups that a slow subscriber may lag behind before it has to read everything.
pub(super) const CHANNEL_CAPACITY: usize = 1024;

/// A hint that something may have changed.
#[derive(Debug, Clone)]
pub enum WakeUp {
    /// Runs may be ready to be claimed.
    RunsReady,
    /// A run becomes due after this time. Not sent to other servers: they poll often enough to take over from a process
    /// that died.
    RunDueIn(Duration),
    /// A caller has requested cancellation of this run.
    CancelRequested(RunId),
    /// These runs have changed.
    RunsChanged(Arc<[RunId]>),
    /// A flag has changed.
    FlagsChanged,
    /// Batches may need work.
    BatchesChanged,
    /// Anything may have changed: wake-ups were lost.
    Resync,
}

/// Topics of wake-ups. Each has its own channel within the process, so that no subscriber is woken for other topics:
/// there are as many changes as runs have states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// [`WakeUp::RunsReady`] and [`WakeUp::RunDueIn`].
    Work,
    /// [`WakeUp::RunsChanged`].
    Changes,
    /// [`WakeUp::CancelRequested`].
    Cancellations,
    /// [`WakeUp::FlagsChanged`].
    Flags,
    /// [`WakeUp::BatchesChanged`].
    Batches,
}

impl WakeUp {
    /// Returns its topic; `None`: all topics.
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

/// The channels within the process, one per topic.
#[derive(Debug, Clone)]
pub(super) struct TopicChannels([broadcast::Sender<WakeUp>; 5]);

impl TopicChannels {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| broadcast::channel(CHANNEL_CAPACITY).0))
    }

    pub(super) fn send(&self, wake_up: WakeUp) {
        // There may be no subscriber.
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
            // The process is shutting down; there will be no more wake-ups.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// Returns the next wake-up if it has already arrived.
    pub fn pending(&mut self) -> Option<WakeUp> {
        match self.0.try_recv() {
            Ok(wake_up) => Some(wake_up),
            Err(broadcast::error::TryRecvError::Lagged(_)) => Some(WakeUp::Resync),
            Err(_) => None,
        }
    }
}
