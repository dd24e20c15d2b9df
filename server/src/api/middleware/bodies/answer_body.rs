//! The body of a response on its way to the client: counts the bytes that have not been sent yet, pauses streams while
//! their client does not read, and ends responses that have no deadline of a caller.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Response};
use hyper::body::{Body as _, Bytes, Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::api::encode::status::status;
use crate::{
    connections::{Connection, UnsentBytes},
    error::Error,
};

/// Properties of a response apart from its bytes.
#[derive(Default)]
pub(in crate::api) struct AnswerBounds {
    /// The connection that carries it; `None` if the transport does not provide it.
    pub(in crate::api) connection: Option<Arc<Connection>>,
    /// Whether it is a stream, which pauses while its client does not read. A unary response is already in memory, so
    /// pausing would free nothing.
    pub(in crate::api) is_stream: bool,
    /// Completes with the error that ends the response.
    pub(in crate::api) end: Option<BoxFuture<'static, Error>>,
    /// Held until the response has ended.
    pub(in crate::api) held: Option<Box<dyn Send>>,
}

struct AnswerBody {
    body: Body,
    bounds: AnswerBounds,
    /// Waits for buffer space of the connection.
    room: Option<BoxFuture<'static, ()>>,
    is_over: bool,
}

/// Bounds a response. A response without a body is returned unchanged.
pub(in crate::api) fn bounded(answer: Response<Body>, bounds: AnswerBounds) -> Response<Body> {
    answer.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        Body::new(AnswerBody { body, bounds, room: None, is_over: false })
    })
}

/// Bytes that count as unsent until the transport drops them.
struct Counted {
    bytes: Bytes,
    _unsent: UnsentBytes,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AnswerBody {
    /// Whether the stream has to wait for its client.
    fn pauses(&mut self, context: &mut Context<'_>) -> bool {
        let Some(connection) = self.bounds.connection.as_ref().filter(|_| self.bounds.is_stream) else { return false };
        if self.room.is_none() {
            if connection.has_room_for_streams() {
                return false;
            }
            let connection = connection.clone();
            self.room = Some(Box::pin(async move { connection.room_for_streams().await }));
        }
        let is_pending = self.room.as_mut().is_some_and(|room| room.as_mut().poll(context).is_pending());
        if !is_pending {
            self.room = None;
        }
        is_pending
    }

    fn counted(&self, bytes: Bytes) -> Bytes {
        match &self.bounds.connection {
            Some(connection) if !bytes.is_empty() => {
                let _unsent = connection.unsent_bytes(bytes.len());
                Bytes::from_owner(Counted { bytes, _unsent })
            }
            _ => bytes,
        }
    }

    fn over(&mut self) {
        self.is_over = true;
        self.body = Body::empty();
        self.bounds = AnswerBounds::default();
    }
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(end) = &mut self.bounds.end
            && let Poll::Ready(error) = end.as_mut().poll(context)
        {
            self.over();
            return Poll::Ready(Some(Ok(Frame::trailers(trailers(&status(error))))));
        }
        if self.pauses(context) {
            return Poll::Pending;
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.over();
                Poll::Ready(None)
            }
            Poll::Ready(Some(frame)) => Poll::Ready(Some(frame.map(|frame| match frame.into_data() {
                Ok(bytes) => Frame::data(self.counted(bytes)),
                Err(frame) => frame,
            }))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.bounds.end.is_some() { SizeHint::default() } else { self.body.size_hint() }
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // The text cannot be sent as a header; the code is sufficient.
        trailers.insert("grpc-status", HeaderValue::from(i32::from(status.code())));
    }
    trailers
}
