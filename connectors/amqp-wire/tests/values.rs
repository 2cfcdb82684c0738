//! Values and frames: the forms of the specification, byte by byte, and what comes back.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use weft_amqp_wire::frame::{self, FrameKind, ProtocolHeader};
use weft_amqp_wire::message::{Body, Message, MessageWriter};
use weft_amqp_wire::performative::{
    DeliveryState, Disposition, Encode, Open, Performative, Role, Source, Transfer,
};
use weft_amqp_wire::value::write::Put;
use weft_amqp_wire::value::{Array, Reader, Symbol, Value, ValueRef};

fn encoded(value: impl Put) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out);
    out
}

#[test]
fn values_are_written_in_their_smallest_form() {
    let forms: &[(Value, &[u8])] = &[
        (Value::Null, &[0x40]),
        (Value::Bool(true), &[0x41]),
        (Value::Bool(false), &[0x42]),
        (Value::Uint(0), &[0x43]),
        (Value::Uint(255), &[0x52, 255]),
        (Value::Uint(256), &[0x70, 0, 0, 1, 0]),
        (Value::Ulong(0), &[0x44]),
        (Value::Ulong(255), &[0x53, 255]),
        (Value::Ulong(256), &[0x80, 0, 0, 0, 0, 0, 0, 1, 0]),
        (Value::Int(-128), &[0x54, 0x80]),
        (Value::Int(128), &[0x71, 0, 0, 0, 128]),
        (Value::Long(-1), &[0x55, 0xff]),
        (Value::Long(-129), &[0x81, 255, 255, 255, 255, 255, 255, 255, 127]),
        (Value::Ubyte(7), &[0x50, 7]),
        (Value::Byte(-7), &[0x51, 0xf9]),
        (Value::Ushort(7), &[0x60, 0, 7]),
        (Value::Short(-7), &[0x61, 0xff, 0xf9]),
        (Value::Char('ä'), &[0x73, 0, 0, 0, 0xe4]),
        (Value::Timestamp(1), &[0x83, 0, 0, 0, 0, 0, 0, 0, 1]),
        (Value::from("é"), &[0xa1, 2, 0xc3, 0xa9]),
        (Value::from(Symbol::from_static("x")), &[0xa3, 1, b'x']),
        (Value::from(Bytes::from_static(b"\xff")), &[0xa0, 1, 0xff]),
        (Value::List(vec![]), &[0x45]),
        (Value::List(vec![Value::Null]), &[0xc0, 2, 1, 0x40]),
        (Value::Map(vec![]), &[0xc1, 1, 0]),
        (
            Value::described(Value::Ulong(0x24), Value::List(vec![])),
            &[0x00, 0x53, 0x24, 0x45],
        ),
    ];
    for (value, bytes) in forms {
        assert_eq!(encoded(value), *bytes, "{value:?}");
        assert_eq!(
            Value::decode(&Bytes::copy_from_slice(bytes)).unwrap(),
            *value,
            "{value:?}"
        );
    }
}

#[test]
fn a_compound_becomes_wide_where_size_or_count_asks_for_it() {
    let widths = |len: usize| {
        let list = Value::List(vec![Value::Null; len]);
        let bytes = encoded(&list);
        assert_eq!(Value::decode(&Bytes::from(bytes.clone())).unwrap(), list);
        bytes[0]
    };
    // 254 bytes of elements and one of the count fill the size.
    assert_eq!((widths(254), widths(255)), (0xc0, 0xd0));
    for len in [250, 251, 252, 253, 254, 255, 256, 65_000] {
        let value = Value::List(vec![Value::from("x".repeat(len)), Value::Map(vec![])]);
        assert_eq!(
            Value::decode(&Bytes::from(encoded(&value))).unwrap(),
            value,
            "{len}"
        );
    }
}

