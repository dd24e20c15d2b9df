//! Carrying runs out: claims them, keeps their leases, and brings each to its end.
//!
//! Any number of runners share one table. None leads; a run whose holder died is queued again by whichever sees its lease expire.

mod attempt;
mod batch_guard;
mod batches;
mod circuit_breaker;
mod closed_location;
mod dispatcher;
mod drain;
mod gbp_to_platform;
mod held_leases;
mod housekeeping;
mod lease_renewal;
mod platform_to_gbp;
mod prefetch;
mod record;
mod run_options;
mod sync_tracker;
mod worker_slots;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinError, JoinSet},
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::batches::CHUNK_LIMITS;
use self::{
    attempt::AccountClientHandle,
    circuit_breaker::CircuitBreaker,
    dispatcher::DUE_BATCH_SIZE,
    held_leases::HeldLeases,
    prefetch::{PrefetchQueue, PrefetchedRun},
    worker_slots::WorkerSlots,
};
use crate::{
    app::{AccountClients, FlagCache},
    domain::{Backoff, GuardLimits},
    error::Error,
    store::{ClaimLimits, Finisher, Retention, StatementTime, Store},
    wake::{Topic, WakeUp, WakeUpBus, WakeUpReceiver},
};

/// The longest wait between polls of the queue: what a lost wake-up costs.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest wait for a run that is due: one that somebody holds locked must not be polled without pause.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How runs are carried out.
#[derive(Debug, Clone, Copy)]
pub struct RunnerConfig {
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
struct RunnerContext {
    store: Store,
    finisher: Finisher,
    accounts: AccountClientHandle,
    circuit: CircuitBreaker,
    wake: WakeUpBus,
    flags: FlagCache,
    settings: RunnerConfig,
}

/// A reason to poll the queue again. A wake-up is always one.
#[derive(Debug)]
struct NextPoll {
    /// A free place for such a run: bulk, or any.
    slot: Option<bool>,
    /// So much time.
    time: Duration,
}

/// A runner of one process.
pub struct Runner {
    context: Arc<RunnerContext>,
    claims: HeldLeases,
    slots: WorkerSlots,
    prefetched: PrefetchQueue,
    /// The claim that a poll waits for: at most one. A task of its own, so that a poll that is cut short does not lose what it brings.
    claiming: JoinSet<Result<Vec<PrefetchedRun>, Error>>,
    attempts: JoinSet<()>,
    /// When runs that wait for their time are polled next.
    next_enqueue_due: Instant,
    /// Ends the work: what was claimed by a poll under way is not begun any more.
    stop: CancellationToken,
    _finisher_stop: DropGuard,
}

impl Runner {
    /// Makes a runner; nothing happens before [`Runner::run`] or [`Runner::tick`].
    #[must_use]
    pub fn new(
        store: Store,
        accounts: AccountClients,
        wake: WakeUpBus,
        flags: FlagCache,
        settings: RunnerConfig,
    ) -> Self {
        let finisher_stop = CancellationToken::new();
        let finisher = Finisher::start(&store, &finisher_stop);
        Self {
            context: Arc::new(RunnerContext {
                store,
                finisher,
                accounts: AccountClientHandle::new(accounts),
                circuit: CircuitBreaker::new(),
                wake,
                flags,
                settings,
            }),
            claims: HeldLeases::default(),
            slots: WorkerSlots::new(settings.concurrency),
            prefetched: PrefetchQueue::default(),
            claiming: JoinSet::new(),
            attempts: JoinSet::new(),
            next_enqueue_due: Instant::now(),
            stop: CancellationToken::new(),
            _finisher_stop: finisher_stop.drop_guard(),
        }
    }

    /// Works until `stop`: then claims nothing more, lets attempts end within the grace period, hands the rest back, and stops the
    /// heartbeat last.
    pub async fn run(mut self, stop: CancellationToken) {
        self.stop = stop.clone();
        let heartbeat_stop = CancellationToken::new();
        let heartbeat =
            tokio::spawn(lease_renewal::run(self.context.clone(), self.claims.clone(), heartbeat_stop.clone()));
        tokio::spawn(
            heartbeat_stop
                .clone()
                .run_until_cancelled_owned(lease_renewal::keep_reclaiming_expired(self.context.clone())),
        );
        // Also when this is dropped in the middle.
        let heartbeat_stop = heartbeat_stop.drop_guard();
        tokio::spawn(stop.clone().run_until_cancelled_owned(housekeeping::run(self.context.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(batches::run(self.context.clone())));
        // Subscribed before the first poll: what comes between the poll and the wait is not missed.
        let mut wake_ups = self.context.wake.subscribe(Topic::Work);
        let grace = self.context.settings.grace;
        while !stop.is_cancelled() {
            // A stop does not cut a poll short; a database that hangs does. What its claim still brings is released by the drain.
            let is_late = async {
                stop.cancelled().await;
                sleep(grace).await;
            };
            let next = tokio::select! {
                next = self.poll_queue() => next,
                () = is_late => break,
            };
            stop.run_until_cancelled(self.wait(next, &mut wake_ups)).await;
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
    pub async fn tick(&mut self, now: StatementTime) -> Result<usize, Error> {
        lease_renewal::reclaim_expired(&self.context, now).await?;
        self.context.store.enqueue_due(now, DUE_BATCH_SIZE).await?;
        let limit = i64::try_from(self.context.settings.concurrency).unwrap_or(i64::MAX);
        let claimed = self.claim(now, ClaimLimits::of(limit)).await?;
        while self.prefetched.next_is_bulk().is_some() {
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

    /// Waits for a reason to poll again.
    async fn wait(&mut self, next: NextPoll, wake_ups: &mut WakeUpReceiver) {
        tokio::select! {
            () = sleep(next.time) => {}
            wake_up = wake_ups.next() => {
                // One poll serves all that is there.
                let mut wake_up = Some(wake_up);
                while let Some(next) = wake_up {
                    if let WakeUp::RunDueIn(time) = next {
                        self.next_enqueue_due = self.next_enqueue_due.min(Instant::now() + time.max(MIN_POLL_INTERVAL));
                    }
                    wake_up = wake_ups.pending();
                }
            }
            () = self.slots.freed(next.slot.unwrap_or_default()), if next.slot.is_some() => {}
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
fn error_chain(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
