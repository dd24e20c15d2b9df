//! The body of a request on its way to the decoder.
//!
//! The decoder reserves the *announced* length of a message as soon as it sees it. So it must not see a message before
//! it has arrived: each message is collected first, its bytes are reserved as they arrive, and its items are counted
//! before they are decoded.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use http::Request;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio_util::bytes::{Buf, BufMut, BytesMut};
use tonic::{Status, body::Body};

use crate::api::{
    encode::status::status,
    middleware::bodies::{memory::Reservation, schema},
};
use crate::error::Error;

/// Bytes that precede each message: a compression flag and the length.
const HEADER_BYTES: usize = 5;
/// Minimum size of the pieces in which a message is collected. They grow, so that a few bytes do not occupy a large
/// piece.
const MIN_PIECE: usize = 256;
const MAX_PIECE: usize = 64 * 1024;
/// Memory of a message in addition to its items: the decoder's copy of it, which the decoded texts then replace.
const DECODER_COPIES: usize = 1;

/// Limits of the requests of a method.
#[derive(Debug, Clone)]
pub(in crate::api) struct RequestLimits {
    /// The method's path.
    pub(in crate::api) path: String,
    /// Maximum size of a message, in bytes.
    pub(in crate::api) max_message: usize,
    /// Whether there may be several messages in sequence.
    pub(in crate::api) is_stream: bool,
}

/// Memory that a call holds until it is answered, shared by the call and its body.
pub(in crate::api) type SharedReservation = Arc<Mutex<Reservation>>;

/// Has the body of a call count what it brings, beside what is reserved. The result is to be held until the answer is there.
pub(in crate::api) fn metered(
    request: Request<Body>,
    reservation: Reservation,
    limits: RequestLimits,
) -> (Request<Body>, SharedReservation) {
    let base = reservation.bytes();
    let reservation = Arc::new(Mutex::new(reservation));
    let held = reservation.clone();
    (request.map(|body| Body::new(RequestBody::new(body, limits, held, base))), reservation)
}

/// A body that counts its bytes.
pub(in crate::api) struct RequestBody {
    body: Body,
    limits: RequestLimits,
    reservation: SharedReservation,
    /// Bytes that were reserved before the first message.
    base: usize,
    /// The start of a message that is incomplete.
    collected: Collected,
}

impl RequestBody {
    /// Wraps the body of a call for which `base` bytes are reserved.
    pub(in crate::api) fn new(body: Body, limits: RequestLimits, reservation: SharedReservation, base: usize) -> Self {
        Self { body, limits, reservation, base, collected: Collected::default() }
    }

    fn reserve(&self, bytes: usize) -> Result<(), Error> {
        // No code panics while holding the lock.
        self.reservation.lock().unwrap_or_else(PoisonError::into_inner).grow(bytes)
    }

    /// Collects bytes that have arrived. Returns a message, with its header, once it is complete.
    fn take_in(&mut self, arrived: Bytes) -> Result<Option<Bytes>, Error> {
        self.reserve(arrived.len())?;
        // The usual case, without a copy: one message in one frame.
        if self.collected.is_empty() && self.announced(&arrived)? == Some(arrived.len()) {
            return self.complete(arrived).map(Some);
        }
        self.collected.put(&arrived);
        self.next_collected()
    }

