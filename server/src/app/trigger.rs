//! Asking for a run.

use super::{App, visible};
use crate::{
    domain::{Caller, Flag, Run, RunId, RunKind, Strategy, TenantId, TraceParent},
    error::Error,
    store::NewRun,
    wake::Hint,
};

/// A valid request for a run.
#[derive(Debug, Clone)]
pub struct MirrorRequest {
    /// The tenant.
    pub tenant: TenantId,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// Makes the call safe to repeat.
    pub request_id: Option<String>,
    /// The trace that it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// The accepted run.
#[derive(Debug, Clone)]
pub struct Mirrored {
    /// The run.
    pub run: Run,
    /// Whether it was live already.
    pub joined: bool,
}

impl App {
    /// Accepts a run. When this returns, the run is durable.
    ///
    /// # Errors
    /// [`Error::FeatureDisabled`], [`Error::NotFound`], [`Error::NoLocation`], [`Error::RunInProgress`], [`Error::RequestIdReused`],
    /// or the database's.
    pub async fn mirror(&self, caller: &Caller, request: MirrorRequest) -> Result<Mirrored, Error> {
        visible(caller, &request.tenant)?;
        self.require(Flag::CategoryMirroring, &request.tenant).await?;
        // It must never fall through to a push: the reverse strategy writes to the platform, or not at all.
        if request.kind.strategy == Strategy::GbpToPlatform {
            return Err(Error::Unimplemented("strategy gbp_to_platform is not available yet"));
        }
        let new = NewRun {
            id: RunId::now_v7(),
            tenant: request.tenant,
            kind: request.kind,
            caller: caller.subject.clone(),
            request_id: request.request_id,
            traceparent: request.traceparent,
            max_attempts: self.max_attempts,
        };
        let trace_id = new.traceparent.as_ref().map(|trace| trace.trace_id().to_owned());
        let accepted = self.acceptor.accept(new).await?;
        if accepted.created {
            self.wake.hint(Hint::Queued);
            self.wake.hint(Hint::Changed([accepted.run.id].into()));
            tracing::info!(
                run_id = %accepted.run.id, tenant = %accepted.run.tenant, strategy = %accepted.run.kind.strategy,
                dry_run = accepted.run.kind.dry_run, caller = %caller.subject, trace_id, "accepted a run"
            );
        }
        Ok(Mirrored { run: accepted.run, joined: accepted.joined })
    }
}
