//! The command line that overrides the guards that stopped a run.

use category_mirror_client::{GbpView, GuardOutcome, GuardVerdict, Run};

use crate::show::ids;

/// The command line that does what guards stop in the plan of this run. It names each guard beyond its limit, those too that were overridden
/// for this run: another request is without them.
pub(crate) fn override_command(run: &Run) -> Option<String> {
    let guards = &run.plan.as_ref()?.guard_verdicts;
    if !guards.iter().any(GuardVerdict::stops) {
        return None;
    }
    let mut command = match (&run.revert_of, run.decision) {
        (Some(reverted), _) => format!("mirrorctl run revert {}", ids::of(reverted)),
        // A run that executes no decision would be skipped: the tenant stays in conflict, or is cooling down.
        (None, Some(decision)) => format!("mirrorctl sync decide {} {decision}", ids::of(&run.tenant)),
        (None, None) => format!("mirrorctl run create {} --strategy {}", ids::of(&run.tenant), run.strategy),
    };
    if run.revert_of.is_none() && run.decision.is_none() {
        let seen = if run.dry_run { Some(run.name.as_str()) } else { run.applied_plan.as_deref() };
        command += &seen.map(|plan| format!(" --plan {}", ids::of(plan))).unwrap_or_default();
        command += &run
            .view
            .filter(|view| *view != GbpView::Merchant)
            .map(|view| format!(" --gbp-view {view}"))
            .unwrap_or_default();
    }
    for guard in guards.iter().filter(|guard| guard.outcome != GuardOutcome::Passed) {
        command += &format!(" --override-guard {}", guard.rule);
    }
    Some(command + " --reason 'WHY'")
}
