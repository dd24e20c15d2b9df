//! Everybody who calls, and when: evenly, by chance or in turn, while blow after blow falls.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use category_mirror_client::Client;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{
    callers::Caller,
    careful::Careful,
    chaos::Chaos,
    franchises::Franchise,
    migration,
    options::Options,
    report,
    shop::Address,
    stage::Stage,
    storm::WAIT_TIMEOUT,
    switch::Switching,
    troubles::{Spot, Troubled},
};

/// Runs that may be ordered and not yet ended: on a slow machine the storm goes on for longer instead of leaving them to the calm.
const BACKLOG: u64 = 90;
/// With every so many runs a batch is ordered too.
const BATCH_EVERY: u64 = 15;
/// With every so many runs a careful caller looks, and perhaps applies what it has seen.
const LOOK_EVERY: u64 = 4;
/// With every so many runs one of the troubled tenants has an episode.
const TROUBLE_EVERY: u64 = 2;
/// Between two lines about how it goes.
const PROGRESS: Duration = Duration::from_secs(10);

/// All callers.
pub(crate) struct Crowd {
    callers: Vec<Caller>,
    franchises: Vec<Franchise>,
    careful: Vec<Careful>,
    troubled: Vec<Troubled>,
}

impl Crowd {
    /// Adds everybody, and their tenants.
    pub(crate) async fn gather(stage: &Arc<Stage>, client: &Client, tenants: usize) -> Self {
        let mut callers = Vec::new();
        for number in 0..tenants {
            callers.push(Caller::add(stage, client, number).await);
        }
        let franchises = Franchise::add_all(stage, client).await;
        let careful = Careful::add_all(stage, client).await;
        Self { callers, franchises, careful, troubled: Troubled::add_all(stage, client).await }
    }

    /// Where all tenants are.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let alone = self.callers.iter().map(|caller| &caller.address);
        let all = alone.chain(self.franchises.iter().flat_map(|franchise| &franchise.addresses));
        let all = all.chain(self.careful.iter().map(|careful| &careful.address));
        all.chain(self.troubled.iter().flat_map(|troubled| &troubled.addresses)).cloned().collect()
    }

    /// The locations that no tenant has in the beginning.
    pub(crate) fn spare(&self) -> Vec<Spot> {
        self.troubled.iter().flat_map(|troubled| troubled.spare.iter().cloned()).collect()
    }

    /// Orders runs evenly, for tenants by chance, and batches, looks and trouble in turn, while blow after blow falls. Ends when all are
    /// ordered and the last blow is over.
    pub(crate) async fn order(&self, options: &Options, stage: &Arc<Stage>) {
        let ended = &stage.ended;
        let (mut franchises, mut careful) = (self.franchises.iter().cycle(), self.careful.iter().cycle());
        let mut troubled = self.troubled.iter().cycle();
        let switching = options
            .switches
            .then(|| Switching::begin(stage, self.addresses().into_iter().map(|address| address.tenant).collect()));
        let mut migrating: Option<JoinHandle<()>> = None;
        let mut dice = fastrand::Rng::with_seed(options.seed.wrapping_add(1));
        let mut chaos = Chaos::new(stage.clone());
        let mut orders = interval(Duration::from_secs_f64(1.0 / options.rate));
        let mut beats = interval(options.beat);
        let mut progress = interval(PROGRESS);
        for ticks in [&mut beats, &mut progress] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
        }
        let (began, mut ordered) = (Instant::now(), 0);
        let goes_on = |ordered, chaos: &Chaos| match options.duration {
            Some(duration) => began.elapsed() < duration,
            None => ordered < options.runs || (options.strikes_all() && !chaos.has_struck_all()),
        };
        let (mut count, mut since) = (0, Instant::now());
        while goes_on(ordered, &chaos) && since.elapsed() < WAIT_TIMEOUT {
            if ended.count() > count {
                (count, since) = (ended.count(), Instant::now());
            }
            tokio::select! {
                _ = orders.tick() => if stage.open.load(Ordering::Relaxed) < BACKLOG {
                    self.callers[dice.usize(..self.callers.len())].orders.order();
                    if ordered % BATCH_EVERY == 0 {
                        franchises.next().expect("without end").orders.order();
                    }
                    if ordered % LOOK_EVERY == 0 {
                        careful.next().expect("without end").orders.order();
                    }
                    if options.troubles && ordered % TROUBLE_EVERY == 0 {
                        troubled.next().expect("without end").orders.order();
                    }
                    ordered += 1;
                    if options.migration && ordered == options.half() {
                        let stage = stage.clone();
                        migrating = Some(tokio::spawn(async move { migration::add_columns(&stage).await }));
                    }
                },
                _ = beats.tick() => if migrating.as_ref().is_none_or(JoinHandle::is_finished) {
                    chaos.strike();
                },
                _ = progress.tick() => tell(ordered, stage),
            }
        }
        let is_short = goes_on(ordered, &chaos);
        eprintln!("storm: {ordered} runs were ordered in {:.1} s", began.elapsed().as_secs_f64());
        chaos.calm().await;
        if let Some(switching) = switching {
            switching.end().await;
        }
        if let Some(migrating) = migrating {
            migrating.await.expect("a migration does not panic");
        }
        if is_short {
            eprintln!("storm: nothing ends any more while it rages");
        }
    }

    /// Waits until all that was ordered has ended.
    pub(crate) async fn settle(self) {
        for caller in self.callers {
            caller.orders.finish().await;
        }
        for franchise in self.franchises {
            franchise.orders.finish().await;
        }
        for careful in self.careful {
            careful.orders.finish().await;
        }
        for troubled in self.troubled {
            troubled.orders.finish().await;
        }
    }
}

fn tell(ordered: u64, stage: &Stage) {
    let notes = stage.record.notes();
    eprintln!(
        "storm: {ordered} runs ordered, {} and {} batches accepted, {} ended; {}",
        notes.accepted.len(),
        notes.batches.len(),
        stage.ended.count(),
        report::shown(&notes.tally)
    );
}
