//! Carrying runs out: claims them, keeps their leases, and brings each to its end.
//!
//! Any number of runners share one table. None leads; a run whose holder died is queued again by whichever sees its lease expire.

mod attempt;
mod batch_guard;
mod batches;
mod circuit;
mod claims;
mod closed;
mod drain;
mod gbp_to_platform;
mod heartbeat;
mod housekeeping;
mod look;
mod orders;
mod places;
mod platform_to_gbp;
mod ready;
mod record;
mod standing;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinError, JoinSet},
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use self::batches::CHUNK;
use self::{
    attempt::Names,
    circuit::Circuit,
    claims::Claims,
    look::PROMOTED,
    places::Places,
    ready::{Ready, Waiting},
};
use crate::{
    app::{Accounts, Flags},
    domain::{Backoff, GuardLimits},
    error::Error,
    store::{Finisher, Now, Retention, Room, Store},
    wake::{Hint, Hints, Topic, Wake},
};

/// The longest wait between looks at the queue: what a lost hint costs.
const POLL: Duration = Duration::from_secs(1);
/// The shortest wait for a run that is due: one that somebody holds locked must not be looked at without pause.
const BREATH: Duration = Duration::from_millis(10);

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
    /// How long ended runs are kept.
    pub retention: Retention,
    /// What a run may do to its target unless a person says more.
    pub guards: GuardLimits,
}

/// What an attempt works with.
#[derive(Debug, Clone)]
struct Tools {
    store: Store,
    finisher: Finisher,
    accounts: Names,
    circuit: Circuit,
    wake: Wake,
    flags: Flags,
    settings: Settings,
}

/// A reason to look at the queue again. A hint is always one.
#[derive(Debug)]
struct Next {
    /// A free place for such a run: bulk, or any.
    place: Option<bool>,
    /// So much time.
    time: Duration,
}

/// A runner of one process.
pub struct Runner {
    tools: Arc<Tools>,
    claims: Claims,
    places: Places,
    ready: Ready,
    /// The claim that a look waits for: at most one. A task of its own, so that a look that is cut short does not lose what it brings.
    claiming: JoinSet<Result<Vec<Waiting>, Error>>,
    attempts: JoinSet<()>,
    /// When runs that wait for their time are looked at next.
    promotion: Instant,
    /// Ends the work: what was claimed by a look under way is not begun any more.
    stop: CancellationToken,
    _finisher_stop: DropGuard,
}

impl Runner {
    /// Makes a runner; nothing happens before [`Runner::run`] or [`Runner::tick`].
    #[must_use]
    pub fn new(store: Store, accounts: Accounts, wake: Wake, flags: Flags, settings: Settings) -> Self {
        let finisher_stop = CancellationToken::new();
        let finisher = Finisher::start(&store, &finisher_stop);
        Self {
            tools: Arc::new(Tools {
                store,
                finisher,
                accounts: Names::new(accounts),
                circuit: Circuit::new(),
                wake,
                flags,
                settings,
            }),
            claims: Claims::default(),
            places: Places::new(settings.concurrency),
            ready: Ready::default(),
            claiming: JoinSet::new(),
            attempts: JoinSet::new(),
            promotion: Instant::now(),
            stop: CancellationToken::new(),
            _finisher_stop: finisher_stop.drop_guard(),
        }
    }

    /// Works until `stop`: then claims nothing more, lets attempts end within the grace period, hands the rest back, and stops the
    /// heartbeat last.
    pub async fn run(mut self, stop: CancellationToken) {
        self.stop = stop.clone();
        let heartbeat_stop = CancellationToken::new();
        let heartbeat = tokio::spawn(heartbeat::run(self.tools.clone(), self.claims.clone(), heartbeat_stop.clone()));
        tokio::spawn(heartbeat_stop.clone().run_until_cancelled_owned(heartbeat::rescue_expired(self.tools.clone())));
        // Also when this is dropped in the middle.
        let heartbeat_stop = heartbeat_stop.drop_guard();
        tokio::spawn(stop.clone().run_until_cancelled_owned(housekeeping::run(self.tools.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(batches::run(self.tools.clone())));
        // Subscribed before the first look: what comes between the look and the wait is not missed.
        let mut hints = self.tools.wake.subscribe(Topic::Work);
        let grace = self.tools.settings.grace;
        while !stop.is_cancelled() {
            // A stop does not cut a look short; a database that hangs does. What its claim still brings is handed back by the drain.
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
        self.tools.store.promote(now, PROMOTED).await?;
        let limit = i64::try_from(self.tools.settings.concurrency).unwrap_or(i64::MAX);
        let claimed = self.claim(now, Room::of(limit)).await?;
        while self.ready.next_is_bulk().is_some() {
            self.start(now);
            if let Some(ended) = self.attempts.join_next().await {
                log_end(ended);
            }
        }
        while let Some(ended) = self.attempts.join_next().await {
            log_end(ended);
        }
        Ok(claimed)
    }

    /// Waits for a reason to look again.
    async fn wait(&mut self, next: Next, hints: &mut Hints) {
        tokio::select! {
            () = sleep(next.time) => {}
            hint = hints.next() => {
                // One look serves all that is there.
                let mut hint = Some(hint);
                while let Some(next) = hint {
                    if let Hint::Waiting(time) = next {
                        self.promotion = self.promotion.min(Instant::now() + time.max(BREATH));
                    }
                    hint = hints.pending();
                }
            }
            () = self.places.freed(next.place.unwrap_or_default()), if next.place.is_some() => {}
        }
    }
}

/// An attempt catches what its strategy does; a panic here is in what records it, and the lease brings the run back.
fn log_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt broke off; its run waits for its lease to expire");
    }
}

/// An error with what is behind it, for a log line.
fn cause(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
