//! Carrying runs out: claims them, keeps their leases, and brings each to its end.
//!
//! Any number of runners share one table. None leads; a run whose holder died is queued again by whichever sees its lease expire.

mod attempt;
#[cfg_attr(not(test), expect(dead_code, reason = "the attempts are about to ask it"))]
mod circuit;
mod claims;
mod heartbeat;
mod housekeeping;
mod platform_to_gbp;
mod record;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use self::{attempt::Attempt, claims::Claims};
use crate::{
    app::Flags,
    domain::Backoff,
    error::Error,
    gbp,
    store::{Now, Store},
    wake::{Hint, Hints, Wake},
};

/// The longest wait between looks at the queue: what a lost hint costs.
const POLL: Duration = Duration::from_secs(1);
/// The shortest one: a due run that somebody holds locked must not be looked at without pause.
const BREATH: Duration = Duration::from_millis(10);
/// The wait after a look that the database refused.
const DATABASE_RETRY: Duration = Duration::from_secs(1);

/// How runs are carried out.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Runs at once.
    pub concurrency: usize,
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// The pause of a tenant and strategy after a real run that succeeded.
    pub cooldown: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
    /// How long a shutdown waits for attempts under way.
    pub grace: Duration,
    /// How many additional categories Google takes.
    pub max_additional: usize,
}

/// What an attempt works with.
#[derive(Debug, Clone)]
struct Tools {
    store: Store,
    gbp: gbp::Client,
    wake: Wake,
    flags: Flags,
    settings: Settings,
}

/// What to wait for before the next look at the queue.
#[derive(Debug)]
enum Next {
    /// A free place.
    Place,
    /// A hint at work, or the time at which some is due.
    Work(Duration),
    /// A database that answers.
    Database,
}

/// A runner of one process.
#[derive(Debug)]
pub struct Runner {
    tools: Arc<Tools>,
    claims: Claims,
    permits: Arc<Semaphore>,
    attempts: JoinSet<()>,
}

impl Runner {
    /// Makes a runner; nothing happens before [`Runner::run`] or [`Runner::tick`].
    #[must_use]
    pub fn new(store: Store, gbp: gbp::Client, wake: Wake, flags: Flags, settings: Settings) -> Self {
        Self {
            tools: Arc::new(Tools { store, gbp, wake, flags, settings }),
            claims: Claims::default(),
            permits: Arc::new(Semaphore::new(settings.concurrency)),
            attempts: JoinSet::new(),
        }
    }

    /// Works until `stop`: then claims nothing more, lets attempts end within the grace period, hands the rest back, and stops the
    /// heartbeat last.
    pub async fn run(mut self, stop: CancellationToken) {
        let heartbeat_stop = CancellationToken::new();
        let heartbeat = tokio::spawn(heartbeat::run(self.tools.clone(), self.claims.clone(), heartbeat_stop.clone()));
        // Also when this is dropped in the middle.
        let heartbeat_stop = heartbeat_stop.drop_guard();
        tokio::spawn(stop.clone().run_until_cancelled_owned(housekeeping::run(self.tools.clone())));
        // Subscribed before the first look: what comes between the look and the wait is not missed.
        let mut hints = self.tools.wake.subscribe();
        let grace = self.tools.settings.grace;
        while !stop.is_cancelled() {
            // A stop does not cut a look short: what it has claimed would lie idle until its lease expires. A database that hangs does.
            let is_late = async {
                stop.cancelled().await;
                sleep(grace).await;
            };
            let next = tokio::select! {
                next = self.look() => next,
                () = is_late => break,
            };
            stop.run_until_cancelled(self.wait(next, &mut hints)).await;
        }
        self.drain().await;
        drop(heartbeat_stop);
        if let Err(error) = heartbeat.await {
            tracing::error!(%error, "the heartbeat did not end well");
        }
    }

    /// Claims what is due at `now` and carries it out, to the end of each attempt. For tests, which own the clock.
    ///
    /// # Errors
    /// The database's.
    pub async fn tick(&mut self, now: Now) -> Result<usize, Error> {
        heartbeat::rescue(&self.tools, now).await?;
        let claimed = self.claim(now).await?;
        while let Some(ended) = self.attempts.join_next().await {
            log_end(ended);
        }
        Ok(claimed)
    }

    /// One look at the queue: claims what is due.
    async fn look(&mut self) -> Next {
        while let Some(ended) = self.attempts.try_join_next() {
            log_end(ended);
        }
        let due = match self.claim(None).await {
            // There may be more than was claimed.
            Ok(claimed) if claimed > 0 || self.permits.available_permits() == 0 => return Next::Place,
            Ok(_) => self.tools.store.next_due(None).await,
            Err(error) => Err(error),
        };
        match due {
            Ok(due) => Next::Work(due.unwrap_or(POLL).clamp(BREATH, POLL)),
            Err(error) => {
                tracing::warn!(error = %cause(&error), "cannot look at the queue");
                Next::Database
            }
        }
    }

    /// Waits for a reason to look again.
    async fn wait(&self, next: Next, hints: &mut Hints) {
        match next {
            // The semaphore is never closed.
            Next::Place => drop(self.permits.acquire().await),
            Next::Work(due) => tokio::select! {
                () = sleep(due) => {}
                () = work_is_there(hints) => {}
            },
            Next::Database => sleep(DATABASE_RETRY).await,
        }
    }

    /// Claims as many runs as there are places, and starts an attempt for each.
    async fn claim(&mut self, now: Now) -> Result<usize, Error> {
        let mut permits = Vec::new();
        while let Ok(permit) = self.permits.clone().try_acquire_owned() {
            permits.push(permit);
        }
        if permits.is_empty() {
            return Ok(0);
        }
        let limit = i64::try_from(permits.len()).unwrap_or(i64::MAX);
        let sent = Instant::now();
        let claimed = self.tools.store.claim(now, limit, self.tools.settings.lease).await?;
        let count = claimed.len();
        for (claimed, permit) in claimed.into_iter().zip(permits) {
            let claim = self.claims.hold(&claimed, sent, self.tools.settings.lease);
            let attempt = Attempt::new(self.tools.clone(), claimed, claim, now);
            self.attempts.spawn(async move {
                attempt.carry_out().await;
                drop(permit);
            });
        }
        Ok(count)
    }

    async fn drain(&mut self) {
        let under_way = self.claims.held().len();
        if under_way > 0 {
            tracing::info!(runs = under_way, "waiting for attempts under way");
        }
        let all_ended = async {
            while let Some(ended) = self.attempts.join_next().await {
                log_end(ended);
            }
        };
        if tokio::time::timeout(self.tools.settings.grace, all_ended).await.is_ok() {
            return;
        }
        // What they were writing is in their intents: the next attempt looks whether it took effect.
        let held = self.claims.held();
        self.attempts.shutdown().await;
        match self.tools.store.hand_back(None, &held).await {
            Ok(runs) => {
                tracing::warn!(runs = runs.len(), "handed back runs that did not end within the grace period");
                self.tools.wake.hint(Hint::Queued);
                self.tools.wake.hint(Hint::Changed(runs.into()));
            }
            Err(error) => {
                tracing::error!(error = %cause(&error), "could not hand runs back; their leases will expire");
            }
        }
    }
}

/// An attempt catches what its strategy does; a panic here is in what records it, and the lease brings the run back.
fn log_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt broke off; its run waits for its lease to expire");
    }
}

async fn work_is_there(hints: &mut Hints) {
    while !matches!(hints.next().await, Hint::Queued | Hint::Everything) {}
}

/// An error with what is behind it, for a log line.
fn cause(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
