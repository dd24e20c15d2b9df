//! What an attempt reads and never changes.

use std::{sync::Arc, time::Instant};

use super::abort::Abort;
use crate::{
    domain::{Failure, Flag, GuardContext, NotRevertible, Run, RunId, Tenant, TraceContext, not_revertible},
    runner::{config::RunnerConfig, context::RunnerContext, feature_skip::feature_skip, leases::HeldLease},
    store::{StatementTime, Store, TenantSnapshot},
    wake::WakeUpBus,
};

/// The context of an attempt: the run, its lease, the clock, and the tools.
pub(in crate::runner) struct AttemptContext {
    /// Not for strategies: the accounts are out of their reach, so that each has of Google what it is given, and nothing else.
    pub(super) runner: Arc<RunnerContext>,
    /// The run as it was claimed, without what the journal has taken over from it.
    pub(in crate::runner) run: Run,
    pub(in crate::runner) lease: HeldLease,
    /// The time that statements are given; `None`: the database's own.
    pub(in crate::runner) now: StatementTime,
    /// When the run was claimed, by this process's clock.
    pub(in crate::runner) claimed_at: Instant,
    /// The trace that the run was requested in.
    pub(in crate::runner) traceparent: Option<TraceContext>,
}

impl AttemptContext {
    pub(in crate::runner) fn store(&self) -> &Store {
        &self.runner.store
    }

    pub(in crate::runner) fn wake(&self) -> &WakeUpBus {
        &self.runner.wake
    }

    pub(in crate::runner) fn settings(&self) -> &RunnerConfig {
        &self.runner.settings
    }

    /// The resource name of a run of the same tenant.
    pub(in crate::runner) fn run_name(&self, run: RunId) -> String {
        format!("tenants/{}/runs/{run}", self.run.tenant)
    }

    /// What beside the two sides decides about the guards.
    pub(in crate::runner) fn guard_context(&self, source: &TenantSnapshot) -> GuardContext {
        GuardContext {
            limits: self.runner.settings.guards,
            overridden: self.run.options.overridden_guards.clone(),
            is_first_run: source.last_success_at.is_none(),
        }
    }

    /// The failure of a run that reverts another, and cannot.
    pub(in crate::runner) fn not_revertible(&self, why: &NotRevertible) -> Failure {
        let run = self.run.options.revert_of.map(|id| self.run_name(id)).unwrap_or_default();
        not_revertible(&run, why)
    }

    /// Goes on unless a caller has cancelled the run.
    pub(in crate::runner) fn check_cancelled(&self) -> Result<(), Abort> {
        if self.lease.cancelled.is_cancelled() { Err(Abort::Cancelled) } else { Ok(()) }
    }

    /// Goes on unless runs of the tenant are switched off. Checked again before a write: a run may have waited since its attempt began. Flags
    /// that could not be read for longer than promised are an error: the attempt ends, and does not count.
    pub(in crate::runner) async fn check_flag(&self, tenant: &Tenant) -> Result<(), Abort> {
        let flags = self.runner.flags.now().await?;
        let required = flags.require(Flag::TenantGbpCategorySync, &tenant.id, tenant.organization.as_ref());
        feature_skip(required).map_or(Ok(()), |skip| Err(skip.into()))
    }
}
