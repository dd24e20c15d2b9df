//! What the metrics, the log and the trace say of requests to Google.

use std::time::Instant;

use category_mirror_domain::{LocationId, TraceContext};
use reqwest::{RequestBuilder, StatusCode};
use tracing::Instrument;

use crate::{
    http::{
        exchange::{NoResponse, exchange},
        span,
    },
    response::answer::UpstreamResponse,
};

/// The headers of W3C Trace Context.
const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// What a request is, to whoever looks on.
pub(crate) struct RequestContext<'a> {
    /// Google's name of the method.
    pub(crate) method: &'static str,
    /// The location that it is about.
    pub(crate) location: Option<&'a LocationId>,
    /// The trace that it belongs to, where no span of ours says so.
    pub(crate) trace: Option<&'a TraceContext>,
}

/// Does as [`exchange`] does, and tells of it. Google is told the span that asks.
///
/// # Errors
/// Those of [`exchange`].
pub(crate) async fn instrumented(
    label: &str,
    about: RequestContext<'_>,
    request: RequestBuilder,
) -> Result<UpstreamResponse, NoResponse> {
    let RequestContext { method, location, trace } = about;
    let span = span::request(method, location);
    let trace = span::span_context(&span).or_else(|| trace.map(|trace| trace.child(fastrand::u64(1..))));
    let request = match &trace {
        Some(trace) => request.header(TRACEPARENT, trace.traceparent()),
        None => request,
    };
    let request = match trace.as_ref().and_then(TraceContext::tracestate) {
        Some(state) => request.header(TRACESTATE, state),
        None => request,
    };
    // A copy of the request, whose body is shared, tells where it goes.
    if !span.is_disabled()
        && let Some(request) = request.try_clone().and_then(|request| request.build().ok())
    {
        span::sent(&span, request.method(), request.url());
    }
    let began = Instant::now();
    let result = exchange(label, request).instrument(span.clone()).await;
    let duration = began.elapsed();
    let outcome = outcome(&result);
    metrics::counter!("category_mirror_gbp_requests_total", "method" => method, "outcome" => outcome).increment(1);
    metrics::histogram!("category_mirror_gbp_request_duration_seconds", "method" => method).record(duration);
    let status = result.as_ref().ok().map(|answer| answer.status.as_u16());
    span.record("outcome", outcome).record("http.response.status_code", status);
    if outcome != "ok" {
        // An answer that says so is its own type of error; that there is none, or none to read, is ours to name.
        let failed = status.filter(|status| *status >= 400).map(|status| status.to_string());
        span.record("otel.status_code", "ERROR").record("error.type", failed.as_deref().unwrap_or(outcome));
    }
    let location = location.map(tracing::field::display);
    tracing::debug!(method, location, status, duration_ms = duration.as_millis(), "called google");
    result
}

fn outcome(result: &Result<UpstreamResponse, NoResponse>) -> &'static str {
    match result {
        Err(_) => "no_response",
        Ok(answer) => match answer.status {
            status if status.is_success() && answer.body.is_err() => "invalid_response",
            status if status.is_success() => "ok",
            StatusCode::UNAUTHORIZED => "unauthorized",
            StatusCode::TOO_MANY_REQUESTS => "quota",
            StatusCode::REQUEST_TIMEOUT => "unavailable",
            status if status.is_server_error() => "unavailable",
            _ => "rejected",
        },
    }
}
