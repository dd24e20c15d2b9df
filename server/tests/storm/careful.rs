//! Careful callers, of whichever side wins: they look before they write, apply what they have seen, and take back what was written, each
//! perhaps after somebody has changed one of the sides.

use std::sync::Arc;

use category_mirror_client::{Client, RunState, Strategy};

use crate::{
    ask::{Ask, Deed},
    orders::{Ordered, Orders},
    shop::{Address, Shop},
    stage::{Moment, Stage},
};

/// How many there are for either side that can win.
const COUNT: usize = 5;
/// The number of the first one's tenant, beyond those of all others.
const FIRST: usize = 20_000;
/// Their organization.
const ORGANIZATION: &str = "careful";

/// A tenant, and who calls for it.
pub(crate) struct Careful {
    /// The tenant's.
    pub(crate) address: Address,
    pub(crate) orders: Orders,
}

/// A careful caller at work.
struct Worker {
    stage: Arc<Stage>,
    dice: fastrand::Rng,
    shop: Shop,
    /// How many runs it has asked for.
    serial: u32,
}

impl Careful {
    /// Adds all.
    pub(crate) async fn add_all(stage: &Arc<Stage>, client: &Client) -> Vec<Self> {
        let mut all = Vec::new();
        for number in FIRST..FIRST + 2 * COUNT {
            let strategy = [Strategy::PlatformToGbp, Strategy::GbpToPlatform][number % 2];
            let mut dice = stage.dice(number);
            let shop = Shop::add(stage, client, number, ORGANIZATION, strategy, &mut dice).await;
            let address = shop.address.clone();
            let worker = Worker { stage: stage.clone(), dice, shop, serial: 0 };
            let who = format!("the careful caller for {}", address.tenant);
            all.push(Self { address, orders: Orders::start(stage, who, 1, |ordered| worker.work(ordered)) });
        }
        all
    }
}

impl Worker {
    async fn work(mut self, mut orders: Ordered) {
        while orders.next().await {
            self.shop.change(&mut self.dice).await;
            let written = match self.dice.u8(..3) {
                0 => self.ends_well(Deed::Mirror).await,
                _ => self.look_and_apply().await,
            };
            if let Some(run) = written {
                self.take_back(run).await;
            }
            orders.done();
        }
    }

    /// A dry run, and in three of four cases its plan is applied: one of three of those after a change. Gives the run that did.
    async fn look_and_apply(&mut self) -> Option<String> {
        let dry_run = self.ends_well(Deed::Rehearse).await?;
        if self.dice.u8(..4) == 0 {
            return None;
        }
        self.perhaps_change().await;
        self.ends_well(Deed::Apply(dry_run)).await
    }

    /// Half of what was written is taken back, and some of that, too: one of three after a change.
    async fn take_back(&mut self, run: String) {
        let mut last = Some(run);
        while let Some(run) = last.filter(|_| self.dice.bool()) {
            self.perhaps_change().await;
            last = self.ends_well(Deed::Revert(run)).await;
        }
    }

    async fn perhaps_change(&mut self) {
        if self.dice.u8(..3) == 0 {
            self.shop.change(&mut self.dice).await;
        }
    }

    /// Asks for a run, perhaps cancels it, and waits for its end. Gives its name if it succeeded.
    async fn ends_well(&mut self, deed: Deed) -> Option<String> {
        self.serial += 1;
        let ask = Ask { strategy: self.shop.address.strategy, deed };
        let sides = self.shop.sides().await;
        let tenant = &self.shop.address.tenant;
        let request_id = format!("{tenant}-{}", self.serial);
        let twice = self.dice.u8(..5) == 0;
        let mirrored = match &ask.deed {
            Deed::Revert(run) => self.stage.ask_back(&ask, run, tenant, &request_id, sides, twice).await?,
            _ => self.stage.ask(&ask, tenant, &request_id, Some(sides), twice).await,
        };
        self.stage.joins_nothing(&request_id, &mirrored);
        let name = mirrored.run.name;
        if self.dice.u8(..6) == 0 {
            let (moment, twice) = (Moment::any(&mut self.dice), self.dice.bool());
            self.stage.cancel(&name, moment, twice).await;
        }
        self.stage.ended.clone().wait_for(&name).await;
        let state = self.stage.state_of(&name).await;
        (state == RunState::Succeeded).then_some(name)
    }
}
