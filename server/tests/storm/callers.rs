//! The callers: one a tenant, which changes something, asks for a run, perhaps cancels it, and waits until it has ended.

use std::sync::{Arc, atomic::Ordering};

use category_mirror_client::{Client, Strategy};
use futures::{StreamExt, stream};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    ask::{Ask, Deed},
    shop::{Address, Shop},
    stage::{Moment, Stage},
};

/// How many tenants get their last run at a time.
const LAST_AT_ONCE: usize = 16;

/// A tenant, and who calls for it.
pub(crate) struct Caller {
    /// The tenant's.
    pub(crate) address: Address,
    stage: Arc<Stage>,
    orders: mpsc::UnboundedSender<()>,
    task: JoinHandle<()>,
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
        let mut dice = fastrand::Rng::with_seed(stage.seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let shop =
            Shop::add(stage, client, number, &format!("chain-{}", number % 3), Strategy::PlatformToGbp, &mut dice)
                .await;
        let address = shop.address.clone();
        let (orders, ordered) = mpsc::unbounded_channel();
        let task = tokio::spawn(Worker { stage: stage.clone(), dice, shop }.work(ordered));
        Self { address, stage: stage.clone(), orders, task }
    }

    /// Orders another run.
    pub(crate) fn order(&self) {
        self.stage.open.fetch_add(1, Ordering::Relaxed);
        // A caller that panicked is found when its end is waited for.
        let _ = self.orders.send(());
    }

    /// Waits until all that was ordered has ended.
    pub(crate) async fn finish(self) {
        drop(self.orders);
        if let Err(error) = self.task.await {
            panic!("the caller for {} broke off: {error}", self.address.tenant);
        }
    }
}

impl Worker {
    async fn work(mut self, mut orders: mpsc::UnboundedReceiver<()>) {
        let mut serial = 0;
        while orders.recv().await.is_some() {
            serial += 1;
            self.shop.change(&mut self.dice).await;
            self.run(serial).await;
            self.stage.open.fetch_sub(1, Ordering::Relaxed);
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
    if first.joined {
        let name = &first.run.name;
        stage.record.surprise(format!("{request_id} joined {name}, though no run of the tenant was live"));
    }
    first.run.name
}
