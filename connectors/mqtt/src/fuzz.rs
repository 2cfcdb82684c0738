//! What `fuzz/fuzz_targets/mqtt_packet.rs` feeds; no part of the connector's interface.
#![doc(hidden)]
#![allow(clippy::missing_panics_doc)]

use bytes::BytesMut;

use crate::client::wire::connect::Connack;
use crate::client::wire::frame::{self, Frame};
use crate::client::wire::publish::{self, Manner};
use crate::client::wire::{Fault, ack, disconnect, kind, subscribe};
use crate::config::Version;

/// The largest packet that is taken.
const LIMIT: u32 = 65_536;

/// Reads a stream of packets as a connection does, and writes what can be written again.
pub fn packets(five: bool, data: &[u8]) {
    let version = if five { Version::V5 } else { Version::V3 };
    let mut buffer = BytesMut::from(data);
    loop {
        match frame::split(&mut buffer, LIMIT) {
            Ok(Some(frame)) => packet(version, &frame),
            Err(Fault::TooLarge { size, .. }) => match frame::head(&mut buffer, size) {
                Some((frame, _)) => packet(version, &frame),
                None => return,
            },
            Ok(None) | Err(_) => return,
        }
    }
}

fn packet(version: Version, frame: &Frame) {
    let body = &frame.body;
    match frame.kind() {
        kind::PUBLISH => message(version, frame),
        kind::CONNACK => drop(Connack::decode(version, body)),
        kind::SUBACK => _ = subscribe::decode(version, body),
        kind::DISCONNECT => _ = disconnect::decode(version, body),
        _ => _ = ack::decode(version, body),
    }
}

/// What is written again reads as the same.
fn message(version: Version, frame: &Frame) {
    let Ok(read) = publish::decode(version, frame.first, &frame.body) else {
        return;
    };
    let manner = Manner {
        version,
        qos: read.qos,
        dup: read.dup,
        id: read.id,
    };
    // More user properties than are looked at are not written again.
    if read.publish.properties.user.overflow() {
        return;
    }
    let mut out = Vec::new();
    publish::encode(&mut out, &read.publish, manner);
    assert_eq!(publish::size(&read.publish, manner), Some(out.len()));
    let again = frame::split(&mut BytesMut::from(&out[..]), u32::MAX);
    let again = again.expect("what we write is a packet").expect("a whole one");
    let twice = publish::decode(version, again.first, &again.body).expect("what we write we read");
    assert_eq!(format!("{:?}", twice.publish), format!("{:?}", read.publish));
}