#[test]
fn other_forms_of_the_same_value_are_read() {
    let forms: &[(&[u8], Value)] = &[
        (&[0x56, 1], Value::Bool(true)),
        (&[0x70, 0, 0, 0, 0], Value::Uint(0)),
        (&[0x80, 0, 0, 0, 0, 0, 0, 0, 9], Value::Ulong(9)),
        (&[0x71, 0, 0, 0, 1], Value::Int(1)),
        (&[0xb1, 0, 0, 0, 1, b'x'], Value::from("x")),
        (&[0xc0, 1, 0], Value::List(vec![])),
        (&[0xd0, 0, 0, 0, 4, 0, 0, 0, 0], Value::List(vec![])),
        (&[0xd1, 0, 0, 0, 4, 0, 0, 0, 0], Value::Map(vec![])),
        (
            &[0xe0, 4, 2, 0x56, 1, 0],
            Value::Array(Box::new(
                Array::new(vec![Value::Bool(true), Value::Bool(false)]).unwrap(),
            )),
        ),
        (
            &[0xe0, 2, 2, 0x43],
            Value::Array(Box::new(
                Array::new(vec![Value::Uint(0), Value::Uint(0)]).unwrap(),
            )),
        ),
    ];
    for (bytes, value) in forms {
        assert_eq!(
            Value::decode(&Bytes::copy_from_slice(bytes)).unwrap(),
            *value,
            "{bytes:02x?}"
        );
    }
}

#[test]
fn an_array_holds_values_of_one_type() {
    assert!(Array::new(vec![Value::Uint(1), Value::Ulong(1)]).is_none());
    assert!(Array::new(vec![Value::described(Value::Null, Value::Null)]).is_none());
    let lists = vec![
        Value::List(vec![]),
        Value::List(vec![Value::from("ä")]),
        Value::List(vec![Value::Null; 300]),
    ];
    let maps = vec![Value::Map(vec![]), Value::map([("ä", 1u8)])];
    let arrays = vec![
        Value::Array(Box::new(Array::new(vec![Value::from("ä")]).unwrap())),
        Value::Array(Box::new(Array::new(vec![]).unwrap())),
    ];
    let bytes = vec![Value::Byte(-1), Value::Byte(1)];
    for items in [lists, maps, arrays, bytes, vec![Value::Null; 3]] {
        let array = Value::Array(Box::new(Array::new(items).unwrap()));
        assert_eq!(Value::decode(&Bytes::from(encoded(&array))).unwrap(), array);
    }
}

