//! Cuts frames out of a stream of bytes.

use bytes::{Buf, Bytes, BytesMut};

use super::{FrameError, HEADER_LEN};

/// Which layer a frame belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FrameKind {
    /// A performative and its payload.
    Amqp,
    /// A step of the SASL exchange.
    Sasl,
}

/// A frame whose body has not been looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The layer.
    pub kind: FrameKind,
    /// The channel; means nothing in the SASL layer.
    pub channel: u16,
    /// What it says, shared with the read buffer. Empty: a heartbeat.
    pub body: Bytes,
}

struct Header {
    size: u32,
    doff: u8,
    kind: FrameKind,
    channel: u16,
}

/// Takes a frame from the front of `buffer`; `None` until all of it is there. Its extended header is thrown away.
///
/// # Errors
/// No valid frame, or one of more than `max` bytes: known as soon as its size is there.
pub fn split(buffer: &mut BytesMut, max: u32) -> Result<Option<Frame>, FrameError> {
    let Some(size) = size(buffer, max)? else {
        return Ok(None);
    };
    let Some(header) = buffer.first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let header = Header::check(size, *header)?;
    let size = header.size as usize;
    if buffer.len() < size {
        return Ok(None);
    }
    let mut body = buffer.split_to(size);
    body.advance(usize::from(header.doff) * 4);
    Ok(Some(Frame {
        kind: header.kind,
        channel: header.channel,
        body: body.freeze(),
    }))
}

/// Bytes that have to come before [`split`] can give a frame: as many as the frame at the front lacks, or at least
/// those that its header lacks. Room for a read; bounded by `max`, since [`split`] has refused anything larger.
#[must_use]
pub fn missing(buffer: &[u8], max: u32) -> usize {
    let wanted = match size(buffer, max) {
        Ok(Some(size)) => size as usize,
        _ => HEADER_LEN,
    };
    wanted.saturating_sub(buffer.len())
}

/// The announced size, once it is there.
fn size(buffer: &[u8], max: u32) -> Result<Option<u32>, FrameError> {
    let Some(size) = buffer.first_chunk() else {
        return Ok(None);
    };
    let size = u32::from_be_bytes(*size);
    if size > max {
        return Err(FrameError::TooLarge { size, max });
    }
    if (size as usize) < HEADER_LEN {
        return Err(FrameError::TooSmall(size));
    }
    Ok(Some(size))
}

impl Header {
    fn check(size: u32, header: [u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let [.., doff, kind, channel_high, channel_low] = header;
        if doff < 2 || u32::from(doff) * 4 > size {
            return Err(FrameError::DataOffset { doff, size });
        }
        let kind = match kind {
            0 => FrameKind::Amqp,
            1 => FrameKind::Sasl,
            other => return Err(FrameError::Type(other)),
        };
        let channel = u16::from_be_bytes([channel_high, channel_low]);
        Ok(Self {
            size,
            doff,
            kind,
            channel,
        })
    }
}
