//! `begin`, `flow` and `end` (transport 2.7.2, 2.7.4 and 2.7.8).

use super::{Encode, Error, symbols};
use crate::descriptor;
use crate::error::DecodeError;
use crate::value::{FieldReader, FieldWriter, Fields, Reader, Symbol};

/// Begins a session on the channel of its frame.
#[derive(Clone, PartialEq, Debug)]
pub struct Begin {
    /// The peer's channel, where this answers a begin.
    pub remote_channel: Option<u16>,
    /// The transfer-id of the first transfer that the sender of this will send.
    pub next_outgoing_id: u32,
    /// Transfer frames that it can take.
    pub incoming_window: u32,
    /// Transfer frames that it may send.
    pub outgoing_window: u32,
    /// The highest link handle that may be used.
    pub handle_max: u32,
    /// Extensions that the sender of this has.
    pub offered_capabilities: Vec<Symbol>,
    /// Extensions that it may use if the peer has them.
    pub desired_capabilities: Vec<Symbol>,
    /// Anything.
    pub properties: Fields,
}

impl Default for Begin {
    fn default() -> Self {
        Self {
            remote_channel: None,
            next_outgoing_id: 0,
            incoming_window: 0,
            outgoing_window: 0,
            handle_max: u32::MAX,
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: Fields::default(),
        }
    }
}

impl Begin {
    pub(super) const NAME: &'static str = "begin";

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            remote_channel: f.opt()?,
            next_outgoing_id: f.must("next-outgoing-id")?,
            incoming_window: f.must("incoming-window")?,
            outgoing_window: f.must("outgoing-window")?,
            handle_max: f.or(u32::MAX)?,
            offered_capabilities: f.or(Vec::new())?,
            desired_capabilities: f.or(Vec::new())?,
            properties: f.or(Fields::default())?,
        })
    }
}

impl Encode for Begin {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::BEGIN);
        f.opt(self.remote_channel)
            .put(self.next_outgoing_id)
            .put(self.incoming_window)
            .put(self.outgoing_window)
            .unless(self.handle_max, u32::MAX)
            .opt(symbols(&self.offered_capabilities))
            .opt(symbols(&self.desired_capabilities))
            .opt(self.properties.some());
        f.end();
    }
}

/// The state of a session's windows and, with a handle, of a link's credit.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Flow {
    /// The transfer-id that the sender of this expects next; absent before it has seen the peer's begin.
    pub next_incoming_id: Option<u32>,
    /// Transfer frames that it can take.
    pub incoming_window: u32,
    /// The transfer-id of its next transfer.
    pub next_outgoing_id: u32,
    /// Transfer frames that it may send.
    pub outgoing_window: u32,
    /// The link that the rest is about; absent: the session alone.
    pub handle: Option<u32>,
    /// The link's delivery-count.
    pub delivery_count: Option<u32>,
    /// Deliveries that may come on top of the delivery-count.
    pub link_credit: Option<u32>,
    /// Messages that wait at the sender.
    pub available: Option<u32>,
    /// The sender is to use up or give back its credit.
    pub drain: bool,
    /// A flow is asked for in answer.
    pub echo: bool,
    /// Anything.
    pub properties: Fields,
}

impl Flow {
    pub(super) const NAME: &'static str = "flow";

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            next_incoming_id: f.opt()?,
            incoming_window: f.must("incoming-window")?,
            next_outgoing_id: f.must("next-outgoing-id")?,
            outgoing_window: f.must("outgoing-window")?,
            handle: f.opt()?,
            delivery_count: f.opt()?,
            link_credit: f.opt()?,
            available: f.opt()?,
            drain: f.or(false)?,
            echo: f.or(false)?,
            properties: f.or(Fields::default())?,
        })
    }
}

impl Encode for Flow {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::FLOW);
        f.opt(self.next_incoming_id)
            .put(self.incoming_window)
            .put(self.next_outgoing_id)
            .put(self.outgoing_window)
            .opt(self.handle)
            .opt(self.delivery_count)
            .opt(self.link_credit)
            .opt(self.available)
            .unless(self.drain, false)
            .unless(self.echo, false)
            .opt(self.properties.some());
        f.end();
    }
}

/// Ends a session.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct End {
    /// Why, if not by intent.
    pub error: Option<Box<Error>>,
}

impl End {
    pub(super) const NAME: &'static str = "end";

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            error: f.with(Error::decode)?,
        })
    }
}

impl Encode for End {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::END);
        f.opt(self.error.as_deref());
        f.end();
    }
}
