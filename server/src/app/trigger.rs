//! Starts and reverts runs.

use std::collections::BTreeSet;

use tracing::Instrument;

use super::{
    App, RunName,
    recorded_responses::{AcceptedRun, IdempotentRequest, may_be_answered, visible_run},
    visible,
};
use crate::{
    domain::{
        Caller, Flag, GuardRule, NotRevertible, RevertTarget, Run, RunKind, RunOptions, RunState, Strategy, TenantId,
        TraceContext, View,
    },
    error::Error,
    spans,
    store::{ID_BY_DATABASE, NewRun, arguments},
    wake::WakeUp,
};

/// Overridden guards and the reason: both are present, or neither.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// The guards.
    pub guards: BTreeSet<GuardRule>,
    /// The reason.
    pub reason: Option<String>,
}

/// A validated request for a run.
#[derive(Debug, Clone)]
pub struct MirrorRequest {
    /// The tenant.
    pub tenant: TenantId,
    /// Strategy and dry run.
    pub kind: RunKind,
    /// The dry run whose plan is applied.
    pub plan: Option<RunName>,
    /// Google's record that is the source.
    pub view: Option<View>,
    /// The overridden guards.
    pub overrides: Overrides,
    /// Idempotency key.
    pub request_id: Option<String>,
    /// The trace that the request belongs to.
    pub traceparent: Option<TraceContext>,
}

/// A validated request to revert a run.
#[derive(Debug, Clone)]
pub struct RevertRequest {
    /// The run to revert.
    pub run: RunName,
    /// Whether the revert is only planned.
    pub dry_run: bool,
    /// The overridden guards.
    pub overrides: Overrides,
    /// Idempotency key.
    pub request_id: Option<String>,
    /// The trace that the request belongs to.
    pub traceparent: Option<TraceContext>,
}

/// Waits for the admission the first time it is called, and returns immediately afterwards.
async fn once(admission: &mut Option<impl Future<Output = Result<(), Error>>>) -> Result<(), Error> {
    match admission.take() {
        Some(admission) => admission.await,
        None => Ok(()),
    }
}

impl App {
    /// Accepts a run. When this returns, the run is durable.
    ///
    /// Most requests only need the group commit, which has its own connections. Before any other statement, `admission`
    /// is awaited, once.
    ///
    /// # Errors
    /// [`Error::FeatureDisabled`], [`Error::NotFound`], [`Error::Invalid`] for a plan that is not of this tenant and
    /// strategy, [`Error::NoLocation`], [`Error::RunInProgress`], [`Error::CannotJoin`], [`Error::RequestIdReused`], or
    /// a database error. A request that was accepted before gets its recorded response instead.
    pub async fn mirror(
        &self,
        caller: &Caller,
        request: MirrorRequest,
        admission: impl Future<Output = Result<(), Error>>,
    ) -> Result<AcceptedRun, Error> {
        visible(caller, &request.tenant)?;
        let asked = IdempotentRequest::new(caller, request.request_id.as_deref(), || request.arguments());
        let mut admission = Some(admission);
        match self.mirror_now(caller, request, asked.clone(), &mut admission).await {
            Err(error) if may_be_answered(asked.as_ref(), &error) => {
                once(&mut admission).await?;
                self.recorded_run_or(caller, asked, error).await
            }
            mirrored => mirrored,
        }
    }

    async fn mirror_now(
        &self,
        caller: &Caller,
        request: MirrorRequest,
        asked: Option<IdempotentRequest>,
        admission: &mut Option<impl Future<Output = Result<(), Error>>>,
    ) -> Result<AcceptedRun, Error> {
        self.require(Flag::CategoryMirroring, &request.tenant).await?;
        let MirrorRequest { tenant, kind, plan, view, overrides, request_id: _, traceparent } = request;
        let mut options = RunOptions { view, ..overrides.options() };
        if let Some(name) = plan {
            once(admission).await?;
            let planned = self.run(caller, &name).await?;
            fits(&planned, &tenant, kind.strategy, view)?;
            (options.applied_plan, options.view) = (Some(planned.id), planned.options.view);
        }
        options.view = options.view.filter(|view| *view != View::Merchant);
        self.accept(caller, self.new_run(caller, tenant, kind, options, asked, traceparent)).await
    }

    /// Accepts a run that reverts another one. When this returns, it is durable.
    ///
    /// # Errors
    /// [`Error::NotRevertible`] if this is already known; those of [`App::mirror`].
    pub async fn revert_run(&self, caller: &Caller, request: RevertRequest) -> Result<AcceptedRun, Error> {
        let asked = IdempotentRequest::new(caller, request.request_id.as_deref(), || request.arguments());
        match self.revert_now(caller, request, asked.clone()).await {
            Err(error) => self.recorded_run_or(caller, asked, error).await,
            mirrored => mirrored,
        }
    }

    async fn revert_now(
        &self,
        caller: &Caller,
        request: RevertRequest,
        asked: Option<IdempotentRequest>,
    ) -> Result<AcceptedRun, Error> {
        let run = self.run(caller, &request.run).await?;
        self.require(Flag::CategoryMirroring, &run.tenant).await?;
        let refused = |why| Error::NotRevertible { run: run.resource_name(), why };
        let way = RevertTarget::of(&run).map_err(refused)?;
        self.check_target(&run, &way).await?.map_err(refused)?;
        let options = RunOptions { revert_of: Some(run.id), ..request.overrides.options() };
        let kind = RunKind { strategy: run.kind.strategy, dry_run: request.dry_run };
        let new = self.new_run(caller, run.tenant.clone(), kind, options, asked, request.traceparent);
        self.accept(caller, new).await
    }