    fn next_collected(&mut self) -> Result<Option<Bytes>, Error> {
        match self.announced(&self.collected.head())? {
            Some(length) if length <= self.collected.length => {
                let message = self.collected.take(length);
                self.complete(message).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Returns the length of a message, including its header, from the header. `None`: the header is incomplete.
    fn announced(&self, bytes: &[u8]) -> Result<Option<usize>, Error> {
        let Some(&[_, a, b, c, d]) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > self.limits.max_message {
            let limit = self.limits.max_message;
            return Err(Error::invalid("message", format!("has {length} bytes, at most {limit} are allowed")));
        }
        Ok(Some(HEADER_BYTES + length))
    }

    fn complete(&self, message: Bytes) -> Result<Bytes, Error> {
        let decoded = schema::decoded_bytes(&self.limits.path, &message[HEADER_BYTES..])?;
        self.reserve(DECODER_COPIES * message.len() + decoded)?;
        Ok(message)
    }

    /// Called when the decoder has finished the previous message.
    fn next_message(&mut self) {
        if self.limits.is_stream && self.collected.is_empty() {
            self.reservation.lock().unwrap_or_else(PoisonError::into_inner).shrink_to(self.base);
        }
    }
}

/// Bytes in pieces, so that their memory is hardly more than what has arrived: one buffer for all would double as it
/// grows.
#[derive(Debug, Default)]
struct Collected {
    pieces: VecDeque<BytesMut>,
    length: usize,
}

impl Collected {
    fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns the first bytes, as many as a header has.
    fn head(&self) -> Vec<u8> {
        self.pieces.iter().flatten().copied().take(HEADER_BYTES).collect()
    }

    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.pieces.back().map_or(0, |last| last.capacity() - last.len());
            if room == 0 {
                self.pieces
                    .push_back(BytesMut::with_capacity(self.length.max(bytes.len()).clamp(MIN_PIECE, MAX_PIECE)));
                continue;
            }
            let (part, rest) = bytes.split_at(room.min(bytes.len()));
            if let Some(last) = self.pieces.back_mut() {
                last.put_slice(part);
            }
            self.length += part.len();
            bytes = rest;
        }
    }

    /// Removes and returns the first `length` bytes, or fewer if there are not as many.
    fn take(&mut self, length: usize) -> Bytes {
        let mut taken = BytesMut::with_capacity(length);
        while taken.len() < length {
            let Some(first) = self.pieces.front_mut() else { break };
            let part = first.len().min(length - taken.len());
            taken.put_slice(&first[..part]);
            first.advance(part);
            if first.is_empty() {
                self.pieces.pop_front();
            }
        }
        self.length -= taken.len();
        taken.freeze()
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.next_message();
        if !self.collected.is_empty()
            && let Some(message) = self.next_collected().map_err(status).transpose()
        {
            return Poll::Ready(Some(message.map(Frame::data)));
        }
        loop {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                // A message that breaks off never reaches the decoder, which would reserve its missing part, too.
                None if !self.collected.is_empty() => {
                    self.collected = Collected::default();
                    let broken = Error::invalid("message", "breaks off before its end");
                    return Poll::Ready(Some(Err(status(broken))));
                }
                other => return Poll::Ready(other),
            };
            match frame.into_data() {
                // gRPC defines no trailers in requests, and they would be stored without being counted.
                Err(_trailers) => {}
                Ok(arrived) => {
                    if let Some(message) = self.take_in(arrived).map_err(status).transpose() {
                        return Poll::Ready(Some(message.map(Frame::data)));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.collected.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{FutureExt, StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tonic::Code;

    use super::*;
    use crate::api::middleware::bodies::memory::RequestMemory;

    const LIMIT: usize = 1000;

    fn body(memory: &RequestMemory, frames: Vec<Vec<u8>>, is_stream: bool) -> RequestBody {
        let frames = stream::iter(frames).map(|frame| Ok::<_, Infallible>(Frame::data(Bytes::from(frame))));
        // Not the end: the client continues.
        let body = Body::new(StreamBody::new(frames.chain(stream::pending())).map_err(|never| match never {}));
        let limits = RequestLimits { path: "/none/None".to_owned(), max_message: LIMIT, is_stream };
        let mut reservation = memory.reservation(None);
        reservation.assign(Some("me")).expect("it is empty");
        let reservation = Arc::new(Mutex::new(reservation));
        RequestBody::new(body, limits, reservation, 0)
    }

    fn message(length: usize) -> Vec<u8> {
        let mut message = vec![0; HEADER_BYTES + length];
        message[1..HEADER_BYTES].copy_from_slice(&u32::try_from(length).expect("short").to_be_bytes());
        message
    }

    fn used(body: &RequestBody) -> usize {
        let held = format!("{:?}", body.reservation.lock().expect("sound"));
        let bytes = held.rsplit_once("bytes: ").expect("a number").1;
        bytes.trim_end_matches([' ', '}']).parse().expect("a number")
    }

    #[test]
    fn an_announced_length_costs_nothing_and_a_complete_message_comes_whole_however_it_was_cut() {
        let memory = RequestMemory::new(30_000);
        let whole = message(LIMIT);
        let mut announced = body(&memory, vec![whole[..HEADER_BYTES].to_vec()], false);
        assert!(announced.frame().now_or_never().is_none());
        assert_eq!((used(&announced), announced.collected.pieces[0].capacity()), (HEADER_BYTES, MIN_PIECE));
        for size in [1, 3, HEADER_BYTES, HEADER_BYTES + 1, 999, 2000] {
            let mut cut = body(&memory, whole.chunks(size).map(<[u8]>::to_vec).collect(), false);
            let frame = cut.frame().now_or_never().flatten().expect("complete").expect("sound");
            assert_eq!(frame.into_data().expect("data"), whole, "{size}");
            assert_eq!(used(&cut), 2 * whole.len());
        }
    }

    #[test]
    fn several_messages_in_one_frame_come_one_by_one_and_each_is_forgotten_for_the_next() {
        let memory = RequestMemory::new(30_000);
        let mut two = body(&memory, vec![[message(7), message(8), message(9)[..3].to_vec()].concat()], true);
        for length in [7, 8] {
            let frame = two.frame().now_or_never().flatten().expect("complete").expect("sound");
            assert_eq!(frame.into_data().expect("data").len(), HEADER_BYTES + length);
        }
        assert!(two.frame().now_or_never().is_none(), "the third breaks off");
    }

    #[test]
    fn what_is_too_long_or_too_much_is_refused_before_it_is_kept() {
        let refused = |memory: &RequestMemory, frames| {
            let mut body = body(memory, frames, false);
            let refused = body.frame().now_or_never().flatten().expect("decided").expect_err("refused");
            drop(body);
            refused
        };
        let memory = RequestMemory::new(30_000);
        let too_long = refused(&memory, vec![message(LIMIT + 1)[..HEADER_BYTES].to_vec()]);
        assert_eq!(too_long.code(), Code::InvalidArgument);
        assert!(too_long.message().contains("has 1001 bytes, at most 1000"), "{too_long}");
        // One caller's share is 500 bytes: enough for a message of 200 bytes and the decoder's copy, but not for 400.
        let memory = RequestMemory::new(1500);
        let too_much = refused(&memory, vec![message(400)]);
        assert_eq!(too_much.code(), Code::ResourceExhausted);
        let mut fits = body(&memory, vec![message(200)], false);
        fits.frame().now_or_never().flatten().expect("complete").expect("the refused ones hold nothing");
    }

    #[test]
    fn a_message_that_breaks_off_is_refused() {
        let memory = RequestMemory::new(30_000);
        let mut cut = body(&memory, vec![], false);
        cut.body =
            Body::new(http_body_util::Full::new(Bytes::from(message(9)[..8].to_vec())).map_err(|never| match never {}));
        let refused = cut.frame().now_or_never().flatten().expect("decided").expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(cut.frame().now_or_never().flatten().is_none(), "and then it is over");
    }
}
