//! Receives the message of a call without a token, before the call takes a permit.

use std::{pin::pin, time::Duration};

use futures::{StreamExt, poll, stream};
use http::Request;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Frame;
use tokio::time::{Instant, sleep_until};
use tonic::{Status, body::Body};

use crate::api::{encode::status::status, middleware::open_permits::OpenPermits};
use crate::{connections::Connection, error::Error};

/// Time for the message to arrive after the headers; usually it arrives with them.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Waits for a complete request; for a stream, for its first message. The result contains the message and the rest of
/// the stream.
///
/// # Errors
/// The status of a message that is rejected, does not arrive in time, or is displaced by other calls.
pub(super) async fn arrived(
    request: Request<Body>,
    is_stream: bool,
    arriving: &OpenPermits,
    connection: Option<&Connection>,
    ends_at: Instant,
) -> Result<Request<Body>, Status> {
    let (parts, body) = request.into_parts();
    let mut reading = pin!(read(body, is_stream));
    // A message that has already arrived needs no permit for waiting, so no caller can keep it out by holding them.
    let read = match poll!(reading.as_mut()) {
        std::task::Poll::Ready(read) => read,
        std::task::Poll::Pending => {
            let permit = arriving.take(connection).map_err(status)?;
            let displaced = permit.displaced();
            tokio::select! {
                read = reading => read,
                () = displaced.cancelled() => Err(status(arriving.displaced())),
                () = sleep_until(ends_at.min(Instant::now() + ARRIVAL_TIMEOUT)) => {
                    Err(status(Error::DeadlineExceeded(ARRIVAL_TIMEOUT)))
                }
            }
        }
    };
    read.map(|body| Request::from_parts(parts, body))
}

async fn read(mut body: Body, is_stream: bool) -> Result<Body, Status> {
    // One message per frame.
    let mut first = None;
    while let Some(frame) = body.frame().await {
        let Ok(message) = frame?.into_data() else { continue };
        if is_stream {
            let first = stream::iter([Ok(Frame::data(message))]);
            return Ok(Body::new(StreamBody::new(first.chain(BodyStream::new(body)))));
        }
        // A unary call has one message; further ones are counted and dropped.
        first.get_or_insert(message);
    }
    let frames = stream::iter(first.map(|message| Ok::<_, Status>(Frame::data(message))));
    Ok(Body::new(StreamBody::new(frames)))
}
