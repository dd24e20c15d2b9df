//! Looking at the queue: what is claimed, and when it is begun.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinError;

use super::{
    MIN_POLL_INTERVAL, NextPoll, POLL_INTERVAL, Runner, RunnerContext,
    attempt::AttemptExecution,
    circuit_breaker::{Permission, Probe},
    error_chain,
    held_leases::HeldLeases,
    log_end,
    prefetch::PrefetchedRun,
};
use crate::{
    error::Error,
    store::{ClaimLimits, ClaimedRun, StatementTime},
    wake::WakeUp,
};

/// The wait after a poll that the database refused.
const DATABASE_RETRY_DELAY: Duration = Duration::from_secs(1);
/// How many runs whose time has come enter the ready queue at a time: those that wait there are not to find a crowd before them.
pub(super) const DUE_BATCH_SIZE: i64 = 100;
/// Claims beyond the places: those that wait for one, and those whose end waits for its commit.
const MAX_CLAIMED_BEYOND_SLOTS: usize = 1024;

impl Runner {
    /// One poll of the queue: claims what there is room for, and starts what there are places for.
    pub(super) async fn poll_queue(&mut self) -> NextPoll {
        while let Some(ended) = self.attempts.try_join_next() {
            log_end(ended);
            self.prefetched.ended();
        }
        let returned = self.context.return_unanswered_claims().await;
        let polled = match (returned, self.context.circuit.permits(Instant::now())) {
            (Err(error), _) => Err(error),
            (Ok(()), Permission::Allowed) => self.poll_ready_runs().await,
            (Ok(()), Permission::Probe(probe)) => self.probe(probe).await,
            (Ok(()), Permission::Wait(wait)) => {
                let prefetched = self.prefetched.take_all();
                self.release(prefetched).await;
                Ok(NextPoll { slot: None, time: wait.min(POLL_INTERVAL) })
            }
        };
        polled.unwrap_or_else(|error| {
            tracing::warn!(error = %error_chain(&error), "cannot poll the queue");
            NextPoll { slot: self.prefetched.next_is_bulk(), time: DATABASE_RETRY_DELAY }
        })
    }

    async fn poll_ready_runs(&mut self) -> Result<NextPoll, Error> {
        let expired = self.prefetched.take_expired(Instant::now());
        self.release(expired).await;
        // Runs that are claimed while the kill switch cannot be read would only be released, again and again.
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

    /// How many runs to claim: as many as there are free places, and some ahead. Interactive ones pass those that are ready.
    fn claim_limits(&mut self) -> ClaimLimits {
        let prefetch_size = self.prefetched.prefetch_size();
        let held = self.claims.len();
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

    /// Claims runs. Whoever is ready is started meanwhile.
    pub(super) async fn claim(&mut self, now: StatementTime, limits: ClaimLimits) -> Result<usize, Error> {
        if limits.runs <= 0 {
            return Ok(0);
        }
        self.claiming.spawn(claim(self.context.clone(), self.claims.clone(), now, limits));
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

    /// Starts an attempt of each run that is ready and gets a place.
    pub(super) fn start(&mut self, now: StatementTime) {
        while !self.stop.is_cancelled()
            && let Some(slot) = self.prefetched.next_is_bulk().and_then(|bulk| self.slots.take(bulk))
            && let Some(prefetched) = self.prefetched.pop()
        {
            let attempt = AttemptExecution::new(self.context.clone(), prefetched, now);
            self.attempts.spawn(attempt.execute((slot, None)));
        }
    }

    /// Carries one run out, to see whether Google works again: the first in the ready queue whose turn it was not yet.
    async fn probe(&mut self, probe: Probe) -> Result<NextPoll, Error> {
        self.context.flags.now().await?;
        // What is left from before the circuit opened has no turn before others.
        let left = self.prefetched.take_all();
        self.release(left).await;
        for prefetched in self.claim_for_probe().await? {
            self.prefetched.push(prefetched);
        }
        if let Some(slot) = self.prefetched.next_is_bulk().and_then(|bulk| self.slots.take(bulk))
            && let Some(prefetched) = self.prefetched.pop()
        {
            prefetched.names().into_iter().for_each(|name| probe.is_for(name));
            let attempt = AttemptExecution::new(self.context.clone(), prefetched, None);
            self.attempts.spawn(attempt.execute((slot, Some(probe))));
        }
        Ok(NextPoll { slot: None, time: self.enqueue_due().await? })
    }

    /// Claims the run for a probe. Where every ready run had a turn, the rotation begins anew.
    async fn claim_for_probe(&self) -> Result<Vec<PrefetchedRun>, Error> {
        let RunnerContext { store, circuit, settings, .. } = &*self.context;
        let since = Instant::now();
        let probed = circuit.probed();
        let mut claimed = store.claim_for_probe(None, &probed, settings.lease).await?;
        if claimed.is_none() && !probed.is_empty() {
            circuit.forget_probed();
            claimed = store.claim_for_probe(None, &[], settings.lease).await?;
        }
        Ok(hold(&self.context, &self.claims, None, since, claimed.into_iter().collect()).await)
    }

    /// Moves due runs into the ready queue. Gives how long to wait before the next poll.
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

impl RunnerContext {
    /// Puts back what was claimed here without an answer: nobody else would before its lease expires.
    pub(super) async fn return_unanswered_claims(&self) -> Result<(), Error> {
        let returned = self.store.return_unanswered_claims().await?;
        if !returned.is_empty() {
            tracing::info!(runs = returned.len(), "returned runs whose claim had no answer");
            self.wake.send(WakeUp::RunsReady);
            self.wake.send(WakeUp::RunsChanged(returned.into()));
        }
        Ok(())
    }
}

fn claim_failed(error: JoinError) -> Error {
    Error::Internal(format!("a claim broke off: {error}").into())
}

/// Claims runs.
async fn claim(
    context: Arc<RunnerContext>,
    claims: HeldLeases,
    now: StatementTime,
    limits: ClaimLimits,
) -> Result<Vec<PrefetchedRun>, Error> {
    let since = Instant::now();
    let lease = context.settings.lease;
    let claimed = context.store.claim(now, limits, lease).await?;
    Ok(hold(&context, &claims, now, since, claimed).await)
}

/// Holds what was claimed at `since`, and reads the platform's side of all of it at once.
async fn hold(
    context: &RunnerContext,
    claims: &HeldLeases,
    now: StatementTime,
    since: Instant,
    claimed: Vec<ClaimedRun>,
) -> Vec<PrefetchedRun> {
    if claimed.is_empty() {
        return Vec::new();
    }
    let lease = context.settings.lease;
    let held: Vec<_> = claimed.iter().map(|claimed| claims.hold(claimed, since, lease)).collect();
    context.wake.send(WakeUp::RunsChanged(claimed.iter().map(|claimed| claimed.run.id).collect()));
    let runs: Vec<_> = claimed.iter().map(|claimed| &claimed.run).collect();
    // One of them may be what cannot be read: alone, each meets its own error.
    let mut tenant_snapshots = context.store.tenant_snapshots(now, &runs).await.ok();
    let prefetched = claimed.into_iter().zip(held).map(|(claimed, claim)| {
        let source = tenant_snapshots.as_mut().map(|tenant_snapshots| tenant_snapshots.remove(&claimed.run.id));
        PrefetchedRun { claimed, claim, source, since }
    });
    prefetched.collect()
}
