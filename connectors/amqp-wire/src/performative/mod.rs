//! The performatives (transport 2.7): what the frames of a connection say.
//!
//! Absent fields and nulls have the specification's defaults, trailing fields that it does not have are ignored. The
//! hot ones (transfer, disposition, flow) are read without an allocation; their payload shares the frame.

mod connection;
mod delivery;
mod error;
mod link;
mod session;
mod state;
mod terminus;

use bytes::Bytes;

pub use connection::{Close, Open};
pub use delivery::{Disposition, Transfer};
pub use error::Error;
pub use link::{Attach, Detach, ReceiverSettleMode, Role, SenderSettleMode};
pub use session::{Begin, End, Flow};
pub use state::{DeliveryState, Modified};
pub use terminus::{ExpiryPolicy, Source, Target, TerminusDurability, distribution, filter};

use crate::descriptor;
use crate::error::{DecodeError, Fault};
use crate::value::{FieldReader, Reader};

/// Whatever is written as the body of a frame.
pub trait Encode {
    /// Appends the performative in its smallest form.
    fn encode(&self, out: &mut Vec<u8>);
}

/// What a frame says. The large and rare ones are boxed, so that the frequent ones stay cheap to move.
#[derive(Clone, PartialEq, Debug)]
pub enum Performative {
    /// Negotiates the connection.
    Open(Box<Open>),
    /// Begins a session on a channel.
    Begin(Box<Begin>),
    /// Attaches a link to a session.
    Attach(Box<Attach>),
    /// Updates the windows of a session, and the credit of a link.
    Flow(Flow),
    /// A message, or a part of one, which is the frame's payload.
    Transfer(Transfer),
    /// News about deliveries.
    Disposition(Disposition),
    /// Detaches a link.
    Detach(Detach),
    /// Ends a session.
    End(End),
    /// Closes the connection.
    Close(Close),
}

impl Performative {
    /// Reads the body of an AMQP frame: the performative, and the payload behind it (of a transfer; empty for others).
    ///
    /// # Errors
    /// A malformed performative, an unknown one, or bytes behind one that has no payload.
    pub fn decode(body: &Bytes) -> Result<(Self, Bytes), DecodeError> {
        let mut reader = Reader::new(body);
        let start = reader;
        let code = reader.descriptor().map_err(|e| e.within("performative"))?;
        let reader = &mut reader;
        let read = match code {
            descriptor::TRANSFER => {
                let transfer = Transfer::decode(reader)?;
                return Ok((Self::Transfer(transfer), reader.rest_bytes()));
            }
            descriptor::DISPOSITION => Self::Disposition(Disposition::decode(reader)?),
            descriptor::FLOW => Self::Flow(Flow::decode(reader)?),
            descriptor::OPEN => Self::Open(Box::new(Open::decode(reader)?)),
            descriptor::BEGIN => Self::Begin(Box::new(Begin::decode(reader)?)),
            descriptor::ATTACH => Self::Attach(Box::new(Attach::decode(reader)?)),
            descriptor::DETACH => Self::Detach(Detach::decode(reader)?),
            descriptor::END => Self::End(End::decode(reader)?),
            descriptor::CLOSE => Self::Close(Close::decode(reader)?),
            unknown => return Err(start.fault(Fault::Descriptor(unknown)).within("performative")),
        };
        reader.end().map_err(|e| e.within(read.name()))?;
        Ok((read, Bytes::new()))
    }

    /// The name of the specification.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open(_) => Open::NAME,
            Self::Begin(_) => Begin::NAME,
            Self::Attach(_) => Attach::NAME,
            Self::Flow(_) => Flow::NAME,
            Self::Transfer(_) => Transfer::NAME,
            Self::Disposition(_) => Disposition::NAME,
            Self::Detach(_) => Detach::NAME,
            Self::End(_) => End::NAME,
            Self::Close(_) => Close::NAME,
        }
    }
}

impl Encode for Performative {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Open(open) => open.encode(out),
            Self::Begin(begin) => begin.encode(out),
            Self::Attach(attach) => attach.encode(out),
            Self::Flow(flow) => flow.encode(out),
            Self::Transfer(transfer) => transfer.encode(out),
            Self::Disposition(disposition) => disposition.encode(out),
            Self::Detach(detach) => detach.encode(out),
            Self::End(end) => end.encode(out),
            Self::Close(close) => close.encode(out),
        }
    }
}

/// A list of symbols as a field; `None` where there are none.
fn symbols(symbols: &[crate::value::Symbol]) -> Option<Symbols<'_>> {
    (!symbols.is_empty()).then_some(Symbols(symbols))
}

/// Written as an array, one alone as well: the form that every peer reads.
struct Symbols<'a>(&'a [crate::value::Symbol]);

impl crate::value::write::Put for Symbols<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        crate::value::write::symbols(out, self.0);
    }
}

/// Opens the fields of a composite type that stands alone: its descriptor is read here.
fn described<'a>(
    reader: &mut Reader<'a>,
    expected: u64,
    what: &'static str,
) -> Result<FieldReader<'a>, DecodeError> {
    let at = *reader;
    match reader.descriptor().map_err(|e| e.within(what))? {
        code if code == expected => FieldReader::open(reader, what),
        unknown => Err(at.fault(Fault::Descriptor(unknown)).within(what)),
    }
}
