//! `attach` and `detach` (transport 2.7.3 and 2.7.7), and the modes of a link.

use super::{Encode, Error, Source, Target, symbols};
use crate::descriptor;
use crate::error::DecodeError;
use crate::value::write::Put;
use crate::value::{FieldReader, FieldWriter, Fields, Reader, Symbol, Text};

/// Which end of a link the sender of the frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Role {
    /// It sends messages.
    Sender,
    /// It receives messages.
    Receiver,
}

impl Role {
    /// The other end.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }

    pub(super) fn get(f: &mut FieldReader<'_>) -> Result<Self, DecodeError> {
        Ok(match f.must::<bool>("role")? {
            false => Self::Sender,
            true => Self::Receiver,
        })
    }
}

impl Put for Role {
    fn put(&self, out: &mut Vec<u8>) {
        (*self == Self::Receiver).put(out);
    }
}

/// Whether a sender sends settled (transport 2.8.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum SenderSettleMode {
    /// All deliveries unsettled.
    Unsettled,
    /// All deliveries settled: at most once.
    Settled,
    /// Each as it says.
    #[default]
    Mixed,
}

impl SenderSettleMode {
    fn get(f: &mut FieldReader<'_>) -> Result<Self, DecodeError> {
        match f.opt::<u8>()? {
            Some(0) => Ok(Self::Unsettled),
            Some(1) => Ok(Self::Settled),
            Some(2) | None => Ok(Self::Mixed),
            Some(_) => Err(f.invalid("snd-settle-mode")),
        }
    }
}

impl Put for SenderSettleMode {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unsettled => 0u8,
            Self::Settled => 1,
            Self::Mixed => 2,
        }
        .put(out);
    }
}

/// When a receiver settles (transport 2.8.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub enum ReceiverSettleMode {
    /// It settles at once.
    #[default]
    First,
    /// It settles after the sender has.
    Second,
}

impl ReceiverSettleMode {
    pub(super) fn get(f: &mut FieldReader<'_>) -> Result<Option<Self>, DecodeError> {
        match f.opt::<u8>()? {
            None => Ok(None),
            Some(0) => Ok(Some(Self::First)),
            Some(1) => Ok(Some(Self::Second)),
            Some(_) => Err(f.invalid("rcv-settle-mode")),
        }
    }
}

impl Put for ReceiverSettleMode {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::First => 0u8,
            Self::Second => 1,
        }
        .put(out);
    }
}

/// Attaches a link to the session.
#[derive(Clone, PartialEq, Debug)]
pub struct Attach {
    /// The link's name: with both containers and the role it is the link's identity.
    pub name: Text,
    /// The number that stands for the link on this session.
    pub handle: u32,
    /// The end that the sender of this is.
    pub role: Role,
    /// Whether messages are sent settled.
    pub snd_settle_mode: SenderSettleMode,
    /// When the receiver settles.
    pub rcv_settle_mode: ReceiverSettleMode,
    /// Where messages come from; absent in an answer: there is none, and a detach follows.
    pub source: Option<Source>,
    /// Where messages go to; absent in an answer: there is none, and a detach follows.
    pub target: Option<Target>,
    /// The peer has unsettled deliveries of an earlier attach. Their map is passed over, and never written: links are
    /// not resumed.
    pub has_unsettled: bool,
    /// The map was not complete.
    pub incomplete_unsettled: bool,
    /// The delivery-count of a sender at the start: mandatory for that role.
    pub initial_delivery_count: Option<u32>,
    /// The largest message in bytes that the sender of this takes; absent or zero: any.
    pub max_message_size: Option<u64>,
    /// Extensions that the sender of this has.
    pub offered_capabilities: Vec<Symbol>,
    /// Extensions that it may use if the peer has them.
    pub desired_capabilities: Vec<Symbol>,
    /// Anything.
    pub properties: Fields,
}

impl Attach {
    pub(super) const NAME: &'static str = "attach";

    /// A link without source and target.
    #[must_use]
    pub fn new(name: impl Into<Text>, handle: u32, role: Role) -> Self {
        Self {
            name: name.into(),
            handle,
            role,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: None,
            target: None,
            has_unsettled: false,
            incomplete_unsettled: false,
            initial_delivery_count: None,
            max_message_size: None,
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: Fields::default(),
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            name: f.must("name")?,
            handle: f.must("handle")?,
            role: Role::get(&mut f)?,
            snd_settle_mode: SenderSettleMode::get(&mut f)?,
            rcv_settle_mode: ReceiverSettleMode::get(&mut f)?.unwrap_or_default(),
            source: f.with(Source::decode)?,
            target: f.with(Target::decode)?,
            has_unsettled: f.skip()?,
            incomplete_unsettled: f.or(false)?,
            initial_delivery_count: f.opt()?,
            max_message_size: f.opt()?,
            offered_capabilities: f.or(Vec::new())?,
            desired_capabilities: f.or(Vec::new())?,
            properties: f.or(Fields::default())?,
        })
    }
}

impl Encode for Attach {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::ATTACH);
        f.put(&self.name)
            .put(self.handle)
            .put(self.role)
            .unless(self.snd_settle_mode, SenderSettleMode::Mixed)
            .unless(self.rcv_settle_mode, ReceiverSettleMode::First)
            .opt(self.source.as_ref())
            .opt(self.target.as_ref())
            .null()
            .unless(self.incomplete_unsettled, false)
            .opt(self.initial_delivery_count)
            .opt(self.max_message_size)
            .opt(symbols(&self.offered_capabilities))
            .opt(symbols(&self.desired_capabilities))
            .opt(self.properties.some());
        f.end();
    }
}

/// Detaches a link.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Detach {
    /// The link.
    pub handle: u32,
    /// The link ends, with its termini; otherwise it may be attached again.
    pub closed: bool,
    /// Why, if not by intent.
    pub error: Option<Box<Error>>,
}

impl Detach {
    pub(super) const NAME: &'static str = "detach";

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, Self::NAME)?;
        Ok(Self {
            handle: f.must("handle")?,
            closed: f.or(false)?,
            error: f.with(Error::decode)?,
        })
    }
}

impl Encode for Detach {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::DETACH);
        f.put(self.handle)
            .unless(self.closed, false)
            .opt(self.error.as_deref());
        f.end();
    }
}
