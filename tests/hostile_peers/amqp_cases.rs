//! What the fake AMQP broker says, and when. Deep values fit into one frame of 32 KiB where they must be met by the codec,
//! and are far larger where they are split over transfers.

use crate::amqp::{Stage, attach, begin, data, disposition, open, section};
use crate::amqp_bytes::{
    binary, boundless, countless, described, event, frame, list, map, nested_descriptors, nested_lists,
    nested_values, null, split, symbol, text, transfer, uint,
};
use crate::fake::{Case, Then};

/// Fits into a frame.
const DEEP: usize = 3_000;
/// Does not.
const VERY_DEEP: usize = 90_000;
/// Of the transfers of one message.
const PART: usize = 16 << 10;

fn case(name: &'static str, stage: Stage, then: Then, bytes: Vec<u8>) -> Case<Stage> {
    Case {
        name,
        stage,
        bytes,
        then,
    }
}

/// The properties of a performative that hold a hostile value.
fn properties(value: Vec<u8>) -> Vec<u8> {
    map(&[(symbol("x"), value)])
}

/// At any stage: frames that are none, and fields that lie.
fn frames(out: &mut Vec<Case<Stage>>) {
    use Stage::{Begin, Header, Mechanisms, Open, Outcome, SaslHeader};
    use Then::{HangsUp, Leaves, TimesOut};
    let half = |frame: Vec<u8>| frame[..frame.len() / 2].to_vec();
    out.extend([
        case(
            "http-for-sasl",
            SaslHeader,
            HangsUp,
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ),
        case("version-9", Header, HangsUp, b"AMQP\x00\x09\x09\x09".to_vec()),
        case(
            "deep-mechanisms",
            Mechanisms,
            HangsUp,
            frame(1, &described(0x40, &[nested_lists(DEEP)])),
        ),
        case(
            "boundless-mechanisms",
            Mechanisms,
            HangsUp,
            frame(1, &described(0x40, &[boundless(0xf0)])),
        ),
        case(
            "countless-mechanisms",
            Mechanisms,
            HangsUp,
            frame(1, &described(0x40, &[countless()])),
        ),
        case(
            "deep-outcome",
            Outcome,
            HangsUp,
            frame(1, &nested_descriptors(DEEP)),
        ),
        case(
            "frame-of-4-gib",
            Open,
            HangsUp,
            vec![0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0],
        ),
        case("frame-of-4-bytes", Open, HangsUp, vec![0, 0, 0, 4, 2, 0, 0, 0]),
        case("offset-outside", Open, HangsUp, vec![0, 0, 0, 8, 255, 0, 0, 0]),
        case(
            "frame-too-large",
            Open,
            HangsUp,
            frame(0, &described(0x10, &[text("x"), binary(&vec![0; 1 << 20])])),
        ),
        case(
            "half-an-open",
            Open,
            Leaves,
            half(open(&properties(nested_lists(10)))),
        ),
        case(
            "half-and-silent",
            Open,
            TimesOut,
            half(open(&properties(nested_lists(10)))),
        ),
        case("garbage", Open, HangsUp, vec![0xa5; 8192]),
        case("zeros", Begin, HangsUp, vec![0; 8192]),
        case("unknown-frame", Open, HangsUp, frame(0, &described(0x7f, &[]))),
        case(
            "list-of-4-gib",
            Open,
            HangsUp,
            frame(0, &section(0x10, &boundless(0xd0))),
        ),
        case(
            "string-of-4-gib",
            Open,
            HangsUp,
            frame(0, &described(0x10, &[boundless(0xb1)])),
        ),
    ]);
}

/// Deep and endless values where `open`, `begin` and `attach` may have any.
fn values(out: &mut Vec<Case<Stage>>) {
    use Stage::{Attach, Begin, Open};
    use Then::HangsUp;
    let attached = |value: Vec<u8>| attach(&text("x"), &uint(0), true, &properties(value));
    out.extend([
        case(
            "open-deep-lists",
            Open,
            HangsUp,
            open(&properties(nested_lists(DEEP))),
        ),
        case(
            "open-deep-values",
            Open,
            HangsUp,
            open(&properties(nested_values(5 * DEEP))),
        ),
        case(
            "open-deep-descriptors",
            Open,
            HangsUp,
            open(&properties(nested_descriptors(5 * DEEP))),
        ),
        case(
            "open-binary-4-gib",
            Open,
            HangsUp,
            open(&properties(boundless(0xb0))),
        ),
        case(
            "open-array-4-gib",
            Open,
            HangsUp,
            open(&properties(boundless(0xf0))),
        ),
        case(
            "begin-deep-lists",
            Begin,
            HangsUp,
            begin(&properties(nested_lists(DEEP))),
        ),
        case(
            "begin-deep-values",
            Begin,
            HangsUp,
            begin(&properties(nested_values(5 * DEEP))),
        ),
        case(
            "begin-binary-4-gib",
            Begin,
            HangsUp,
            begin(&properties(boundless(0xb0))),
        ),
        case(
            "begin-list-4-gib",
            Begin,
            HangsUp,
            begin(&properties(boundless(0xd0))),
        ),
        case("attach-deep-lists", Attach, HangsUp, attached(nested_lists(DEEP))),
        case(
            "attach-deep-values",
            Attach,
            HangsUp,
            attached(nested_values(5 * DEEP)),
        ),
        case("attach-map-4-gib", Attach, HangsUp, attached(boundless(0xd1))),
    ]);
}

