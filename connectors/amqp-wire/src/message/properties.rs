//! The properties section (messaging 3.2.4): what the sender says about the message, never changed on the way.

use crate::descriptor;
use crate::error::{DecodeError, Fault};
use crate::value::write::{Put, symbol, timestamp};
use crate::value::{FieldReader, FieldWriter, Millis, Reader, SymbolRef, ValueRef};

/// A message-id or correlation-id (messaging 3.2.11 to 3.2.14).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum MessageId<'a> {
    /// `ulong`.
    Ulong(u64),
    /// `uuid`, in network order.
    Uuid([u8; 16]),
    /// `binary`.
    Binary(&'a [u8]),
    /// `string`.
    String(&'a str),
}

impl<'a> MessageId<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = *reader;
        match reader.view()? {
            ValueRef::Ulong(number) => Ok(Self::Ulong(number)),
            ValueRef::Uuid(uuid) => Ok(Self::Uuid(uuid)),
            ValueRef::Binary(bytes) => Ok(Self::Binary(bytes)),
            ValueRef::String(text) => Ok(Self::String(text)),
            _ => Err(at.fault(Fault::WrongType {
                expected: "message-id (ulong, uuid, binary or string)",
                found: at.rest().first().copied().unwrap_or_default(),
            })),
        }
    }
}

impl Put for MessageId<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Ulong(number) => number.put(out),
            Self::Uuid(uuid) => ValueRef::Uuid(uuid).put(out),
            Self::Binary(bytes) => bytes.put(out),
            Self::String(text) => text.put(out),
        }
    }
}

/// The properties of a message. All of them may be absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Properties<'a> {
    /// Names the message.
    pub message_id: Option<MessageId<'a>>,
    /// Who made it.
    pub user_id: Option<&'a [u8]>,
    /// The node that it is meant for.
    pub to: Option<&'a str>,
    /// What it is about.
    pub subject: Option<&'a str>,
    /// The node that answers go to.
    pub reply_to: Option<&'a str>,
    /// The message that it belongs to.
    pub correlation_id: Option<MessageId<'a>>,
    /// The type of the data, a symbol (MIME).
    pub content_type: Option<&'a str>,
    /// How the data is packed, a symbol.
    pub content_encoding: Option<&'a str>,
    /// When it expires, in milliseconds since the Unix epoch.
    pub absolute_expiry_time: Option<i64>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub creation_time: Option<i64>,
    /// The group that it belongs to.
    pub group_id: Option<&'a str>,
    /// Its place in the group.
    pub group_sequence: Option<u32>,
    /// The group that answers belong to.
    pub reply_to_group_id: Option<&'a str>,
}

impl<'a> Properties<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut f = FieldReader::open(reader, "properties")?;
        Ok(Self {
            message_id: f.with(MessageId::decode)?,
            user_id: f.opt()?,
            to: f.opt()?,
            subject: f.opt()?,
            reply_to: f.opt()?,
            correlation_id: f.with(MessageId::decode)?,
            content_type: f.opt::<SymbolRef<'a>>()?.map(|symbol| symbol.0),
            content_encoding: f.opt::<SymbolRef<'a>>()?.map(|symbol| symbol.0),
            absolute_expiry_time: f.opt::<Millis>()?.map(|time| time.0),
            creation_time: f.opt::<Millis>()?.map(|time| time.0),
            group_id: f.opt()?,
            group_sequence: f.opt()?,
            reply_to_group_id: f.opt()?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::PROPERTIES);
        f.opt(self.message_id)
            .opt(self.user_id)
            .opt(self.to)
            .opt(self.subject)
            .opt(self.reply_to)
            .opt(self.correlation_id);
        for content in [self.content_type, self.content_encoding] {
            match content {
                Some(content) => f.with(|out| symbol(out, content)),
                None => f.null(),
            };
        }
        for time in [self.absolute_expiry_time, self.creation_time] {
            match time {
                Some(millis) => f.with(|out| timestamp(out, millis)),
                None => f.null(),
            };
        }
        f.opt(self.group_id)
            .opt(self.group_sequence)
            .opt(self.reply_to_group_id);
        f.end();
    }
}
