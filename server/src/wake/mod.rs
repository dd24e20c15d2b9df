//! Wake-ups between servers, over LISTEN and NOTIFY: a hint to re-read a table instead of polling it, and nothing else.
//!
//! A wake-up may arrive twice, late or never. Its receiver reads the table; a subscriber subscribes before it reads;
//! and [`WakeUp::Resync`] means that wake-ups may have been lost. NOTIFY takes a cluster-wide lock at commit, so
//! wake-ups are collected for a short time and sent together, never inside a caller's transaction.

mod remote;
mod wake_up;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::wake_up::{Topic, WakeUp, WakeUpReceiver};
use self::{
    remote::{MAX_IDS_PER_WAKE_UP, listen, send},
    wake_up::{CHANNEL_CAPACITY, TopicChannels},
};
use crate::store::Pools;

/// The process's connection to the wake-ups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WakeUpBus {
    outgoing: mpsc::Sender<WakeUp>,
    incoming: TopicChannels,
    /// Set if there are more wake-ups than can be sent individually.
    overflowed: Arc<AtomicBool>,
}

impl WakeUpBus {
    /// Starts the tasks that send and listen; they end with `stop`.
    #[must_use]
    pub fn start(pools: impl Into<Pools>, stop: CancellationToken) -> Self {
        let pools = pools.into();
        let (outgoing, collected) = mpsc::channel(CHANNEL_CAPACITY);
        let incoming = TopicChannels::new();
        let origin = Uuid::now_v7();
        // Their own connections, separate from those that calls and runs share.
        let sending = pools.for_notifying();
        let overflowed = Arc::new(AtomicBool::new(false));
        tokio::spawn(stop.clone().run_until_cancelled_owned(send(sending, origin, collected, overflowed.clone())));
        tokio::spawn(stop.run_until_cancelled_owned(listen(pools, origin, incoming.clone())));
        Self { outgoing, incoming, overflowed }
    }

    /// Delivers a wake-up to this process immediately, and to the other servers soon. Call it after the commit.
    pub fn send(&self, wake_up: WakeUp) {
        match &wake_up {
            WakeUp::RunsChanged(ids) if ids.len() > MAX_IDS_PER_WAKE_UP => {
                ids.chunks(MAX_IDS_PER_WAKE_UP).for_each(|part| self.send_to_others(WakeUp::RunsChanged(part.into())));
            }
            WakeUp::RunDueIn(_) => {}
            _ => self.send_to_others(wake_up.clone()),
        }
        self.incoming.send(wake_up);
    }

    fn send_to_others(&self, wake_up: WakeUp) {
        if self.outgoing.try_send(wake_up).is_err() {
            self.overflowed.store(true, Ordering::Relaxed);
        }
    }

    /// Subscribes to a topic, and to [`WakeUp::Resync`].
    #[must_use]
    pub fn subscribe(&self, topic: Topic) -> WakeUpReceiver {
        self.incoming.subscribe(topic)
    }
}
