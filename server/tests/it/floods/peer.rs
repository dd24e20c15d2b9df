//! A client that speaks HTTP/2 by hand, so that it can do what no library would.

use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex as AsyncMutex, watch},
    task::JoinHandle,
};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// The error code of a call that its caller gives up.
const CANCEL: u32 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u16 = 4;
/// What HTTP/2 begins with.
const FIRST_WINDOW: i64 = 65_535;
const MAX_FRAME: usize = 16_384;

/// What the server has sent so far.
#[derive(Default, Clone)]
pub(super) struct Seen {
    /// Bytes of answers.
    pub(super) data: usize,
    /// Streams whose answer has ended, in any way; some with an answer and a reset.
    ended_streams: HashSet<u32>,
    /// Streams whose answer has begun.
    answered_streams: HashSet<u32>,
    /// Whether the server asked for no further calls.
    pub(super) goaway: bool,
    /// Whether the connection is gone.
    pub(super) closed: bool,
    /// What may be sent: on the connection, and on each stream beside what streams begin with.
    connection_window: i64,
    first_window: i64,
    stream_windows: HashMap<u32, i64>,
}

impl Seen {
    /// How many calls have ended.
    pub(super) fn ended(&self) -> usize {
        self.ended_streams.len()
    }

    /// Whether a call has ended.
    pub(super) fn has_ended(&self, stream: u32) -> bool {
        self.ended_streams.contains(&stream)
    }

    /// How many answers have begun.
    pub(super) fn answered(&self) -> usize {
        self.answered_streams.len()
    }
}

/// A connection. It answers pings and settings, and never opens a window again.
pub(super) struct Peer {
    writer: Arc<AsyncMutex<OwnedWriteHalf>>,
    seen: watch::Receiver<Seen>,
    sent: Mutex<HashMap<u32, i64>>,
    next_stream: Mutex<u32>,
    reader: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Opens a TCP connection from a local address.
pub(super) async fn tcp(server: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(server).await
}

impl Peer {
    /// Connects, and says that each answer may have `window` bytes before it is read, which never happens.
    pub(super) async fn connect(server: SocketAddr, from: IpAddr, window: u32) -> io::Result<Self> {
        let stream = tcp(server, from).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let writer = Arc::new(AsyncMutex::new(writer));
        let first = Seen { connection_window: FIRST_WINDOW, first_window: FIRST_WINDOW, ..Seen::default() };
        let (sender, seen) = watch::channel(first);
        let reader = tokio::spawn(read(reader, writer.clone(), sender));
        let peer = Self { writer, seen, sent: Mutex::default(), next_stream: Mutex::new(1), reader };
        let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        peer.write(&[PREFACE, &frame(SETTINGS, 0, 0, &settings)].concat()).await?;
        Ok(peer)
    }

    pub(super) async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.writer.lock().await.write_all(bytes).await
    }

    /// Begins a call: its headers, and nothing else. Returns its stream.
    pub(super) async fn call(&self, path: &str, token: Option<&str>) -> io::Result<u32> {
        self.call_within(path, token, None).await
    }

    /// The same with a `grpc-timeout`.
    pub(super) async fn call_within(&self, path: &str, token: Option<&str>, timeout: Option<&str>) -> io::Result<u32> {
        self.begin(&headers(path, token, timeout)).await
    }

    /// The same with headers besides.
    pub(super) async fn call_with(&self, path: &str, token: Option<&str>, besides: &[String]) -> io::Result<u32> {
        let mut block = headers(path, token, None);
        besides.iter().for_each(|name| header(name, "", &mut block));
        self.begin(&block).await
    }

    async fn begin(&self, headers: &[u8]) -> io::Result<u32> {
        let stream = self.next();
        self.write(&frame(HEADERS, END_HEADERS, stream, headers)).await?;
        Ok(stream)
    }

