//! The header section (messaging 3.2.1).

use crate::descriptor;
use crate::error::DecodeError;
use crate::value::{FieldReader, FieldWriter, Reader};

/// How the message is to be transferred.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// It shall survive a restart of whoever takes it; absent: false.
    pub durable: Option<bool>,
    /// Higher goes first; 4 is the default.
    pub priority: u8,
    /// Milliseconds that it lives.
    pub ttl: Option<u32>,
    /// Nobody else has acquired it before.
    pub first_acquirer: bool,
    /// Earlier deliveries that failed.
    pub delivery_count: u32,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            durable: None,
            priority: Self::PRIORITY,
            ttl: None,
            first_acquirer: false,
            delivery_count: 0,
        }
    }
}

impl Header {
    /// The default priority.
    pub const PRIORITY: u8 = 4;

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, "header")?;
        Ok(Self {
            durable: f.opt()?,
            priority: f.or(Self::PRIORITY)?,
            ttl: f.opt()?,
            first_acquirer: f.or(false)?,
            delivery_count: f.or(0)?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::HEADER);
        f.opt(self.durable)
            .unless(self.priority, Self::PRIORITY)
            .opt(self.ttl)
            .unless(self.first_acquirer, false)
            .unless(self.delivery_count, 0);
        f.end();
    }
}
