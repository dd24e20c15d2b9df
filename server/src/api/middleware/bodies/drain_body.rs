//! What is left of a request that was answered before it was read.
//!
//! A call that is refused at the gate, or whose method there is not, is answered while its message is still on its way. HTTP/2 then takes
//! what arrives as frames of a stream that is closed, counts them as offences of the client, and after enough of them closes the
//! connection: with all the calls on it, which may be those of others, behind one proxy. So the rest is read, and thrown away.

use std::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use hyper::body::{Body as _, Bytes, Frame, SizeHint};
use tokio::{runtime::Handle, time::timeout};
use tonic::{Status, body::Body};

/// Bytes that are read of what nobody asks for, and how long. Beyond, a client that goes on is an offender indeed.
const MAX_BYTES: usize = 64 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Requests of the process that are read so at once. Beyond, the stream is reset, as it would be without all of this: callers without a token
/// can begin such requests as fast as they like, and each takes some kilobytes.
const MAX_READING: usize = 1024;

/// How many are read so now.
static READING: AtomicUsize = AtomicUsize::new(0);

/// Has the rest of each request read.
pub(in crate::api) fn drain_request_body(request: Request<Body>) -> Request<Body> {
    request.map(|body| if body.is_end_stream() { body } else { Body::new(DrainOnDrop(body)) })
}

/// A body that is read to its end when it is dropped before.
struct DrainOnDrop(Body);

impl hyper::body::Body for DrainOnDrop {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for DrainOnDrop {
    fn drop(&mut self) {
        if self.0.is_end_stream() {
            return;
        }
        // Without a runtime the connection is gone, too.
        if let Ok(runtime) = Handle::try_current() {
            let Some(place) = DrainSlot::begin() else { return };
            let rest = std::mem::take(&mut self.0);
            runtime.spawn(async move {
                let _place = place;
                timeout(DRAIN_TIMEOUT, read(rest)).await
            });
        }
    }
}

async fn read(mut body: Body) {
    let mut left = MAX_BYTES;
    while let Some(Ok(frame)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(less) = left.checked_sub(length) else { return };
        left = less;
    }
}

/// A request that is read to its end.
struct DrainSlot;

impl DrainSlot {
    /// `None`: there are too many.
    fn begin() -> Option<Self> {
        let next = |reading: usize| (reading < MAX_READING).then_some(reading + 1);
        READING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok().map(|_| Self)
    }
}

impl Drop for DrainSlot {
    fn drop(&mut self) {
        READING.fetch_sub(1, Ordering::Relaxed);
    }
}
