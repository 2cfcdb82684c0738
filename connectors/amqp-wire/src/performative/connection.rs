//! `open` and `close` (transport 2.7.1 and 2.7.9).

use super::{Encode, Error, symbols};
use crate::descriptor;
use crate::error::DecodeError;
use crate::value::{FieldReader, FieldWriter, Fields, Reader, Symbol, Text};

/// Negotiates the connection: each side says what it can take.
#[derive(Clone, PartialEq, Debug)]
pub struct Open {
    /// Names the sending container.
    pub container_id: Text,
    /// The host that is meant, as in SNI.
    pub hostname: Option<Text>,
    /// The largest frame that the sender of this can take, in bytes.
    pub max_frame_size: u32,
    /// The highest channel number that may be used.
    pub channel_max: u16,
    /// Milliseconds without a frame after which the sender of this closes the connection.
    pub idle_time_out: Option<u32>,
    /// Locales for text that the sender of this writes.
    pub outgoing_locales: Vec<Symbol>,
    /// Locales that it likes to read.
    pub incoming_locales: Vec<Symbol>,
    /// Extensions that the sender of this has.
    pub offered_capabilities: Vec<Symbol>,
    /// Extensions that it may use if the peer has them.
    pub desired_capabilities: Vec<Symbol>,
    /// Anything: product, version.
    pub properties: Fields,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            container_id: Text::default(),
            hostname: None,
            max_frame_size: u32::MAX,
            channel_max: u16::MAX,
            idle_time_out: None,
            outgoing_locales: Vec::new(),
            incoming_locales: Vec::new(),
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: Fields::default(),
        }
    }
}

impl Open {
    pub(super) const NAME: &'static str = "open";

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            container_id: f.must("container-id")?,
            hostname: f.opt()?,
            max_frame_size: f.or(u32::MAX)?,
            channel_max: f.or(u16::MAX)?,
            idle_time_out: f.opt()?,
            outgoing_locales: f.or(Vec::new())?,
            incoming_locales: f.or(Vec::new())?,
            offered_capabilities: f.or(Vec::new())?,
            desired_capabilities: f.or(Vec::new())?,
            properties: f.or(Fields::default())?,
        })
    }
}

impl Encode for Open {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::OPEN);
        f.put(&self.container_id)
            .opt(self.hostname.as_ref())
            .unless(self.max_frame_size, u32::MAX)
            .unless(self.channel_max, u16::MAX)
            .opt(self.idle_time_out)
            .opt(symbols(&self.outgoing_locales))
            .opt(symbols(&self.incoming_locales))
            .opt(symbols(&self.offered_capabilities))
            .opt(symbols(&self.desired_capabilities))
            .opt(self.properties.some());
        f.end();
    }
}

/// Closes the connection.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Close {
    /// Why, if not by intent.
    pub error: Option<Box<Error>>,
}

impl Close {
    pub(super) const NAME: &'static str = "close";

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            error: f.with(Error::decode)?,
        })
    }
}

impl Encode for Close {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::CLOSE);
        f.opt(self.error.as_deref());
        f.end();
    }
}
