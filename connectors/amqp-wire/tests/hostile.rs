//! Bytes that no honest peer sends (C33): each is an error that says what is wrong, none of them a panic, a stack
//! overflow, or an allocation by an unchecked length.
#![allow(clippy::unwrap_used)]

mod support;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use support::walk::{everything, message};
use weft_amqp_wire::frame::{self, FrameError};
use weft_amqp_wire::message::Message;
use weft_amqp_wire::performative::{Encode, Performative};
use weft_amqp_wire::sasl::Sasl;
use weft_amqp_wire::value::{DEPTH_MAX, Reader, Value};
use weft_amqp_wire::{DecodeError, Fault, condition};

/// `value` in `depth` lists (0xd0), maps (0xd1) or arrays (0xf0).
fn nested(code: u8, depth: usize, value: &[u8]) -> Vec<u8> {
    let mut whole = value.to_vec();
    for _ in 0..depth {
        let (count, prefix): (u32, &[u8]) = match code {
            0xd1 => (2, &[0xa1, 1, b'k']),
            _ => (1, &[]),
        };
        let mut outer = vec![code];
        // An array holds its element without the constructor, which stands before all elements.
        let size = u32::try_from(4 + prefix.len() + whole.len()).unwrap();
        outer.extend(size.to_be_bytes());
        outer.extend(count.to_be_bytes());
        outer.extend(prefix);
        outer.extend(&whole);
        whole = outer;
    }
    whole
}

/// All the shapes that go `depth` deep.
fn deep(depth: usize) -> Vec<(&'static str, Vec<u8>)> {
    let described = [0x00, 0x44].repeat(depth);
    let descriptors = vec![0x00; depth];
    let close = |mut open: Vec<u8>, with: &[u8]| {
        open.extend(with);
        open
    };
    let both = [0x00, 0x44, 0xc0, 0xff, 0x01].repeat(depth);
    vec![
        ("lists", nested(0xd0, depth, &[0x40])),
        ("maps", nested(0xd1, depth, &[0x40])),
        ("arrays", nested(0xf0, depth, &[0x40])),
        ("described values", close(described, &[0x40])),
        ("descriptors", close(descriptors, &vec![0x40; depth + 1])),
        ("short lists that overrun", close(both, &[0x40])),
    ]
}

fn small(whole: &[u8]) -> u32 {
    u32::try_from(whole.len()).unwrap()
}

/// A composite type with these fields, encoded.
fn composite(code: u8, count: u32, fields: &[u8]) -> Bytes {
    let mut out = vec![0x00, 0x53, code, 0xd0];
    out.extend((small(fields) + 4).to_be_bytes());
    out.extend(count.to_be_bytes());
    out.extend(fields);
    out.into()
}

/// `fields` map with one entry.
fn one_entry(value: &[u8]) -> Vec<u8> {
    let mut out = vec![0xd1];
    out.extend((small(value) + 4 + 3).to_be_bytes());
    out.extend(2u32.to_be_bytes());
    out.extend([0xa3, 1, b'k']);
    out.extend(value);
    out
}

#[test]
fn values_thousands_deep_are_an_error_wherever_they_stand() {
    for depth in [DEPTH_MAX as usize + 1, 1_000, 20_000] {
        for (shape, value) in deep(depth) {
            let bytes = Bytes::from(value.clone());
            assert!(Value::decode(&bytes).is_err(), "{shape} of {depth}");
            assert!(Reader::new(&bytes).check().is_err(), "{shape} of {depth}");
            everything(&bytes);

            // begin, with the properties that abort other libraries
            let mut fields = vec![0x40, 0x43, 0x43, 0x43, 0x40, 0x40, 0x40];
            fields.extend(one_entry(&value));
            assert!(
                Performative::decode(&composite(0x11, 8, &fields)).is_err(),
                "{shape}"
            );
            // attach, with a filter
            let mut source = vec![0x40; 7];
            source.extend(one_entry(&value));
            let mut attach = vec![0xa1, 1, b'l', 0x43, 0x42, 0x40, 0x40];
            attach.extend(composite(0x28, 8, &source));
            assert!(
                Performative::decode(&composite(0x12, 6, &attach)).is_err(),
                "{shape}"
            );
            // disposition, with that for a state
            let mut disposition = vec![0x41, 0x43, 0x40, 0x41];
            disposition.extend(&value);
            assert!(
                Performative::decode(&composite(0x15, 5, &disposition)).is_err(),
                "{shape}"
            );
            // a message, as body and as annotation
            for section in [0x77u8, 0x76] {
                let mut payload = vec![0x00, 0x53, section];
                payload.extend(&value);
                assert!(
                    Message::decode(&Bytes::from(payload)).is_err(),
                    "{shape} in {section:x}"
                );
            }
            for section in [0x72u8, 0x74] {
                let mut payload = vec![0x00, 0x53, section];
                payload.extend(one_entry(&value));
                assert!(
                    message(&Bytes::from(payload)).is_err() || section == 0x72,
                    "{shape}"
                );
            }
            assert!(Sasl::decode(&composite(0x40, 1, &value)).is_err(), "{shape}");
        }
    }
}

