//! The blows: on each beat one `kill -9`, and one card from a shuffled pack.

use std::{collections::HashSet, sync::Arc, time::Duration};

use chrono::Utc;
use nix::sys::signal::Signal;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    database::until_some,
    failovers,
    fleet::{InHand, LEASE},
    journal,
    record::Stop,
    stage::Stage,
};

/// How long a server that is to be stopped may take to begin a write, so that it is stopped in the middle of one.
const AIM: Duration = Duration::from_millis(800);

/// A server notices within 4 s that its database is silent.
const SILENCE_DURATION: Duration = Duration::from_secs(5);

/// A write is that far on its way to Google when its server is stopped: sent, and not answered.
const UNDER_WAY: Duration = Duration::from_millis(25);

/// What can strike beside the kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Card {
    /// A server is stopped for longer than its lease.
    Pause,
    /// A server is told to end, and replaced.
    Drain,
    /// The connections of a server to the database break.
    Cut,
    /// The database's host vanishes without a word for a server, and comes back.
    Silence,
    /// PostgreSQL shuts down fast, and starts again.
    Restart,
    /// PostgreSQL is killed, and starts again.
    Crash,
    /// The primary PostgreSQL is lost, and the standby promoted.
    Failover,
    /// The pooler is killed, and starts again.
    PoolerKill,
    /// The pooler is told to end, and starts again.
    PoolerRestart,
    /// The pooler reads its settings again.
    PoolerReload,
}

/// Each kind once, and then those that come more often.
const PACK: [Card; 15] = [
    Card::Pause,
    Card::Drain,
    Card::Cut,
    Card::Silence,
    Card::Restart,
    Card::Crash,
    Card::Failover,
    Card::PoolerKill,
    Card::PoolerRestart,
    Card::PoolerReload,
    Card::Pause,
    Card::Pause,
    Card::Cut,
    Card::Cut,
    Card::Silence,
];

/// So many of the pack are there again.
const MORE: usize = 5;

/// The blows to come.
pub(crate) struct Chaos {
    stage: Arc<Stage>,
    dice: fastrand::Rng,
    pack: Vec<Card>,
    /// The kinds that have struck.
    struck: HashSet<Card>,
    failovers: i32,
    blows: JoinSet<()>,
}

impl Chaos {
    /// Nothing has struck yet.
    pub(crate) fn new(stage: Arc<Stage>) -> Self {
        let dice = fastrand::Rng::with_seed(stage.seed);
        Self { stage, dice, pack: Vec::new(), struck: HashSet::new(), failovers: 0, blows: JoinSet::new() }
    }

    /// Whether each kind has struck.
    pub(crate) fn has_struck_all(&self) -> bool {
        PACK.iter().all(|card| !self.is_possible(*card) || self.struck.contains(card))
    }

    fn is_possible(&self, card: Card) -> bool {
        match card {
            Card::Failover => self.stage.has_failovers,
            Card::PoolerKill | Card::PoolerRestart | Card::PoolerReload => self.stage.pooler.is_some(),
            _ => true,
        }
    }

    /// A pack in which each kind comes before any comes again.
    fn shuffled(&mut self) -> Vec<Card> {
        let (each, more) = PACK.split_at(PACK.len() - MORE);
        let (mut each, mut more) = (each.to_vec(), more.to_vec());
        self.dice.shuffle(&mut each);
        self.dice.shuffle(&mut more);
        // The last one is drawn first.
        more.into_iter().chain(each).filter(|card| self.is_possible(*card)).collect()
    }

    /// Strikes, and does not wait until the blow is over.
    pub(crate) fn strike(&mut self) {
        while let Some(over) = self.blows.try_join_next() {
            over.expect("a blow does not panic");
        }
        if self.pack.is_empty() {
            self.pack = self.shuffled();
        }
        // Every decision is made here, in the same order whatever the machine does.
        let (victim, other, share) = (self.dice.usize(..1000), self.dice.usize(..1000), self.dice.f64());
        let card = self.pack.pop().expect("just filled");
        // On a slow machine a start takes longer than a beat: blows that leave nobody to serve would fall on nobody.
        if !self.stage.fleet.can_spare_one() {
            self.pack.insert(0, card);
            return self.stage.record.count("missed");
        }
        self.kill(victim);
        let stage = self.stage.clone();
        let is_done = match card {
            Card::Pause => self.pause(other, share),
            Card::Drain => self.drain(other),
            Card::Cut => self.blow(async move { cut(&stage, other, share).await }),
            Card::Silence => self.blow(async move { silence(&stage, other, share).await }),
            Card::Restart => self.blow(async move { strike_database(&stage, "restarts", share).await }),
            Card::Crash => self.blow(async move { strike_database(&stage, "crashes", share).await }),
            Card::Failover => self.fail_over(share),
            Card::PoolerKill => self.strike_pooler("pooler kills", Signal::SIGKILL, share),
            Card::PoolerRestart => self.strike_pooler("pooler restarts", Signal::SIGINT, share),
            Card::PoolerReload => self.reload_pooler(),
        };
        if is_done {
            self.struck.insert(card);
        } else {
            self.pack.insert(0, card);
            self.stage.record.count("missed");
        }
    }

