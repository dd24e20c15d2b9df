//! The body of a request whose end arrives only once its call has been admitted.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::future::BoxFuture;
use hyper::body::{Bytes, Frame};
use tonic::{Code, Status, body::Body};

use crate::api::encode::status::status;
use crate::error::Error;

/// A message whose end arrives only once its call has a permit, so that a call whose message never ends holds none.
///
/// Invariant: everything that the decoder may interpret as the end comes after the admission. That includes trailers,
/// which gRPC does not define in requests and which are dropped here, and the error of a stream that its client has
/// reset, which is replaced by another one here.
pub(in crate::api) struct AdmissionBody {
    body: Body,
    has_ended: bool,
    /// `None`: the call has been admitted.
    admission: Option<BoxFuture<'static, Result<(), Error>>>,
}

impl AdmissionBody {
    /// Wraps `body` and holds back its end until `admission` has completed.
    pub(in crate::api) fn wrap(
        body: Body,
        admission: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Body {
        Body::new(Self { body, has_ended: false, admission: Some(Box::pin(admission)) })
    }

    fn poll_admission(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let Some(admission) = &mut self.admission else { return Poll::Ready(Ok(())) };
        let admitted = ready!(admission.as_mut().poll(context));
        self.admission = None;
        Poll::Ready(admitted.map_err(status))
    }
}

impl hyper::body::Body for AdmissionBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        while !self.has_ended {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => self.has_ended = true,
                Some(Ok(frame)) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                Some(Ok(_trailers)) => {}
                Some(Err(error)) if error.code() == Code::Cancelled => {
                    let broken = Error::invalid("message", "breaks off before its end");
                    return Poll::Ready(Some(Err(status(broken))));
                }
                error => return Poll::Ready(error),
            }
        }
        Poll::Ready(ready!(self.poll_admission(context)).err().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.admission.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::{FutureExt, stream};
    use http::HeaderMap;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[test]
    fn nothing_that_a_decoder_takes_for_the_end_comes_before_the_admission() {
        let message = || Ok(Frame::data(Bytes::from_static(b"message")));
        let ends: [Vec<Result<Frame<Bytes>, Status>>; 3] =
            [vec![], vec![Ok(Frame::trailers(HeaderMap::new()))], vec![Err(Status::cancelled("reset"))]];
        for end in ends {
            let shown = format!("{end:?}");
            let body = Body::new(StreamBody::new(stream::iter([message()].into_iter().chain(end))));
            let mut body = AdmissionBody::wrap(body, pending());
            let first = body.frame().now_or_never().flatten().expect("here").expect("sound");
            assert!(first.is_data(), "{shown}");
            match body.frame().now_or_never() {
                None => {}
                Some(Some(Err(error))) => assert_ne!(error.code(), Code::Cancelled, "{shown}"),
                Some(other) => panic!("{shown}: {other:?}"),
            }
        }
    }
}
