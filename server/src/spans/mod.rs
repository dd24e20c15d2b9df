//! What a trace shows of the service: a span for each call, for the acceptance of a run, for each attempt and for each request to Google,
//! in the words of OpenTelemetry's conventions.
//!
//! They are spans of `tracing` with a target of their own: the log leaves them out, and the exporter takes nothing else. Where there is no
//! exporter they are never made, and a caller's trace goes on as it came.

#[cfg(not(feature = "otel"))]
mod absent;
#[cfg(feature = "otel")]
mod context;
#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod queue;
mod settings;

use tracing::{Span, field, info_span};

#[cfg(not(feature = "otel"))]
use self::absent::continue_in;
#[cfg(feature = "otel")]
use self::context::continue_in;
use crate::domain::{LocationId, Run, RunKind, TenantId, TraceParent};

#[cfg(not(feature = "otel"))]
pub use absent::{Exporter, traceparent};
#[cfg(feature = "otel")]
pub use context::traceparent;
#[cfg(feature = "otel")]
pub use export::Exporter;
pub use settings::{ExportError, Protocol, Sampling, Settings};

/// The target of all spans that are exported.
pub const TARGET: &str = "category_mirror::spans";

/// Bytes of a method's name. Anybody may call what does not exist.
const MAX_METHOD: usize = 100;
/// The gRPC codes that are the server's fault: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
const FAULTS: [i32; 6] = [2, 4, 12, 13, 14, 15];

/// A call, in its caller's trace if it has one.
#[must_use]
pub fn call(path: &str, parent: Option<&TraceParent>) -> Span {
    let name = Some(path.trim_start_matches('/')).filter(|name| name.len() <= MAX_METHOD).unwrap_or("unknown");
    let (service, method) = name.rsplit_once('/').unwrap_or((name, ""));
    let span = info_span!(
        target: TARGET, "call",
        otel.name = name, otel.kind = "server", otel.status_code = field::Empty,
        rpc.system = "grpc", rpc.service = service, rpc.method = method, rpc.grpc.status_code = field::Empty,
    );
    continue_in(span, parent)
}

/// Says how a call ended.
pub fn answered(call: &Span, code: i32) {
    call.record("rpc.grpc.status_code", code);
    if FAULTS.contains(&code) {
        call.record("otel.status_code", "ERROR");
    }
}

/// The acceptance of a run: what the run's attempts come after, wherever they are made.
#[must_use]
pub fn acceptance(tenant: &TenantId, kind: RunKind) -> Span {
    info_span!(
        target: TARGET, "accept",
        otel.kind = "producer", otel.status_code = field::Empty,
        tenant = %tenant, strategy = %kind.strategy, dry_run = kind.dry_run,
        run_id = field::Empty, joined = field::Empty, reason = field::Empty,
    )
}

/// An attempt of a run, in the trace that the run was asked for in.
#[must_use]
pub fn attempt(run: &Run, parent: Option<&TraceParent>) -> Span {
    let batch_id = run.batch.map(field::display);
    let span = info_span!(
        target: TARGET, "attempt",
        otel.kind = "consumer", otel.status_code = field::Empty, otel.status_description = field::Empty,
        run_id = %run.id, attempt = run.attempt, tenant = %run.tenant, batch_id,
        strategy = %run.kind.strategy, dry_run = run.kind.dry_run,
        result = field::Empty, reason = field::Empty,
    );
    continue_in(span, parent)
}

/// A request to Google; `method` is Google's name for it.
#[must_use]
pub fn request(method: &'static str, location: Option<&LocationId>) -> Span {
    let location = location.map(field::display);
    info_span!(
        target: TARGET, "google",
        otel.name = method, otel.kind = "client", otel.status_code = field::Empty,
        rpc.method = method, location, class = field::Empty, http.response.status_code = field::Empty,
    )
}

/// Says that what a span is about failed, and why.
pub fn failed(span: &Span, reason: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("reason", reason);
}
