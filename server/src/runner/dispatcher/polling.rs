//! The polls of the queue: what is claimed, and when it is started.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinError, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    claiming::{claim, claim_for_probe, return_unanswered_claims},
    prefetch::{PrefetchQueue, PrefetchedRun},
    release::release,
    worker_slots::{SlotPermit, WorkerSlots},
};
use crate::{
    error::Error,
    runner::{
        circuit_breaker::{Permission, Probe},
        context::{RunnerContext, error_chain},
        execution,
        leases::HeldLeases,
    },
    store::{ClaimLimits, StatementTime},
    wake::{WakeUp, WakeUpReceiver},
};

/// The longest wait between polls of the queue: what a lost wake-up costs.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The shortest wait for a run that is due: one whose row another transaction has locked must not be polled without a pause.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The wait after a poll that the database refused.
const DATABASE_RETRY_DELAY: Duration = Duration::from_secs(1);
/// How many due runs enter the ready queue at a time, so that those that wait there do not get a crowd before them.
pub(in crate::runner) const DUE_BATCH_SIZE: i64 = 100;
/// Claims beyond the slots: runs that wait for a slot, and runs whose end waits for its commit.
const MAX_CLAIMED_BEYOND_SLOTS: usize = 1024;

/// A reason to poll the queue again. A wake-up is always one.
#[derive(Debug)]
pub(in crate::runner) struct NextPoll {
    /// A free slot for such a run: bulk, or any.
    slot: Option<bool>,
    /// So much time.
    time: Duration,
}

/// Claims runs and starts their attempts.
pub(in crate::runner) struct Dispatcher {
    pub(super) context: Arc<RunnerContext>,
    pub(super) leases: HeldLeases,
    slots: WorkerSlots,
    pub(super) prefetched: PrefetchQueue,
    /// The claim that a poll waits for: at most one. A task of its own, so that a poll that is cut short does not lose what it brings.
    pub(super) claiming: JoinSet<Result<Vec<PrefetchedRun>, Error>>,
    pub(super) attempts: JoinSet<()>,
    /// When delayed runs are polled next.
    next_enqueue_due: Instant,
    /// Ends the work: what a running poll has claimed is not started any more.
    stop: CancellationToken,
}

impl Dispatcher {
    /// Creates a dispatcher whose slots are all free.
    pub(in crate::runner) fn new(context: Arc<RunnerContext>, leases: HeldLeases) -> Self {
        Self {
            slots: WorkerSlots::new(context.settings.concurrency),
            context,
            leases,
            prefetched: PrefetchQueue::default(),
            claiming: JoinSet::new(),
            attempts: JoinSet::new(),
            next_enqueue_due: Instant::now(),
            stop: CancellationToken::new(),
        }
    }

    /// Starts no attempt after `stop`.
    pub(in crate::runner) fn work_until(&mut self, stop: CancellationToken) {
        self.stop = stop;
    }

    /// Polls the queue once: claims what there is room for, and starts what there are slots for.
    pub(in crate::runner) async fn poll(&mut self) -> NextPoll {
        while let Some(ended) = self.attempts.try_join_next() {
            log_end(ended);
            self.prefetched.ended();
        }
        let returned = return_unanswered_claims(&self.context).await;
        let polled = match (returned, self.context.circuit.permits(Instant::now())) {
            (Err(error), _) => Err(error),
            (Ok(()), Permission::Allowed) => self.poll_ready_runs().await,
            (Ok(()), Permission::Probe(probe)) => self.probe(probe).await,
            (Ok(()), Permission::Wait(wait)) => {
                // Nothing is started here while the circuit is open, so another process may have them.
                let prefetched = self.prefetched.take_all();
                release(&self.context, prefetched).await;
                Ok(NextPoll { slot: None, time: wait.min(POLL_INTERVAL) })
            }
        };
        polled.unwrap_or_else(|error| {
            tracing::warn!(error = %error_chain(&error), "cannot poll the queue");
            NextPoll { slot: self.prefetched.next_is_bulk(), time: DATABASE_RETRY_DELAY }
        })
    }

