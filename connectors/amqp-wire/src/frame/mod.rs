//! Frames (transport 2.3) and protocol headers (2.2): where a stream of bytes is cut, and how frames are written.
//!
//! A frame's announced size is compared with what we allow as soon as its four bytes are there: nothing is buffered
//! for a frame that is too large. What a frame says is the business of `performative` and `sasl`.

mod protocol;
mod split;
mod write;

use thiserror::Error;

pub use protocol::ProtocolHeader;
pub use split::{Frame, FrameKind, missing, split};
pub use write::{write, write_empty, write_sasl, write_transfer};

use crate::condition;

/// Size, doff, type, channel.
pub const HEADER_LEN: usize = 8;

/// Every peer takes frames of this size; before `open` and for SASL it is the limit.
pub const FRAME_SIZE_MIN: u32 = 512;

/// Bytes of the peer in which no frame can be found. The connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FrameError {
    /// The connection does not start as AMQP does.
    #[error("the peer speaks no AMQP: its first bytes are {0:02x?}")]
    NotAmqp([u8; 8]),
    /// A frame that is larger than we said we take.
    #[error("a frame of {size} bytes is larger than the agreed {max}")]
    TooLarge {
        /// The announced size.
        size: u32,
        /// The largest that is taken.
        max: u32,
    },
    /// A frame that is smaller than its own header.
    #[error("a frame of {0} bytes is smaller than its header")]
    TooSmall(u32),
    /// A data offset inside of the header or behind the frame's end.
    #[error("the data offset {doff} (in words) lies outside of a frame of {size} bytes")]
    DataOffset {
        /// The offset in words of four bytes.
        doff: u8,
        /// The frame's size.
        size: u32,
    },
    /// A type other than AMQP and SASL.
    #[error("a frame has the unknown type 0x{0:02x}")]
    Type(u8),
}

impl FrameError {
    /// The condition to close the connection with (transport 2.8.16).
    #[must_use]
    pub fn condition(&self) -> &'static str {
        condition::FRAMING_ERROR
    }
}
