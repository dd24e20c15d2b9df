//! Wake-ups between servers, over LISTEN and NOTIFY: hints only, for whoever would otherwise poll.
//!
//! A hint may come twice, late or never. Who gets one looks at the table; who subscribes does so before looking; and
//! [`Hint::Everything`] says that hints may have been lost. NOTIFY takes a lock of the whole cluster at commit, so hints are
//! collected for a moment and sent together, never inside a caller's transaction.

mod hint;
mod others;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::hint::{Hint, Hints, Topic};
use self::{
    hint::{BACKLOG, Ways},
    others::{MAX_PART, listen, send},
};
use crate::store::Pools;

/// The process's end of the wake-ups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wake {
    outgoing: mpsc::Sender<Hint>,
    incoming: Ways,
    /// More happened than can be told one by one.
    overflowed: Arc<AtomicBool>,
}

impl Wake {
    /// Starts the tasks that send and listen; they end with `stop`.
    #[must_use]
    pub fn start(pools: impl Into<Pools>, stop: CancellationToken) -> Self {
        let pools = pools.into();
        let (outgoing, collected) = mpsc::channel(BACKLOG);
        let incoming = Ways::new();
        let origin = Uuid::now_v7();
        // Connections of their own, and none of those that calls and runs share.
        let sending = pools.for_notifying();
        let overflowed = Arc::new(AtomicBool::new(false));
        tokio::spawn(stop.clone().run_until_cancelled_owned(send(sending, origin, collected, overflowed.clone())));
        tokio::spawn(stop.run_until_cancelled_owned(listen(pools, origin, incoming.clone())));
        Self { outgoing, incoming, overflowed }
    }

    /// Gives a hint to this process at once, and to the others soon. Call it after the commit.
    pub fn hint(&self, hint: Hint) {
        match &hint {
            Hint::Changed(ids) if ids.len() > MAX_PART => {
                ids.chunks(MAX_PART).for_each(|part| self.tell_others(Hint::Changed(part.into())));
            }
            Hint::Waiting(_) => {}
            _ => self.tell_others(hint.clone()),
        }
        self.incoming.send(hint);
    }

    fn tell_others(&self, hint: Hint) {
        if self.outgoing.try_send(hint).is_err() {
            self.overflowed.store(true, Ordering::Relaxed);
        }
    }

    /// Subscribes to a topic, and to [`Hint::Everything`].
    #[must_use]
    pub fn subscribe(&self, topic: Topic) -> Hints {
        self.incoming.subscribe(topic)
    }
}
