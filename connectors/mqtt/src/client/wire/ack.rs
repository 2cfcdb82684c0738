//! PUBACK, PUBREC, PUBREL and PUBCOMP: the four packets that are an identifier and how it went.

use super::property::{Properties, REASON, USER, set};
use super::read::Reader;
use super::{Fault, kind};
use crate::config::Version;

/// An acknowledgement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ack<'a> {
    /// Which message.
    pub(crate) id: u16,
    /// Reason Code; 0 with 3.1.1.
    pub(crate) code: u8,
    /// What the broker says in words.
    pub(crate) reason: Option<&'a str>,
}

/// Reads any of the four.
pub(crate) fn decode(version: Version, body: &[u8]) -> Result<Ack<'_>, Fault> {
    let mut reader = Reader::new(body);
    let mut ack = Ack {
        id: reader.identifier()?,
        code: 0,
        reason: None,
    };
    if version == Version::V5 && !reader.is_empty() {
        ack.code = reader.byte()?;
        if !reader.is_empty() {
            ack.reason = Properties::take(&mut reader, set(&[REASON, USER]))?.reason()?;
        }
    }
    reader.end()?;
    Ok(ack)
}

/// Writes one of the four. With 3.1.1 there is no code.
pub(crate) fn encode(out: &mut Vec<u8>, version: Version, kind: u8, id: u16, code: u8) {
    let flags = if kind == kind::PUBREL { 2 } else { 0 };
    let [high, low] = id.to_be_bytes();
    let first = kind << 4 | flags;
    if code == 0 || version == Version::V3 {
        out.extend_from_slice(&[first, 2, high, low]);
    } else {
        out.extend_from_slice(&[first, 3, high, low, code]);
    }
}
