//! Packets as bytes, against the specification and against another implementation.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use mqtt_protocol_core::mqtt::packet::{Qos, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::{
    Connection, Version as TheirVersion, common::Cursor, connection::Event, packet::Packet, role,
};
use proptest::prelude::*;

use super::connect::{Connack, Connect};
use super::frame::{self, Frame, HEAD, split};
use super::publish::Manner;
use super::subscribe::Options;
use super::{Fault, ack, disconnect, kind, publish, subscribe};
use crate::config::Version;
use crate::mapping::{Properties, Publish};

const LIMIT: u32 = 1 << 20;

fn frame(bytes: &[u8]) -> Result<Option<Frame>, Fault> {
    split(&mut BytesMut::from(bytes), LIMIT)
}

/// What another implementation, as a broker, makes of our bytes.
fn heard(version: TheirVersion, bytes: &[u8]) -> Vec<Packet> {
    let mut broker = Connection::<role::Server>::new(version);
    let mut cursor = Cursor::new(bytes);
    let mut packets = Vec::new();
    while (cursor.position() as usize) < bytes.len() {
        for event in broker.recv(&mut cursor) {
            match event {
                Event::NotifyPacketReceived(packet) => {
                    if let Packet::V5_0Connect(_) = packet {
                        let connack = v5_0::Connack::builder()
                            .session_present(false)
                            .reason_code(mqtt_protocol_core::mqtt::result_code::ConnectReasonCode::Success)
                            .build();
                        broker.checked_send(connack.unwrap());
                    }
                    if let Packet::V3_1_1Connect(_) = packet {
                        let connack = v3_1_1::Connack::builder()
                            .session_present(false)
                            .return_code(mqtt_protocol_core::mqtt::result_code::ConnectReturnCode::Accepted)
                            .build();
                        broker.checked_send(connack.unwrap());
                    }
                    packets.push(packet);
                }
                Event::NotifyError(error) => {
                    panic!("the other implementation says {error:?} of {bytes:02x?}")
                }
                _ => {}
            }
        }
    }
    packets
}

fn connect(version: Version) -> Vec<u8> {
    let mut out = Vec::new();
    Connect {
        version,
        client_id: "weft-in",
        clean: false,
        keep_alive: 30,
        session_expiry: 604_800,
        receive_maximum: 59,
        max_packet: LIMIT,
        user: Some(("u", Some("p"))),
    }
    .encode(&mut out);
    out
}

fn both() -> [(Version, TheirVersion); 2] {
    [
        (Version::V3, TheirVersion::V3_1_1),
        (Version::V5, TheirVersion::V5_0),
    ]
}

#[test]
fn another_implementation_reads_what_we_say_of_ourselves() {
    let packets = heard(TheirVersion::V5_0, &connect(Version::V5));
    let [Packet::V5_0Connect(theirs)] = &packets[..] else {
        panic!("{packets:?}");
    };
    assert_eq!(
        (theirs.client_id(), theirs.clean_start(), theirs.keep_alive()),
        ("weft-in", false, 30)
    );
    assert_eq!(
        (theirs.user_name(), theirs.password()),
        (Some("u"), Some(&b"p"[..]))
    );
    let properties = format!("{:?}", theirs.props());
    for expected in ["SessionExpiryInterval", "ReceiveMaximum", "MaximumPacketSize"] {
        assert!(properties.contains(expected), "{properties}");
    }
    let packets = heard(TheirVersion::V3_1_1, &connect(Version::V3));
    let [Packet::V3_1_1Connect(theirs)] = &packets[..] else {
        panic!("{packets:?}");
    };
    assert_eq!((theirs.client_id(), theirs.clean_session()), ("weft-in", false));
}

#[test]
fn another_implementation_reads_every_packet_of_ours() {
    for (version, theirs) in both() {
        let mut bytes = connect(version);
        let options = Options {
            qos: 1,
            retain_handling: 2,
            no_local: true,
        };
        subscribe::encode(&mut bytes, version, 1, ["a/+", "b/#"].into_iter(), options);
        bytes.extend_from_slice(&super::write::PING);
        ack::encode(&mut bytes, version, kind::PUBREL, 7, 0x92);
        disconnect::encode(&mut bytes, version, 0x81);
        assert_eq!(heard(theirs, &bytes).len(), 5, "{version}");
    }
}

