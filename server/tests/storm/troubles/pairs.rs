//! Two tenants that swap their locations, or move to a spare one and back, while runs are live.

use std::sync::Arc;

use category_mirror_client::{Client, Strategy};
use chrono::Utc;
use futures::FutureExt;

use super::{FIRST, ORGANIZATION, Spot, Troubled};
use crate::{
    ask::{Ask, Deed},
    gate::{Action, Call, Step},
    orders::{Ordered, Orders},
    set::Set,
    shop::{Address, Shop},
    stage::Stage,
};

/// Beyond the tenants that have trouble alone.
const FIRST_PAIR: usize = FIRST + 100;
/// Which side wins, for each pair.
const PAIRS: [Strategy; 3] = [Strategy::PlatformToGbp, Strategy::GbpToPlatform, Strategy::PlatformToGbp];

/// Whoever moves them.
struct Worker {
    stage: Arc<Stage>,
    dice: fastrand::Rng,
    strategy: Strategy,
    tenants: [Address; 2],
    spare: String,
    /// How many moves there were.
    turn: u32,
}

/// Adds all.
pub(super) async fn add(stage: &Arc<Stage>, client: &Client) -> Vec<Troubled> {
    let mut all = Vec::new();
    for (pair, strategy) in PAIRS.into_iter().enumerate() {
        let number = FIRST_PAIR + 3 * pair;
        let mut dice = stage.dice(number);
        let one = Shop::add(stage, client, number, ORGANIZATION, strategy, &mut dice).await.address;
        let other = Shop::add(stage, client, number + 1, ORGANIZATION, strategy, &mut dice).await.address;
        let spare = Spot { location: (10_000 + number + 2).to_string(), initial: Set::any(&mut dice), shown: None };
        stage.google.put(&spare.location, &spare.initial).await;
        let tenants = [one, other];
        let worker = Worker {
            stage: stage.clone(),
            dice,
            strategy,
            tenants: tenants.clone(),
            spare: spare.location.clone(),
            turn: u32::try_from(pair).unwrap_or_default() / 2,
        };
        let who = format!("the moves of {}", tenants[0].tenant);
        let orders = Orders::start(stage, who, 1, |ordered| worker.work(ordered));
        all.push(Troubled { addresses: tenants.into(), spare: vec![spare], orders });
    }
    all
}

impl Worker {
    async fn work(mut self, mut orders: Ordered) {
        while orders.next().await {
            self.turn += 1;
            // Where the platform wins, the location moves before the service's write arrives, or after the service has read it.
            let is_at_write = self.strategy == Strategy::PlatformToGbp && self.turn.is_multiple_of(2);
            self.meet(is_at_write, self.turn % 4 < 2).await;
            orders.done();
        }
    }

    async fn meet(&mut self, is_at_write: bool, is_swap: bool) {
        let from = Utc::now();
        let stage = self.stage.clone();
        let [one, other] = self.tenants.clone();
        let location = one.location.clone();
        let seen = stage.google.shown(&location).await.expect("a location with categories");
        for address in &self.tenants {
            stage.let_a_week_pass(&address.tenant).await;
        }
        stage.platform_wants(&one.tenant, &Set::none_of(&[&seen], &mut self.dice)).await;
        let moves = self.moves(is_swap);
        let step = if is_at_write { Step::at(Call::Write).before(moves) } else { Step::at(Call::Read).after(moves) };
        let planned = stage.gate.plan(&location, vec![step]);
        self.mirror(&one, "moved").await;
        planned.end().await;
        if is_swap {
            // Whoever has the location by now.
            self.mirror(&other, "swapped").await;
        }
        self.restore().await;
        let kind = match (is_at_write, is_swap) {
            (true, true) => "swap before a write",
            (true, false) => "move before a write",
            (false, true) => "swap after a read",
            (false, false) => "move after a read",
        };
        stage.troubled(&[&one.tenant, &other.tenant], kind, from);
    }

    async fn mirror(&self, address: &Address, what: &str) {
        let ask = Ask { strategy: self.strategy, deed: Deed::Mirror };
        let request_id = format!("{}-{what}-{}", address.tenant, self.turn);
        let run = self.stage.ask(&ask, &address.tenant, &request_id, None, false).await.run.name;
        self.stage.ended.clone().wait_for(&run).await;
    }

    /// Moves the first tenant to the spare location; in a swap, both to each other's. A refusal ends it.
    fn moves(&self, is_swap: bool) -> Action {
        let (stage, spare, [one, other]) = (self.stage.clone(), self.spare.clone(), self.tenants.clone());
        let moves = async move {
            if !stage.bind(&one.tenant, Some(&spare)).await || !is_swap {
                return;
            }
            if stage.bind(&other.tenant, Some(&one.location)).await {
                stage.bind(&one.tenant, Some(&other.location)).await;
            }
        };
        moves.boxed()
    }

    /// Gives both their own locations again, now that no run is live.
    async fn restore(&self) {
        let [one, other] = &self.tenants;
        self.stage.bind(&one.tenant, Some(&self.spare)).await;
        self.stage.bind(&other.tenant, Some(&other.location)).await;
        self.stage.bind(&one.tenant, Some(&one.location)).await;
    }
}
