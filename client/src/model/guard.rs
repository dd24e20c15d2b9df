//! What guards say of a plan.

use std::fmt;

use category_mirror_proto::v1;

use crate::Printable;

open_enum! {
    /// What a guard says.
    GuardOutcome {
        /// Within the limit.
        Passed = 1, "passed";
        /// Beyond the limit: a real run writes nothing.
        Stopped = 2, "stopped";
        /// Beyond the limit, and overridden for this run.
        Overridden = 3, "overridden";
    }
}

/// What one guard says of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct GuardVerdict {
    /// The rule, such as `primary_change`: what an override names.
    pub rule: String,
    /// What the plan comes to: a count, or percent for `removed_share`.
    pub value: i64,
    /// The most that passes.
    pub limit: i64,
    /// What follows.
    pub outcome: GuardOutcome,
}

impl GuardVerdict {
    /// Whether it keeps a real run from writing.
    #[must_use]
    pub fn stops(&self) -> bool {
        self.outcome == GuardOutcome::Stopped
    }

    pub(super) fn from_wire(wire: v1::GuardVerdict) -> Self {
        let v1::GuardVerdict { rule, value, limit, outcome } = wire;
        Self { rule, value, limit, outcome: GuardOutcome::from_wire(outcome) }
    }
}

/// One line: `x guard       removals: 4, and 3 pass: stopped`.
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