#[test]
fn nesting_up_to_the_bound_is_read() {
    let bytes = Bytes::from(nested(0xd0, DEPTH_MAX as usize, &[0x40]));
    Value::decode(&bytes).unwrap();
    let deeper = Bytes::from(nested(0xd0, DEPTH_MAX as usize + 1, &[0x40]));
    let error = Value::decode(&deeper).unwrap_err();
    assert_eq!(error.fault, Fault::Depth);
    assert_eq!(error.condition(), condition::RESOURCE_LIMIT_EXCEEDED);
}

#[test]
fn a_map_of_the_unsettled_is_passed_over_however_deep_it_is() {
    for (shape, value) in deep(20_000).into_iter().take(4) {
        let mut attach = vec![0xa1, 1, b'l', 0x43, 0x42, 0x40, 0x40, 0x40, 0x40];
        attach.extend(one_entry(&value));
        let (read, _) = Performative::decode(&composite(0x12, 8, &attach)).unwrap();
        let Performative::Attach(attach) = read else {
            panic!("{shape}: {read:?}")
        };
        assert!(attach.has_unsettled);
    }
}

#[test]
fn counts_and_lengths_of_4_gib_are_errors_at_once() {
    let huge = [0xff, 0xff, 0xff, 0xff];
    let mut values: Vec<Vec<u8>> = Vec::new();
    // A size that is not there.
    for code in [0xb0, 0xb1, 0xb3, 0xd0, 0xd1, 0xf0] {
        values.push([&[code], &huge[..], &[0, 0, 0, 1, 0x40]].concat());
    }
    // A size that is right, with a count that is not.
    for code in [0xd0, 0xd1] {
        values.push([&[code, 0, 0, 0, 5], &huge[..], &[0x40]].concat());
        values.push([&[code, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xfe, 0x40][..]].concat());
    }
    // Elements that have a size, many more than there are bytes for.
    for code in [0x50, 0x70, 0x80, 0x98, 0xa1, 0xb0, 0xd0, 0xd1, 0xf0, 0xc0] {
        values.push([&[0xf0, 0, 0, 0, 6], &huge[..], &[code, 0]].concat());
    }
    for value in values {
        let bytes = Bytes::from(value);
        assert!(Value::decode(&bytes).is_err(), "{bytes:02x?}");
        assert!(Reader::new(&bytes).check().is_err(), "{bytes:02x?}");
        everything(&bytes);
    }
}

#[test]
fn an_array_of_4_billion_elements_without_size_is_neither_built_nor_counted_out() {
    for code in [0x40, 0x41, 0x42, 0x43, 0x44, 0x45] {
        let array = [&[0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff][..], &[code]].concat();
        let bytes = Bytes::from(array.clone());
        assert_eq!(Value::decode(&bytes).unwrap_err().fault, Fault::Values);
        // It takes no bytes: there is nothing wrong with its form, and nothing to do.
        Reader::new(&bytes).check().unwrap();
        // Many of them share one bound.
        let many = array.repeat(1_000);
        let mut list = vec![0xd0];
        list.extend((small(&many) + 4).to_be_bytes());
        list.extend(1_000u32.to_be_bytes());
        list.extend(many);
        assert_eq!(
            Value::decode(&Bytes::from(list)).unwrap_err().fault,
            Fault::Values
        );
        // Where symbols are expected, none of them is one.
        let mechanisms = Sasl::decode(&composite(0x40, 1, &array)).unwrap_err();
        assert!(
            matches!(mechanisms.fault, Fault::WrongType { .. }),
            "{mechanisms}"
        );
    }
}

