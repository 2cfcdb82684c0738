//! SUBSCRIBE and SUBACK.

use super::property::{Properties, REASON, USER, set};
use super::read::Reader;
use super::{Fault, write};
use crate::config::Version;

/// How each filter is subscribed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    /// The highest quality of service.
    pub(crate) qos: u8,
    /// Retain Handling (5): 0, 1 or 2.
    pub(crate) retain_handling: u8,
    /// No Local (5).
    pub(crate) no_local: bool,
}

/// Writes a SUBSCRIBE.
pub(crate) fn encode<'a>(
    out: &mut Vec<u8>,
    version: Version,
    id: u16,
    filters: impl Iterator<Item = &'a str>,
    options: Options,
) {
    let mut body = Vec::with_capacity(64);
    write::two(&mut body, id);
    let byte = match version {
        Version::V3 => options.qos,
        Version::V5 => {
            body.push(0);
            options.qos | u8::from(options.no_local) << 2 | options.retain_handling << 4
        }
    };
    for filter in filters {
        write::text(&mut body, filter);
        body.push(byte);
    }
    write::packet(out, 0x82, &body);
}

/// The answer to a SUBSCRIBE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Suback<'a> {
    /// Which SUBSCRIBE.
    pub(crate) id: u16,
    /// One for each filter: the granted quality of service, or 0x80 and above for a refusal.
    pub(crate) codes: &'a [u8],
    /// What the broker says in words.
    pub(crate) reason: Option<&'a str>,
}

/// Reads a SUBACK.
pub(crate) fn decode(version: Version, body: &[u8]) -> Result<Suback<'_>, Fault> {
    let mut reader = Reader::new(body);
    let id = reader.identifier()?;
    let reason = match version {
        Version::V3 => None,
        Version::V5 => Properties::take(&mut reader, set(&[REASON, USER]))?.reason()?,
    };
    Ok(Suback {
        id,
        codes: reader.rest(),
        reason,
    })
}
