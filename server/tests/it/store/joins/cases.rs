//! Each kind of live run, each kind of request, and what is to come of the two.

use category_mirror::domain::{GuardRule, RunId, RunKind, RunOptions, Strategy, View};

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
pub(super) enum StaleInput {
    Nothing,
    Categories,
    Mapping,
    RegionalMapping,
    Region,
}

#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) kind: RunKind,
    pub(super) options: RunOptions,
    pub(super) stage: Stage,
    pub(super) origin: Origin,
    pub(super) is_cancelled: bool,
    pub(super) moved: StaleInput,
}

#[derive(Debug, Clone)]
pub(super) struct IdempotentRequest {
    pub(super) kind: RunKind,
    pub(super) options: RunOptions,
    pub(super) is_batch: bool,
}

/// What is to come of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Whether the attempt plans anew, and whether the run leaves the bulk.
    Joined {
        anew: bool,
        enqueued: bool,
    },
    Refused(&'static str),
}

pub(super) fn expected(live: &Live, asked: &IdempotentRequest) -> Met {
    let has_one_write = live.options.applied_plan.is_some() || live.options.revert_of.is_some();
    let has_begun = !matches!(live.stage, Stage::Queued | Stage::Delayed | Stage::Running);
    if (live.kind, &live.options) != (asked.kind, &asked.options) {
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
    let enqueued = live.origin != Origin::Single && !asked.is_batch;
    match (live.stage, live.kind.strategy) {
        (Stage::Queued | Stage::Delayed | Stage::Running, _) => Met::Joined { anew: true, enqueued },
        (Stage::QueuedBegun | Stage::RunningBegun, _) if has_one_write => Met::Refused("ALREADY_WRITTEN"),
        // If that write took effect, the run ends with it.
        (Stage::QueuedBegun | Stage::RunningBegun, Strategy::PlatformToGbp) => match live.moved {
            StaleInput::Nothing => Met::Joined { anew: true, enqueued },
            _ => Met::Refused("SOURCE_CHANGED"),
        },
        (Stage::Writing | Stage::Written, Strategy::PlatformToGbp) if live.options.revert_of.is_some() => {
            Met::Joined { anew: false, enqueued }
        }
        (Stage::Writing | Stage::Written, Strategy::PlatformToGbp) => match live.moved {
            StaleInput::Nothing => Met::Joined { anew: false, enqueued },
            _ => Met::Refused("SOURCE_CHANGED"),
        },
        (Stage::Writing | Stage::Written, Strategy::GbpToPlatform) if live.options.revert_of.is_some() => {
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
            for (options, origin) in options(strategy, dry_run).into_iter().flat_map(origins) {
                for stage in stages(strategy, dry_run) {
                    let has_begun = !matches!(stage, Stage::Queued | Stage::Delayed | Stage::Running);
                    let live = Live {
                        kind: RunKind { strategy, dry_run },
                        options: options.clone(),
                        stage,
                        origin,
                        is_cancelled: false,
                        moved: StaleInput::Nothing,
                    };
                    lives.push(Live { is_cancelled: true, ..live.clone() });
                    if has_begun && strategy == Strategy::PlatformToGbp {
                        let all = [
                            StaleInput::Categories,
                            StaleInput::Mapping,
                            StaleInput::RegionalMapping,
                            StaleInput::Region,
                        ];
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

fn options(strategy: Strategy, dry_run: bool) -> Vec<RunOptions> {
    let other = |n| Some(RunId::from_u128(n));
    let lifted = RunOptions {
        overridden_guards: [GuardRule::Removals].into(),
        override_reason: Some("why".to_owned()),
        ..RunOptions::default()
    };
    let mut all = vec![RunOptions::default(), lifted, RunOptions { revert_of: other(1), ..RunOptions::default() }];
    if !dry_run {
        all.push(RunOptions { applied_plan: other(2), ..RunOptions::default() });
    }
    if strategy == Strategy::GbpToPlatform {
        all.push(RunOptions { view: Some(View::Public), ..RunOptions::default() });
    }
    all
}

fn origins(options: RunOptions) -> Vec<(RunOptions, Origin)> {
    let mut all = vec![Origin::Single];
    // A batch has no orders for one run.
    if options.is_empty() {
        for (is_guarded, is_cancelled) in [(false, false), (false, true), (true, false), (true, true)] {
            all.push(Origin::Batch { is_guarded, is_cancelled });
        }
    }
    all.into_iter().map(|origin| (options.clone(), origin)).collect()
}

/// Each kind of request: the same as the run was asked for, and all that differ in one thing.
pub(super) fn requests(live: &Live) -> Vec<IdempotentRequest> {
    let same = IdempotentRequest { kind: live.kind, options: live.options.clone(), is_batch: false };
    let mut all = vec![same.clone()];
    if live.options.is_empty() {
        all.push(IdempotentRequest { is_batch: true, ..same.clone() });
    }
    if live.origin == Origin::Single && !live.is_cancelled && live.moved == StaleInput::Nothing {
        let RunKind { strategy, dry_run } = live.kind;
        let other = match strategy {
            Strategy::PlatformToGbp => Strategy::GbpToPlatform,
            Strategy::GbpToPlatform => Strategy::PlatformToGbp,
        };
        all.push(IdempotentRequest { kind: RunKind { strategy: other, dry_run }, ..same.clone() });
        all.push(IdempotentRequest { kind: RunKind { strategy, dry_run: !dry_run }, ..same.clone() });
        let others = options(strategy, dry_run).into_iter().filter(|options| *options != live.options);
        all.extend(others.map(|options| IdempotentRequest { options, ..same.clone() }));
        // A batch beside a live revert, a run that applies a plan, one of another view, and one with other guards.
        all.push(IdempotentRequest { options: RunOptions::default(), is_batch: true, ..same });
    }
    all
}
