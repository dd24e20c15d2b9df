//! Each kind of live run, each kind of request, and what is to come of the two.

use category_mirror::domain::{GuardRule, Orders, RunId, RunKind, Strategy, View};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Queued,
    Delayed,
    /// An earlier attempt has written, or has set out to.
    QueuedBegun,
    Running,
    /// The same, while an attempt is under way that has not begun to write yet.
    RunningBegun,
    /// The attempt writes.
    Writing,
    /// The attempt has written.
    Written,
}

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Single,
    Batch { is_guarded: bool, is_cancelled: bool },
}

/// What has changed since the source was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Nothing,
    Categories,
    Mapping,
    RegionalMapping,
    Region,
}

#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) kind: RunKind,
    pub(super) orders: Orders,
    pub(super) stage: Stage,
    pub(super) origin: Origin,
    pub(super) is_cancelled: bool,
    pub(super) moved: Moved,
}

#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) kind: RunKind,
    pub(super) orders: Orders,
    pub(super) is_batch: bool,
}

/// What is to come of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Whether the attempt plans anew, and whether the run leaves the bulk.
    Joined {
        anew: bool,
        promoted: bool,
    },
    Refused(&'static str),
}

pub(super) fn expected(live: &Live, asked: &Asked) -> Met {
    let has_one_write = live.orders.plan.is_some() || live.orders.reverts.is_some();
    let has_begun = !matches!(live.stage, Stage::Queued | Stage::Delayed | Stage::Running);
    if (live.kind, &live.orders) != (asked.kind, &asked.orders) {
        return Met::Refused("OTHER_REQUEST");
    }
    if live.is_cancelled {
        return Met::Refused("CANCEL_REQUESTED");
    }
    if let Origin::Batch { is_guarded, is_cancelled } = live.origin
        && asked.is_batch
        && (is_cancelled || has_begun || is_guarded && !live.kind.dry_run)
    {
        return Met::Refused("OTHER_BATCH");
    }
    let promoted = live.origin != Origin::Single && !asked.is_batch;
    match (live.stage, live.kind.strategy) {
        (Stage::Queued | Stage::Delayed | Stage::Running, _) => Met::Joined { anew: true, promoted },
        (Stage::QueuedBegun | Stage::RunningBegun, _) if has_one_write => Met::Refused("ALREADY_WRITTEN"),
        // If that write took effect, the run ends with it.
        (Stage::QueuedBegun | Stage::RunningBegun, Strategy::PlatformToGbp) => match live.moved {
            Moved::Nothing => Met::Joined { anew: true, promoted },
            _ => Met::Refused("SOURCE_CHANGED"),
        },
        (Stage::Writing | Stage::Written, Strategy::PlatformToGbp) if live.orders.reverts.is_some() => {
            Met::Joined { anew: false, promoted }
        }
        (Stage::Writing | Stage::Written, Strategy::PlatformToGbp) => match live.moved {
            Moved::Nothing => Met::Joined { anew: false, promoted },
            _ => Met::Refused("SOURCE_CHANGED"),
        },
        (Stage::Writing | Stage::Written, Strategy::GbpToPlatform) if live.orders.reverts.is_some() => {
            Met::Refused("ALREADY_WRITTEN")
        }
        // Only Google knows whether its side has changed.
        (_, Strategy::GbpToPlatform) => Met::Refused("SOURCE_CHANGED"),
    }
}

/// Each kind of live run that there can be.
pub(super) fn lives() -> Vec<Live> {
    let mut lives = Vec::new();
    for strategy in [Strategy::PlatformToGbp, Strategy::GbpToPlatform] {
        for dry_run in [false, true] {
            for (orders, origin) in orders(strategy, dry_run).into_iter().flat_map(origins) {
                for stage in stages(strategy, dry_run) {
                    let has_begun = !matches!(stage, Stage::Queued | Stage::Delayed | Stage::Running);
                    let live = Live {
                        kind: RunKind { strategy, dry_run },
                        orders: orders.clone(),
                        stage,
                        origin,
                        is_cancelled: false,
                        moved: Moved::Nothing,
                    };
                    lives.push(Live { is_cancelled: true, ..live.clone() });
                    if has_begun && strategy == Strategy::PlatformToGbp {
                        let all = [Moved::Categories, Moved::Mapping, Moved::RegionalMapping, Moved::Region];
                        lives.extend(all.map(|moved| Live { moved, ..live.clone() }));
                    }
                    lives.push(live);
                }
            }
        }
    }
    lives
}

fn stages(strategy: Strategy, dry_run: bool) -> Vec<Stage> {
    let mut stages = vec![Stage::Queued, Stage::Delayed, Stage::Running];
    if !dry_run {
        stages.extend([Stage::QueuedBegun, Stage::RunningBegun, Stage::Written]);
        // The other one writes in the transaction that says so.
        stages.extend((strategy == Strategy::PlatformToGbp).then_some(Stage::Writing));
    }
    stages
}

fn orders(strategy: Strategy, dry_run: bool) -> Vec<Orders> {
    let other = |n| Some(RunId::from_u128(n));
    let lifted =
        Orders { override_guards: [GuardRule::Removals].into(), reason: Some("why".to_owned()), ..Orders::default() };
    let mut all = vec![Orders::default(), lifted, Orders { reverts: other(1), ..Orders::default() }];
    if !dry_run {
        all.push(Orders { plan: other(2), ..Orders::default() });
    }
    if strategy == Strategy::GbpToPlatform {
        all.push(Orders { view: Some(View::Public), ..Orders::default() });
    }
    all
}

fn origins(orders: Orders) -> Vec<(Orders, Origin)> {
    let mut all = vec![Origin::Single];
    // A batch has no orders for one run.
    if orders.is_empty() {
        for (is_guarded, is_cancelled) in [(false, false), (false, true), (true, false), (true, true)] {
            all.push(Origin::Batch { is_guarded, is_cancelled });
        }
    }
    all.into_iter().map(|origin| (orders.clone(), origin)).collect()
}

/// Each kind of request: the same as the run was asked for, and all that differ in one thing.
pub(super) fn requests(live: &Live) -> Vec<Asked> {
    let same = Asked { kind: live.kind, orders: live.orders.clone(), is_batch: false };
    let mut all = vec![same.clone()];
    if live.orders.is_empty() {
        all.push(Asked { is_batch: true, ..same.clone() });
    }
    if live.origin == Origin::Single && !live.is_cancelled && live.moved == Moved::Nothing {
        let RunKind { strategy, dry_run } = live.kind;
        let other = match strategy {
            Strategy::PlatformToGbp => Strategy::GbpToPlatform,
            Strategy::GbpToPlatform => Strategy::PlatformToGbp,
        };
        all.push(Asked { kind: RunKind { strategy: other, dry_run }, ..same.clone() });
        all.push(Asked { kind: RunKind { strategy, dry_run: !dry_run }, ..same.clone() });
        let others = orders(strategy, dry_run).into_iter().filter(|orders| *orders != live.orders);
        all.extend(others.map(|orders| Asked { orders, ..same.clone() }));
        // A batch beside a live revert, a run that applies a plan, one of another view, and one with other guards.
        all.push(Asked { orders: Orders::default(), is_batch: true, ..same });
    }
    all
}
