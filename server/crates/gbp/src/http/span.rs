//! The span of a request to Google, in the words of OpenTelemetry's conventions, and the trace that Google is told.

use std::sync::OnceLock;

use category_mirror_domain::{LocationId, TraceContext};
use reqwest::{Method, Url};
use tracing::{Span, field, info_span};

/// The target of the spans that are for an exporter and not for the log.
pub const SPAN_TARGET: &str = "category_mirror::spans";

/// Returns the trace context of a span; `None` if no exporter takes it.
pub type SpanContext = fn(&Span) -> Option<TraceContext>;

/// Global, as the subscriber of `tracing` is: a span belongs to the exporter that is installed, whichever client made it.
static SPAN_CONTEXT: OnceLock<SpanContext> = OnceLock::new();

/// Sets how the trace context of a span is found, once per process: whoever installs an exporter of spans knows. From then on, requests
/// send it to Google in `traceparent`. Later calls change nothing.
pub fn set_span_context(span_context: SpanContext) {
    // An exporter that is started a second time finds contexts in the same way.
    let _ = SPAN_CONTEXT.set(span_context);
}

/// The trace context of a span, if it is exported.
pub(crate) fn span_context(span: &Span) -> Option<TraceContext> {
    SPAN_CONTEXT.get().and_then(|span_context| span_context(span))
}

/// A request to Google; `method` is Google's name for it.
pub(crate) fn request(method: &'static str, location: Option<&LocationId>) -> Span {
    let location = location.map(field::display);
    info_span!(
        target: SPAN_TARGET, "google",
        otel.name = method, otel.kind = "client", otel.status_code = field::Empty,
        http.request.method = field::Empty, url.full = field::Empty, server.address = field::Empty, server.port = field::Empty,
        http.response.status_code = field::Empty, error.type = field::Empty, location_id = location, outcome = field::Empty,
    )
}

/// Records what a request to Google is, as HTTP has it. Queries stay out: some have page tokens, and nobody looks for these in a trace.
pub(crate) fn sent(request: &Span, method: &Method, url: &Url) {
    let mut shown = url.clone();
    shown.set_query(None);
    // None can be there, as the endpoint is checked.
    let _ = (shown.set_username(""), shown.set_password(None));
    request.record("http.request.method", method.as_str()).record("url.full", shown.as_str());
    request.record("server.address", url.host_str()).record("server.port", url.port_or_known_default());
}