fn message(topic: &'static str) -> Publish<'static> {
    Publish {
        topic: Cow::Borrowed(topic),
        payload: Bytes::from_static(b"{}"),
        retain: true,
        properties: Properties {
            utf8: true,
            expiry: Some(60),
            content_type: Some("application/json"),
            response_topic: Some(Cow::Borrowed("re")),
            correlation: Some(Cow::Borrowed(&[0, 255])),
            user: [("id", "1"), ("id", "2"), ("", "ä")].into_iter().collect(),
        },
    }
}

#[test]
fn another_implementation_reads_our_messages() {
    let mut bytes = connect(Version::V5);
    let manner = Manner {
        version: Version::V5,
        qos: 1,
        dup: true,
        id: 300,
    };
    publish::encode(&mut bytes, &message("a/b"), manner);
    let packets = heard(TheirVersion::V5_0, &bytes);
    let Some(Packet::V5_0Publish(theirs)) = packets.last() else {
        panic!("{packets:?}");
    };
    assert_eq!(
        (theirs.topic_name(), theirs.packet_id(), theirs.qos()),
        ("a/b", Some(300), Qos::AtLeastOnce)
    );
    assert!(theirs.retain() && theirs.dup());
    assert_eq!(theirs.payload().as_slice(), b"{}");
    assert_eq!(theirs.props().len(), 8);
}

fn texts() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[^\u{0}]{0,40}").unwrap()
}

proptest! {
    #[test]
    fn a_message_reads_as_it_was_written(
        topic in "[^\u{0}+#]{1,20}", payload in proptest::collection::vec(any::<u8>(), 0..6000), qos in 0u8..3, dup: bool,
        retain: bool, id in 1u16.., user in proptest::collection::vec((texts(), texts()), 0..20), five: bool,
        expiry: Option<u32>, correlation in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..9)),
    ) {
        let version = if five { Version::V5 } else { Version::V3 };
        let mut ours = Publish { topic: Cow::Borrowed(&topic), payload: payload.clone().into(), retain, properties: Properties::default() };
        if five {
            ours.properties.expiry = expiry;
            ours.properties.correlation = correlation.as_deref().map(Cow::Borrowed);
            ours.properties.user = user.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        }
        let manner = Manner { version, qos, dup: dup && qos > 0, id };
        let mut out = Vec::new();
        publish::encode(&mut out, &ours, manner);
        prop_assert_eq!(publish::size(&ours, manner), Some(out.len()));
        let frame = frame(&out).unwrap().unwrap();
        let read = publish::decode(version, frame.first, &frame.body).unwrap();
        prop_assert_eq!(format!("{:?}", read.publish), format!("{ours:?}"));
        prop_assert_eq!((read.qos, read.dup), (qos, manner.dup));
        prop_assert_eq!(read.id, if qos == 0 { 0 } else { id });
        // No prefix of it is a packet, and none panics.
        for end in 0..out.len().min(200) {
            prop_assert!(split(&mut BytesMut::from(&out[..end]), LIMIT).unwrap().is_none());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), first: u8) {
        feed(&[&[first], &bytes[..]].concat());
        for kind in 1..16u8 {
            let first = kind << 4 | if kind == kind::PUBREL { 2 } else { first & 0x0f };
            feed(&[&[first, u8::try_from(bytes.len().min(127)).unwrap()], &bytes[..]].concat());
        }
    }

    #[test]
    fn damaged_messages_do_not_panic(at in 0usize..90, byte: u8) {
        let mut out = Vec::new();
        let manner = Manner { version: Version::V5, qos: 2, dup: false, id: 1 };
        publish::encode(&mut out, &message("plant/7"), manner);
        if let Some(place) = out.get_mut(at) {
            *place = byte;
        }
        feed(&out);
    }
}

