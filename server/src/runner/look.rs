//! Looking at the queue: what is claimed, and when it is begun.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinError;

use super::{
    BREATH, Next, POLL, Runner, Tools,
    attempt::Attempt,
    cause,
    circuit::{Permit, Probe},
    claims::Claims,
    log_end,
    ready::Waiting,
};
use crate::{
    error::Error,
    store::{Claimed, Now, Room},
    wake::Hint,
};

/// The wait after a look that the database refused.
const DATABASE_RETRY: Duration = Duration::from_secs(1);
/// How many runs whose time has come go back into the line at a time: those who wait there are not to find a crowd before them.
pub(super) const PROMOTED: i64 = 100;
/// Claims beyond the places: those that wait for one, and those whose end waits for its commit.
const MAX_BESIDE: usize = 1024;

impl Runner {
    /// One look at the queue: claims what there is room for, and starts what there are places for.
    pub(super) async fn look(&mut self) -> Next {
        while let Some(ended) = self.attempts.try_join_next() {
            log_end(ended);
            self.ready.ended();
        }
        let returned = self.tools.return_unanswered_claims().await;
        let looked = match (returned, self.tools.circuit.permits(Instant::now())) {
            (Err(error), _) => Err(error),
            (Ok(()), Permit::Go) => self.look_for_work().await,
            (Ok(()), Permit::Probe(probe)) => self.probe(probe).await,
            (Ok(()), Permit::Wait(wait)) => {
                let waiting = self.ready.take_all();
                self.hand_back(waiting).await;
                Ok(Next { place: None, time: wait.min(POLL) })
            }
        };
        looked.unwrap_or_else(|error| {
            tracing::warn!(error = %cause(&error), "cannot look at the queue");
            Next { place: self.ready.next_is_bulk(), time: DATABASE_RETRY }
        })
    }

    async fn look_for_work(&mut self) -> Result<Next, Error> {
        let stale = self.ready.stale(Instant::now());
        self.hand_back(stale).await;
        // Runs that are claimed while the kill switch cannot be read would only be handed back, again and again.
        self.tools.flags.now().await?;
        self.start(None);
        let room = self.room();
        let claimed = self.claim(None, room).await?;
        self.start(None);
        // There may be more in line than there was room for, of any kind or of one.
        let is_full = i64::try_from(claimed).is_ok_and(|claimed| claimed >= room.runs);
        let place = self.ready.next_is_bulk().or(is_full.then_some(false)).or((room.bulk <= 0).then_some(true));
        Ok(Next { place, time: self.promote().await? })
    }

    /// How many runs to claim: as many as there are free places, and some ahead. Interactive ones pass those that are ready.
    fn room(&mut self) -> Room {
        let ahead = self.ready.ahead();
        let held = self.claims.len();
        let bound = (self.tools.settings.concurrency + MAX_BESIDE).saturating_sub(held);
        let room = |bulk: bool| {
            let waiting = self.ready.len(bulk);
            let free = self.places.free(bulk);
            // A few at a time would be a statement for each.
            if free == 0 && waiting * 2 > ahead { 0 } else { (free + ahead).saturating_sub(waiting).min(bound) }
        };
        let count = |runs: usize| i64::try_from(runs).unwrap_or(i64::MAX);
        Room { runs: count(room(false)), bulk: count(room(true)) }
    }

    /// Claims runs. Whoever is ready is started meanwhile.
    pub(super) async fn claim(&mut self, now: Now, room: Room) -> Result<usize, Error> {
        if room.runs <= 0 {
            return Ok(0);
        }
        self.claiming.spawn(claim(self.tools.clone(), self.claims.clone(), now, room));
        let claimed = loop {
            let next = self.ready.next_is_bulk();
            tokio::select! {
                // Cancel-safe: what is not taken out here is there for the drain.
                claimed = self.claiming.join_next() => break claimed.unwrap_or(Ok(Ok(Vec::new()))).map_err(broken_off)??,
                () = self.places.freed(next.unwrap_or_default()), if next.is_some() && !self.stop.is_cancelled() => self.start(now),
            }
        };
        let count = claimed.len();
        for waiting in claimed {
            self.ready.push(waiting);
        }
        Ok(count)
    }

