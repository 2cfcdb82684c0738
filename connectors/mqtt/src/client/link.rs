//! One connection: bytes in, packets out of them; packets in, bytes out of them.
//!
//! Owns: both buffers, the stream, and the clock of its keep alive.
//! Invariants: one read takes what is there, up to [`READ`]; what is written in one turn goes out in one call where the socket takes it.
//! What is buffered inward is at most the largest packet and one read; what is buffered outward is bounded by its users,
//! who look at [`Link::backlog`].
//! Does not know: what packets mean.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep_until};
use weft_api::crash;
use weft_net::Stream;

use super::keep_alive::{Due, KeepAlive};
use super::wire::frame::{self, Frame};
use super::wire::{Fault, disconnect, kind, write};
use crate::config::Version;

/// Room that one read is given.
const READ: usize = 64 * 1024;
/// Less room than this is made more before a read.
const READ_MIN: usize = 16 * 1024;
/// What is kept of the outward buffer's memory once it is empty.
const KEPT: usize = 256 * 1024;
/// How long a polite end may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// A connection that the broker has accepted.
pub(crate) struct Link {
    stream: Stream,
    version: Version,
    limit: u32,
    inward: BytesMut,
    /// Bytes of a packet that is too large, still to come and to be thrown away.
    skip: u64,
    outward: Vec<u8>,
    written: usize,
    clock: KeepAlive,
    sleep: Pin<Box<Sleep>>,
}

impl Link {
    /// Over a fresh stream; packets that are larger than `limit` are refused.
    pub(crate) fn new(stream: Stream, version: Version, limit: u32, keep_alive: Duration) -> Link {
        let now = Instant::now();
        Link {
            stream,
            version,
            limit,
            inward: BytesMut::new(),
            skip: 0,
            outward: Vec::new(),
            written: 0,
            clock: KeepAlive::new(keep_alive, now),
            sleep: Box::pin(sleep_until(now)),
        }
    }

    /// The broker named another keep alive.
    pub(crate) fn keep_alive(&mut self, keep_alive: Duration) {
        let now = Instant::now();
        self.clock = KeepAlive::new(keep_alive, now);
        self.sleep.as_mut().reset(now);
    }

    /// The protocol.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Where packets are written to; [`Link::poll_flush`] sends them.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.outward
    }

    /// Bytes that are not sent yet.
    pub(crate) fn backlog(&self) -> usize {
        self.outward.len() - self.written
    }

    /// Reads once what is there.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        if self.inward.capacity() - self.inward.len() < READ_MIN {
            self.inward.reserve(READ);
        }
        let read = pin!(self.stream.read_buf(&mut self.inward)).poll(cx);
        match ready!(read) {
            Ok(0) => Poll::Ready(Err("the broker closed the connection".into())),
            Ok(_) => {
                self.clock.heard(Instant::now());
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(error.to_string())),
        }
    }

    /// The next packet of what was read. A message that is too large is cut where the broker could not be told the limit (3.1.1), for
    /// it would send it again and again; its end is thrown away as it comes.
    ///
    /// # Errors
    /// What came is no packet that may come.
    pub(crate) fn frame(&mut self) -> Result<Option<Frame>, Fault> {
        if self.skip > 0 {
            let gone = self
                .inward
                .len()
                .min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.inward.advance(gone);
            self.skip -= gone as u64;
        }
        match frame::split(&mut self.inward, self.limit) {
            Err(Fault::TooLarge { size, .. }) if self.cuts() => {
                let Some((frame, rest)) = frame::head(&mut self.inward, size) else {
                    return Ok(None);
                };
                self.skip = rest;
                Ok(Some(frame))
            }
            other => other,
        }
    }

    /// Whether the packet at the front of the buffer, too large, is cut.
    fn cuts(&self) -> bool {
        let message = self
            .inward
            .first()
            .is_some_and(|first| first >> 4 == kind::PUBLISH);
        message && self.version == Version::V3
    }

    /// Writes until everything is sent; pending while the socket takes no more.
    ///
    /// # Errors
    /// Why the connection is over.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut wrote = false;
        while let Some(rest) = self.outward.get(self.written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err("the broker takes no bytes".into())),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    wrote = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
                Poll::Pending => {
                    self.note(wrote);
                    return Poll::Pending;
                }
            }
        }
        self.note(wrote);
        self.outward.clear();
        self.outward.shrink_to(KEPT);
        self.written = 0;
        // TLS keeps records of its own.
        Pin::new(&mut self.stream)
            .poll_flush(cx)
            .map_err(|error| error.to_string())
    }

    fn note(&mut self, wrote: bool) {
        if wrote {
            crash::point("mqtt.written");
            self.clock.sent(Instant::now());
        }
    }

    /// Keeps the connection alive: writes a PINGREQ when one is due. `listening`: whether an answer would be read.
    ///
    /// # Errors
    /// The broker is silent.
    pub(crate) fn poll_alive(&mut self, cx: &mut Context<'_>, listening: bool) -> Poll<String> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            if !listening {
                self.clock.heard(now);
            }
            match self.clock.due(now) {
                Due::Later(at) => self.sleep.as_mut().reset(at),
                Due::Ping => self.outward.extend_from_slice(&write::PING),
                Due::Dead(silence) => {
                    return Poll::Ready(format!("the broker has been silent for {}s", silence.as_secs()));
                }
            }
        }
    }

    /// Says DISCONNECT with `code` to a broker that broke a rule, if the socket takes it at once.
    pub(crate) fn part(&mut self, code: u8) {
        disconnect::encode(&mut self.outward, self.version, code);
        let _ = self.poll_flush(&mut Context::from_waker(std::task::Waker::noop()));
    }

    /// Sends what is left, and DISCONNECT with `code`; the session stays as it is. Waits, not for long, until the broker has closed, too:
    /// a socket that is closed with bytes unread takes back what it has sent.
    pub(crate) async fn goodbye(mut self, code: u8) {
        disconnect::encode(&mut self.outward, self.version, code);
        let end = async {
            std::future::poll_fn(|cx| self.poll_flush(cx)).await?;
            self.stream.shutdown().await.map_err(|error| error.to_string())?;
            loop {
                self.inward.clear();
                std::future::poll_fn(|cx| self.poll_read(cx)).await?;
            }
        };
        // A broker that is gone, or does not listen, needs no goodbye.
        let _: Result<Result<(), String>, _> = tokio::time::timeout(GOODBYE, end).await;
    }
}
