//! Trouble for one tenant and its location.

use std::sync::Arc;

use category_mirror_client::{Client, RunState, Strategy};
use chrono::Utc;
use futures::FutureExt;
use tokio::sync::watch;

use super::{FIRST, ORGANIZATION, Troubled};
use crate::{
    ask::{Ask, Deed},
    gate::{Action, Call, Step},
    orders::{Ordered, Orders},
    set::{Set, UNMAPPABLE},
    shop::{Address, Shop},
    stage::{Moment, Stage},
};

/// How many tenants there are, beside the one whose primary category is unmapped now and then. Without a divisor in common with the number
/// of kinds, so that each tenant meets each.
const COUNT: usize = 5;

/// What becomes of the service's write, and what else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The owner edits between the service's read and its write.
    EditBefore,
    /// The owner edits between the write and its answer.
    EditAfter,
    /// The same, and the answer is lost: the service's next read finds what nobody asked for.
    EditAfterLost,
    /// The owner edits, and the write is refused, perhaps for want of an answer.
    EditRefused,
    /// The answer is lost, and so is that of the read after it; then the location cannot be read for good.
    LostThenForbidden,
    /// The same, and the location is not found.
    LostThenNotFound,
    /// The same, and the tenant has no location any more.
    LostThenUnbound,
    /// The same, and the run is cancelled.
    LostThenCancelled,
    /// The same, and the kill switch is off for the tenant.
    LostThenSwitchedOff,
    /// The same, and the platform wants something else: both writes together remove more than one may.
    LostThenChanged,
    /// The write carries a plan out, and its answer is lost; the owner edits, so that the plan is stale.
    LostThenStale,
    /// While the service writes, the platform wants something else, and a caller asks for that.
    JoinedLate,
    /// The primary category of the source loses its mapping after the write, whose answer is lost.
    LostThenUnmapped,
}

const KINDS: [Kind; 12] = [
    Kind::EditAfterLost,
    Kind::LostThenForbidden,
    Kind::JoinedLate,
    Kind::EditRefused,
    Kind::LostThenChanged,
    Kind::LostThenSwitchedOff,
    Kind::LostThenCancelled,
    Kind::LostThenStale,
    Kind::LostThenUnbound,
    Kind::EditBefore,
    Kind::LostThenNotFound,
    Kind::EditAfter,
];

/// Whoever makes the trouble.
struct Worker {
    stage: Arc<Stage>,
    dice: fastrand::Rng,
    address: Address,
    /// Where it is in the list of kinds; `None`: its category is unmapped.
    turn: Option<usize>,
    /// How many runs it has asked for.
    serial: u32,
}

/// What the tenant's sides are in an episode: each another one.
struct Sets {
    /// What the platform wants.
    wanted: Set,
    /// What the owner edits.
    edit: Set,
    /// What the platform wants later.
    later: Set,
}

/// Adds all.
pub(super) async fn add(stage: &Arc<Stage>, client: &Client) -> Vec<Troubled> {
    let mut all = Vec::new();
    for place in 0..=COUNT {
        let number = FIRST + place;
        let mut dice = stage.dice(number);
        let address = Shop::add(stage, client, number, ORGANIZATION, Strategy::PlatformToGbp, &mut dice).await.address;
        let turn = (place < COUNT).then_some(place);
        let worker = Worker { stage: stage.clone(), dice, address: address.clone(), turn, serial: 0 };
        let who = format!("the trouble of {}", address.tenant);
        let orders = Orders::start(stage, who, 1, |ordered| worker.work(ordered));
        all.push(Troubled { addresses: vec![address], spare: Vec::new(), orders });
    }
    all
}

impl Worker {
    async fn work(mut self, mut orders: Ordered) {
        while orders.next().await {
            let kind = self.turn.map_or(Kind::LostThenUnmapped, |turn| KINDS[turn % KINDS.len()]);
            self.turn = self.turn.map(|turn| turn + COUNT);
            self.meet(kind).await;
            orders.done();
        }
    }

