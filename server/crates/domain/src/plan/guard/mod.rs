//! Guards: what a run must not do unless a person says so. The same for dry and real runs, and for both strategies.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{Category, CategorySet, Failure, FailureReason, failure::text_enum};

text_enum! {
    /// A rule about what a run would do to its target.
    GuardRule {
        /// Another primary category, which can put a listing into re-verification.
        PrimaryChange = "primary_change",
        /// So many categories lost at once.
        Removals = "removals",
        /// So large a share of the categories lost at once, in percent.
        RemovedShare = "removed_share",
        /// A loss by the first run of a tenant and strategy, when nobody has yet seen whether the two sides belong together.
        FirstRunRemovals = "first_run_removals",
    }
}

impl PartialOrd for GuardRule {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for GuardRule {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

/// The most that each rule lets pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardLimits {
    /// [`GuardRule::PrimaryChange`]: 0 or 1.
    pub primary_changes: u32,
    /// [`GuardRule::Removals`].
    pub removals: u32,
    /// [`GuardRule::RemovedShare`], in percent.
    pub removed_percent: u32,
    /// [`GuardRule::FirstRunRemovals`].
    pub first_run_removals: u32,
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self { primary_changes: 0, removals: 3, removed_percent: 50, first_run_removals: 0 }
    }
}

impl GuardLimits {
    /// Limits that nothing exceeds.
    pub const OPEN: Self =
        Self { primary_changes: u32::MAX, removals: u32::MAX, removed_percent: u32::MAX, first_run_removals: u32::MAX };
}

/// What beside the two sides decides about a plan's guards.
#[derive(Debug, Clone)]
pub struct GuardContext {
    /// The limits.
    pub limits: GuardLimits,
    /// The rules that a person has overridden for this run.
    pub overridden: BTreeSet<GuardRule>,
    /// Whether no real run of the tenant and strategy has succeeded yet.
    pub is_first_run: bool,
}

text_enum! {
    /// What a guard says.
    GuardOutcome {
        /// Within the limit.
        Passed = "passed",
        /// Beyond the limit: a real run writes nothing.
        Stopped = "stopped",
        /// Beyond the limit, and a person has overridden the rule for this run.
        Overridden = "overridden",
    }
}

/// What one guard says of one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardVerdict {
    /// The rule.
    pub rule: GuardRule,
    /// What the plan comes to: a count, or for a share percent, rounded up.
    pub value: u32,
    /// The most that passes.
    pub limit: u32,
    /// What follows.
    pub outcome: GuardOutcome,
}

/// Such as `removals 4 (limit 3)`.
impl fmt::Display for GuardVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, value, limit, .. } = self;
        let unit = if *rule == GuardRule::RemovedShare { " %" } else { "" };
        write!(f, "{rule} {value}{unit} (limit {limit}{unit})")
    }
}

/// Asks every guard about the way from `observed` to `desired`.
#[must_use]
pub fn evaluate_guards<C: Category>(
    observed: Option<&CategorySet<C>>,
    desired: &CategorySet<C>,
    now: &GuardContext,
) -> Vec<GuardVerdict> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let total = observed.map_or(0, |set| count(set.iter().count()));
    let removed = observed.map_or(0, |set| count(set.iter().filter(|c| desired.get(c).is_none()).count()));
    let changes_primary = observed.is_some_and(|set| set.primary() != desired.primary());
    let limits = &now.limits;
    // Rounded up, so that a share is beyond a limit of whole percents exactly when its rounded value is.
    let share = if total == 0 { 0 } else { (removed * 100).div_ceil(total) };
    let verdict = |rule, value, limit| {
        let outcome = match value > limit {
            false => GuardOutcome::Passed,
            true if now.overridden.contains(&rule) => GuardOutcome::Overridden,
            true => GuardOutcome::Stopped,
        };
        GuardVerdict { rule, value, limit, outcome }
    };
    vec![
        verdict(GuardRule::PrimaryChange, u32::from(changes_primary), limits.primary_changes),
        verdict(GuardRule::Removals, removed, limits.removals),
        verdict(GuardRule::RemovedShare, share, limits.removed_percent),
        verdict(GuardRule::FirstRunRemovals, if now.is_first_run { removed } else { 0 }, limits.first_run_removals),
    ]
}

/// The failure of a run whose plan a guard stops: it names the first rule for programs, all of them for people, and every override that a
/// request needs for this plan.
///
/// # Errors
/// `GUARD`, when one of them does.
pub fn enforce(verdicts: &[GuardVerdict]) -> Result<(), Failure> {
    let stopped: Vec<&GuardVerdict> = verdicts.iter().filter(|v| v.outcome == GuardOutcome::Stopped).collect();
    let Some(first) = stopped.first() else { return Ok(()) };
    let all: Vec<String> = stopped.iter().map(ToString::to_string).collect();
    let rules: Vec<&str> = stopped.iter().map(|verdict| verdict.rule.as_str()).collect();
    // A request replaces the overrides of the one before: without those given already, their guards would stop the next run.
    let beyond = verdicts.iter().filter(|verdict| verdict.outcome != GuardOutcome::Passed);
    let needed: Vec<&str> = beyond.map(|verdict| verdict.rule.as_str()).collect();
    let message = format!(
        "stopped before writing, by {}; to do it all the same, request one run with override_guards {} and a reason",
        all.join(", "),
        needed.join(", ")
    );
    Err(Failure::permanent(FailureReason::Guard, message)
        .with("rule", first.rule)
        .with("value", first.value)
        .with("limit", first.limit)
        .with("rules", rules.join(","))
        .with("override_guards", needed.join(",")))
}

#[cfg(test)]
mod tests;
