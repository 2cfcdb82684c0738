//! A connection's socket: what was read to tell HTTP/2 from HTTP/1 comes first, and reads are noted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::activity::Activity;

/// What an HTTP/2 client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How much is read before the protocol is known; a whole small request usually.
const FIRST_READ: usize = 2048;

/// The socket of one connection.
pub(super) struct Wire {
    tcp: TokioIo<TcpStream>,
    prefix: Bytes,
    activity: Arc<Activity>,
}

/// Which protocol a client begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

impl Wire {
    /// Reads until the protocol is known; `None` when the client closes before.
    pub(super) async fn open(
        mut tcp: TcpStream,
        activity: Arc<Activity>,
    ) -> io::Result<Option<(Wire, Protocol)>> {
        let mut read = BytesMut::with_capacity(FIRST_READ);
        let protocol = loop {
            if tcp.read_buf(&mut read).await? == 0 {
                return Ok(None);
            }
            let compared = read.len().min(PREFACE.len());
            if read[..compared] != PREFACE[..compared] {
                break Protocol::Http1;
            }
            if compared == PREFACE.len() {
                break Protocol::Http2;
            }
        };
        let wire = Wire {
            tcp: TokioIo::new(tcp),
            prefix: read.freeze(),
            activity,
        };
        Ok(Some((wire, protocol)))
    }

    /// The bare socket, for a last word.
    pub(super) fn into_inner(self) -> TcpStream {
        self.tcp.into_inner()
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let fits = self.prefix.len().min(buf.remaining());
            let part = self.prefix.split_to(fits);
            buf.put_slice(&part);
            return Poll::Ready(Ok(()));
        }
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        self.activity.bytes();
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }
}