    /// Ends a call's message with trailers.
    pub(super) async fn trailers(&self, stream: u32, trailer: &str) -> io::Result<()> {
        let mut block = Vec::new();
        header(trailer, "", &mut block);
        self.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)).await
    }

    /// Gives a call up.
    pub(super) async fn reset(&self, stream: u32) -> io::Result<()> {
        self.write(&frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())).await
    }

    fn next(&self) -> u32 {
        let mut next = self.next_stream.lock().expect("sound");
        *next += 2;
        *next - 2
    }

    /// Sends bytes of a call's message as the windows allow. `ends`: they are the last.
    pub(super) async fn send(&self, stream: u32, mut bytes: &[u8], ends: bool) -> io::Result<()> {
        while !bytes.is_empty() {
            let length = self.room(stream, bytes.len().min(MAX_FRAME)).await?;
            let (part, rest) = bytes.split_at(length);
            bytes = rest;
            let flags = if ends && bytes.is_empty() { END_STREAM } else { 0 };
            self.write(&frame(DATA, flags, stream, part)).await?;
        }
        Ok(())
    }

    async fn room(&self, stream: u32, wanted: usize) -> io::Result<usize> {
        let mut seen = self.seen.clone();
        loop {
            {
                let seen = seen.borrow_and_update();
                if seen.closed {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                let mut sent = self.sent.lock().expect("sound");
                let (all, mine) = (sent.get(&0).copied().unwrap_or(0), sent.get(&stream).copied().unwrap_or(0));
                let of_stream = seen.first_window + seen.stream_windows.get(&stream).copied().unwrap_or(0) - mine;
                let room = (seen.connection_window - all).min(of_stream).min(wanted.try_into().expect("small"));
                if room > 0 {
                    *sent.entry(0).or_default() += room;
                    *sent.entry(stream).or_default() += room;
                    return Ok(room.try_into().expect("positive"));
                }
            }
            seen.changed().await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
    }

    /// What was seen up to now.
    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until it is so.
    pub(super) async fn sees(&self, what: &str, is_so: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), seen.wait_for(is_so)).await;
        match waited {
            Ok(Ok(_)) => {}
            _ => {
                let seen = self.seen();
                panic!("{what}: {} ended, goaway {}, closed {}", seen.ended(), seen.goaway, seen.closed);
            }
        }
    }
}

async fn read(mut reader: OwnedReadHalf, writer: Arc<AsyncMutex<OwnedWriteHalf>>, seen: watch::Sender<Seen>) {
    while let Ok((kind, flags, stream, payload)) = read_frame(&mut reader).await {
        let answer = match kind {
            SETTINGS if flags & ACK == 0 => Some(frame(SETTINGS, ACK, 0, &[])),
            PING if flags & ACK == 0 => Some(frame(PING, ACK, 0, &payload)),
            _ => None,
        };
        if let Some(answer) = answer
            && writer.lock().await.write_all(&answer).await.is_err()
        {
            break;
        }
        seen.send_modify(|seen| note(seen, kind, flags, stream, &payload));
    }
    seen.send_modify(|seen| seen.closed = true);
}

fn note(seen: &mut Seen, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let number = |bytes: &[u8]| i64::from(u32::from_be_bytes(bytes.try_into().expect("four bytes")));
    match kind {
        DATA => seen.data += payload.len(),
        GOAWAY => seen.goaway = true,
        WINDOW_UPDATE if stream == 0 => seen.connection_window += number(payload),
        WINDOW_UPDATE => *seen.stream_windows.entry(stream).or_default() += number(payload),
        SETTINGS if flags & ACK == 0 => {
            for setting in payload.chunks_exact(6).filter(|setting| setting[..2] == INITIAL_WINDOW_SIZE.to_be_bytes()) {
                seen.first_window = number(&setting[2..]);
            }
        }
        _ => {}
    }
    if kind == HEADERS {
        seen.answered_streams.insert(stream);
    }
    if kind == RST_STREAM || (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0) {
        seen.ended_streams.insert(stream);
    }
}

async fn read_frame(reader: &mut OwnedReadHalf) -> io::Result<(u8, u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await?;
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload).await?;
    Ok((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// A frame of HTTP/2.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The header of a gRPC message of this length.
pub(super) fn announce(length: usize) -> [u8; 5] {
    let [a, b, c, d] = u32::try_from(length).expect("short").to_be_bytes();
    [0, a, b, c, d]
}

/// A gRPC message, with its header.
pub(super) fn message(bytes: &[u8]) -> Vec<u8> {
    [&announce(bytes.len()), bytes].concat()
}

fn headers(path: &str, token: Option<&str>, timeout: Option<&str>) -> Vec<u8> {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let authorization = authorization.as_deref().map(|value| ("authorization", value));
    let timeout = timeout.map(|value| ("grpc-timeout", value));
    let mut block = Vec::new();
    let fixed = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    for (name, value) in fixed.into_iter().chain(authorization).chain(timeout) {
        header(name, value, &mut block);
    }
    block
}

/// A literal, not to be remembered, with a new name: neither is compressed.
fn header(name: &str, value: &str, block: &mut Vec<u8>) {
    block.push(0);
    for text in [name, value] {
        text_length(text.len(), block);
        block.extend(text.as_bytes());
    }
}

/// An integer of HPACK with a prefix of seven bits.
fn text_length(length: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = length.checked_sub(127) else { return block.push(u8::try_from(length).expect("short")) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128 + 128).expect("a byte"));
        rest /= 128;
    }
    block.push(u8::try_from(rest).expect("a byte"));
}
