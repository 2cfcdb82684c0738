//! Where a packet ends: the fixed header (5.0, 2.1).

use bytes::{Buf, Bytes, BytesMut};

use super::{Fault, kind};

/// What is kept of a packet that is too large: more than its topic can have.
pub(crate) const HEAD: usize = 128 * 1024;

/// One packet.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Kind and flags.
    pub(crate) first: u8,
    /// What follows the fixed header; its beginning, where the packet is cut.
    pub(crate) body: Bytes,
    /// Bytes of the whole packet, where it is too large to be taken as a whole.
    pub(crate) cut: Option<u64>,
}

impl Frame {
    /// One of [`kind`].
    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }
}

/// Takes the next packet off the front of `buffer`; `None` while it is not whole.
///
/// # Errors
/// A packet that no broker sends, flags that are reserved, a length of more than four bytes, or one past `limit`. Each is seen in
/// the first five bytes.
pub(crate) fn split(buffer: &mut BytesMut, limit: u32) -> Result<Option<Frame>, Fault> {
    let Some((first, rest)) = buffer.split_first() else {
        return Ok(None);
    };
    let first = *first;
    check_first(first)?;
    let mut length = 0u64;
    let mut header = 1;
    loop {
        let Some(byte) = rest.get(header - 1) else {
            return Ok(None);
        };
        length |= u64::from(byte & 0x7f) << (7 * (header - 1));
        header += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if header > 4 {
            return Err(Fault::Malformed("its length has more than four bytes"));
        }
    }
    let size = length + header as u64;
    if size > u64::from(limit) {
        return Err(Fault::TooLarge { size, limit });
    }
    if (buffer.len() as u64) < size {
        return Ok(None);
    }
    buffer.advance(header);
    // It is below `limit`, and that much is there.
    let body = buffer.split_to(usize::try_from(length).unwrap_or(0)).freeze();
    Ok(Some(Frame {
        first,
        body,
        cut: None,
    }))
}

/// Takes the beginning of a packet that is too large off the front of `buffer`: [`HEAD`] bytes, or all if it has fewer, among them the
/// whole of topic and identifier. Returns it and how many bytes of the packet are still to come; `None` while so much is not there.
pub(crate) fn head(buffer: &mut BytesMut, size: u64) -> Option<(Frame, u64)> {
    let kept = usize::try_from(size).unwrap_or(HEAD).min(HEAD);
    if buffer.len() < kept {
        return None;
    }
    let first = *buffer.first()?;
    let header = 2 + buffer
        .iter()
        .skip(1)
        .take_while(|byte| **byte & 0x80 != 0)
        .count();
    let mut taken = buffer.split_to(kept);
    taken.advance(header.min(kept));
    let frame = Frame {
        first,
        body: taken.freeze(),
        cut: Some(size),
    };
    Some((frame, size - kept as u64))
}

fn check_first(first: u8) -> Result<(), Fault> {
    let flags = first & 0x0f;
    match first >> 4 {
        kind::PUBLISH => Ok(()),
        kind::PUBREL if flags == 2 => Ok(()),
        kind::CONNACK
        | kind::PUBACK
        | kind::PUBREC
        | kind::PUBCOMP
        | kind::SUBACK
        | kind::UNSUBACK
        | kind::PINGRESP
        | kind::DISCONNECT
        | kind::AUTH
            if flags == 0 =>
        {
            Ok(())
        }
        kind::CONNACK..=kind::PUBCOMP | kind::SUBACK | kind::UNSUBACK | kind::PINGRESP..=kind::AUTH => {
            Err(Fault::Malformed("its reserved flags are set"))
        }
        _ => Err(Fault::Protocol("a packet that no broker sends")),
    }
}
