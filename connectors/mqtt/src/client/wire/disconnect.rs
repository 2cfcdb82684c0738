//! DISCONNECT: ours, and version 5's from the broker.

use super::property::{Properties, REASON, SERVER_REFERENCE, SESSION_EXPIRY, USER, Value, set};
use super::read::Reader;
use super::{Fault, kind};
use crate::config::Version;

/// Why the broker ends the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Disconnect<'a> {
    /// Reason Code.
    pub(crate) code: u8,
    /// What it says in words.
    pub(crate) reason: Option<&'a str>,
    /// Which other broker to use.
    pub(crate) elsewhere: Option<&'a str>,
}

/// Reads the broker's.
pub(crate) fn decode(version: Version, body: &[u8]) -> Result<Disconnect<'_>, Fault> {
    if version == Version::V3 {
        return Err(Fault::Protocol("a DISCONNECT from a broker of version 3.1.1"));
    }
    let mut reader = Reader::new(body);
    let mut disconnect = Disconnect {
        code: 0,
        reason: None,
        elsewhere: None,
    };
    if !reader.is_empty() {
        disconnect.code = reader.byte()?;
    }
    if !reader.is_empty() {
        let allowed = set(&[REASON, SERVER_REFERENCE, SESSION_EXPIRY, USER]);
        let mut properties = Properties::take(&mut reader, allowed)?;
        while let Some((id, value)) = properties.next()? {
            match (id, value) {
                (REASON, Value::Text(text)) => disconnect.reason = Some(text),
                (SERVER_REFERENCE, Value::Text(text)) => disconnect.elsewhere = Some(text),
                _ => {}
            }
        }
    }
    reader.end()?;
    Ok(disconnect)
}

/// Writes ours; the session expiry stays what it was. With 3.1.1 there is no code.
pub(crate) fn encode(out: &mut Vec<u8>, version: Version, code: u8) {
    let first = kind::DISCONNECT << 4;
    if code == 0 || version == Version::V3 {
        out.extend_from_slice(&[first, 0]);
    } else {
        out.extend_from_slice(&[first, 1, code]);
    }
}