/// Decodes as a connection would.
fn feed(bytes: &[u8]) {
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(frame)) = split(&mut buffer, LIMIT) {
        for version in [Version::V3, Version::V5] {
            let body = &frame.body;
            _ = match frame.kind() {
                kind::PUBLISH => publish::decode(version, frame.first, body).err(),
                kind::CONNACK => Connack::decode(version, body).err(),
                kind::SUBACK => subscribe::decode(version, body).err(),
                kind::DISCONNECT => disconnect::decode(version, body).err(),
                _ => ack::decode(version, body).err(),
            };
        }
    }
}

#[test]
fn a_length_is_refused_before_its_bytes_are_there() {
    let header = [0x32, 0xff, 0xff, 0xff, 0x7f];
    assert_eq!(
        frame(&header),
        Err(Fault::TooLarge {
            size: 268_435_460,
            limit: LIMIT
        })
    );
    let five = [0x32, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert!(matches!(frame(&five), Err(Fault::Malformed(_))));
}

impl PartialEq for Frame {
    fn eq(&self, other: &Frame) -> bool {
        (self.first, &self.body) == (other.first, &other.body)
    }
}

#[test]
fn a_packet_that_is_too_large_keeps_its_topic_and_identifier() {
    let mut bytes = vec![0x32];
    super::write::variable(&mut bytes, 300_000);
    bytes.extend([0, 1, b'a', 0, 9]);
    bytes.resize(HEAD - 1, 7);
    let mut buffer = BytesMut::from(&bytes[..]);
    assert!(
        frame::head(&mut buffer, 300_004).is_none(),
        "not all of the beginning is there"
    );
    buffer.extend_from_slice(&[7, 7, 7]);
    let (cut, rest) = frame::head(&mut buffer, 300_004).unwrap();
    assert_eq!(
        (cut.cut, rest, buffer.len()),
        (Some(300_004), 300_004 - HEAD as u64, 2)
    );
    let read = publish::decode(Version::V3, cut.first, &cut.body).unwrap();
    assert_eq!((read.id, &*read.publish.topic), (9, "a"));
}

#[test]
fn what_no_broker_sends_is_refused_by_its_first_byte() {
    for first in [0x00, 0x10, 0x82, 0xa2, 0xc0, 0x21, 0x60, 0x6f, 0xd1, 0xe8] {
        assert!(frame(&[first]).is_err(), "{first:02x}");
    }
    for first in [
        0x20, 0x30, 0x3f, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xe0, 0xf0,
    ] {
        assert!(frame(&[first]).unwrap().is_none(), "{first:02x}");
    }
}

#[test]
fn messages_that_break_a_rule_are_refused() {
    let read =
        |first, body: &[u8]| publish::decode(Version::V5, first, &Bytes::copy_from_slice(body)).map(|_| ());
    assert_eq!(read(0x30, &[0, 1, b'a', 0]), Ok(()));
    for (why, first, body) in [
        ("qos 3", 0x36, &[0, 1, b'a', 0, 1, 0][..]),
        ("dup with qos 0", 0x38, &[0, 1, b'a', 0]),
        ("identifier 0", 0x32, &[0, 1, b'a', 0, 0, 0]),
        ("no identifier", 0x32, &[0, 1, b'a']),
        ("wildcard", 0x30, &[0, 1, b'#', 0]),
        ("wildcard", 0x30, &[0, 3, b'a', b'/', b'+', 0]),
        ("empty topic", 0x30, &[0, 0, 0]),
        ("NUL", 0x30, &[0, 1, 0, 0]),
        ("no UTF-8", 0x30, &[0, 1, 0xff, 0]),
        ("surrogate", 0x30, &[0, 3, 0xed, 0xa0, 0x80, 0]),
        ("topic too short", 0x30, &[0, 9, b'a']),
        ("no properties", 0x30, &[0, 1, b'a']),
        ("properties too short", 0x30, &[0, 1, b'a', 9, 1, 1]),
        ("topic alias", 0x30, &[0, 1, b'a', 3, 0x23, 0, 1]),
        ("property twice", 0x30, &[0, 1, b'a', 4, 1, 1, 1, 1]),
        ("property of CONNECT", 0x30, &[0, 1, b'a', 5, 0x11, 0, 0, 0, 1]),
        ("property that is none", 0x30, &[0, 1, b'a', 2, 0x7f, 0]),
        ("payload format 2", 0x30, &[0, 1, b'a', 2, 1, 2]),
        ("subscription 0", 0x30, &[0, 1, b'a', 2, 0x0b, 0]),
        ("user property cut", 0x30, &[0, 1, b'a', 4, 0x26, 0, 1, b'x']),
    ] {
        assert!(read(first, body).is_err(), "{why}");
    }
}

#[test]
fn a_flood_of_user_properties_is_bounded() {
    let count = 200_000;
    let mut body = vec![0, 1, b'a'];
    super::write::variable(&mut body, 5 * count);
    body.extend(std::iter::repeat_n([0x26, 0, 0, 0, 0], count).flatten());
    let body = Bytes::from(body);
    let read = publish::decode(Version::V5, 0x30, &body).unwrap();
    assert!(read.publish.properties.user.overflow());
    assert_eq!(read.publish.properties.user.iter().count(), 1024);
}

#[test]
fn small_payloads_are_copied_and_large_ones_are_not() {
    for (size, shared) in [(10, false), (70_000, true)] {
        let mut body = vec![0, 1, b'a'];
        body.resize(3 + size, 1);
        let body = Bytes::from(body);
        let read = publish::decode(Version::V3, 0x30, &body).unwrap();
        let range = body.as_ptr_range();
        assert_eq!(range.contains(&read.publish.payload.as_ptr()), shared, "{size}");
    }
}

#[test]
fn a_broker_says_what_it_takes() {
    let body = [
        0, 0, 17, 0x21, 0, 20, 0x24, 1, 0x25, 0, 0x13, 0, 60, 0x27, 0, 0, 16, 0, 0x28, 1,
    ];
    let connack = Connack::decode(Version::V5, &body).unwrap();
    assert_eq!(
        (connack.receive_maximum, connack.max_qos, connack.retain),
        (20, 1, false)
    );
    assert_eq!((connack.keep_alive, connack.max_packet), (Some(60), 4096));
    let defaults = Connack::decode(Version::V5, &[1, 0, 0]).unwrap();
    assert!(defaults.session_present && defaults.retain);
    assert_eq!(
        (defaults.receive_maximum, defaults.max_packet, defaults.max_qos),
        (65_535, u32::MAX, 2)
    );
    // In the words of 3.1.1, from a broker that does not speak 5.
    assert_eq!(Connack::decode(Version::V5, &[0, 1]).unwrap().code, 1);
    for body in [
        &[0, 0][..],
        &[2, 0, 0],
        &[1, 0x87, 0],
        &[0, 0, 3, 0x21, 0, 0],
        &[0, 0, 0, 0],
        &[0],
    ] {
        assert!(Connack::decode(Version::V5, body).is_err(), "{body:?}");
    }
}

#[test]
fn acknowledgements_are_short_or_long() {
    for (version, body, expected) in [
        (Version::V3, &[0, 7][..], Some((7, 0, None))),
        (Version::V3, &[0, 7, 0], None),
        (Version::V5, &[0, 7], Some((7, 0, None))),
        (Version::V5, &[0, 7, 0x97], Some((7, 0x97, None))),
        (
            Version::V5,
            &[0, 7, 0x97, 5, 0x1f, 0, 2, b'n', b'o'],
            Some((7, 0x97, Some("no"))),
        ),
        (Version::V5, &[0, 7, 0x97, 0, 1], None),
        (Version::V5, &[0, 0], None),
        (Version::V5, &[7], None),
    ] {
        let read = ack::decode(version, body)
            .ok()
            .map(|ack| (ack.id, ack.code, ack.reason));
        assert_eq!(read, expected, "{body:?}");
    }
}