#[test]
fn an_array_of_described_elements_keeps_its_descriptor() {
    // Two elements of the type described by the symbol "d" over ubyte.
    let bytes = Bytes::from_static(&[0xe0, 8, 2, 0x00, 0xa3, 1, b'd', 0x50, 1, 2]);
    let value = Value::decode(&bytes).unwrap();
    let Value::Array(array) = &value else {
        panic!("{value:?}")
    };
    assert_eq!(array.items(), [Value::Ubyte(1), Value::Ubyte(2)]);
    assert_eq!(array.descriptors(), [Value::Symbol(Symbol::from_static("d"))]);
    assert_eq!(encoded(&value), bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_comes_back_and_is_as_long_for_all_who_walk_it(value in support::value()) {
        let bytes = Bytes::from(encoded(&value));
        prop_assert_eq!(&Value::decode(&bytes).unwrap(), &value);
        for walk in [Reader::skip, Reader::check] {
            let mut reader = Reader::new(&bytes);
            walk(&mut reader).unwrap();
            prop_assert!(reader.is_empty());
        }
        let view = Reader::new(&bytes).view().unwrap();
        prop_assert_eq!(view.to_value().unwrap(), value);
        prop_assert_eq!(encoded(view), bytes);
    }

    #[test]
    fn frames_come_back_however_the_stream_is_cut(
        performatives in proptest::collection::vec(support::performative(), 1..5),
        cut in 1..40usize,
    ) {
        let mut stream = Vec::new();
        for (channel, performative) in (0u16..).zip(&performatives) {
            frame::write(&mut stream, channel, performative);
            frame::write_empty(&mut stream);
        }
        let mut buffer = BytesMut::new();
        let mut read = Vec::new();
        for part in stream.chunks(cut) {
            buffer.extend_from_slice(part);
            loop {
                let missing = frame::missing(&buffer, 1 << 20);
                let Some(frame) = frame::split(&mut buffer, 1 << 20).unwrap() else {
                    prop_assert!(missing > 0);
                    break;
                };
                prop_assert_eq!(missing, 0);
                prop_assert_eq!(frame.kind, FrameKind::Amqp);
                if !frame.body.is_empty() {
                    prop_assert_eq!(usize::from(frame.channel), read.len());
                    read.push(Performative::decode(&frame.body).unwrap().0);
                }
            }
        }
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(read, performatives);
    }

    #[test]
    fn a_payload_is_cut_into_frames_that_fit_and_comes_back_whole(
        transfer in support::transfer(),
        len in 0..5_000usize,
        frame_max in 512..1_500u32,
    ) {
        let transfer = Transfer { more: false, state: None, ..transfer };
        let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let mut stream = Vec::new();
        let mut left = &payload[..];
        loop {
            let start = stream.len();
            let taken = frame::write_transfer(&mut stream, 3, &transfer, left, frame_max);
            prop_assert!(stream.len() - start <= frame_max as usize);
            left = &left[taken..];
            if left.is_empty() {
                break;
            }
            prop_assert!(taken > 0);
        }
        let mut buffer = BytesMut::from(&stream[..]);
        let mut whole = Vec::new();
        let mut more = true;
        while let Some(frame) = frame::split(&mut buffer, frame_max).unwrap() {
            prop_assert!(more, "no frame follows one that has no more");
            let (performative, payload) = Performative::decode(&frame.body).unwrap();
            let Performative::Transfer(read) = performative else { panic!("{performative:?}") };
            more = read.more;
            prop_assert_eq!(Transfer { more: false, ..read }, transfer.clone());
            whole.extend_from_slice(&payload);
        }
        prop_assert!(!more);
        prop_assert_eq!(whole, payload);
    }
}

#[test]
fn a_transfer_is_no_larger_than_it_says() {
    let mut out = Vec::new();
    Transfer {
        handle: u32::MAX,
        delivery_id: Some(u32::MAX),
        delivery_tag: Some(Bytes::from_static(&[7; 32])),
        message_format: Some(u32::MAX),
        settled: Some(true),
        more: true,
        rcv_settle_mode: Some(weft_amqp_wire::performative::ReceiverSettleMode::Second),
        state: Some(DeliveryState::Accepted),
        resume: true,
        aborted: true,
        batchable: true,
    }
    .encode(&mut out);
    assert!(out.len() <= Transfer::ENCODED_MAX, "{}", out.len());
}

#[test]
fn the_extended_header_of_a_frame_is_passed_over() {
    let mut bytes = BytesMut::from(&[0, 0, 0, 17, 3, 0, 0, 9, 1, 2, 3, 4, 0x00, 0x53, 0x17, 0xc0, 0][..]);
    let frame = frame::split(&mut bytes, 512).unwrap().unwrap();
    assert_eq!(
        (frame.channel, &frame.body[..]),
        (9, &[0x00, 0x53, 0x17, 0xc0, 0][..])
    );
}

#[test]
fn protocol_headers_are_those_of_the_specification() {
    assert_eq!(ProtocolHeader::AMQP.to_bytes(), *b"AMQP\0\x01\0\0");
    assert_eq!(ProtocolHeader::SASL.to_bytes(), *b"AMQP\x03\x01\0\0");
    let mut bytes = BytesMut::from(&b"AMQP\x03\x01\0\0rest"[..]);
    assert_eq!(ProtocolHeader::split(&mut bytes), Ok(Some(ProtocolHeader::SASL)));
    assert_eq!(&bytes[..], b"rest");
    assert_eq!(ProtocolHeader::split(&mut bytes), Ok(None));
    let error = ProtocolHeader::split(&mut BytesMut::from(&b"HTTP/1.1 400"[..])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer speaks no AMQP: its first bytes are [48, 54, 54, 50, 2f, 31, 2e, 31]"
    );
}

#[test]
fn hot_performatives_are_as_small_as_they_can_be() {
    let mut out = Vec::new();
    Disposition {
        role: Role::Receiver,
        first: 7,
        last: None,
        settled: true,
        state: Some(DeliveryState::Accepted),
        batchable: false,
    }
    .encode(&mut out);
    assert_eq!(
        out,
        [
            0x00, 0x53, 0x15, 0xc0, 10, 5, 0x41, 0x52, 7, 0x40, 0x41, 0x00, 0x53, 0x24, 0x45
        ]
    );
}

#[test]
fn absent_nulls_and_more_fields_than_are_known_are_read_as_the_specification_says() {
    // open with a container-id, three nulls, and four fields more than the ten that there are
    let mut bytes = vec![0x00, 0x53, 0x10, 0xc0, 17, 14, 0xa1, 1, b'c', 0x40, 0x40, 0x40];
    bytes.extend([0x40; 6]);
    bytes.extend([0x41, 0x43, 0x45, 0x40]);
    let (read, _) = Performative::decode(&Bytes::from(bytes)).unwrap();
    let expected = Open {
        container_id: "c".into(),
        ..Open::default()
    };
    assert_eq!(read, Performative::Open(Box::new(expected)));
    // end without its list's fields, by its symbolic descriptor
    let end = [&[0x00, 0xa3, 13][..], b"amqp:end:list", &[0x45]].concat();
    let (read, _) = Performative::decode(&Bytes::from(end)).unwrap();
    assert_eq!(read.name(), "end");
}

#[test]
fn symbols_of_a_field_may_come_as_one_as_an_array_or_as_a_list() {
    let source = |capabilities: &[u8]| {
        let mut source = vec![0x00, 0x53, 0x28, 0xc0];
        source.push(u8::try_from(capabilities.len() + 11).unwrap());
        source.push(11);
        source.extend([0x40; 10]);
        source.extend(capabilities);
        let attach = [
            &[0x00, 0x53, 0x12, 0xc0][..],
            &[u8::try_from(source.len() + 8).unwrap(), 6],
            &[0xa1, 1, b'l', 0x43, 0x41, 0x40, 0x40],
            &source,
        ]
        .concat();
        let (read, _) = Performative::decode(&Bytes::from(attach)).unwrap();
        let Performative::Attach(attach) = read else {
            panic!("{read:?}")
        };
        let Source { capabilities, .. } = attach.source.unwrap();
        capabilities.iter().map(|s| s.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(source(&[0xa3, 1, b'q']), ["q"]);
    assert_eq!(source(&[0xe0, 6, 2, 0xa3, 1, b'q', 1, b't']), ["q", "t"]);
    assert_eq!(source(&[0xc0, 7, 2, 0xa3, 1, b'q', 0xa3, 1, b't']), ["q", "t"]);
    assert_eq!(source(&[0x45]), [""; 0]);
    assert_eq!(source(&[0x40]), [""; 0]);
}

#[test]
fn text_and_binary_bodies_are_read_without_a_copy() {
    let mut out = Vec::new();
    MessageWriter::new(&mut out).value("grüße");
    let payload = Bytes::from(out);
    let Body::Value(raw) = Message::decode(&payload).unwrap().body else {
        panic!("no value")
    };
    let Ok(ValueRef::String(text)) = raw.view() else {
        panic!("no text")
    };
    assert_eq!(text, "grüße");
    assert!(payload.as_ptr_range().contains(&text.as_ptr()));
    let mut out = Vec::new();
    MessageWriter::new(&mut out).data(b"abc");
    let payload = Bytes::from(out);
    let Body::Data(data) = Message::decode(&payload).unwrap().body else {
        panic!("no data")
    };
    assert_eq!(data.to_bytes().as_ptr(), payload[payload.len() - 3..].as_ptr());
}

#[test]
fn a_content_type_that_was_written_as_a_string_is_read() {
    let payload = Bytes::from([&[0x00, 0x53, 0x73, 0xc0, 10, 7][..], &[0x40; 6], &[0xa1, 1, b't']].concat());
    let read = Message::decode(&payload).unwrap();
    assert_eq!(read.properties.content_type, Some("t"));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    use weft_amqp_wire::sasl::{Init, Response};
    let init = Init {
        initial_response: Some(Bytes::from_static(b"\0user\0hunter2")),
        ..Init::default()
    };
    let response = Response {
        response: Bytes::from_static(b"hunter2"),
    };
    let shown = format!("{init:?} {response:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
