//! Carrying runs out: claims them, keeps their leases, and brings each to its end.
//!
//! Any number of runners share one table. None leads; a run whose holder died is queued again by whichever sees its lease expire.

mod attempt;
mod claims;
mod heartbeat;
mod platform_to_gbp;
mod record;

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet, time::sleep};
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
        // Subscribed before the first look: what comes between the look and the wait is not missed.
        let mut hints = self.tools.wake.subscribe();
        while stop.run_until_cancelled(self.work(&mut hints)).await.is_some() {}
        self.drain().await;
        heartbeat_stop.cancel();
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
        while self.attempts.join_next().await.is_some() {}
        Ok(claimed)
    }

    /// One look at the queue, and the wait for a reason to look again.
    async fn work(&mut self, hints: &mut Hints) {
        while self.attempts.try_join_next().is_some() {}
        match self.claim(None).await {
            // Everything is busy, or there may be more: the next free place decides.
            Ok(claimed) if claimed > 0 => self.place_is_free().await,
            Ok(_) if self.permits.available_permits() == 0 => self.place_is_free().await,
            Ok(_) => {
                let wait = self.tools.store.next_due(None).await.ok().flatten().map_or(POLL, |due| due.min(POLL));
                tokio::select! {
                    () = sleep(wait) => {}
                    () = work_is_there(hints) => {}
                }
            }
            Err(error) => {
                tracing::warn!(error = %cause(&error), "cannot look at the queue");
                sleep(DATABASE_RETRY).await;
            }
        }
    }

    async fn place_is_free(&self) {
        // The semaphore is never closed.
        let _ = self.permits.acquire().await;
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
        let claimed = self.tools.store.claim(now, limit, self.tools.settings.lease).await?;
        let count = claimed.len();
        for (claimed, permit) in claimed.into_iter().zip(permits) {
            let claim = self.claims.hold(&claimed, self.tools.settings.lease);
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
        let all_ended = async { while self.attempts.join_next().await.is_some() {} };
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
