//! The way between our spans and the `traceparent` of others.

use std::str::FromStr;

use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::domain::TraceContext;

/// The same span, in `parent`'s trace. Only before anybody has asked for its [`traceparent`].
pub(super) fn continue_in(span: Span, parent: Option<&TraceContext>) -> Span {
    if !span.is_disabled()
        && let Some(parent) = parent.and_then(context)
        && let Err(error) = span.set_parent(parent)
    {
        tracing::debug!(%error, "a span begins a trace of its own");
    }
    span
}

/// What tells others that they work for `span`. `None` where nobody exports it.
#[must_use]
pub fn traceparent(span: &Span) -> Option<TraceContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    let traceparent = format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags());
    // What the caller's systems have added goes on to whoever works for the span.
    let state = span.trace_state().header();
    TraceContext::parse(&traceparent, [Some(state.as_str())].into_iter())
}

fn context(parent: &TraceContext) -> Option<Context> {
    let mut parts = parent.traceparent().split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    // What later versions of the standard mean by other flags is not ours to pass on.
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?) & TraceFlags::SAMPLED;
    let state = parent.tracestate().and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    let context = SpanContext::new(trace, span, flags, true, state);
    Some(Context::new().with_remote_span_context(context))
}
