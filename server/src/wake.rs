//! Wake-ups between servers, over LISTEN and NOTIFY: hints only, for whoever would otherwise poll.
//!
//! A hint may come twice, late or never. Who gets one looks at the table; who subscribes does so before looking; and
//! [`Hint::Everything`] says that hints may have been lost. NOTIFY takes a lock of the whole cluster at commit, so hints are
//! collected for a moment and sent together, never inside a caller's transaction.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use crate::domain::RunId;

const CHANNEL: &str = "category_mirror";
/// How long hints are collected: at most 50 notifications a second a process.
const COLLECT: Duration = Duration::from_millis(20);
/// Ids in one notification: 180 of 36 characters and separators stay below the payload's limit of 7,999 bytes.
const MAX_IDS: usize = 180;
/// Hints that a slow subscriber may lag behind before it has to look at everything.
const BACKLOG: usize = 1024;
/// Between attempts to listen again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Something may have happened.
#[derive(Debug, Clone)]
pub enum Hint {
    /// There is work to claim.
    Queued,
    /// Somebody wants this run cancelled.
    Cancel(RunId),
    /// These runs changed.
    Changed(Arc<[RunId]>),
    /// Anything may have changed: hints were lost.
    Everything,
}

/// Collected hints, as they are sent.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Notification {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    queued: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    cancel: BTreeSet<RunId>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    changed: BTreeSet<RunId>,
}

impl Notification {
    fn add(&mut self, hint: Hint) {
        match hint {
            Hint::Queued => self.queued = true,
            Hint::Cancel(id) => drop(self.cancel.insert(id)),
            Hint::Changed(ids) => self.changed.extend(ids.iter()),
            Hint::Everything => {}
        }
    }

    fn is_full(&self) -> bool {
        self.cancel.len() + self.changed.len() >= MAX_IDS
    }
}

/// The process's end of the wake-ups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wake {
    outgoing: mpsc::Sender<Hint>,
    incoming: broadcast::Sender<Hint>,
}

impl Wake {
    /// Starts the tasks that send and listen; they end with `stop`.
    #[must_use]
    pub fn start(pool: PgPool, stop: CancellationToken) -> Self {
        let (outgoing, collected) = mpsc::channel(BACKLOG);
        let (incoming, _) = broadcast::channel(BACKLOG);
        tokio::spawn(stop.clone().run_until_cancelled_owned(send(pool.clone(), collected)));
        tokio::spawn(stop.run_until_cancelled_owned(listen(pool, incoming.clone())));
        Self { outgoing, incoming }
    }

    /// Gives a hint to this process at once, and to the others soon. Call it after the commit.
    pub fn hint(&self, hint: Hint) {
        // Nobody listening, or a full queue, loses a hint: that is allowed, polls find what it meant.
        let _ = self.incoming.send(hint.clone());
        let _ = self.outgoing.try_send(hint);
    }

    /// Subscribes. A lagging receiver has to take it as [`Hint::Everything`].
    #[must_use]
    pub fn subscribe(&self) -> Hints {
        Hints(self.incoming.subscribe())
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
}

async fn send(pool: PgPool, mut collected: mpsc::Receiver<Hint>) {
    while let Some(first) = collected.recv().await {
        tokio::time::sleep(COLLECT).await;
        let mut notification = Notification::default();
        notification.add(first);
        while !notification.is_full()
            && let Ok(hint) = collected.try_recv()
        {
            notification.add(hint);
        }
        let payload = serde_json::to_string(&notification).expect("plain data has a JSON form");
        if let Err(error) = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(&pool).await {
            tracing::debug!(%error, "could not send a wake-up");
        }
    }
}

async fn listen(pool: PgPool, incoming: broadcast::Sender<Hint>) {
    loop {
        if let Err(error) = listen_once(&pool, &incoming).await {
            tracing::warn!(%error, "lost the connection that listens for wake-ups");
        }
        let _ = incoming.send(Hint::Everything);
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn listen_once(pool: &PgPool, incoming: &broadcast::Sender<Hint>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    // What happened before this moment was not heard.
    let _ = incoming.send(Hint::Everything);
    // `None` means that the connection broke and notifications were lost.
    while let Some(message) = listener.try_recv().await? {
        let Ok(notification) = serde_json::from_str::<Notification>(message.payload()) else {
            tracing::warn!("ignored a wake-up that is not one of ours");
            continue;
        };
        if notification.queued {
            let _ = incoming.send(Hint::Queued);
        }
        for id in notification.cancel {
            let _ = incoming.send(Hint::Cancel(id));
        }
        if !notification.changed.is_empty() {
            let _ = incoming.send(Hint::Changed(notification.changed.into_iter().collect()));
        }
    }
    Ok(())
}
