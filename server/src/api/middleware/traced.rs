//! The span of a call, which ends with the last byte of its response.

use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tracing::{Instrument, Span};

use crate::spans;

/// gRPC's code for a call that its caller no longer waits for.
pub(in crate::api) const CANCELLED: i32 = 1;

/// Executes `work` in `span`, which ends with the response; for a stream, when the stream ends.
pub(in crate::api) async fn traced<E>(
    span: Span,
    work: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    if span.is_disabled() {
        return work.await;
    }
    let mut unanswered = Unanswered(Some(span.clone()));
    let answer = work.instrument(span).await?;
    // An error without a body has its code in the headers; everything else has it in the trailers.
    if let Some(code) = code(answer.headers()) {
        unanswered.answered(code);
        return Ok(answer);
    }
    Ok(answer.map(|body| {
        Body::new(body.map_frame(move |frame| {
            if let Some(code) = frame.trailers_ref().and_then(code) {
                unanswered.answered(code);
            }
            frame
        }))
    }))
}

/// A call without a status code so far. If its caller abandons it, its code is `CANCELLED`, whatever the later result
/// of its work.
struct Unanswered(Option<Span>);

impl Unanswered {
    fn answered(&mut self, code: i32) {
        if let Some(span) = self.0.take() {
            spans::answered(&span, code);
        }
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.answered(CANCELLED);
    }
}

/// Returns the gRPC code in headers or trailers.
pub(in crate::api) fn code(headers: &HeaderMap) -> Option<i32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
