//! `CategoryMirrorService`.

use std::{sync::Arc, time::Duration};

use category_mirror_proto::v1::{
    self as proto, category_mirror_service_server::CategoryMirrorService, mirror_categories_request::Target,
};
use futures::{StreamExt, stream::BoxStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::api::{
    decode::{batch_request::batch_request, logs, overrides::overrides, request},
    encode::{self, status::status},
    middleware::{
        bulkhead::Bulkhead,
        costs::{Compartment, Cost},
        open_streams::OpenStreams,
    },
    services::updates,
};
use crate::{
    admission::HeldPermits,
    app::{App, MirrorRequest, Overrides, RevertRequest, RunName},
    connections::Connection,
    domain::{GuardRule, RunKind, Strategy, TenantId, TraceContext, View},
    error::{Error, Violations},
};

const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 3600);
const MAX_WINDOW: Duration = Duration::from_secs(90 * 24 * 3600);

/// The method whose calls take an additional permit.
const MIRROR: &str = "/categorymirror.v1.CategoryMirrorService/MirrorCategories";

/// Implements the service with the use cases of the application.
pub(in crate::api) struct CategoryMirrorApi {
    app: App,
    heartbeat: Duration,
    streams: OpenStreams,
    drain: CancellationToken,
}

impl CategoryMirrorApi {
    pub(in crate::api) fn new(app: App, heartbeat: Duration, streams: OpenStreams, drain: CancellationToken) -> Self {
        Self { app, heartbeat, streams, drain }
    }
}

#[tonic::async_trait]
impl CategoryMirrorService for CategoryMirrorApi {
    async fn mirror_categories(
        &self,
        request: Request<proto::MirrorCategoriesRequest>,
    ) -> Result<Response<proto::MirrorCategoriesResponse>, Status> {
        let traceparent = request::trace(request.metadata().as_ref());
        let bulkhead = request.extensions().get::<Arc<Bulkhead>>().cloned();
        let held = request.extensions().get::<HeldPermits>().cloned();
        let (caller, message) = request::split(request).map_err(status)?;
        let without_gate = || status(Error::Internal("a call passed without the gate".into()));
        let (bulkhead, held) = bulkhead.zip(held).ok_or_else(without_gate)?;
        if let Some(wanted) = batch_request(&message).map_err(status)? {
            let expensive = Cost::Expensive(Compartment::Batch);
            bulkhead.admit("", expensive, &caller.subject, &held).await.map_err(status)?;
            // Boxed: the future is large, and every call for a single tenant would contain it.
            let batch = Box::pin(self.app.mirror_many(&caller, wanted)).await.map_err(status)?;
            let batch = Some(encode::batch(batch));
            return Ok(Response::new(proto::MirrorCategoriesResponse { batch, ..Default::default() }));
        }
        let wanted = single_request(message, traceparent).map_err(status)?;
        // Reading the run costs as much as a call that gets a resource, so it takes the same permit.
        let admission = bulkhead.admit(MIRROR, Cost::Light, &caller.subject, &held);
        let mirrored = self.app.mirror(&caller, wanted, admission).await.map_err(status)?;
        Ok(Response::new(proto::MirrorCategoriesResponse {
            run: Some(encode::run(mirrored.run)),
            joined: mirrored.joined,
            batch: None,
        }))
    }

    async fn revert_run(
        &self,
        request: Request<proto::RevertRunRequest>,
    ) -> Result<Response<proto::RevertRunResponse>, Status> {
        let traceparent = request::trace(request.metadata().as_ref());
        let (caller, message) = request::split(request).map_err(status)?;
        let wanted = revert_request(message, traceparent).map_err(status)?;
        let mirrored = self.app.revert_run(&caller, wanted).await.map_err(status)?;
        let (run, joined) = (Some(encode::run(mirrored.run)), mirrored.joined);
        Ok(Response::new(proto::RevertRunResponse { run, joined }))
    }

