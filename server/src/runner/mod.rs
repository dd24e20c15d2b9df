//! Carrying runs out: claims them, keeps their leases, and brings each to its end.
//!
//! Any number of runners share one table. None leads; a run whose holder died is queued again by whichever sees its lease expire.

mod account;
mod attempt;
mod batch_guard;
mod batches;
mod circuit;
mod claims;
mod gbp_to_platform;
mod heartbeat;
mod housekeeping;
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

use self::{
    attempt::Attempt,
    circuit::{Circuit, Permit, Probe},
    claims::Claims,
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
/// The wait after a look that the database refused.
const DATABASE_RETRY: Duration = Duration::from_secs(1);
/// How many runs whose time has come go back into the line at a time: those who wait there are not to find a crowd before them.
const PROMOTED: i64 = 100;
/// Claims beyond the places: those that wait for one, and those whose end waits for its commit.
const MAX_BESIDE: usize = 1024;

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
    accounts: Accounts,
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
            tools: Arc::new(Tools { store, finisher, accounts, circuit: Circuit::new(), wake, flags, settings }),
            claims: Claims::default(),
            places: Places::new(settings.concurrency),
            ready: Ready::default(),
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
        // Also when this is dropped in the middle.
        let heartbeat_stop = heartbeat_stop.drop_guard();
        tokio::spawn(stop.clone().run_until_cancelled_owned(housekeeping::run(self.tools.clone())));
        tokio::spawn(stop.clone().run_until_cancelled_owned(batches::run(self.tools.clone())));
        // Subscribed before the first look: what comes between the look and the wait is not missed.
        let mut hints = self.tools.wake.subscribe(Topic::Work);
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

    /// One look at the queue: claims what there is room for, and starts what there are places for.
    async fn look(&mut self) -> Next {
        while let Some(ended) = self.attempts.try_join_next() {
            log_end(ended);
            self.ready.ended();
        }
        let looked = match self.tools.circuit.permits(Instant::now()) {
            Permit::Go => self.look_for_work().await,
            Permit::Probe(probe) => self.probe(probe).await,
            Permit::Wait(wait) => {
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
    async fn claim(&mut self, now: Now, room: Room) -> Result<usize, Error> {
        if room.runs <= 0 {
            return Ok(0);
        }
        let mut claim = std::pin::pin!(claim(self.tools.clone(), self.claims.clone(), now, room));
        let claimed = loop {
            let next = self.ready.next_is_bulk();
            tokio::select! {
                claimed = &mut claim => break claimed?,
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
    fn start(&mut self, now: Now) {
        while !self.stop.is_cancelled()
            && let Some(place) = self.ready.next_is_bulk().and_then(|bulk| self.places.take(bulk))
            && let Some(waiting) = self.ready.pop()
        {
            let attempt = Attempt::new(self.tools.clone(), waiting, now);
            self.attempts.spawn(attempt.carry_out((place, None)));
        }
    }

    /// Carries one run out, to see whether Google works again.
    async fn probe(&mut self, probe: Probe) -> Result<Next, Error> {
        self.claim(None, Room::of(1)).await?;
        if let Some(place) = self.ready.next_is_bulk().and_then(|bulk| self.places.take(bulk))
            && let Some(waiting) = self.ready.pop()
        {
            let attempt = Attempt::new(self.tools.clone(), waiting, None);
            self.attempts.spawn(attempt.carry_out((place, Some(probe))));
        }
        Ok(Next { place: None, time: self.promote().await? })
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

    /// Hands back what got no place here.
    async fn hand_back(&self, waiting: Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        match self.tools.store.hand_back(&ready::held(&waiting)).await {
            Ok(runs) => {
                tracing::info!(runs = runs.len(), "handed back runs that got no place");
                self.tools.wake.hint(Hint::Queued);
                self.tools.wake.hint(Hint::Changed(runs.into()));
            }
            Err(error) => {
                tracing::warn!(error = %cause(&error), "could not hand runs back; their leases will expire");
            }
        }
    }

    async fn drain(&mut self) {
        let waiting = self.ready.take_all();
        self.hand_back(waiting).await;
        let under_way = self.claims.len();
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
        match self.tools.store.hand_back(&held).await {
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

/// Claims runs, and reads the platform's side of all of them at once.
async fn claim(tools: Arc<Tools>, claims: Claims, now: Now, room: Room) -> Result<Vec<Waiting>, Error> {
    let since = Instant::now();
    let lease = tools.settings.lease;
    let claimed = tools.store.claim(now, room, lease).await?;
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let held: Vec<_> = claimed.iter().map(|claimed| claims.hold(claimed, since, lease)).collect();
    tools.wake.hint(Hint::Changed(claimed.iter().map(|claimed| claimed.run.id).collect()));
    let runs: Vec<_> = claimed.iter().map(|claimed| &claimed.run).collect();
    // One of them may be what cannot be read: alone, each meets its own error.
    let mut sources = tools.store.sources(now, &runs).await.ok();
    let waiting = claimed.into_iter().zip(held).map(|(claimed, claim)| {
        let source = sources.as_mut().map(|sources| sources.remove(&claimed.run.id));
        Waiting { claimed, claim, source, since }
    });
    Ok(waiting.collect())
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
