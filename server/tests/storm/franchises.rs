//! The franchises: organizations whose tenants are mirrored by batches, beside calls for some of these tenants alone.

use std::{sync::Arc, time::Duration};

use category_mirror_client::{Client, Strategy};
use futures::future::{join, join_all};
use tokio::time::sleep;

use crate::{
    orders::{Ordered, Orders},
    record::AcceptedBatch,
    shop::{Address, Shop},
    stage::{Moment, Stage, some_time},
};

/// How many tenants each has. The guard of how many may change is for 20 and more.
const SIZES: [u32; 3] = [6, 12, 30];
/// The number of the first tenant, beyond those of all callers.
const FIRST: usize = 10_000;
/// Calls for one of its tenants come around the time of the batch.
const AROUND_MS: u64 = 600;
/// One in so many batches of each is cancelled, in turn and not by chance: so are two of the four of the shortest storm, the first of the
/// second franchise and the second of the first.
const CANCEL_EVERY: usize = 3;
/// A batch is cancelled within such a time from its acceptance. One look at Google takes half of it, so most are still under way.
const CANCEL_MS: u64 = 500;

/// An organization, and who calls for it.
pub(crate) struct Franchise {
    /// Its tenants'.
    pub(crate) addresses: Vec<Address>,
    pub(crate) orders: Orders,
}

/// A caller for a franchise at work.
struct Owner {
    stage: Arc<Stage>,
    dice: fastrand::Rng,
    organization: String,
    shops: Vec<Shop>,
    /// Whose turn it is to cancel a batch.
    turn: usize,
}

/// A call for one tenant, and whether its run is cancelled.
struct Single {
    tenant: String,
    request_id: String,
    wait: Duration,
    twice: bool,
    cancel: Option<Moment>,
}

impl Franchise {
    /// Adds all.
    pub(crate) async fn add_all(stage: &Arc<Stage>, client: &Client) -> Vec<Self> {
        let (mut franchises, mut number) = (Vec::new(), FIRST);
        for (turn, size) in SIZES.into_iter().enumerate() {
            let organization = format!("franchise-{size}");
            let mut dice = stage.dice(number);
            let mut shops = Vec::new();
            for _ in 0..size {
                shops.push(Shop::add(stage, client, number, &organization, Strategy::PlatformToGbp, &mut dice).await);
                number += 1;
            }
            let addresses = shops.iter().map(|shop| shop.address.clone()).collect();
            let owner = Owner { stage: stage.clone(), dice, organization, shops, turn };
            let orders = Orders::start(stage, "the caller for a franchise".to_owned(), size.into(), |ordered| {
                owner.work(ordered)
            });
            franchises.push(Self { addresses, orders });
        }
        franchises
    }
}

impl Owner {
    async fn work(mut self, mut orders: Ordered) {
        let mut serial = 0;
        while orders.next().await {
            serial += 1;
            for shop in &mut self.shops {
                shop.change(&mut self.dice).await;
            }
            let singles = self.singles(serial);
            let calls = join_all(singles.iter().map(|single| self.stage.single(single)));
            let mut dice = self.dice.fork();
            join(self.batch(serial, &mut dice), calls).await;
            orders.done();
        }
    }

    /// Calls for a third of the tenants.
    fn singles(&mut self, serial: usize) -> Vec<Single> {
        let dice = &mut self.dice;
        let chosen = dice.choose_multiple(&self.shops, self.shops.len() / 3);
        let single = |shop: &Shop| Single {
            tenant: shop.address.tenant.clone(),
            request_id: format!("{}-{serial}", shop.address.tenant),
            wait: some_time(dice, AROUND_MS),
            twice: dice.u8(..5) == 0,
            cancel: (dice.u8(..4) == 0).then(|| Moment::any(dice)),
        };
        chosen.into_iter().map(single).collect()
    }

    async fn batch(&self, serial: usize, dice: &mut fastrand::Rng) {
        let Self { stage, organization, shops, .. } = self;
        let request_id = format!("{organization}-{serial}");
        let tenants = u32::try_from(shops.len()).unwrap_or(u32::MAX);
        let (is_guarded, twice) = (dice.u8(..4) == 0, dice.bool());
        let is_cancelled = (serial + self.turn) % CANCEL_EVERY == CANCEL_EVERY - 1;
        let ask = || stage.mirror_organization(organization, tenants, &request_id, is_guarded);
        sleep(some_time(dice, AROUND_MS / 2)).await;
        let name = ask().await.name;
        stage.record.notes().batches.push(AcceptedBatch {
            organization: organization.clone(),
            name: name.clone(),
            request_id: request_id.clone(),
            is_guarded,
        });
        let repeat = async {
            if twice {
                stage.repeated(&request_id, &name, &ask().await.name);
            }
        };
        let (wait, cancelled_twice) = (some_time(dice, CANCEL_MS), dice.bool());
        let cancel = async {
            if is_cancelled {
                stage.cancel_batch(&name, wait, cancelled_twice).await;
            }
        };
        join(repeat, cancel).await;
        stage.ended.clone().wait_for_batch(&name).await;
    }
}

impl Stage {
    /// Carries a call for one tenant out: its run may be the batch's, or be there before it.
    async fn single(&self, single: &Single) {
        let Single { tenant, request_id, wait, twice, cancel } = single;
        sleep(*wait).await;
        let name = self.mirror(tenant, request_id, *twice).await.run.name;
        if let Some(moment) = cancel {
            self.cancel(&name, *moment, *twice).await;
        }
        self.ended.clone().wait_for(&name).await;
    }
}
