//! The span of a call, until the last of its answer.

use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tracing::{Instrument, Span};

use crate::spans;

/// Does `work` in `span`, which ends with the answer: with that of a stream, when the stream does.
pub(super) async fn traced<E>(
    span: Span,
    work: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    if span.is_disabled() {
        return work.await;
    }
    let answer = work.instrument(span.clone()).await?;
    // An error without a body has its code before it, everything else after it.
    if let Some(code) = code(answer.headers()) {
        spans::answered(&span, code);
        return Ok(answer);
    }
    Ok(answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if let Some(code) = frame.trailers_ref().and_then(code) {
                spans::answered(&span, code);
            }
            frame
        }))
    }))
}

/// The gRPC code that headers or trailers hold.
pub(super) fn code(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
