//! The eight bytes that open a connection and each of its layers (transport 2.2, security 5.3.1).

use bytes::{Buf, BytesMut};

use super::FrameError;

/// Which layer begins, and in which version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ProtocolHeader {
    /// 0: AMQP, 2: TLS, 3: SASL.
    pub id: u8,
    /// 1 for this specification.
    pub major: u8,
    /// 0 for this specification.
    pub minor: u8,
    /// 0 for this specification.
    pub revision: u8,
}

impl ProtocolHeader {
    /// AMQP 1.0.
    pub const AMQP: Self = Self::version_1(0);
    /// The SASL layer of AMQP 1.0.
    pub const SASL: Self = Self::version_1(3);

    /// Bytes on the wire.
    pub const LEN: usize = 8;

    const fn version_1(id: u8) -> Self {
        Self {
            id,
            major: 1,
            minor: 0,
            revision: 0,
        }
    }

    /// As it travels.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        [
            b'A',
            b'M',
            b'Q',
            b'P',
            self.id,
            self.major,
            self.minor,
            self.revision,
        ]
    }

    /// Takes a header from the front of `buffer`; `None` until all of it is there.
    ///
    /// # Errors
    /// Bytes that do not begin with `AMQP`.
    pub fn split(buffer: &mut BytesMut) -> Result<Option<Self>, FrameError> {
        let Some(&head) = buffer.first_chunk::<{ Self::LEN }>() else {
            return Ok(None);
        };
        let [b'A', b'M', b'Q', b'P', id, major, minor, revision] = head else {
            return Err(FrameError::NotAmqp(head));
        };
        buffer.advance(Self::LEN);
        Ok(Some(Self {
            id,
            major,
            minor,
            revision,
        }))
    }
}
