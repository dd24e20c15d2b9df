//! The name of a database: a TCP proxy before PostgreSQL's sockets that can lead elsewhere, break connections, and fall silent.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

#[derive(Debug, Clone)]
struct Way {
    /// The socket that new connections lead to.
    socket: PathBuf,
    /// How often the way was changed; a connection knows when it was opened.
    changes: u64,
    /// Connections opened by then are broken.
    broken_by: u64,
    /// Connections opened by then are silent for ever: neither side hears of the other again.
    vanished_by: u64,
    /// All connections are silent for now.
    is_silent: bool,
}

/// A running proxy; it ends with the test.
pub(super) struct Name {
    address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Name {
    /// Starts one that leads to a PostgreSQL's socket.
    pub(super) async fn of(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (way, watched) = watch::channel(Way { socket, changes: 1, broken_by: 0, vanished_by: 0, is_silent: false });
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // An error is a connection's end, and both sides notice.
                tokio::spawn(carry(client, watched.clone()));
            }
        });
        Self { address, way }
    }

    /// A `DATABASE_URL`.
    pub(super) fn url(&self) -> String {
        format!("postgres://category_mirror@{}/category_mirror?sslmode=disable", self.address)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to this socket.
    pub(super) fn lead_to(&self, socket: PathBuf) {
        self.way.send_modify(|way| (way.socket, way.changes) = (socket, way.changes + 1));
    }

    /// Breaks every connection, with a reset or an end.
    pub(super) fn break_all(&self) {
        self.way.send_modify(|way| (way.broken_by, way.changes) = (way.changes, way.changes + 1));
    }

    /// Has the host vanish without a word: no connection that is open, or is opened before [`Name::lead_to`], is heard of again.
    pub(super) fn vanish(&self) {
        self.way.send_modify(|way| way.vanished_by = way.changes);
    }

    /// Makes every connection silent, or lets what was held back go on.
    pub(super) fn silence(&self, is_silent: bool) {
        self.way.send_modify(|way| way.is_silent = is_silent);
    }
}

async fn carry(mut client: TcpStream, mut way: watch::Receiver<Way>) -> io::Result<()> {
    let opened = way.borrow().changes;
    client.set_nodelay(true)?;
    heard(&mut way, opened).await?;
    let socket = way.borrow().socket.clone();
    let mut server = UnixStream::connect(socket).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        end = copy(&mut from_server, &mut to_client, way.clone(), opened) => end,
        end = copy(&mut from_client, &mut to_server, way.clone(), opened) => end,
        broken = way.wait_for(|way| opened <= way.broken_by) => broken.map(drop).map_err(io::Error::other),
    }
}

/// Waits until a connection is not silent.
async fn heard(way: &mut watch::Receiver<Way>, opened: u64) -> io::Result<()> {
    let heard = way.wait_for(|way| !way.is_silent && opened > way.vanished_by).await;
    heard.map(drop).map_err(io::Error::other)
}

async fn copy(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut way: watch::Receiver<Way>,
    opened: u64,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        // Waited for after the read: whatever arrived since the silence began is held back, the end of the connection too.
        heard(&mut way, opened).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
    }
}