    async fn get_run(&self, request: Request<proto::GetRunRequest>) -> Result<Response<proto::GetRunResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let name = run_name(&message.name).map_err(status)?;
        let run = self.app.run(&caller, &name).await.map_err(status)?;
        Ok(Response::new(proto::GetRunResponse { run: Some(encode::run(run)) }))
    }

    async fn get_last_run(
        &self,
        request: Request<proto::GetLastRunRequest>,
    ) -> Result<Response<proto::GetLastRunResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let mut violations = Violations::default();
        let tenant = request::required(&mut violations, "tenant", &message.tenant, TenantId::parse);
        let strategy = request::required_strategy(&mut violations, message.strategy);
        let (tenant, strategy) = violations.finish_with(tenant.zip(strategy)).map_err(status)?;
        let run = self.app.last_run(&caller, &tenant, strategy).await.map_err(status)?;
        Ok(Response::new(proto::GetLastRunResponse { run: Some(encode::run(run)) }))
    }

    async fn cancel_run(
        &self,
        request: Request<proto::CancelRunRequest>,
    ) -> Result<Response<proto::CancelRunResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let name = run_name(&message.name).map_err(status)?;
        let run = self.app.cancel_run(&caller, &name).await.map_err(status)?;
        Ok(Response::new(proto::CancelRunResponse { run: Some(encode::run(run)) }))
    }

    async fn list_sync_logs(
        &self,
        request: Request<proto::ListSyncLogsRequest>,
    ) -> Result<Response<proto::ListSyncLogsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let (filter, page) = logs::parse_filter(&message).map_err(status)?;
        let page = self.app.sync_logs(&caller, filter, page).await.map_err(status)?;
        Ok(Response::new(proto::ListSyncLogsResponse {
            runs: page.items.into_iter().map(encode::run).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn get_sync_stats(
        &self,
        request: Request<proto::GetSyncStatsRequest>,
    ) -> Result<Response<proto::GetSyncStatsResponse>, Status> {
        let (caller, message) = request::split(request).map_err(status)?;
        let mut violations = Violations::default();
        let tenant = request::tenant_filter(&mut violations, &message.tenant);
        let organization = request::organization(&mut violations, "organization", &message.organization);
        let window = violations.take("window", window(message.window));
        let window = violations.finish_with(window).map_err(status)?;
        let stats = self.app.sync_stats(&caller, tenant, organization, window).await.map_err(status)?;
        Ok(Response::new(proto::GetSyncStatsResponse { stats: Some(encode::stats(stats)) }))
    }

    type StreamRunUpdatesStream = BoxStream<'static, Result<proto::StreamRunUpdatesResponse, Status>>;

    async fn stream_run_updates(
        &self,
        request: Request<proto::StreamRunUpdatesRequest>,
    ) -> Result<Response<Self::StreamRunUpdatesStream>, Status> {
        let deadline = request.extensions().get().copied();
        let connection = request.extensions().get::<Arc<Connection>>();
        let expired = connection.map(|connection| connection.expired().clone()).unwrap_or_default();
        let (caller, message) = request::split(request).map_err(status)?;
        let mut violations = Violations::default();
        let watched = request::required(&mut violations, "name", &message.name, updates::parse);
        if message.after_revision < 0 {
            violations.add("after_revision", format!("must not be negative, is {}", message.after_revision));
        }
        let watched = violations.finish_with(watched).map_err(status)?;
        let _place = self.streams.admit(&caller.subject).map_err(status)?;
        let watch = self.app.watch(&caller, &watched, message.after_revision).await.map_err(status)?;
        let (heartbeat, drain, expires_at) = (self.heartbeat, self.drain.clone(), caller.expires_at);
        let bounds = updates::StreamLimits { heartbeat, deadline, expires_at, drain, expired, _place };
        let updates = updates::stream(watch, bounds);
        Ok(Response::new(updates.map(|update| update.map_err(status)).boxed()))
    }
}

fn single_request(
    message: proto::MirrorCategoriesRequest,
    traceparent: Option<TraceContext>,
) -> Result<MirrorRequest, Error> {
    let mut violations = Violations::default();
    let strategy = request::required_strategy(&mut violations, message.strategy);
    let tenant = match &message.target {
        Some(Target::Tenant(tenant)) => request::required(&mut violations, "tenant", tenant, TenantId::parse),
        _ => {
            violations.add("target", "is required: `tenant`, `organization` or `all_tenants`");
            None
        }
    };
    let overrides = run_overrides(&mut violations, &message.override_guards, &message.reason);
    let view = view(&mut violations, message.view, strategy);
    let plan = request::optional(&mut violations, "plan", &message.plan, RunName::parse);
    if message.dry_run && !message.plan.is_empty() {
        violations.add("plan", "is for real runs: a dry run makes a plan of its own");
    }
    if message.confirm_tenant_count.is_some() {
        violations.add("confirm_tenant_count", "is for an organization, or for all tenants");
    }
    if message.confirm_override_count.is_some() {
        violations.add("confirm_override_count", "is for an organization, or for all tenants");
    }
    let request_id = request::request_id(&mut violations, message.request_id);
    let (strategy, tenant) = violations.finish_with(strategy.zip(tenant))?;
    let kind = RunKind { strategy, dry_run: message.dry_run };
    Ok(MirrorRequest { tenant, kind, plan, view, overrides, request_id, traceparent })
}

fn revert_request(message: proto::RevertRunRequest, traceparent: Option<TraceContext>) -> Result<RevertRequest, Error> {
    let mut violations = Violations::default();
    let run = request::required(&mut violations, "name", &message.name, RunName::parse);
    let request_id = request::request_id(&mut violations, message.request_id);
    let overrides = run_overrides(&mut violations, &message.override_guards, &message.reason);
    let run = violations.finish_with(run)?;
    Ok(RevertRequest { run, dry_run: message.dry_run, overrides, request_id, traceparent })
}

fn run_overrides(violations: &mut Violations, guards: &[String], reason: &str) -> Overrides {
    let (guards, reason) = overrides(violations, guards, reason, "guard", GuardRule::ALL, GuardRule::as_str);
    Overrides { guards: guards.into_iter().collect(), reason }
}

/// Parses a view; `None` if it is unspecified.
fn view(violations: &mut Violations, number: i32, strategy: Option<Strategy>) -> Option<View> {
    let view = match proto::GbpView::try_from(number) {
        Ok(proto::GbpView::Unspecified) => return None,
        Ok(proto::GbpView::Merchant) => View::Merchant,
        Ok(proto::GbpView::Public) => View::Public,
        Err(_) => {
            violations.add("view", format!("{number} is no view"));
            return None;
        }
    };
    if strategy == Some(Strategy::PlatformToGbp) {
        violations.add("view", "is for STRATEGY_GBP_TO_PLATFORM: the other one writes to the merchant's record");
    }
    Some(view)
}

fn run_name(name: &str) -> Result<RunName, Error> {
    let mut violations = Violations::default();
    let name = request::required(&mut violations, "name", name, RunName::parse);
    violations.finish_with(name)
}

fn window(window: Option<prost_types::Duration>) -> Result<Duration, String> {
    let Some(window) = window else { return Ok(DEFAULT_WINDOW) };
    // Not the conversion of the message's own crate, which overflows on the smallest duration.
    let parts = u64::try_from(window.seconds).ok().zip(u32::try_from(window.nanos).ok());
    let window_in_range =
        parts.filter(|(_, nanos)| *nanos < 1_000_000_000).map(|(seconds, nanos)| Duration::new(seconds, nanos));
    window_in_range
        .filter(|window| !window.is_zero() && *window <= MAX_WINDOW)
        .ok_or_else(|| format!("must be more than 0 and at most 90 days, is {} s", window.seconds))
}
