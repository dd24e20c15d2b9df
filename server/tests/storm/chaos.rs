//! The blows: on each beat one `kill -9`, and one card from a shuffled pack.

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use nix::sys::signal::Signal;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    database::until_some,
    fleet::{InHand, LEASE},
    journal,
    record::Stop,
    stage::Stage,
};

/// How long a server that is to be stopped may take to begin a write, so that it is stopped in the middle of one.
const AIM: Duration = Duration::from_millis(800);

/// A server notices within 4 s that its database is silent.
const SILENCE: Duration = Duration::from_secs(5);

/// A write is that far on its way to Google when its server is stopped: sent, and not answered.
const UNDER_WAY: Duration = Duration::from_millis(25);

/// What can strike beside the kill.
#[derive(Debug, Clone, Copy)]
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
}

const PACK: [Card; 11] = [
    Card::Pause,
    Card::Pause,
    Card::Pause,
    Card::Drain,
    Card::Cut,
    Card::Cut,
    Card::Cut,
    Card::Silence,
    Card::Silence,
    Card::Restart,
    Card::Crash,
];

/// The blows to come.
pub(crate) struct Chaos {
    stage: Arc<Stage>,
    dice: fastrand::Rng,
    pack: Vec<Card>,
    blows: JoinSet<()>,
}

impl Chaos {
    /// Nothing has struck yet.
    pub(crate) fn new(stage: Arc<Stage>) -> Self {
        let dice = fastrand::Rng::with_seed(stage.seed);
        Self { stage, dice, pack: Vec::new(), blows: JoinSet::new() }
    }

    /// Strikes, and does not wait until the blow is over.
    pub(crate) fn strike(&mut self) {
        while self.blows.try_join_next().is_some() {}
        if self.pack.is_empty() {
            self.pack = PACK.to_vec();
            self.dice.shuffle(&mut self.pack);
        }
        // Every decision is made here, in the same order whatever the machine does.
        let (victim, other, share) = (self.dice.usize(..1000), self.dice.usize(..1000), self.dice.f64());
        let card = self.pack.pop().expect("just filled");
        // On a slow machine a start takes longer than a beat: blows that leave nobody to serve would fall on nobody.
        if !self.stage.fleet.can_spare_one() {
            return self.stage.record.count("missed");
        }
        self.kill(victim);
        let stage = self.stage.clone();
        match card {
            Card::Pause => self.pause(other, share),
            Card::Drain => self.drain(other),
            Card::Cut => drop(self.blows.spawn(async move { cut(&stage, other, share).await })),
            Card::Silence => drop(self.blows.spawn(async move { silence(&stage, other, share).await })),
            Card::Restart => drop(self.blows.spawn(async move { strike_database(&stage, "restarts", share).await })),
            Card::Crash => drop(self.blows.spawn(async move { strike_database(&stage, "crashes", share).await })),
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

    fn drain(&mut self, victim: usize) {
        let Some(mut hand) = self.stage.fleet.in_hand(victim) else { return self.stage.record.count("missed") };
        let record = self.stage.record.clone();
        self.blows.spawn(async move {
            hand.end().await;
            record.count("drains");
            hand.start().await;
        });
    }

    fn pause(&mut self, victim: usize, share: f64) {
        let Some(hand) = self.stage.fleet.in_hand(victim) else { return self.stage.record.count("missed") };
        let stage = self.stage.clone();
        self.blows.spawn(async move { pause(&stage, hand, share).await });
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
    sleep((LEASE + SILENCE).mul_f64(share)).await;
    proxy.silence(false);
}

async fn strike_database(stage: &Stage, what: &'static str, share: f64) {
    let signal = match what {
        "restarts" => Signal::SIGINT,
        // The one cannot be caught; after the other PostgreSQL leaves its clients and its log as they are.
        _ if share < 0.5 => Signal::SIGKILL,
        _ => Signal::SIGQUIT,
    };
    match stage.database.strike(signal).await {
        Some(true) => stage.record.count(what),
        Some(false) => stage.record.surprise(format!("postgresql did not come back after {signal}")),
        None => stage.record.count("missed"),
    }
}