/// Messages, whole and in many transfers.
fn messages(out: &mut Vec<Case<Stage>>) {
    use Stage::Message;
    use Then::{GoesOn, HangsUp, Rejects};
    let value = |inside: Vec<u8>| section(0x77, &inside);
    let hostile = [
        ("deep-lists", value(nested_lists(DEEP))),
        ("deep-values", value(nested_values(5 * DEEP))),
        ("deep-descriptors", value(nested_descriptors(5 * DEEP))),
        ("very-deep-lists", value(nested_lists(VERY_DEEP))),
        ("very-deep-values", value(nested_values(5 * VERY_DEEP))),
        ("list-4-gib", value(boundless(0xd0))),
        ("binary-4-gib", section(0x75, &boundless(0xb0))),
        ("map-4-gib", section(0x74, &boundless(0xd1))),
        (
            "deep-properties",
            [section(0x73, &list(&[nested_lists(DEEP)])), data(b"x")].concat(),
        ),
        ("junk", vec![0xde, 0xad, 0xbe, 0xef]),
        (
            "junk-in-utf-8",
            value([&[0xb1, 0, 0, 0, 2][..], &[0xc3, 0x28]].concat()),
        ),
        ("too-large", data(&vec![b'x'; 3 << 20])),
    ];
    // Where nobody looks for a value nobody goes down into it: it is stepped over, or refused.
    let stepped_over = [
        (
            "deep-annotations",
            [
                section(0x72, &map(&[(symbol("x"), nested_lists(DEEP))])),
                data(b"x"),
            ]
            .concat(),
        ),
        (
            "deep-property",
            [
                section(0x74, &map(&[(text("x"), nested_values(DEEP))])),
                data(b"x"),
            ]
            .concat(),
        ),
        (
            "deep-footer",
            [
                data(b"x"),
                section(0x78, &map(&[(symbol("x"), nested_lists(DEEP))])),
            ]
            .concat(),
        ),
    ];
    let name = |what: &str| -> &'static str { format!("message-{what}").leak() };
    for (then, messages) in [(Rejects, &hostile[..]), (GoesOn, &stepped_over)] {
        for (what, message) in messages {
            out.push(case(name(what), Message, then, split(0, message, PART)));
        }
    }
    // An array of nothing, however often, is cheap to carry: it may be data or malformed.
    out.push(case(
        "message-countless",
        Message,
        GoesOn,
        transfer(0, &value(countless()), false),
    ));
    let transfers = |count: u32| {
        (0..count)
            .map(|n| transfer(n, &event("flood"), false))
            .collect::<Vec<_>>()
            .concat()
    };
    let endless = (0..64)
        .map(|_| transfer(0, &vec![b'x'; 30_000], true))
        .collect::<Vec<_>>()
        .concat();
    let other_handle = frame(0, &described(0x14, &[uint(77), uint(0), binary(b"t"), uint(0)]));
    let no_tag = frame(0, &[described(0x14, &[uint(0)]), event("untagged")].concat());
    out.extend([
        case("message-endless", Message, GoesOn, endless),
        case("past-the-credit", Message, HangsUp, transfers(5000)),
        case("other-handle", Message, HangsUp, other_handle),
        case("no-tag", Message, HangsUp, no_tag),
        case(
            "flow-deep",
            Message,
            HangsUp,
            frame(0, &described(0x13, &[nested_lists(DEEP)])),
        ),
        case(
            "detach-deep",
            Message,
            HangsUp,
            frame(0, &described(0x16, &[uint(0), null(), nested_lists(DEEP)])),
        ),
    ]);
}

/// For a broker that is read from.
pub(crate) fn ingress() -> &'static [Case<Stage>] {
    let mut all = Vec::new();
    frames(&mut all);
    values(&mut all);
    messages(&mut all);
    all.leak()
}

/// For a broker that is written to.
pub(crate) fn egress() -> &'static [Case<Stage>] {
    use Stage::{Credit, Disposition};
    use Then::{GoesOn, HangsUp};
    let mut all = Vec::new();
    frames(&mut all);
    values(&mut all);
    let answer = |state: Vec<u8>| {
        let args = [vec![0x41], uint(0), null(), vec![0x41], state];
        frame(0, &described(0x15, &args))
    };
    let rejected = |error: Vec<u8>| answer(described(0x25, &[error]));
    all.extend([
        case(
            "credit-deep",
            Credit,
            HangsUp,
            frame(0, &described(0x13, &[nested_lists(DEEP)])),
        ),
        case(
            "answer-deep-lists",
            Disposition,
            HangsUp,
            answer(nested_lists(DEEP)),
        ),
        case(
            "answer-deep-values",
            Disposition,
            HangsUp,
            answer(nested_values(5 * DEEP)),
        ),
        case(
            "answer-binary-4-gib",
            Disposition,
            HangsUp,
            rejected(boundless(0xb0)),
        ),
        case(
            "answer-deep-error",
            Disposition,
            HangsUp,
            rejected(described(0x1d, &[symbol("x"), text("x"), nested_lists(DEEP)])),
        ),
        case(
            "answers-to-nothing",
            Disposition,
            GoesOn,
            [
                disposition(&uint(0xffff_fff0)),
                frame(
                    0,
                    &described(
                        0x15,
                        &[
                            vec![0x41],
                            uint(0x8000_0000),
                            uint(0x7fff_ffff),
                            vec![0x41],
                            described(0x24, &[]),
                        ],
                    ),
                ),
            ]
            .concat(),
        ),
    ]);
    all.leak()
}