    /// Waits for a reason to poll again.
    pub(in crate::runner) async fn wait(&mut self, next: NextPoll, wake_ups: &mut WakeUpReceiver) {
        tokio::select! {
            () = sleep(next.time) => {}
            wake_up = wake_ups.next() => {
                // One poll serves all wake-ups that are there.
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

    /// Claims what is ready at `now` and executes it, to the end of each attempt. For tests, which own the clock.
    pub(in crate::runner) async fn execute_ready(&mut self, now: StatementTime) -> Result<usize, Error> {
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

    async fn poll_ready_runs(&mut self) -> Result<NextPoll, Error> {
        let expired = self.prefetched.take_expired(Instant::now());
        release(&self.context, expired).await;
        // Before the claim: runs that are claimed while the kill switch cannot be read would only be released, again and again.
        self.context.flags.now().await?;
        self.start(None);
        let limits = self.claim_limits();
        let claimed = self.claim(None, limits).await?;
        self.start(None);
        // There may be more in the ready queue than there was room for, of any kind or of one.
        let is_full = i64::try_from(claimed).is_ok_and(|claimed| claimed >= limits.runs);
        let slot = self.prefetched.next_is_bulk().or(is_full.then_some(false)).or((limits.bulk <= 0).then_some(true));
        Ok(NextPoll { slot, time: self.enqueue_due().await? })
    }

    /// How many runs to claim: as many as there are free slots, and some ahead. Interactive ones pass those that are ready.
    fn claim_limits(&mut self) -> ClaimLimits {
        let prefetch_size = self.prefetched.prefetch_size();
        let held = self.leases.len();
        let bound = (self.context.settings.concurrency + MAX_CLAIMED_BEYOND_SLOTS).saturating_sub(held);
        let limits = |bulk: bool| {
            let prefetched = self.prefetched.len(bulk);
            let free = self.slots.free(bulk);
            // A few at a time would be a statement for each.
            if free == 0 && prefetched * 2 > prefetch_size {
                0
            } else {
                (free + prefetch_size).saturating_sub(prefetched).min(bound)
            }
        };
        let count = |runs: usize| i64::try_from(runs).unwrap_or(i64::MAX);
        ClaimLimits { runs: count(limits(false)), bulk: count(limits(true)) }
    }

    /// Claims runs, and starts those that are ready in the meantime.
    async fn claim(&mut self, now: StatementTime, limits: ClaimLimits) -> Result<usize, Error> {
        if limits.runs <= 0 {
            return Ok(0);
        }
        self.claiming.spawn(claim(self.context.clone(), self.leases.clone(), now, limits));
        let claimed = loop {
            let next = self.prefetched.next_is_bulk();
            tokio::select! {
                // Cancel-safe: what is not taken out here is there for the drain.
                claimed = self.claiming.join_next() => break claimed.unwrap_or(Ok(Ok(Vec::new()))).map_err(claim_failed)??,
                () = self.slots.freed(next.unwrap_or_default()), if next.is_some() && !self.stop.is_cancelled() => self.start(now),
            }
        };
        let count = claimed.len();
        for prefetched in claimed {
            self.prefetched.push(prefetched);
        }
        Ok(count)
    }

    /// Starts an attempt of each run that is ready and gets a slot.
    fn start(&mut self, now: StatementTime) {
        // The slot first: a run that was taken out of the queue and got none would have to go back to its place.
        while !self.stop.is_cancelled()
            && let Some(slot) = self.prefetched.next_is_bulk().and_then(|bulk| self.slots.take(bulk))
            && let Some(prefetched) = self.prefetched.pop()
        {
            self.spawn(prefetched, now, slot, None);
        }
    }

    /// Starts an attempt. It holds the slot and the probe until its way has ended and the circuit has its answer.
    fn spawn(&mut self, prefetched: PrefetchedRun, now: StatementTime, slot: SlotPermit, probe: Option<Probe>) {
        let begun = prefetched.begin(&self.context, now);
        self.attempts.spawn(execution::execute(self.context.clone(), begun, (slot, probe)));
    }

    /// Executes one run, to see whether Google works again: the first in the ready queue that was not probed in this rotation.
    async fn probe(&mut self, probe: Probe) -> Result<NextPoll, Error> {
        self.context.flags.now().await?;
        // Runs that are left from before the circuit opened do not go before others.
        let left = self.prefetched.take_all();
        release(&self.context, left).await;
        for prefetched in claim_for_probe(&self.context, &self.leases).await? {
            self.prefetched.push(prefetched);
        }
        if let Some(slot) = self.prefetched.next_is_bulk().and_then(|bulk| self.slots.take(bulk))
            && let Some(prefetched) = self.prefetched.pop()
        {
            prefetched.names().into_iter().for_each(|name| probe.is_for(name));
            self.spawn(prefetched, None, slot, Some(probe));
        }
        Ok(NextPoll { slot: None, time: self.enqueue_due().await? })
    }

    /// Moves due runs into the ready queue. Returns how long to wait before the next poll.
    async fn enqueue_due(&mut self) -> Result<Duration, Error> {
        let now = Instant::now();
        if now < self.next_enqueue_due {
            return Ok(self.next_enqueue_due - now);
        }
        let enqueued = self.context.store.enqueue_due(None, DUE_BATCH_SIZE).await?;
        let next = enqueued.next.unwrap_or(POLL_INTERVAL).clamp(MIN_POLL_INTERVAL, POLL_INTERVAL);
        self.next_enqueue_due = now + next;
        Ok(if enqueued.runs > 0 { Duration::ZERO } else { next })
    }
}

/// An attempt catches what its strategy does; a panic here is in what records it, and the lease brings the run back.
pub(super) fn log_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt broke off; its run waits for its lease to expire");
    }
}

fn claim_failed(error: JoinError) -> Error {
    Error::Internal(format!("a claim broke off: {error}").into())
}
