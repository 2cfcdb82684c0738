//! `transfer` and `disposition` (transport 2.7.5 and 2.7.6): the hot ones.

use bytes::Bytes;

use super::{DeliveryState, Encode, ReceiverSettleMode, Role};
use crate::descriptor;
use crate::error::DecodeError;
use crate::value::{FieldReader, FieldWriter, Reader};

/// A message, or a part of one. The payload is behind it in the frame.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Transfer {
    /// The link.
    pub handle: u32,
    /// Counts the deliveries of the session; mandatory on the first transfer of each.
    pub delivery_id: Option<u32>,
    /// The sender's name of the delivery, 32 bytes at most; mandatory on the first transfer of each.
    pub delivery_tag: Option<Bytes>,
    /// 0 for messages of the specification; mandatory on the first transfer of each.
    pub message_format: Option<u32>,
    /// The sender has forgotten the delivery already. Absent on the first transfer: false; later: as before.
    pub settled: Option<bool>,
    /// More transfers of this delivery follow.
    pub more: bool,
    /// When the receiver shall settle; absent: as the link says.
    pub rcv_settle_mode: Option<ReceiverSettleMode>,
    /// The state of the delivery at the sender.
    pub state: Option<DeliveryState>,
    /// Resumes a delivery of an earlier attach.
    pub resume: bool,
    /// The delivery is given up: what came of it is to be thrown away.
    pub aborted: bool,
    /// The disposition may wait for others.
    pub batchable: bool,
}

impl Transfer {
    pub(super) const NAME: &'static str = "transfer";

    /// Upper bound of the encoded size, where there is no state and the tag has the 32 bytes that it may have.
    pub const ENCODED_MAX: usize = 80;

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            handle: f.must("handle")?,
            delivery_id: f.opt()?,
            delivery_tag: f.opt()?,
            message_format: f.opt()?,
            settled: f.opt()?,
            more: f.or(false)?,
            rcv_settle_mode: ReceiverSettleMode::get(&mut f)?,
            state: f.with(DeliveryState::decode)?,
            resume: f.or(false)?,
            aborted: f.or(false)?,
            batchable: f.or(false)?,
        })
    }

    pub(crate) fn encode_with(&self, more: bool, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::TRANSFER);
        f.put(self.handle)
            .opt(self.delivery_id)
            .opt(self.delivery_tag.as_ref())
            .opt(self.message_format)
            .opt(self.settled)
            .unless(more, false)
            .opt(self.rcv_settle_mode)
            .opt(self.state.as_ref())
            .unless(self.resume, false)
            .unless(self.aborted, false)
            .unless(self.batchable, false);
        f.end();
    }
}

impl Encode for Transfer {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_with(self.more, out);
    }
}

/// News about the deliveries `first` to `last` of the session.
#[derive(Clone, PartialEq, Debug)]
pub struct Disposition {
    /// The end that the sender of this is: a receiver tells of deliveries that it received.
    pub role: Role,
    /// The first delivery-id.
    pub first: u32,
    /// The last delivery-id; absent: the first alone. Serial numbers: it may be smaller than the first.
    pub last: Option<u32>,
    /// The sender of this has forgotten the deliveries.
    pub settled: bool,
    /// Their state; absent (RabbitMQ and others settle so): nothing is said.
    pub state: Option<DeliveryState>,
    /// The answer may wait for others.
    pub batchable: bool,
}

impl Disposition {
    pub(super) const NAME: &'static str = "disposition";

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            role: Role::get(&mut f)?,
            first: f.must("first")?,
            last: f.opt()?,
            settled: f.or(false)?,
            state: f.with(DeliveryState::decode)?,
            batchable: f.or(false)?,
        })
    }
}

impl Encode for Disposition {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::DISPOSITION);
        f.put(self.role)
            .put(self.first)
            .opt(self.last)
            .unless(self.settled, false)
            .opt(self.state.as_ref())
            .unless(self.batchable, false);
        f.end();
    }
}
