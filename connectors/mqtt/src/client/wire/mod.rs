//! MQTT packets as bytes, 3.1.1 and 5.0, as far as a client needs them.
//!
//! Owns: where a packet ends, what each one may hold, and how ours are written.
//! Invariants: pure, no I/O; no length is believed before the bytes are there, and a packet that is larger than the limit is refused
//! by its first five bytes (C33); nothing recurses; nothing is copied but small payloads; a packet that breaks a rule is a
//! [`Fault`], never a panic.
//! Does not know: what was said before; that is for `ingress::inbox` and `egress::outbox`.

pub(crate) mod ack;
pub(crate) mod connect;
pub(crate) mod disconnect;
pub(crate) mod frame;
mod property;
pub(crate) mod publish;
mod read;
pub(crate) mod reason;
pub(crate) mod subscribe;
#[cfg(test)]
mod tests;
pub(crate) mod write;

use std::fmt;

/// Kinds of packets: the upper four bits of the first byte.
pub(crate) mod kind {
    /// The broker's answer to CONNECT.
    pub(crate) const CONNACK: u8 = 2;
    /// A message.
    pub(crate) const PUBLISH: u8 = 3;
    /// QoS 1: taken.
    pub(crate) const PUBACK: u8 = 4;
    /// QoS 2: recorded.
    pub(crate) const PUBREC: u8 = 5;
    /// QoS 2: may be forgotten by its sender.
    pub(crate) const PUBREL: u8 = 6;
    /// QoS 2: is forgotten by its receiver.
    pub(crate) const PUBCOMP: u8 = 7;
    /// The broker's answer to SUBSCRIBE.
    pub(crate) const SUBACK: u8 = 9;
    /// The broker's answer to UNSUBSCRIBE.
    pub(crate) const UNSUBACK: u8 = 11;
    /// The broker's answer to PINGREQ.
    pub(crate) const PINGRESP: u8 = 13;
    /// The end of a connection.
    pub(crate) const DISCONNECT: u8 = 14;
    /// A step of an authentication that we never begin.
    pub(crate) const AUTH: u8 = 15;

    /// Its name in the specification.
    pub(crate) fn name(kind: u8) -> &'static str {
        match kind {
            CONNACK => "CONNACK",
            PUBLISH => "PUBLISH",
            PUBACK => "PUBACK",
            PUBREC => "PUBREC",
            PUBREL => "PUBREL",
            PUBCOMP => "PUBCOMP",
            SUBACK => "SUBACK",
            UNSUBACK => "UNSUBACK",
            PINGRESP => "PINGRESP",
            DISCONNECT => "DISCONNECT",
            AUTH => "AUTH",
            _ => "packet",
        }
    }
}

/// The peer's fault: what it sent is not MQTT, or not what it may send. The connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Bytes that are no packet.
    Malformed(&'static str),
    /// A packet that has no place here.
    Protocol(&'static str),
    /// Larger than we said that we take.
    TooLarge {
        /// Bytes of the packet, by its own length.
        size: u64,
        /// Bytes that are taken.
        limit: u32,
    },
    /// A topic alias, though we take none.
    TopicAlias,
}

impl Fault {
    /// The reason code with which a client of version 5 ends the connection (5.0, 3.14.2.1).
    pub(crate) fn code(self) -> u8 {
        match self {
            Fault::Malformed(_) => 0x81,
            Fault::Protocol(_) => 0x82,
            Fault::TooLarge { .. } => 0x95,
            Fault::TopicAlias => 0x94,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Malformed(what) => write!(f, "a malformed packet: {what}"),
            Fault::Protocol(what) => write!(f, "a protocol error: {what}"),
            Fault::TooLarge { size, limit } => {
                write!(f, "a packet of {size} bytes, and `max_packet` allows {limit}")
            }
            Fault::TopicAlias => f.write_str("a topic alias, and none was allowed"),
        }
    }
}
