//! A TCP proxy before PostgreSQL, one a server: it can break every connection, refuse new ones, hold answers back,
//! and fall silent.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

#[derive(Debug, Clone, Copy, Default)]
struct Gate {
    /// How often the connections were cut.
    cuts: u64,
    is_closed: bool,
    is_holding: bool,
    is_silent: bool,
}

/// A running proxy; it ends with the program.
pub(crate) struct Proxy {
    address: SocketAddr,
    gate: watch::Sender<Gate>,
}

impl Proxy {
    /// Starts one to PostgreSQL's socket.
    pub(crate) async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (gate, watched) = watch::channel(Gate::default());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !watched.borrow().is_closed {
                    let (socket, gate) = (socket.clone(), watched.clone());
                    // An error is a connection's end, and both sides notice.
                    tokio::spawn(async move { carry(stream, socket, gate).await });
                }
            }
        });
        Self { address, gate }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection; with `is_closed`, new ones break too until [`Proxy::open`].
    pub(crate) fn cut(&self, is_closed: bool) {
        self.gate.send_modify(|gate| (gate.cuts, gate.is_closed) = (gate.cuts + 1, is_closed));
    }

    /// Lets connections through again.
    pub(crate) fn open(&self) {
        self.gate.send_modify(|gate| gate.is_closed = false);
    }

    /// Makes the host vanish without a word, or come back: nothing passes either way, and no connection ends.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.gate.send_modify(|gate| gate.is_silent = is_silent);
    }

    /// Holds back the answers of PostgreSQL, or lets them go. What PostgreSQL answers after this call does not arrive before they go.
    pub(crate) fn hold(&self, is_holding: bool) {
        self.gate.send_modify(|gate| gate.is_holding = is_holding);
    }
}

async fn carry(mut client: TcpStream, socket: PathBuf, gate: watch::Receiver<Gate>) -> io::Result<()> {
    let cuts = gate.borrow().cuts;
    client.set_nodelay(true)?;
    let mut heard = gate.clone();
    heard.wait_for(|gate| !gate.is_silent).await.map_err(io::Error::other)?;
    let mut server = UnixStream::connect(socket).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let mut held = gate.clone();
    let answers = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from_server.read(&mut buffer).await?;
            // Looked at after the read: whatever arrived since the holding or the silence began waits, the end of the connection too.
            held.wait_for(|gate| !gate.is_silent && (!gate.is_holding || length == 0))
                .await
                .map_err(io::Error::other)?;
            if length == 0 {
                return Ok(());
            }
            to_client.write_all(&buffer[..length]).await?;
        }
    };
    let questions = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = from_client.read(&mut buffer).await?;
            heard.wait_for(|gate| !gate.is_silent).await.map_err(io::Error::other)?;
            if length == 0 {
                return Ok(());
            }
            to_server.write_all(&buffer[..length]).await?;
        }
    };
    let mut watched = gate;
    tokio::select! {
        end = answers => end,
        end = questions => end,
        _ = watched.wait_for(|gate| gate.cuts != cuts) => Ok(()),
    }
}