    /// An episode, from a change on the platform to the end of the run that carries it out, and of the trouble.
    async fn meet(&mut self, kind: Kind) {
        let from = Utc::now();
        let tenant = self.address.tenant.clone();
        let sets = self.sets(kind).await;
        self.stage.let_a_week_pass(&tenant).await;
        self.stage.platform_wants(&tenant, &sets.wanted).await;
        let deed =
            if kind == Kind::LostThenStale { self.rehearse().await.map(Deed::Apply) } else { Some(Deed::Mirror) };
        if let Some(deed) = deed {
            let (name, named) = watch::channel(None);
            let steps = self.steps(kind, sets, named);
            let planned = self.stage.gate.plan(&self.address.location, steps);
            let run = self.ask(deed).await;
            name.send_replace(Some(run.clone()));
            self.stage.ended.clone().wait_for(&run).await;
            // A run may end before the trouble has begun, as when it was killed where it would have been met.
            drop(name);
            planned.end().await;
        }
        self.undo(kind).await;
        self.stage.troubled(&[&tenant], kind.words(), from);
    }

    async fn sets(&mut self, kind: Kind) -> Sets {
        let location = &self.address.location;
        let dice = &mut self.dice;
        if kind == Kind::LostThenChanged {
            // From six to four others, and back to six others: each removes fewer than may go, both together do not.
            let (seen, wanted, later) = (Set::of_names(0, 6), Set::of_names(6, 4), Set::of_names(1, 5));
            self.stage.owner_edits(location, &seen).await;
            return Sets { edit: Set::none_of(&[&seen, &wanted, &later], dice), wanted, later };
        }
        let seen = self.stage.google.shown(location).await.expect("a location with categories");
        let mut wanted = Set::none_of(&[&seen], dice);
        if kind == Kind::LostThenUnmapped {
            wanted = wanted.with_primary(UNMAPPABLE);
        }
        let edit = Set::none_of(&[&seen, &wanted], dice);
        let later = Set::none_of(&[&seen, &wanted, &edit], dice);
        Sets { wanted, edit, later }
    }

    /// A dry run. `None`: it was cut short.
    async fn rehearse(&mut self) -> Option<String> {
        let dry_run = self.ask(Deed::Rehearse).await;
        self.stage.ended.clone().wait_for(&dry_run).await;
        (self.stage.state_of(&dry_run).await == RunState::Succeeded).then_some(dry_run)
    }

    async fn ask(&mut self, deed: Deed) -> String {
        self.serial += 1;
        let tenant = &self.address.tenant;
        let ask = Ask { strategy: Strategy::PlatformToGbp, deed };
        self.stage.ask(&ask, tenant, &format!("{tenant}-{}", self.serial), None, false).await.run.name
    }

    /// What happens at the service's calls. In half of the episodes the owner edits, too, before the service reads again.
    fn steps(&mut self, kind: Kind, sets: Sets, run: watch::Receiver<Option<String>>) -> Vec<Step> {
        let edits = self.edits(&sets.edit);
        let also_edits = self.dice.bool().then(|| self.edits(&sets.edit));
        let write = || Step::at(Call::Write);
        let lost = |then: Option<Action>| {
            let edited = async move {
                if let Some(edit) = also_edits {
                    edit.await;
                }
                if let Some(then) = then {
                    then.await;
                }
            };
            [write().after(edited.boxed()).lost(), Step::at(Call::Read).lost()]
        };
        let refused = |status: u16| [0; 4].map(|_| Step::at(Call::Read).refused(status));
        match kind {
            Kind::EditBefore => vec![write().before(edits)],
            Kind::EditAfter => vec![write().after(edits)],
            Kind::EditAfterLost => vec![write().after(edits).lost()],
            Kind::EditRefused => {
                let step = write().before(edits).refused(503);
                vec![if self.dice.bool() { step.lost() } else { step }]
            }
            Kind::LostThenForbidden => lost(None).into_iter().chain(refused(403)).collect(),
            Kind::LostThenNotFound => lost(None).into_iter().chain(refused(404)).collect(),
            Kind::LostThenUnmapped => lost(Some(self.unmaps())).into(),
            Kind::LostThenUnbound => lost(Some(self.unbinds())).into(),
            Kind::LostThenCancelled => lost(Some(self.cancels(run))).into(),
            Kind::LostThenSwitchedOff => lost(Some(self.switches_off())).into(),
            Kind::LostThenChanged => vec![write().after(self.wants(&sets.later)).lost(), Step::at(Call::Read).lost()],
            Kind::LostThenStale => vec![write().after(edits).lost(), Step::at(Call::Read).lost()],
            Kind::JoinedLate => vec![write().before(self.joins(&sets.later))],
        }
    }

