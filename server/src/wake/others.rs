//! What goes to the other servers, and comes from them.

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

use super::hint::{Hint, Ways};
use crate::{
    domain::RunId,
    store::{ConnectionPool, Pools},
};

const CHANNEL: &str = "category_mirror";
/// How long hints are collected: at most 50 notifications a second a process.
const COLLECT: Duration = Duration::from_millis(20);
/// Ids in one notification: 180 of 36 characters, separators and the rest stay below the payload's limit of 7,999 bytes.
const MAX_IDS: usize = 180;
/// Ids that one hint may add to a notification.
pub(super) const MAX_PART: usize = 60;
/// Between two times that the others are told to look at everything.
const EVERYTHING_PAUSE: Duration = Duration::from_secs(1);
/// Between attempts to listen again.
const RECONNECT: Duration = Duration::from_secs(1);
/// A connection that is quiet for so long is asked whether it is still there: a server vanishes, and a firewall forgets, without a word.
const QUIET: Duration = Duration::from_secs(5);
/// How long a server may take to answer, or to let a connection in.
const ANSWER: Duration = Duration::from_secs(3);

/// Collected hints, as they are sent.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Notification {
    /// The process that sent it, which has heard it already.
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
    everything: bool,
}

impl Notification {
    fn add(&mut self, hint: Hint) {
        match hint {
            Hint::Queued => self.queued = true,
            Hint::Flags => self.flags = true,
            Hint::Batch => self.batch = true,
            Hint::Cancel(id) => drop(self.cancel.insert(id)),
            Hint::Changed(ids) => self.changed.extend(ids.iter()),
            Hint::Everything => self.everything = true,
            Hint::Waiting(_) => {}
        }
    }

    fn is_full(&self) -> bool {
        self.cancel.len() + self.changed.len() > MAX_IDS - MAX_PART
    }
}

/// Sends what this process hints at.
pub(super) async fn send(
    connection: ConnectionPool,
    origin: Uuid,
    mut collected: mpsc::Receiver<Hint>,
    overflowed: Arc<AtomicBool>,
) {
    let mut told_everything: Option<Instant> = None;
    while let Some(first) = collected.recv().await {
        sleep(COLLECT).await;
        let mut notification = Notification { origin, ..Notification::default() };
        notification.add(first);
        while !notification.is_full()
            && let Ok(hint) = collected.try_recv()
        {
            notification.add(hint);
        }
        // Looking at everything is dear: not more than once a second for each of the others.
        let is_due = told_everything.is_none_or(|at| at.elapsed() >= EVERYTHING_PAUSE);
        if is_due && overflowed.swap(false, Ordering::Relaxed) {
            notification.everything = true;
            told_everything = Some(Instant::now());
        }
        let payload = serde_json::to_string(&notification).expect("plain data has a JSON form");
        let sending = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(&connection);
        if let Err(error) = timeout(ANSWER, sending).await.unwrap_or_else(|_| Err(silent())) {
            tracing::debug!(%error, "could not send a wake-up");
        }
    }
}

/// Hears what the others hint at.
pub(super) async fn listen(pools: Pools, origin: Uuid, incoming: Ways) {
    loop {
        let Err(error) = listen_once(&pools, origin, &incoming).await;
        tracing::warn!(%error, "lost the connection that listens for wake-ups");
        incoming.send(Hint::Everything);
        sleep(RECONNECT).await;
    }
}

async fn listen_once(pools: &Pools, origin: Uuid, incoming: &Ways) -> Result<Infallible, sqlx::Error> {
    let mut listener = timeout(ANSWER, start_listening(pools)).await.unwrap_or_else(|_| Err(silent()))?;
    // What happened before this moment was not heard.
    incoming.send(Hint::Everything);
    loop {
        let Some(message) = receive(&mut listener).await? else {
            tracing::warn!("the connection that listens for wake-ups broke, and was made again");
            incoming.send(Hint::Everything);
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
            incoming.send(Hint::Queued);
        }
        if notification.everything {
            incoming.send(Hint::Everything);
        }
        if notification.flags {
            incoming.send(Hint::Flags);
        }
        if notification.batch {
            incoming.send(Hint::Batch);
        }
        for id in notification.cancel {
            incoming.send(Hint::Cancel(id));
        }
        if !notification.changed.is_empty() {
            incoming.send(Hint::Changed(notification.changed.into_iter().collect()));
        }
    }
}

/// Listens.
///
/// In a pool of its own each time. sqlx gives the connection of a listener back by a task that waits for the server without a bound: a
/// server that has fallen silent would keep the only place of the pool.
async fn start_listening(pools: &Pools) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(&pools.for_listening().await?).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

fn silent() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the database did not answer in time").into()
}

/// Waits for a notification. `None`: the connection broke and was made again, and notifications were lost in between.
async fn receive(listener: &mut PgListener) -> Result<Option<PgNotification>, sqlx::Error> {
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(received) => return received,
            Err(_quiet) => match timeout(ANSWER, sqlx::query("select 1").execute(&mut *listener)).await {
                Ok(answered) => {
                    answered?;
                }
                Err(_silent) => return Err(silent()),
            },
        }
    }
}
