//! The spans of the server: one for each call, each acceptance of a run, each attempt and each request to Google, with
//! the names of OpenTelemetry's conventions.
//!
//! They are spans of `tracing` with their own target: the log leaves them out, and the exporter receives no others.
//! Without an exporter they are never created, and a caller's trace is passed on unchanged.

#[cfg(not(feature = "otel"))]
mod absent;
mod config;
#[cfg(feature = "otel")]
mod context;
#[cfg(feature = "otel")]
mod export;
mod methods;
#[cfg(feature = "otel")]
mod queue;

use http::Uri;
use tracing::{Span, field, info_span};

#[cfg(not(feature = "otel"))]
use self::absent::continue_in;
#[cfg(feature = "otel")]
use self::context::continue_in;
use crate::{
    domain::{Run, RunKind, TenantId, TraceContext},
    gbp,
};

#[cfg(not(feature = "otel"))]
pub use absent::{Exporter, traceparent};
pub use config::{ExportError, Protocol, Sampling, SpanConfig};
#[cfg(feature = "otel")]
pub use context::traceparent;
#[cfg(feature = "otel")]
pub use export::Exporter;
pub use methods::method;

/// Target of all spans that are exported.
pub const TARGET: &str = gbp::SPAN_TARGET;

/// Maximum length of a host name, which callers can choose freely.
const MAX_HOST: usize = 255;
/// Names of the gRPC codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// gRPC codes of server errors: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
const FAULTS: [i32; 6] = [2, 4, 12, 13, 14, 15];

/// Returns the span of a call, in its caller's trace if it has one.
#[must_use]
pub fn call(uri: &Uri, parent: Option<&TraceContext>) -> Span {
    let name = method(uri.path());
    let host = uri.host().filter(|host| host.len() <= MAX_HOST);
    let span = info_span!(
        target: TARGET, "call",
        otel.name = name, otel.kind = "server", otel.status_code = field::Empty,
        rpc.system.name = "grpc", rpc.method = name, rpc.response.status_code = field::Empty, error.type = field::Empty,
        server.address = host, server.port = host.and(uri.port_u16()),
    );
    continue_in(span, parent)
}

/// Records the result of a call.
pub fn answered(call: &Span, code: i32) {
    let name = code_name(code);
    call.record("rpc.response.status_code", name);
    if FAULTS.contains(&code) {
        call.record("otel.status_code", "ERROR").record("error.type", name);
    }
}

/// Returns the name of a gRPC code, such as `NOT_FOUND`.
#[must_use]
pub fn code_name(code: i32) -> &'static str {
    let name = usize::try_from(code).ok().and_then(|code| CODES.get(code));
    name.copied().unwrap_or("UNKNOWN")
}

/// Returns the span of the acceptance of a run, which all attempts of the run follow, on any server.
#[must_use]
pub fn acceptance(tenant: &TenantId, kind: RunKind) -> Span {
    info_span!(
        target: TARGET, "accept",
        otel.kind = "producer", otel.status_code = field::Empty,
        tenant_id = %tenant, strategy = %kind.strategy, dry_run = kind.dry_run,
        run_id = field::Empty, joined = field::Empty, reason = field::Empty,
    )
}

/// Returns the span of an attempt, in the trace in which the run was requested.
#[must_use]
pub fn attempt(run: &Run, parent: Option<&TraceContext>) -> Span {
    let batch_id = run.batch.map(field::display);
    let span = info_span!(
        target: TARGET, "attempt",
        otel.kind = "consumer", otel.status_code = field::Empty, otel.status_description = field::Empty,
        run_id = %run.id, attempt = run.attempt, tenant_id = %run.tenant, batch_id,
        strategy = %run.kind.strategy, dry_run = run.kind.dry_run,
        state = field::Empty, reason = field::Empty,
    );
    continue_in(span, parent)
}

/// Records that the operation of a span failed, and why.
pub fn failed(span: &Span, reason: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("reason", reason);
}