    /// Starts an attempt of each run that is ready and gets a place.
    pub(super) fn start(&mut self, now: Now) {
        while !self.stop.is_cancelled()
            && let Some(place) = self.ready.next_is_bulk().and_then(|bulk| self.places.take(bulk))
            && let Some(waiting) = self.ready.pop()
        {
            let attempt = Attempt::new(self.tools.clone(), waiting, now);
            self.attempts.spawn(attempt.carry_out((place, None)));
        }
    }

    /// Carries one run out, to see whether Google works again: the first in line whose turn it was not yet.
    async fn probe(&mut self, probe: Probe) -> Result<Next, Error> {
        self.tools.flags.now().await?;
        // What is left from before the circuit opened has no turn before others.
        let left = self.ready.take_all();
        self.hand_back(left).await;
        for waiting in self.claim_for_probe().await? {
            self.ready.push(waiting);
        }
        if let Some(place) = self.ready.next_is_bulk().and_then(|bulk| self.places.take(bulk))
            && let Some(waiting) = self.ready.pop()
        {
            waiting.names().into_iter().for_each(|name| probe.is_for(name));
            let attempt = Attempt::new(self.tools.clone(), waiting, None);
            self.attempts.spawn(attempt.carry_out((place, Some(probe))));
        }
        Ok(Next { place: None, time: self.promote().await? })
    }

    /// Claims the run for a probe. Where everybody in line had a turn, the rotation begins anew.
    async fn claim_for_probe(&self) -> Result<Vec<Waiting>, Error> {
        let Tools { store, circuit, settings, .. } = &*self.tools;
        let since = Instant::now();
        let probed = circuit.probed();
        let mut claimed = store.claim_for_probe(None, &probed, settings.lease).await?;
        if claimed.is_none() && !probed.is_empty() {
            circuit.forget_probed();
            claimed = store.claim_for_probe(None, &[], settings.lease).await?;
        }
        Ok(hold(&self.tools, &self.claims, None, since, claimed.into_iter().collect()).await)
    }

    /// Puts runs whose time has come into the line. Gives how long to wait before the next look.
    async fn promote(&mut self) -> Result<Duration, Error> {
        let now = Instant::now();
        if now < self.promotion {
            return Ok(self.promotion - now);
        }
        let promoted = self.tools.store.promote(None, PROMOTED).await?;
        let next = promoted.next.unwrap_or(POLL).clamp(BREATH, POLL);
        self.promotion = now + next;
        Ok(if promoted.runs > 0 { Duration::ZERO } else { next })
    }
}

impl Tools {
    /// Puts back what was claimed here without an answer: nobody else would before its lease expires.
    pub(super) async fn return_unanswered_claims(&self) -> Result<(), Error> {
        let returned = self.store.return_unanswered_claims().await?;
        if !returned.is_empty() {
            tracing::info!(runs = returned.len(), "returned runs whose claim had no answer");
            self.wake.hint(Hint::Queued);
            self.wake.hint(Hint::Changed(returned.into()));
        }
        Ok(())
    }
}

fn broken_off(error: JoinError) -> Error {
    Error::Internal(format!("a claim broke off: {error}").into())
}

/// Claims runs.
async fn claim(tools: Arc<Tools>, claims: Claims, now: Now, room: Room) -> Result<Vec<Waiting>, Error> {
    let since = Instant::now();
    let lease = tools.settings.lease;
    let claimed = tools.store.claim(now, room, lease).await?;
    Ok(hold(&tools, &claims, now, since, claimed).await)
}

/// Holds what was claimed at `since`, and reads the platform's side of all of it at once.
async fn hold(tools: &Tools, claims: &Claims, now: Now, since: Instant, claimed: Vec<Claimed>) -> Vec<Waiting> {
    if claimed.is_empty() {
        return Vec::new();
    }
    let lease = tools.settings.lease;
    let held: Vec<_> = claimed.iter().map(|claimed| claims.hold(claimed, since, lease)).collect();
    tools.wake.hint(Hint::Changed(claimed.iter().map(|claimed| claimed.run.id).collect()));
    let runs: Vec<_> = claimed.iter().map(|claimed| &claimed.run).collect();
    // One of them may be what cannot be read: alone, each meets its own error.
    let mut sources = tools.store.sources(now, &runs).await.ok();
    let waiting = claimed.into_iter().zip(held).map(|(claimed, claim)| {
        let source = sources.as_mut().map(|sources| sources.remove(&claimed.run.id));
        Waiting { claimed, claim, source, since }
    });
    waiting.collect()
}
