//! What streams are fed from. One task a process hears of changes, reads each changed run once, and hands the snapshot to whoever
//! watches it; a watcher that is quiet costs no statement and no task.
//!
//! Level-triggered: hints say when to look, and what is told is what the table says. What a hint missed is found by the next look.

mod board;
#[cfg(test)]
mod board_model;
#[cfg(test)]
mod board_tests;
mod mailbox;
#[cfg(test)]
mod mailbox_tests;
mod memory;
mod reads;
mod watch;

use std::{
    collections::BTreeSet,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::{sleep, sleep_until};

pub(super) use self::board::Interest;
pub use self::watch::Watch;
use self::{
    board::{Board, Horizon},
    mailbox::End,
    memory::ReadAhead,
    reads::WatchReads,
};
use crate::{
    domain::{Run, RunId},
    error::Error,
    store::{LogFilter, Store},
    wake::{Hint, Hints},
};

/// Runs that are read at once.
const READ: usize = 200;
/// Ids that are asked for at once.
const NAMED: usize = 10_000;
/// Changed runs that wait to be read. Beyond, a look finds them again.
const MAX_WANTED: usize = 100_000;
/// The shortest time between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Between tries while the database is away.
const RETRY: Duration = Duration::from_millis(500);
/// How long the database may be away before watchers are sent elsewhere.
const PATIENCE: Duration = Duration::from_secs(5);

/// The feed of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    store: Store,
    board: Arc<Mutex<Board>>,
    /// What its watches read by themselves.
    ahead: ReadAhead,
    /// How many of them read at once.
    reads: WatchReads,
}

/// What the task has to do.
struct Work {
    /// Runs that changed, and were not read since.
    wanted: BTreeSet<RunId>,
    looked: Instant,
    /// When to look at everything again.
    look: Instant,
    /// Since when the database is away.
    failing: Option<Instant>,
}

impl Feed {
    /// Makes a feed. It stays empty without [`Feed::keep_fed`].
    #[must_use]
    pub fn new(store: Store) -> Self {
        let reads = WatchReads::new(store.max_connections());
        Self { store, board: Arc::default(), ahead: ReadAhead::default(), reads }
    }

    /// Feeds the watchers: by hints, and by a look at everything that may have changed once an `interval`. Never ends.
    pub async fn keep_fed(self, mut hints: Hints, interval: Duration) {
        let now = Instant::now();
        let mut work = Work { wanted: BTreeSet::new(), looked: now, look: now + interval, failing: None };
        loop {
            // In this order: a look is due even while hints come without pause, and all hints that are there go before one read for them.
            let done = tokio::select! {
                biased;
                () = sleep_until(work.look.into()) => {
                    work.looked = Instant::now();
                    work.look = work.looked + interval;
                    self.look(&mut work.wanted).await
                }
                hint = hints.next() => {
                    self.note(hint, &mut work);
                    continue;
                }
                () = ready(()), if !work.wanted.is_empty() => self.read(&mut work.wanted).await,
            };
            match done {
                Ok(()) => work.failing = None,
                Err(error) => self.endure(&error, &mut work).await,
            }
        }
    }

    fn note(&self, hint: Hint, work: &mut Work) {
        match hint {
            Hint::Everything => work.look_soon(),
            Hint::Changed(ids) => {
                let board = self.board();
                // A batch is told of as a run is, by its id.
                ids.iter().for_each(|id| board.sign(*id));
                work.wanted.extend(ids.iter().copied().filter(|id| board.concerns(*id)));
            }
            _ => {}
        }
        if work.wanted.len() > MAX_WANTED {
            work.wanted.clear();
            work.look_soon();
        }
    }

    /// Reads some of the runs that changed, and tells of them.
    async fn read(&self, wanted: &mut BTreeSet<RunId>) -> Result<(), Error> {
        let ids: Vec<RunId> = wanted.iter().copied().take(READ).collect();
        let runs = self.store.runs(&LogFilter::default(), &ids).await?;
        for id in &ids {
            wanted.remove(id);
        }
        self.publish(runs);
        Ok(())
    }

    /// Looks at everything that may have changed since the last look.
    async fn look(&self, wanted: &mut BTreeSet<RunId>) -> Result<(), Error> {
        let Some(Horizon { ended_after, new_after, named, is_broad }) = self.board().horizon() else { return Ok(()) };
        // Before the look, so that the next one begins where this one did.
        let time = self.store.time(None).await?;
        let mut found = Vec::new();
        for named in named.chunks(NAMED) {
            found.extend(self.store.revisions(named).await?);
        }
        let there: BTreeSet<RunId> = found.iter().map(|(id, _)| *id).collect();
        let gone: Vec<RunId> = named.into_iter().filter(|id| !there.contains(id)).collect();
        if is_broad {
            found.extend(self.store.changed_runs(ended_after, new_after).await?);
        }
        let mut board = self.board();
        wanted.extend(board.news(&found));
        board.looked(time, &gone, Instant::now());
        board.sign_all();
        Ok(())
    }

    /// What to do when the database does not answer: wait, and at last send the watchers to a server that has one.
    async fn endure(&self, error: &Error, work: &mut Work) {
        let now = Instant::now();
        if work.failing.is_none() {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, "cannot read the changes of runs; trying again");
        }
        if now.saturating_duration_since(*work.failing.get_or_insert(now)) >= PATIENCE {
            self.board().end_all(End::Unavailable);
        }
        work.look_soon();
        sleep(RETRY).await;
    }

    fn publish(&self, runs: Vec<Run>) {
        let (mut board, now) = (self.board(), Instant::now());
        for run in runs {
            board.publish(&Arc::new(run), now);
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        // Nothing panics while it is held.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn look_soon(&mut self) {
        self.look = self.look.min(self.looked + LOOK_PAUSE);
    }
}