#[test]
fn values_share_one_bound_however_they_are_spread() {
    let nulls = vec![0x40; 70_000];
    let mut list = vec![0xd0];
    list.extend((small(&nulls) + 4).to_be_bytes());
    list.extend(small(&nulls).to_be_bytes());
    list.extend(&nulls);
    let error = Value::decode(&Bytes::from(list.clone())).unwrap_err();
    assert_eq!(error.fault, Fault::Values);
    // As a body it may be passed on: nothing is built.
    let mut payload = vec![0x00, 0x53, 0x77];
    payload.extend(list);
    Message::decode(&Bytes::from(payload)).unwrap();
}

fn samples() -> Vec<(&'static str, Bytes)> {
    let encoded = |performative: &dyn Encode| {
        let mut out = Vec::new();
        performative.encode(&mut out);
        Bytes::from(out)
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut all = Vec::new();
    for _ in 0..12 {
        let performative = support::performative().new_tree(&mut runner).unwrap().current();
        all.push((performative.name(), encoded(&performative)));
        let message = support::message().new_tree(&mut runner).unwrap().current();
        all.push(("message", message.encode()));
    }
    all
}

#[test]
fn what_is_cut_off_anywhere_is_never_taken_for_whole() {
    for (name, whole) in samples() {
        let read = |bytes: &Bytes| match name {
            "message" => message(bytes),
            _ => Performative::decode(bytes).map(drop),
        };
        read(&whole).unwrap();
        for end in 0..whole.len() {
            let cut = whole.slice(..end);
            everything(&cut);
            // A message may end after any section; a performative may not.
            if name != "message" {
                let error = read(&cut).unwrap_err();
                assert_eq!(error.condition(), condition::DECODE_ERROR, "{name}: {error}");
                assert!(error.offset <= end, "{name}: {error}");
            }
        }
    }
}

#[test]
fn one_wrong_byte_is_an_error_or_another_value_and_nothing_worse() {
    for (_, whole) in samples() {
        for at in 0..whole.len().min(400) {
            for byte in [0x00, 0x40, 0x45, 0x7f, 0xc1, 0xd0, 0xe0, 0xf0, 0xff] {
                let mut bytes = whole.to_vec();
                bytes[at] = byte;
                everything(&Bytes::from(bytes));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_an_error_or_a_value(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        everything(&Bytes::from(bytes));
    }

    /// Random bytes seldom get past the first constructor: these are made of what decoders look for.
    #[test]
    fn random_constructors_are_an_error_or_a_value(bytes in proptest::collection::vec(
        prop_oneof![
            proptest::sample::select(vec![
                0x00, 0x40, 0x41, 0x43, 0x44, 0x45, 0x50, 0x52, 0x53, 0x56, 0x70, 0x80, 0xa0, 0xa1, 0xa3, 0xb0, 0xb1, 0xb3,
                0xc0, 0xc1, 0xd0, 0xd1, 0xe0, 0xf0,
            ]),
            0u8..8,
            0x10u8..0x19,
            0x70u8..0x79,
            any::<u8>(),
        ],
        0..120,
    ), framed in any::<bool>()) {
        let mut bytes = bytes;
        if framed {
            let size = u32::try_from(bytes.len() + 8).unwrap().to_be_bytes();
            bytes.splice(..0, size.into_iter().chain([2, 0, 0, 0]));
        }
        everything(&Bytes::from(bytes));
    }
}

fn split(bytes: &[u8], max: u32) -> Result<Option<frame::Frame>, FrameError> {
    frame::split(&mut BytesMut::from(bytes), max)
}

#[test]
fn a_frame_that_is_too_large_is_refused_by_its_first_four_bytes() {
    let error = split(&[0xff, 0xff, 0xff, 0xff], 65_536).unwrap_err();
    assert_eq!(
        error,
        FrameError::TooLarge {
            size: u32::MAX,
            max: 65_536
        }
    );
    assert_eq!(error.condition(), condition::FRAMING_ERROR);
    assert_eq!(
        error.to_string(),
        "a frame of 4294967295 bytes is larger than the agreed 65536"
    );
    assert_eq!(split(&[0, 1, 0, 0], 65_536), Ok(None));
    assert!(split(&[0, 1, 0, 1], 65_536).is_err());
    // What may be waited for is bounded by what is allowed.
    assert_eq!(frame::missing(&[0, 1, 0, 0], 65_536), 65_532);
    assert_eq!(frame::missing(&[0xff; 4], 65_536), 4);
}

#[test]
fn a_data_offset_outside_of_the_frame_is_refused() {
    assert_eq!(
        split(&[0, 0, 0, 8, 1, 0, 0, 0], 512),
        Err(FrameError::DataOffset { doff: 1, size: 8 })
    );
    assert_eq!(
        split(&[0, 0, 0, 8, 0, 0, 0, 0], 512),
        Err(FrameError::DataOffset { doff: 0, size: 8 })
    );
    assert_eq!(
        split(&[0, 0, 0, 8, 3, 0, 0, 0], 512),
        Err(FrameError::DataOffset { doff: 3, size: 8 })
    );
    assert_eq!(
        split(&[0, 0, 1, 0, 0xff, 0, 0, 0], 512),
        Err(FrameError::DataOffset { doff: 255, size: 256 })
    );
    assert_eq!(split(&[0, 0, 0, 7], 512), Err(FrameError::TooSmall(7)));
    assert_eq!(split(&[0, 0, 0, 8, 2, 7, 0, 0], 512), Err(FrameError::Type(7)));
}

#[test]
fn an_error_tells_what_where_and_which_condition_to_answer_with() {
    // open whose container-id is a number
    let error: DecodeError = Performative::decode(&composite(0x10, 1, &[0x43])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "in open, at byte 12: format code 0x43 is no string"
    );
    assert_eq!(error.condition(), condition::DECODE_ERROR);
    let error = Performative::decode(&composite(0x10, 0, &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "in open, at byte 12: the mandatory field container-id is missing"
    );
    assert_eq!(error.condition(), condition::INVALID_FIELD);
    let error = Performative::decode(&composite(0x30, 0, &[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "in performative, at byte 0: the descriptor 0x30 is unknown here"
    );
    assert_eq!(error.condition(), condition::NOT_IMPLEMENTED);
    let error = Value::decode(&Bytes::from_static(&[0xb0, 0xff, 0xff, 0xff, 0xff, 1, 2])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "in a value, at byte 5: 4294967295 bytes are announced, 2 are there"
    );
}

#[test]
fn sections_out_of_order_or_twice_are_refused() {
    let header: &[u8] = &[0x00, 0x53, 0x70, 0x45];
    let properties: &[u8] = &[0x00, 0x53, 0x73, 0x45];
    let data: &[u8] = &[0x00, 0x53, 0x75, 0xa0, 0x00];
    let value: &[u8] = &[0x00, 0x53, 0x77, 0x40];
    let sequence: &[u8] = &[0x00, 0x53, 0x76, 0x45];
    let read = |sections: &[&[u8]]| {
        let payload = Bytes::from(sections.concat());
        Message::decode(&payload).map(drop).map_err(|e| e.fault)
    };
    assert_eq!(read(&[header, properties, data, data]), Ok(()));
    assert_eq!(read(&[header]), Ok(()));
    assert_eq!(read(&[sequence, sequence]), Ok(()));
    for wrong in [
        &[properties, header][..],
        &[header, header],
        &[data, properties],
        &[data, value],
        &[value, value],
        &[value, data],
        &[data, sequence],
    ] {
        assert!(matches!(read(wrong), Err(Fault::SectionOrder(_))), "{wrong:02x?}");
    }
    assert_eq!(read(&[&[0x00, 0x53, 0x79, 0x45]]), Err(Fault::Descriptor(0x79)));
}
