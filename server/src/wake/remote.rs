//! Sends wake-ups to the other servers, and receives theirs.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgListener, PgNotification};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::wake_up::{TopicChannels, WakeUp};
use crate::{
    domain::RunId,
    store::{ConnectionPool, Pools},
};

const NOTIFY_CHANNEL: &str = "category_mirror";
/// Time for which wake-ups are collected: at most 50 notifications per second and process.
const COLLECT_DELAY: Duration = Duration::from_millis(20);
/// Maximum number of ids in one notification: 180 of 36 characters, with separators and the rest, stay below the
/// payload's limit of 7,999 bytes.
const MAX_NOTIFICATION_IDS: usize = 180;
/// Maximum number of ids that one wake-up may add to a notification.
pub(super) const MAX_IDS_PER_WAKE_UP: usize = 60;
/// Minimum interval between two requests to the other servers to resync.
const RESYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Delay between attempts to listen again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// Time without a message after which a connection is tested: a server can vanish, and a firewall can drop a
/// connection, without notice.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Time that a database server has to respond, or to accept a connection.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Collected wake-ups, in the form in which they are sent.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Notification {
    /// The process that sent it, which has already received it.
    #[serde(default)]
    origin: Uuid,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    queued: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    flags: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    batch: bool,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    cancel: BTreeSet<RunId>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    changed: BTreeSet<RunId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    resync: bool,
}

impl Notification {
    fn add(&mut self, wake_up: WakeUp) {
        match wake_up {
            WakeUp::RunsReady => self.queued = true,
            WakeUp::FlagsChanged => self.flags = true,
            WakeUp::BatchesChanged => self.batch = true,
            WakeUp::CancelRequested(id) => drop(self.cancel.insert(id)),
            WakeUp::RunsChanged(ids) => self.changed.extend(ids.iter()),
            WakeUp::Resync => self.resync = true,
            WakeUp::RunDueIn(_) => {}
        }
    }

    fn is_full(&self) -> bool {
        self.cancel.len() + self.changed.len() > MAX_NOTIFICATION_IDS - MAX_IDS_PER_WAKE_UP
    }
}

/// Sends the wake-ups of this process.
pub(super) async fn send(
    connection: ConnectionPool,
    origin: Uuid,
    mut collected: mpsc::Receiver<WakeUp>,
    overflowed: Arc<AtomicBool>,
) {
    let mut resync_sent: Option<Instant> = None;
    while let Some(first) = collected.recv().await {
        sleep(COLLECT_DELAY).await;
        let mut notification = Notification { origin, ..Notification::default() };
        notification.add(first);
        while !notification.is_full()
            && let Ok(wake_up) = collected.try_recv()
        {
            notification.add(wake_up);
        }
        // A resync is expensive: at most one per second for each of the other servers.
        let is_due = resync_sent.is_none_or(|at| at.elapsed() >= RESYNC_INTERVAL);
        if is_due && overflowed.swap(false, Ordering::Relaxed) {
            notification.resync = true;
            resync_sent = Some(Instant::now());
        }
        let payload = serde_json::to_string(&notification).expect("plain data has a JSON form");
        let sending = sqlx::query("select pg_notify($1, $2)").bind(NOTIFY_CHANNEL).bind(payload).execute(&connection);
        if let Err(error) = timeout(ANSWER_TIMEOUT, sending).await.unwrap_or_else(|_| Err(timed_out())) {
            tracing::debug!(%error, "could not send a wake-up");
        }
    }
}

/// Receives the wake-ups of the other servers.
pub(super) async fn listen(pools: Pools, origin: Uuid, incoming: TopicChannels) {
    loop {
        let Err(error) = listen_once(&pools, origin, &incoming).await;
        tracing::warn!(%error, "lost the connection that listens for wake-ups");
        incoming.send(WakeUp::Resync);
        sleep(RECONNECT_DELAY).await;
    }
}

async fn listen_once(pools: &Pools, origin: Uuid, incoming: &TopicChannels) -> Result<Infallible, sqlx::Error> {
    let mut listener = timeout(ANSWER_TIMEOUT, start_listening(pools)).await.unwrap_or_else(|_| Err(timed_out()))?;
    // Wake-ups before this moment were missed.
    incoming.send(WakeUp::Resync);
    loop {
        let Some(message) = receive(&mut listener).await? else {
            tracing::warn!("the connection that listens for wake-ups broke, and was made again");
            incoming.send(WakeUp::Resync);
            continue;
        };
        let Ok(notification) = serde_json::from_str::<Notification>(message.payload()) else {
            tracing::warn!("ignored a wake-up that is not one of ours");
            continue;
        };
        if notification.origin == origin {
            continue;
        }
        if notification.queued {
            incoming.send(WakeUp::RunsReady);
        }
        if notification.resync {
            incoming.send(WakeUp::Resync);
        }
        if notification.flags {
            incoming.send(WakeUp::FlagsChanged);
        }
        if notification.batch {
            incoming.send(WakeUp::BatchesChanged);
        }
        for id in notification.cancel {
            incoming.send(WakeUp::CancelRequested(id));
        }
        if !notification.changed.is_empty() {
            incoming.send(WakeUp::RunsChanged(notification.changed.into_iter().collect()));
        }
    }
}

/// Starts to listen.
///
/// Uses a new pool each time. sqlx returns a listener's connection in a task that waits for the server without a limit:
/// a server that has become unresponsive would occupy the only connection of the pool.
async fn start_listening(pools: &Pools) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(&pools.for_listening().await?).await?;
    listener.listen(NOTIFY_CHANNEL).await?;
    Ok(listener)
}

fn timed_out() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time").into()
}

/// Waits for a notification. `None`: the connection broke and was reopened, and notifications were lost in between.
async fn receive(listener: &mut PgListener) -> Result<Option<PgNotification>, sqlx::Error> {
    loop {
        match timeout(KEEPALIVE_INTERVAL, listener.try_recv()).await {
            Ok(received) => return received,
            Err(_quiet) => match timeout(ANSWER_TIMEOUT, sqlx::query("select 1").execute(&mut *listener)).await {
                Ok(answered) => {
                    answered?;
                }
                Err(_silent) => return Err(timed_out()),
            },
        }
    }
}
