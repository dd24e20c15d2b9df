//! The callers: one a tenant, which changes something, asks for a run, perhaps cancels it, and waits until it has ended.

use std::sync::Arc;

use category_mirror_client::{Client, Strategy};
use futures::{StreamExt, stream};

use crate::{
    ask::{Ask, Deed},
    orders::{Ordered, Orders},
    shop::{Address, Shop},
    stage::{Moment, Stage},
    switch,
};

/// How many tenants get their last run at a time.
const LAST_AT_ONCE: usize = 16;

/// A tenant, and who calls for it.
pub(crate) struct Caller {
    /// The tenant's.
    pub(crate) address: Address,
    pub(crate) orders: Orders,
}

/// A caller at work.
struct Worker {
    stage: Arc<Stage>,
    dice: fastrand::Rng,
    shop: Shop,
}

impl Caller {
    /// Adds tenant number `number`.
    pub(crate) async fn add(stage: &Arc<Stage>, client: &Client, number: usize) -> Self {
        let mut dice = stage.dice(number);
        let shop =
            Shop::add(stage, client, number, &format!("chain-{}", number % 3), Strategy::PlatformToGbp, &mut dice)
                .await;
        let address = shop.address.clone();
        let worker = Worker { stage: stage.clone(), dice, shop };
        let orders =
            Orders::start(stage, format!("the caller for {}", address.tenant), 1, |ordered| worker.work(ordered));
        Self { address, orders }
    }
}

impl Worker {
    async fn work(mut self, mut orders: Ordered) {
        let mut serial = 0;
        while orders.next().await {
            serial += 1;
            self.shop.change(&mut self.dice).await;
            self.run(serial).await;
            orders.done();
        }
    }

    async fn run(&mut self, serial: u64) {
        let request_id = format!("{}-{serial}", self.shop.address.tenant);
        let twice = self.dice.u8(..5) == 0;
        let name = alone(&self.stage, &Ask::MIRROR, &self.shop.address.tenant, &request_id, twice).await;
        if self.dice.u8(..4) == 0 {
            let (moment, twice) = (Moment::any(&mut self.dice), self.dice.bool());
            self.stage.cancel(&name, moment, twice).await;
        }
        self.stage.ended.clone().wait_for(&name).await;
    }
}

/// One more run for each tenant when all is well again, which nobody cancels: whatever became of the others, it makes both sides equal.
pub(crate) async fn mirror_once_more(stage: &Stage, addresses: &[Address]) {
    // A server may skip what it is asked for until it has heard that the switch is on again.
    tokio::time::sleep(switch::OBEYED).await;
    stream::iter(addresses)
        .for_each_concurrent(LAST_AT_ONCE, async |address| {
            let ask = Ask { strategy: address.strategy, deed: Deed::Mirror };
            let name = alone(stage, &ask, &address.tenant, &format!("{}-last", address.tenant), false).await;
            stage.ended.clone().wait_for(&name).await;
        })
        .await;
}

/// Asks for a run of a tenant that has no live one.
async fn alone(stage: &Stage, ask: &Ask, tenant: &str, request_id: &str, twice: bool) -> String {
    let first = stage.ask(ask, tenant, request_id, None, twice).await;
    stage.joins_nothing(request_id, &first);
    first.run.name
}
