//! The beginning of an attempt: what a claim brought, divided into what never changes and what only grows.

use std::{sync::Arc, time::Instant};

use super::{context::AttemptContext, journal::Journal};
use crate::{
    runner::{context::RunnerContext, leases::HeldLease},
    store::{ClaimedRun, StatementTime, TenantSnapshot},
};

/// The platform's side, if it was read with that of other runs; within, `None`: the tenant is gone. If the read for all failed, the attempt
/// reads for itself.
pub(in crate::runner) type PrefetchedSnapshot = Option<Option<TenantSnapshot>>;

/// An attempt that has done nothing yet.
pub(in crate::runner) struct BegunAttempt {
    pub(in crate::runner) context: AttemptContext,
    pub(in crate::runner) journal: Journal,
    pub(in crate::runner) snapshot: PrefetchedSnapshot,
}

impl BegunAttempt {
    /// Begins an attempt of a run that was claimed at `claimed_at`.
    pub(in crate::runner) fn new(
        runner: Arc<RunnerContext>,
        claimed: ClaimedRun,
        lease: HeldLease,
        snapshot: PrefetchedSnapshot,
        claimed_at: Instant,
        now: StatementTime,
    ) -> Self {
        let ClaimedRun { mut run, observation, fencing_token: _, bulk: _, traceparent } = claimed;
        let journal = Journal::of(&mut run, observation);
        Self { context: AttemptContext { runner, run, lease, now, claimed_at, traceparent }, journal, snapshot }
    }
}
