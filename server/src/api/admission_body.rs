//! The body of a request, whose end arrives when its call is admitted.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::future::BoxFuture;
use hyper::body::{Bytes, Frame};
use tonic::{Status, body::Body};

use super::status::status;
use crate::error::Error;

/// A message whose end arrives only when its call has a place: a call whose message never ends holds none.
pub(super) struct AdmissionBody {
    body: Body,
    has_ended: bool,
    /// `None`: it has one.
    admission: Option<BoxFuture<'static, Result<(), Error>>>,
}

impl AdmissionBody {
    /// Holds back the end of `body` until there is a place.
    pub(super) fn wrap(body: Body, admission: impl Future<Output = Result<(), Error>> + Send + 'static) -> Body {
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
        if !self.has_ended {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => self.has_ended = true,
                frame => return Poll::Ready(frame),
            }
        }
        Poll::Ready(ready!(self.poll_admission(context)).err().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        self.admission.is_none() && self.body.is_end_stream()
    }
}
