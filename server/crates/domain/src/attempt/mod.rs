//! What follows from the facts of an attempt: pure functions, so that each rule is a row of a table and needs no database.
//!
//! The runner fetches the facts, calls these, and records what they return. Nothing here reads a clock, draws a random number or knows
//! where a fact came from.

mod applied_plan;
mod batch_refusal;
mod conclusion;
mod failures;
mod outcome;
mod signals;
mod skips;
mod sync_conclusion;
#[cfg(test)]
mod sync_conclusion_tests;
mod sync_tracker;
mod write_check;

pub use applied_plan::AppliedPlan;
pub use batch_refusal::{full_guard, overrides_beyond_confirmed};
pub use conclusion::{AttemptStatus, Conclusion, replaces_plan};
pub use failures::{
    categories_changed, defect, location_changed, no_account, no_location, not_revertible, source_failure,
    tenant_deleted, write_not_sent,
};
pub use outcome::AttemptOutcome;
pub use signals::{CredentialsSignal, UpstreamSignal, credentials_signal, failure_scope, upstream_signal};
pub use skips::{closed_location_skip, conflict_skip, cooldown_skip};
pub use sync_conclusion::{RecordedSync, SyncChange, SyncConclusion, SyncEnd, SyncRecord};
pub use sync_tracker::{DriftAssessment, SyncTracker, observed_gcids};
pub use write_check::{WriteCheck, check_write, unknown_outcome};
