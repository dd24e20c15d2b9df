//! Results of guards for a plan.

use std::fmt;

use category_mirror_proto::v1;

use crate::Printable;

open_enum! {
    /// Effect of a guard on a run.
    GuardOutcome {
        /// The plan is within the limit.
        Passed = 1, "passed";
        /// The plan exceeds the limit: a real run writes nothing.
        Stopped = 2, "stopped";
        /// The plan exceeds the limit, and the guard is overridden for this run.
        Overridden = 3, "overridden";
    }
}

/// The result of one guard for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct GuardVerdict {
    /// Name of the guard, such as `primary_change`, as an override names it.
    pub rule: String,
    /// The plan's value: a count, or for `removed_share` a percentage.
    pub value: i64,
    /// Maximum of `value`.
    pub limit: i64,
    /// Effect on the run.
    pub outcome: GuardOutcome,
}

impl GuardVerdict {
    /// Whether the guard stops a real run before it writes.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.outcome == GuardOutcome::Stopped
    }

    pub(super) fn from_wire(wire: v1::GuardVerdict) -> Self {
        let v1::GuardVerdict { rule, value, limit, outcome } = wire;
        Self { rule, value, limit, outcome: GuardOutcome::from_wire(outcome) }
    }
}

/// Displayed as one line: `x guard       removals: 4, at most 3 would pass: stopped`.
impl fmt::Display for GuardVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.outcome {
            GuardOutcome::Passed => '=',
            GuardOutcome::Stopped => 'x',
            _ => '!',
        };
        let Self { value, limit, outcome, .. } = self;
        write!(f, "{sign} guard       {}: {value}, at most {limit} would pass: {outcome}", Printable(&self.rule))
    }
}
