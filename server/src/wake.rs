//! Wake-ups between servers, over LISTEN and NOTIFY: hints only, for whoever would otherwise poll.
//!
//! A hint may come twice, late or never. Who gets one looks at the table; who subscribes does so before looking; and
//! [`Hint::Everything`] says that hints may have been lost. NOTIFY takes a lock of the whole cluster at commit, so hints are
//! collected for a moment and sent together, never inside a caller's transaction.

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
use sqlx::{
    PgPool,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};
use tokio::{
    sync::{broadcast, mpsc},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::RunId;

const CHANNEL: &str = "category_mirror";
/// How long hints are collected: at most 50 notifications a second a process.
const COLLECT: Duration = Duration::from_millis(20);
/// Ids in one notification: 180 of 36 characters, separators and the rest stay below the payload's limit of 7,999 bytes.
const MAX_IDS: usize = 180;
/// Ids that one hint may add to a notification.
const MAX_PART: usize = 60;
/// Hints that a slow subscriber may lag behind before it has to look at everything.
const BACKLOG: usize = 1024;
/// Between two times that the others are told to look at everything.
const EVERYTHING_PAUSE: Duration = Duration::from_secs(1);
/// Between attempts to listen again.
const RECONNECT: Duration = Duration::from_secs(1);
/// A connection that is quiet for so long is asked whether it is still there: a firewall forgets it without a word to either side.
const QUIET: Duration = Duration::from_secs(60);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

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
struct Ways([broadcast::Sender<Hint>; 5]);

impl Ways {
    fn new() -> Self {
        Self(std::array::from_fn(|_| broadcast::channel(BACKLOG).0))
    }

    fn send(&self, hint: Hint) {
        // Nobody may be listening.
        match hint.topic() {
            Some(topic) => drop(self.0[topic as usize].send(hint)),
            None => self.0.iter().for_each(|way| drop(way.send(hint.clone()))),
        }
    }
}

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
    pub fn start(pool: PgPool, stop: CancellationToken) -> Self {
        let (outgoing, collected) = mpsc::channel(BACKLOG);
        let incoming = Ways::new();
        let origin = Uuid::now_v7();
        // Its connection is its own for life, and not one of those that calls and runs share.
        let one = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let listening = one.connect_lazy_with((*pool.connect_options()).clone());
        let overflowed = Arc::new(AtomicBool::new(false));
        tokio::spawn(stop.clone().run_until_cancelled_owned(send(pool, origin, collected, overflowed.clone())));
        tokio::spawn(stop.run_until_cancelled_owned(listen(listening, origin, incoming.clone())));
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
        Hints(self.incoming.0[topic as usize].subscribe())
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

async fn send(pool: PgPool, origin: Uuid, mut collected: mpsc::Receiver<Hint>, overflowed: Arc<AtomicBool>) {
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
        if let Err(error) = sqlx::query("select pg_notify($1, $2)").bind(CHANNEL).bind(payload).execute(&pool).await {
            tracing::debug!(%error, "could not send a wake-up");
        }
    }
}

async fn listen(pool: PgPool, origin: Uuid, incoming: Ways) {
    loop {
        let Err(error) = listen_once(&pool, origin, &incoming).await;
        tracing::warn!(%error, "lost the connection that listens for wake-ups");
        incoming.send(Hint::Everything);
        sleep(RECONNECT).await;
    }
}

async fn listen_once(pool: &PgPool, origin: Uuid, incoming: &Ways) -> Result<Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
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

/// Waits for a notification. `None`: the connection broke and was made again, and notifications were lost in between.
async fn receive(listener: &mut PgListener) -> Result<Option<PgNotification>, sqlx::Error> {
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(received) => return received,
            Err(_quiet) => match timeout(ANSWER, sqlx::query("select 1").execute(&mut *listener)).await {
                Ok(answered) => {
                    answered?;
                }
                Err(_silent) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            },
        }
    }
}
