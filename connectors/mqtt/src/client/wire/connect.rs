//! CONNECT and CONNACK.

use super::property::{
    ASSIGNED_CLIENT, AUTH_DATA, AUTH_METHOD, MAXIMUM_PACKET, MAXIMUM_QOS, Properties, REASON,
    RECEIVE_MAXIMUM, RESPONSE_INFORMATION, RETAIN_AVAILABLE, SERVER_KEEP_ALIVE, SERVER_REFERENCE,
    SESSION_EXPIRY, SHARED_AVAILABLE, SUBSCRIPTION_AVAILABLE, TOPIC_ALIAS_MAXIMUM, USER, Value,
    WILDCARD_AVAILABLE, set,
};
use super::read::Reader;
use super::{Fault, write};
use crate::config::Version;

/// What we say of ourselves. No will; no topic aliases, which is the default of version 5.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connect<'a> {
    /// The protocol.
    pub(crate) version: Version,
    /// Names the session.
    pub(crate) client_id: &'a str,
    /// Begin without what the broker kept.
    pub(crate) clean: bool,
    /// In seconds.
    pub(crate) keep_alive: u16,
    /// How long the broker keeps the session after the connection, in seconds (5).
    pub(crate) session_expiry: u32,
    /// How many messages we take without an acknowledgement (5).
    pub(crate) receive_maximum: u16,
    /// The largest packet that we take (5).
    pub(crate) max_packet: u32,
    /// User and password.
    pub(crate) user: Option<(&'a str, Option<&'a str>)>,
}

impl Connect<'_> {
    /// Writes it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(64 + self.client_id.len());
        write::text(&mut body, "MQTT");
        let password = self.user.and_then(|(_, password)| password);
        body.push(match self.version {
            Version::V3 => 4,
            Version::V5 => 5,
        });
        body.push(
            u8::from(self.user.is_some()) << 7
                | u8::from(password.is_some()) << 6
                | u8::from(self.clean) << 1,
        );
        write::two(&mut body, self.keep_alive);
        if self.version == Version::V5 {
            let mut properties = Vec::with_capacity(16);
            properties.push(SESSION_EXPIRY);
            write::four(&mut properties, self.session_expiry);
            properties.push(RECEIVE_MAXIMUM);
            write::two(&mut properties, self.receive_maximum.max(1));
            properties.push(MAXIMUM_PACKET);
            write::four(&mut properties, self.max_packet.max(1));
            write::variable(&mut body, properties.len());
            body.extend_from_slice(&properties);
        }
        write::text(&mut body, self.client_id);
        if let Some((user, _)) = self.user {
            write::text(&mut body, user);
        }
        if let Some(password) = password {
            write::text(&mut body, password);
        }
        write::packet(out, 0x10, &body);
    }
}

/// What the broker says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Connack {
    /// It kept the session.
    pub(crate) session_present: bool,
    /// 0, or why not: a return code of 3.1.1 or a reason code of 5.
    pub(crate) code: u8,
    /// How many messages it takes without an acknowledgement.
    pub(crate) receive_maximum: u16,
    /// The largest packet that it takes.
    pub(crate) max_packet: u32,
    /// The highest quality of service that it takes.
    pub(crate) max_qos: u8,
    /// Whether it takes RETAIN.
    pub(crate) retain: bool,
    /// The keep alive that counts in place of ours, in seconds.
    pub(crate) keep_alive: Option<u16>,
    /// The session expiry that counts in place of ours, in seconds.
    pub(crate) session_expiry: Option<u32>,
    /// What it says in words.
    pub(crate) reason: Option<String>,
    /// Which other broker to use.
    pub(crate) elsewhere: Option<String>,
}

const ALLOWED: u64 = set(&[
    SESSION_EXPIRY,
    RECEIVE_MAXIMUM,
    MAXIMUM_QOS,
    RETAIN_AVAILABLE,
    MAXIMUM_PACKET,
    ASSIGNED_CLIENT,
    TOPIC_ALIAS_MAXIMUM,
    REASON,
    USER,
    WILDCARD_AVAILABLE,
    SUBSCRIPTION_AVAILABLE,
    SHARED_AVAILABLE,
    SERVER_KEEP_ALIVE,
    RESPONSE_INFORMATION,
    SERVER_REFERENCE,
    AUTH_METHOD,
    AUTH_DATA,
]);

impl Connack {
    /// Reads it.
    pub(crate) fn decode(version: Version, body: &[u8]) -> Result<Connack, Fault> {
        let mut reader = Reader::new(body);
        let flags = reader.byte()?;
        if flags > 1 {
            return Err(Fault::Malformed("its reserved flags are set"));
        }
        let mut connack = Connack {
            session_present: flags == 1,
            code: reader.byte()?,
            receive_maximum: u16::MAX,
            max_packet: u32::MAX,
            max_qos: 2,
            retain: true,
            keep_alive: None,
            session_expiry: None,
            reason: None,
            elsewhere: None,
        };
        // A broker that does not speak version 5 refuses in the words of 3.1.1: without properties.
        if version == Version::V5 && !(connack.code != 0 && reader.is_empty()) {
            connack.properties(&mut reader)?;
        }
        reader.end()?;
        if connack.session_present && connack.code != 0 {
            return Err(Fault::Protocol("it refuses, and has a session"));
        }
        Ok(connack)
    }

    fn properties(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let mut properties = Properties::take(reader, ALLOWED)?;
        while let Some((id, value)) = properties.next()? {
            match (id, value) {
                (RECEIVE_MAXIMUM, Value::Number(0)) => {
                    return Err(Fault::Protocol("its Receive Maximum is zero"));
                }
                (MAXIMUM_PACKET, Value::Number(0)) => {
                    return Err(Fault::Protocol("its Maximum Packet Size is zero"));
                }
                (RECEIVE_MAXIMUM, Value::Number(number)) => {
                    self.receive_maximum = u16::try_from(number).unwrap_or(u16::MAX);
                }
                (MAXIMUM_PACKET, Value::Number(number)) => self.max_packet = number,
                (MAXIMUM_QOS, Value::Number(number)) => self.max_qos = u8::from(number > 0),
                (RETAIN_AVAILABLE, Value::Number(number)) => self.retain = number > 0,
                (SERVER_KEEP_ALIVE, Value::Number(number)) => self.keep_alive = u16::try_from(number).ok(),
                (SESSION_EXPIRY, Value::Number(number)) => self.session_expiry = Some(number),
                (REASON, Value::Text(text)) => self.reason = Some(text.to_owned()),
                (SERVER_REFERENCE, Value::Text(text)) => self.elsewhere = Some(text.to_owned()),
                _ => {}
            }
        }
        Ok(())
    }
}
