//! Properties of version 5 (2.2.2): which there are, their types, and which of them may come twice.

use super::Fault;
use super::read::Reader;

pub(super) const PAYLOAD_FORMAT: u8 = 0x01;
pub(super) const MESSAGE_EXPIRY: u8 = 0x02;
pub(super) const CONTENT_TYPE: u8 = 0x03;
pub(super) const RESPONSE_TOPIC: u8 = 0x08;
pub(super) const CORRELATION: u8 = 0x09;
pub(super) const SUBSCRIPTION: u8 = 0x0b;
pub(super) const SESSION_EXPIRY: u8 = 0x11;
pub(super) const ASSIGNED_CLIENT: u8 = 0x12;
pub(super) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(super) const AUTH_METHOD: u8 = 0x15;
pub(super) const AUTH_DATA: u8 = 0x16;
pub(super) const RESPONSE_INFORMATION: u8 = 0x1a;
pub(super) const SERVER_REFERENCE: u8 = 0x1c;
pub(super) const REASON: u8 = 0x1f;
pub(super) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(super) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(super) const TOPIC_ALIAS: u8 = 0x23;
pub(super) const MAXIMUM_QOS: u8 = 0x24;
pub(super) const RETAIN_AVAILABLE: u8 = 0x25;
pub(super) const USER: u8 = 0x26;
pub(super) const MAXIMUM_PACKET: u8 = 0x27;
pub(super) const WILDCARD_AVAILABLE: u8 = 0x28;
pub(super) const SUBSCRIPTION_AVAILABLE: u8 = 0x29;
pub(super) const SHARED_AVAILABLE: u8 = 0x2a;

/// The value of a property.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Number(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair(&'a str, &'a str),
}

/// A set of properties, as bits.
pub(super) const fn set(ids: &[u8]) -> u64 {
    let mut bits = 0;
    let mut at = 0;
    while at < ids.len() {
        bits |= 1 << ids[at];
        at += 1;
    }
    bits
}

const MANY: u64 = set(&[USER, SUBSCRIPTION]);

/// The properties of one packet, one after another.
pub(super) struct Properties<'a> {
    reader: Reader<'a>,
    allowed: u64,
    seen: u64,
}

impl<'a> Properties<'a> {
    /// Takes the properties off a packet that may have those in `allowed`.
    pub(super) fn take(reader: &mut Reader<'a>, allowed: u64) -> Result<Properties<'a>, Fault> {
        let length = reader.variable()?;
        let bytes = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        Ok(Properties {
            reader: Reader::new(bytes),
            allowed,
            seen: 0,
        })
    }

    /// Reads to the end, and keeps only the reason that is given in words.
    pub(super) fn reason(mut self) -> Result<Option<&'a str>, Fault> {
        let mut reason = None;
        while let Some((id, value)) = self.next()? {
            if let (REASON, Value::Text(text)) = (id, value) {
                reason = Some(text);
            }
        }
        Ok(reason)
    }

    pub(super) fn next(&mut self) -> Result<Option<(u8, Value<'a>)>, Fault> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let id = self.reader.byte()?;
        let bit = 1u64.checked_shl(id.into()).unwrap_or(0);
        if bit & self.allowed == 0 {
            return Err(Fault::Malformed("it has a property that it may not have"));
        }
        if bit & self.seen & !MANY != 0 {
            return Err(Fault::Protocol("a property comes twice"));
        }
        self.seen |= bit;
        let reader = &mut self.reader;
        let value = match id {
            PAYLOAD_FORMAT
            | MAXIMUM_QOS
            | RETAIN_AVAILABLE
            | WILDCARD_AVAILABLE
            | SUBSCRIPTION_AVAILABLE
            | SHARED_AVAILABLE => match reader.byte()? {
                bit @ 0..=1 => Value::Number(bit.into()),
                _ => return Err(Fault::Protocol("a property that is 0 or 1 is neither")),
            },
            SERVER_KEEP_ALIVE | RECEIVE_MAXIMUM | TOPIC_ALIAS_MAXIMUM | TOPIC_ALIAS => {
                Value::Number(reader.two()?.into())
            }
            MESSAGE_EXPIRY | SESSION_EXPIRY | MAXIMUM_PACKET => Value::Number(reader.four()?),
            SUBSCRIPTION => match reader.variable()? {
                0 => return Err(Fault::Protocol("a subscription identifier is zero")),
                id => Value::Number(id),
            },
            CONTENT_TYPE | RESPONSE_TOPIC | ASSIGNED_CLIENT | AUTH_METHOD | RESPONSE_INFORMATION
            | SERVER_REFERENCE | REASON => Value::Text(reader.text()?),
            CORRELATION | AUTH_DATA => Value::Binary(reader.binary()?),
            USER => Value::Pair(reader.text()?, reader.text()?),
            _ => return Err(Fault::Malformed("it has a property that does not exist")),
        };
        Ok(Some((id, value)))
    }
}
