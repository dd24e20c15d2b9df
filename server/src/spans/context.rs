//! Converts between the server's spans and the `traceparent` of other systems.

use std::str::FromStr;

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::domain::TraceContext;

/// Returns the same span as a part of `parent`'s trace. Only possible before its [`traceparent`] has been requested.
pub(super) fn continue_in(span: Span, parent: Option<&TraceContext>) -> Span {
    if !span.is_disabled()
        && let Some(parent) = parent.and_then(context)
        && let Err(error) = span.set_parent(parent)
    {
        tracing::debug!(%error, "a span begins a trace of its own");
    }
    span
}

/// Returns the trace context for work on behalf of `span`. `None` if the span is not exported.
#[must_use]
pub fn traceparent(span: &Span) -> Option<TraceContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    let traceparent = format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags());
    // Entries of the caller's systems are passed on.
    let state = span.trace_state().header();
    TraceContext::parse(&traceparent, [Some(state.as_str())].into_iter())
}

fn context(parent: &TraceContext) -> Option<Context> {
    let mut parts = parent.traceparent().split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    // Other flags are not passed on, because later versions of the standard define their meaning.
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?) & TraceFlags::SAMPLED;
    let state = parent.tracestate().and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    let context = SpanContext::new(trace, span, flags, true, state);
    Some(Context::new().with_remote_span_context(context))
}