    fn edits(&self, set: &Set) -> Action {
        let (stage, location, set) = (self.stage.clone(), self.address.location.clone(), set.clone());
        async move { stage.owner_edits(&location, &set).await }.boxed()
    }

    fn wants(&self, set: &Set) -> Action {
        let (stage, tenant, set) = (self.stage.clone(), self.address.tenant.clone(), set.clone());
        async move { stage.platform_wants(&tenant, &set).await }.boxed()
    }

    fn unmaps(&self) -> Action {
        let stage = self.stage.clone();
        async move { stage.map_category(UNMAPPABLE, false).await }.boxed()
    }

    fn unbinds(&self) -> Action {
        let (stage, tenant) = (self.stage.clone(), self.address.tenant.clone());
        async move {
            stage.bind(&tenant, None).await;
        }
        .boxed()
    }

    fn switches_off(&self) -> Action {
        let (stage, tenant) = (self.stage.clone(), self.address.tenant.clone());
        async move { stage.exclude(&tenant, true).await }.boxed()
    }

    fn cancels(&self, mut run: watch::Receiver<Option<String>>) -> Action {
        let stage = self.stage.clone();
        let cancel = async move {
            // The write may come before the answer to the call that asked for it.
            let Some(run) = run.wait_for(Option::is_some).await.ok().and_then(|run| run.clone()) else { return };
            stage.cancel(&run, Moment::After(std::time::Duration::ZERO), false).await;
        };
        cancel.boxed()
    }

    /// Changes what the platform wants, and asks for that beside the live run; waits for nothing, as the run waits for this.
    fn joins(&mut self, set: &Set) -> Action {
        self.serial += 1;
        let (stage, tenant) = (self.stage.clone(), self.address.tenant.clone());
        let (wants, request_id) = (self.wants(set), format!("{tenant}-{}", self.serial));
        let join = async move {
            wants.await;
            stage.mirror_beside(&tenant, &request_id).await;
        };
        join.boxed()
    }

    /// Ends the trouble, once no run is live any more.
    async fn undo(&mut self, kind: Kind) {
        let tenant = &self.address.tenant;
        match kind {
            Kind::LostThenUnmapped => self.stage.map_category(UNMAPPABLE, true).await,
            Kind::LostThenUnbound => {
                self.stage.bind(tenant, Some(&self.address.location)).await;
            }
            Kind::LostThenSwitchedOff => self.stage.exclude(tenant, false).await,
            Kind::JoinedLate => self.stage.all_have_ended(tenant).await,
            _ => {}
        }
    }
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::EditBefore => "edit before the write",
            Self::EditAfter => "edit after the write",
            Self::EditAfterLost => "edit after a lost write",
            Self::EditRefused => "edit before a refused write",
            Self::LostThenForbidden => "lost write, then 403",
            Self::LostThenNotFound => "lost write, then 404",
            Self::LostThenUnbound => "lost write, then no location",
            Self::LostThenCancelled => "lost write, then cancelled",
            Self::LostThenSwitchedOff => "lost write, then switched off",
            Self::LostThenChanged => "lost write, then another source",
            Self::LostThenStale => "lost write of a plan, then stale",
            Self::JoinedLate => "joined after the source was read",
            Self::LostThenUnmapped => "lost write, then unmapped",
        }
    }
}
