//! Reads the rest of a request that was answered before it was read completely.
//!
//! A call that the gate refuses, or whose method does not exist, is answered while its message is still being sent.
//! HTTP/2 then treats the rest as frames of a closed stream, counts them as violations of the client, and after enough
//! of them closes the connection, with all other calls on it. Behind a proxy, these may be calls of other callers. So
//! the rest is read and discarded.

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

/// Maximum number of bytes that are read and discarded, and for how long. A client that sends more is a real offender.
const MAX_BYTES: usize = 64 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of requests of the process that are drained concurrently. Beyond it, the stream is reset, as it would
/// be without this module: callers without a token can start such requests at any rate, and each takes some kilobytes.
const MAX_READING: usize = 1024;

/// Number of requests that are being drained.
static READING: AtomicUsize = AtomicUsize::new(0);

/// Wraps the body of a request so that its rest is read.
pub(in crate::api) fn drain_request_body(request: Request<Body>) -> Request<Body> {
    request.map(|body| if body.is_end_stream() { body } else { Body::new(DrainOnDrop(body)) })
}

/// A body that is read to its end if it is dropped earlier.
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
        // Without a runtime, the connection no longer exists either.
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

/// Permit for a request that is being drained.
struct DrainSlot;

impl DrainSlot {
    /// `None`: the maximum has been reached.
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