    /// Checks whether the target is still in the state in which the run left it. If Google is the target, the new run
    /// checks it.
    async fn check_target(&self, run: &Run, way: &RevertTarget) -> Result<Result<(), NotRevertible>, Error> {
        match run.kind.strategy {
            Strategy::PlatformToGbp => Ok(Ok(())),
            Strategy::GbpToPlatform => {
                let now = self.store.platform_catalog(&run.tenant, &[]).await?.tenants_set().into_inner();
                Ok(way.check(now.map(|set| set.recorded()).as_ref()))
            }
        }
    }

    pub(super) fn new_run(
        &self,
        caller: &Caller,
        tenant: TenantId,
        kind: RunKind,
        options: RunOptions,
        asked: Option<IdempotentRequest>,
        traceparent: Option<TraceContext>,
    ) -> NewRun {
        let (caller, max_attempts) = (caller.subject.clone(), self.runs.max_attempts);
        let (request_id, asked) = asked.map(|asked| (asked.request_id, asked.arguments)).unzip();
        NewRun { id: ID_BY_DATABASE, tenant, kind, options, caller, request_id, asked, max_attempts, traceparent }
    }

    async fn accept(&self, caller: &Caller, mut new: NewRun) -> Result<AcceptedRun, Error> {
        let span = spans::acceptance(&new.tenant, new.kind);
        // The trace of the run starts here, on whichever server it is executed.
        new.traceparent = spans::traceparent(&span).or(new.traceparent);
        let trace_id = new.traceparent.as_ref().map(|trace| trace.trace_id().to_owned());
        let accepted = self.acceptor.accept(new).instrument(span.clone()).await;
        let accepted = accepted.inspect_err(|error| {
            spans::failed(&span, error.reason());
            self.wake_runner_if(error.reason() == "RUN_IN_PROGRESS");
        })?;
        span.record("run_id", tracing::field::display(accepted.run.id)).record("joined", accepted.joined);
        if accepted.created {
            tracing::info!(
                run_id = %accepted.run.id, tenant_id = %accepted.run.tenant, strategy = %accepted.run.kind.strategy,
                dry_run = accepted.run.kind.dry_run, caller = %caller.subject, trace_id, "accepted a run"
            );
        }
        self.wake_runner_if(accepted.joined && accepted.run.state == RunState::Queued);
        Ok(AcceptedRun { run: visible_run(caller, accepted.run)?, joined: accepted.joined })
    }
}

impl App {
    /// Wakes the runner after a request has met a live run: a claim skips a run while a request has locked it, and a
    /// bulk run may have become interactive.
    pub(super) fn wake_runner_if(&self, has_met_a_run: bool) {
        if has_met_a_run {
            self.wake.send(WakeUp::RunsReady);
        }
    }
}

impl MirrorRequest {
    /// Returns all fields. A default value is the same whether it is given or not.
    fn arguments(&self) -> Vec<String> {
        let plan = self.plan.as_ref().map(|plan| plan.id);
        let view = self.view.filter(|view| *view != View::Merchant || plan.is_some());
        let options = RunOptions { applied_plan: plan, view, ..self.overrides.clone().options() };
        let mut arguments = arguments(&self.tenant, self.kind, &options);
        arguments.extend(self.plan.as_ref().map(RunName::to_string));
        arguments
    }
}

impl RevertRequest {
    /// Returns all fields.
    fn arguments(&self) -> Vec<String> {
        let dry_run = if self.dry_run { "dry" } else { "real" };
        let options = serde_json::to_string(&self.overrides.clone().options()).expect("texts and lists of texts");
        vec!["revert".to_owned(), self.run.to_string(), dry_run.to_owned(), options]
    }
}

/// Whether a run's plan can be applied for this tenant and strategy.
fn fits(planned: &Run, tenant: &TenantId, strategy: Strategy, view: Option<View>) -> Result<(), Error> {
    let name = planned.resource_name();
    let problem = if planned.tenant != *tenant {
        format!("{name} is not a run of {}", tenant.resource_name())
    } else if planned.kind.strategy != strategy {
        format!("{name} is a run of {}", planned.kind.strategy)
    } else if !planned.kind.dry_run {
        format!("{name} is no dry run")
    } else if !planned.state.is_terminal() {
        format!("{name} has not ended yet")
    } else if planned.plan.is_none() || planned.reason.is_some() {
        format!("{name} has made no plan")
    } else if planned.options.revert_of.is_some() {
        format!("{name} is the dry run of a revert; ask for the revert itself")
    } else if view.is_some_and(|view| view != planned.options.view()) {
        format!("{name} was made from another view")
    } else {
        return Ok(());
    };
    Err(Error::invalid("plan", problem))
}

impl Overrides {
    fn options(self) -> RunOptions {
        RunOptions { overridden_guards: self.guards, override_reason: self.reason, ..RunOptions::default() }
    }
}
