//! Reads the client's HTTP/2 preface before anything is allocated for the connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The first bytes of every HTTP/2 client (RFC 9113, section 3.4).
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the preface.
///
/// # Errors
/// The stream's error, or `InvalidData` for a client with another protocol.
pub(super) async fn read_preface<IO: AsyncRead + AsyncWrite + Unpin>(mut io: IO) -> io::Result<AfterPreface<IO>> {
    let mut read = [0; PREFACE.len()];
    let mut length = 0;
    while length < PREFACE.len() {
        let more = io.read(&mut read[length..]).await?;
        // Checked as it arrives: a client of HTTP/1 or TLS is rejected at the first byte.
        if more == 0 || read[length..length + more] != PREFACE[length..length + more] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not an HTTP/2 client"));
        }
        length += more;
    }
    Ok(AfterPreface { io, given: 0 })
}

/// A stream whose preface has been read, and which returns it to its reader again.
#[derive(Debug)]
pub(super) struct AfterPreface<IO> {
    io: IO,
    /// Bytes of the preface that the reader has received.
    given: usize,
}

impl<IO: AsyncRead + Unpin> AsyncRead for AfterPreface<IO> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &PREFACE[self.given..];
        if rest.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buf);
        }
        let length = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..length]);
        self.given += length;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for AfterPreface<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn the_reader_gets_the_preface_and_what_follows_it() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&PREFACE).await.expect("written");
        client.write_all(b"settings").await.expect("written");
        drop(client);
        let mut text = Vec::new();
        read_preface(server).await.expect("HTTP/2").read_to_end(&mut text).await.expect("read");
        assert_eq!(text, [&PREFACE[..], b"settings"].concat());
    }

    #[tokio::test]
    async fn another_protocol_is_refused_at_once() {
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01", b"PRI * HTTP/1"] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_all(bytes).await.expect("written");
            assert!(read_preface(server).await.is_err(), "{bytes:?}");
            drop(client);
        }
    }
}