    /// Waits until every blow is over: then every place has a server again.
    pub(crate) async fn calm(mut self) {
        while let Some(blow) = self.blows.join_next().await {
            blow.expect("a blow does not panic");
        }
    }

    fn kill(&mut self, victim: usize) {
        // While every server is stopped or starting there is nobody to kill.
        let Some(mut hand) = self.stage.fleet.in_hand(victim) else { return self.stage.record.count("missed") };
        let record = self.stage.record.clone();
        self.blows.spawn(async move {
            hand.kill().await;
            record.count("kills");
            hand.start().await;
        });
    }

    fn blow(&mut self, blow: impl Future<Output = ()> + Send + 'static) -> bool {
        self.blows.spawn(blow);
        true
    }

    /// False: there was nobody to tell.
    fn drain(&mut self, victim: usize) -> bool {
        let Some(mut hand) = self.stage.fleet.in_hand(victim) else { return false };
        let record = self.stage.record.clone();
        self.blow(async move {
            hand.end().await;
            record.count("drains");
            hand.start().await;
        })
    }

    /// False: there was nobody to stop.
    fn pause(&mut self, victim: usize, share: f64) -> bool {
        let Some(hand) = self.stage.fleet.in_hand(victim) else { return false };
        let stage = self.stage.clone();
        self.blow(async move { pause(&stage, hand, share).await })
    }

    fn fail_over(&mut self, share: f64) -> bool {
        self.failovers += 1;
        let (stage, number) = (self.stage.clone(), self.failovers);
        self.blow(async move { failovers::fail_over(&stage, number, share).await })
    }

    /// It is away for up to longer than it takes a server to notice.
    fn strike_pooler(&mut self, what: &'static str, signal: Signal, share: f64) -> bool {
        let stage = self.stage.clone();
        self.blow(async move {
            let Some(pooler) = &stage.pooler else { return };
            pooler.strike(signal, SILENCE_DURATION.mul_f64(share)).await;
            stage.record.count(what);
        })
    }

    fn reload_pooler(&mut self) -> bool {
        let stage = self.stage.clone();
        self.blow(async move {
            let Some(pooler) = &stage.pooler else { return };
            pooler.reload().await;
            stage.record.count("pooler reloads");
        })
    }
}

/// Stops a server where it hurts, for longer than its lease. Either its announcement of a write is committed, and the answer is on its
/// way: when it goes on, it must find out by itself that it has lost the run. Or the write is sent: then it goes on just when another
/// server has begun with the run, hears that its write was a success, and must not record that.
async fn pause(stage: &Stage, mut hand: InHand, share: f64) {
    hand.check();
    let is_held = share < 0.5;
    hand.proxy.hold(is_held);
    let held_from = Utc::now();
    let name = hand.process().name.clone();
    let pool = &stage.database.pool;
    let begun = timeout(AIM, until_some(|| journal::begun_since(pool, &name, held_from))).await.ok();
    if !is_held {
        sleep(UNDER_WAY).await;
    }
    let is_stopped = hand.process().stop().await;
    let stopped = Utc::now();
    hand.proxy.hold(false);
    if !is_stopped {
        stage.record.surprise(format!("{name} cannot be stopped"));
        return hand.start().await;
    }
    match &begun {
        Some(entry) if !is_held => {
            let taken = || async move { Ok(journal::is_taken_over(pool, entry).await?.then_some(())) };
            // Where nobody takes it over, its lease has at least ended.
            let _ = timeout(LEASE * 2, until_some(taken)).await;
        }
        _ => sleep(LEASE + Duration::from_millis(300) + Duration::from_secs(2).mul_f64(share)).await,
    }
    let continued = Utc::now();
    hand.process().go_on();
    stage.record.count("pauses");
    if begun.is_some() {
        stage.record.count("pauses in a write");
    }
    let held_from = if is_held { held_from } else { stopped };
    stage.record.notes().stops.push(Stop { process: name, held_from, stopped, continued });
}

async fn cut(stage: &Stage, victim: usize, share: f64) {
    let proxy = stage.fleet.proxy(victim);
    proxy.cut(true);
    stage.record.count("cuts");
    // Up to longer than a lease.
    sleep((LEASE + LEASE / 2).mul_f64(share)).await;
    proxy.open();
}

async fn silence(stage: &Stage, victim: usize, share: f64) {
    let proxy = stage.fleet.proxy(victim);
    proxy.silence(true);
    stage.record.count("silences");
    // Up to longer than a lease, and longer than it takes a server to notice.
    sleep((LEASE + SILENCE_DURATION).mul_f64(share)).await;
    proxy.silence(false);
}

async fn strike_database(stage: &Stage, what: &'static str, share: f64) {
    let signal = match what {
        "restarts" => Signal::SIGINT,
        // The one cannot be caught; after the other PostgreSQL leaves its clients and its log as they are.
        _ if share < 0.5 => Signal::SIGKILL,
        _ => Signal::SIGQUIT,
    };
    if stage.database.strike(signal).await {
        stage.record.count(what);
    } else {
        stage.record.surprise(format!("postgresql did not come back after {signal}"));
    }
}
