//! Counts all calls and measures their duration. It is the outermost layer, so calls that the gate refuses are counted,
//! too.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::api::middleware::traced::{CANCELLED, code};
use crate::spans::{code_name, method};

/// Puts the measurement before a service.
#[derive(Debug, Clone, Copy)]
pub(in crate::api) struct MeasuredLayer;

impl<S> Layer<S> for MeasuredLayer {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured { inner }
    }
}

/// A service whose calls are counted.
#[derive(Debug, Clone)]
pub struct Measured<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Measured<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut measured =
            MeasuredCall { method: method(request.uri().path()), begun: Instant::now(), code: CANCELLED };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            // An error without a body has its code in the headers; everything else has it in the trailers.
            if let Some(code) = code(answer.headers()) {
                measured.ended(code);
                return Ok(answer);
            }
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    if let Some(code) = frame.trailers_ref().and_then(code) {
                        measured.ended(code);
                    }
                    frame
                }))
            }))
        })
    }
}

/// A running call. It is counted when it ends in any way: with its response, or dropped because its caller no longer
/// waits.
struct MeasuredCall {
    method: &'static str,
    begun: Instant,
    code: i32,
}

impl MeasuredCall {
    fn ended(&mut self, code: i32) {
        self.code = code;
    }
}

impl Drop for MeasuredCall {
    fn drop(&mut self) {
        let (rpc, code) = (self.method, code_name(self.code));
        metrics::counter!("category_mirror_calls_total", "rpc" => rpc, "code" => code).increment(1);
        metrics::histogram!("category_mirror_call_duration_seconds", "rpc" => rpc).record(self.begun.elapsed());
    }
}
