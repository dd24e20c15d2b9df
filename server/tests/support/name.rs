//! The name of a database: a TCP proxy before PostgreSQL's sockets that can lead elsewhere, break connections, hold answers back, and fall
//! silent.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

/// Where a name leads, and what becomes of its connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Way {
    /// The socket that new connections lead to.
    socket: PathBuf,
    /// How often the way was changed; a connection knows when it was opened.
    pub(crate) changes: u64,
    /// Connections opened by then are broken.
    broken_by: u64,
    /// Connections opened by then are silent for ever: neither side hears of the other again.
    vanished_by: u64,
    /// All connections are silent for now.
    is_silent: bool,
    /// New connections are refused.
    pub(crate) is_closed: bool,
    /// Answers are held back for now.
    pub(crate) is_holding: bool,
}

/// A running proxy; it ends with the runtime that has started it.
pub(crate) struct Name {
    address: SocketAddr,
    pub(crate) way: watch::Sender<Way>,
}

impl Name {
    /// Starts one that leads to a PostgreSQL's socket.
    pub(crate) async fn of(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (way, watched) = watch::channel(Way { socket, changes: 1, ..Way::default() });
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !watched.borrow().is_closed {
                    // An error is a connection's end, and both sides notice.
                    tokio::spawn(carry(client, watched.clone()));
                }
            }
        });
        Self { address, way }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to this socket.
    pub(crate) fn lead_to(&self, socket: PathBuf) {
        self.way.send_modify(|way| (way.socket, way.changes) = (socket, way.changes + 1));
    }

    /// Breaks every connection, with a reset or an end.
    pub(crate) fn break_all(&self) {
        self.way.send_modify(|way| (way.broken_by, way.changes) = (way.changes, way.changes + 1));
    }

    /// Has the host vanish without a word: no connection that is open, or is opened before [`Name::lead_to`], is heard of again.
    pub(crate) fn vanish(&self) {
        self.way.send_modify(|way| way.vanished_by = way.changes);
    }

    /// Makes every connection silent, or lets what was held back go on.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.way.send_modify(|way| way.is_silent = is_silent);
    }
}

async fn carry(mut client: TcpStream, mut way: watch::Receiver<Way>) -> io::Result<()> {
    let opened = way.borrow().changes;
    client.set_nodelay(true)?;
    let mut broken = way.clone();
    let carried = async {
        until(&mut way, |way| way.is_heard(opened)).await?;
        let socket = way.borrow().socket.clone();
        let mut server = UnixStream::connect(socket).await?;
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        // The end of a connection is no answer, so it is not held back.
        let answers = |way: &Way, length| way.is_heard(opened) && (!way.is_holding || length == 0);
        tokio::select! {
            end = copy(&mut from_server, &mut to_client, way.clone(), answers) => end,
            end = copy(&mut from_client, &mut to_server, way.clone(), |way, _| way.is_heard(opened)) => end,
        }
    };
    tokio::select! {
        end = carried => end,
        end = until(&mut broken, |way| opened <= way.broken_by) => end,
    }
}

impl Way {
    /// Whether a connection that was opened then is not silent.
    fn is_heard(&self, opened: u64) -> bool {
        !self.is_silent && opened > self.vanished_by
    }
}

async fn until(way: &mut watch::Receiver<Way>, is_so: impl FnMut(&Way) -> bool) -> io::Result<()> {
    way.wait_for(is_so).await.map(drop).map_err(io::Error::other)
}

async fn copy(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut way: watch::Receiver<Way>,
    passes: impl Fn(&Way, usize) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        // Waited for after the read: whatever arrived since the silence began is held back, the end of the connection too.
        until(&mut way, |way| passes(way, length)).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
    }
}
