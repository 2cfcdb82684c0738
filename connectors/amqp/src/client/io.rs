//! Bytes in and out of a socket, both in one step.
//!
//! Invariants: cancel-safe, since all that is under way is kept here and in the machine; what is to be written is offered
//! in one piece, and what comes is read in chunks, so that a busy connection costs two system calls for many frames.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use weft_api::crash;

/// How much is read at a time, at most: also the most that one small message can keep alive.
const CHUNK: usize = 64 << 10;
/// With less room than this a new chunk is begun.
const ROOM_MIN: usize = 8 << 10;

/// Whoever has something to write.
pub(crate) trait Output {
    /// What is to be written.
    fn output(&self) -> &[u8];
    /// So much of it was written.
    fn written(&mut self, bytes: usize);
}

/// What a step brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moved {
    /// Bytes came.
    Read,
    /// Everything that was to be written is written.
    Written,
    /// The peer has closed its side.
    End,
}

/// A socket with what came by it.
pub(crate) struct Io<S> {
    stream: S,
    /// What came and is not taken yet.
    pub(crate) input: BytesMut,
    /// TLS holds a record that the socket had no room for.
    unflushed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Io<S> {
    pub(crate) fn new(stream: S) -> Io<S> {
        Io {
            stream,
            input: BytesMut::with_capacity(CHUNK),
            unflushed: false,
        }
    }

    /// Writes what it can of `output`, and reads what is there. Waits until one of them has moved.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) async fn step(&mut self, output: &mut impl Output) -> io::Result<Moved> {
        std::future::poll_fn(|cx| self.poll_step(output, cx)).await
    }

    fn poll_step(&mut self, output: &mut impl Output, cx: &mut Context<'_>) -> Poll<io::Result<Moved>> {
        let written = self.poll_write(output, cx)?;
        if let Poll::Ready(read) = self.poll_read(cx)? {
            return Poll::Ready(Ok(if read == 0 { Moved::End } else { Moved::Read }));
        }
        if written {
            Poll::Ready(Ok(Moved::Written))
        } else {
            Poll::Pending
        }
    }

    /// True: there was something to write, and it is written.
    fn poll_write(&mut self, output: &mut impl Output, cx: &mut Context<'_>) -> io::Result<bool> {
        if output.output().is_empty() && !self.unflushed {
            return Ok(false);
        }
        while !output.output().is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, output.output()) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => output.written(count),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(false),
            }
        }
        crash::point("amqp.written");
        // A no-op for TCP.
        let flushed = Pin::new(&mut self.stream).poll_flush(cx)?;
        self.unflushed = flushed.is_pending();
        Ok(!self.unflushed)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < ROOM_MIN {
            self.input.reserve(CHUNK);
        }
        // The future holds nothing but the borrow: dropping it after one poll loses nothing.
        pin!(self.stream.read_buf(&mut self.input)).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::AsyncWriteExt;

    use super::*;

    impl Output for Vec<u8> {
        fn output(&self) -> &[u8] {
            self
        }

        fn written(&mut self, bytes: usize) {
            self.drain(..bytes);
        }
    }

    #[tokio::test]
    async fn output_goes_out_whole_while_input_comes_in() {
        let (mine, mut theirs) = tokio::io::duplex(10);
        let mut io = Io::new(mine);
        let mut output = vec![7; 25];
        let peer = async {
            let mut read = vec![0; 25];
            theirs.write_all(b"hello").await.unwrap();
            theirs.read_exact(&mut read).await.unwrap();
            assert_eq!(read, vec![7; 25]);
            drop(theirs);
        };
        let own = async {
            let mut moved = Vec::new();
            while moved.last() != Some(&Moved::End) {
                moved.push(io.step(&mut output).await.unwrap());
            }
            assert!(moved.contains(&Moved::Read));
            assert!(output.is_empty());
            assert_eq!(io.input, "hello");
        };
        tokio::join!(peer, own);
    }

    #[tokio::test]
    async fn a_step_that_is_dropped_loses_nothing() {
        let (mine, mut theirs) = tokio::io::duplex(4);
        let mut io = Io::new(mine);
        let mut output = b"abcdefgh".to_vec();
        tokio::select! {
            biased;
            _ = io.step(&mut output) => panic!("there is no room for all of it"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(output, b"efgh");
        output.extend_from_slice(b"ij");
        let peer = async {
            let mut read = [0; 10];
            theirs.read_exact(&mut read).await.unwrap();
            read
        };
        let (moved, read) = tokio::join!(io.step(&mut output), peer);
        assert_eq!((moved.unwrap(), &read), (Moved::Written, b"abcdefghij"));
    }
}
