//! What the fake MQTT broker says, and when.

use crate::fake::{Case, Then};
use crate::mqtt::Stage;
use crate::mqtt_bytes::{event, field, packet, properties, publish, user};

fn case(name: &'static str, stage: Stage, then: Then, bytes: Vec<u8>) -> Case<Stage> {
    Case {
        name,
        stage,
        bytes,
        then,
    }
}

/// A length of 256 MiB, the most that can be said, and what is there of it.
fn boundless(first: u8) -> Vec<u8> {
    [&[first, 0xff, 0xff, 0xff, 0x7f][..], &[0; 4096]].concat()
}

/// In place of CONNACK.
fn connacks(out: &mut Vec<Case<Stage>>) {
    use Stage::Connack;
    use Then::{HangsUp, Leaves, TimesOut};
    let connack = |inside: &[u8]| packet(0x20, &[vec![0, 0], properties(inside)].concat());
    let users = (0..3000).flat_map(|_| user("a", "b")).collect::<Vec<_>>();
    out.extend([
        case(
            "http-for-connack",
            Connack,
            HangsUp,
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ),
        case("garbage", Connack, HangsUp, vec![0xa5; 8192]),
        case("zeros", Connack, HangsUp, vec![0; 8192]),
        case("half-a-connack", Connack, Leaves, vec![0x20, 3, 0]),
        case("connack-and-silence", Connack, TimesOut, vec![0x20, 3, 0]),
        case("connack-of-256-mib", Connack, HangsUp, boundless(0x20)),
        case(
            "length-of-5-bytes",
            Connack,
            HangsUp,
            vec![0x20, 0xff, 0xff, 0xff, 0xff, 1, 0, 0],
        ),
        case("connack-flags", Connack, HangsUp, packet(0x20, &[0xfe, 0, 0])),
        case("connack-too-short", Connack, HangsUp, packet(0x20, &[])),
        case(
            "connack-lying",
            Connack,
            HangsUp,
            packet(0x20, &[0, 0, 100, 0x21]),
        ),
        case("connack-unknown", Connack, HangsUp, connack(&[0x7e, 1])),
        case(
            "connack-twice",
            Connack,
            HangsUp,
            connack(&[0x21, 0, 9, 0x21, 0, 9]),
        ),
        case("connack-receives-0", Connack, HangsUp, connack(&[0x21, 0, 0])),
        case(
            "connack-packets-0",
            Connack,
            HangsUp,
            connack(&[0x27, 0, 0, 0, 0]),
        ),
        case("connack-users", Connack, Then::GoesOn, connack(&users)),
        case("no-connack", Connack, HangsUp, packet(0xd0, &[])),
        case(
            "publish-first",
            Connack,
            HangsUp,
            publish(b"in", 1, &event("first"), b"x"),
        ),
    ]);
}

/// Packets that no server may send to a client that has said and heard CONNECT.
fn strangers(out: &mut Vec<Case<Stage>>, stage: Stage) {
    use Then::{GoesOn, HangsUp};
    let connect = [&field(b"MQTT")[..], &[5, 2, 0, 60, 0], &field(b"you")].concat();
    let auth = [&[0x18][..], &properties(&[])].concat();
    out.extend([
        case("type-0", stage, HangsUp, packet(0, &[])),
        case("connect", stage, HangsUp, packet(0x10, &connect)),
        case("second-connack", stage, HangsUp, packet(0x20, &[0, 0, 0])),
        case(
            "subscribe",
            stage,
            HangsUp,
            packet(0x82, &[&[0, 1, 0][..], &field(b"a"), &[1]].concat()),
        ),
        case(
            "unsubscribe",
            stage,
            HangsUp,
            packet(0xa2, &[&[0, 1, 0][..], &field(b"a")].concat()),
        ),
        case("pingreq", stage, HangsUp, packet(0xc0, &[])),
        case(
            "pingresp-with-more",
            stage,
            GoesOn,
            packet(0xd0, &[1, 2, 3, 4, 5]),
        ),
        case("auth", stage, HangsUp, packet(0xf0, &auth)),
        case("pubrel-flags", stage, HangsUp, packet(0x60, &[0, 1])),
        case("puback-too-short", stage, HangsUp, packet(0x40, &[0])),
        case("puback-of-0", stage, HangsUp, packet(0x40, &[0, 0])),
        case("puback-lying", stage, HangsUp, packet(0x40, &[0, 1, 0, 90, 0x1f])),
        case(
            "disconnect-lying",
            stage,
            HangsUp,
            packet(0xe0, &[0x8b, 90, 0x1f]),
        ),
        case("puback-of-256-mib", stage, HangsUp, boundless(0x40)),
    ]);
}

/// Messages.
fn messages(out: &mut Vec<Case<Stage>>) {
    use Stage::Message;
    use Then::{GoesOn, HangsUp, Leaves, TimesOut};
    let topic = |topic: &[u8]| publish(topic, 1, &event("topic"), b"x");
    let first = |first: u8, body: &[u8]| packet(first, body);
    let body = |id: u16| {
        [
            field(b"in"),
            id.to_be_bytes().to_vec(),
            properties(&[]),
            b"x".to_vec(),
        ]
        .concat()
    };
    let with = |inside: &[u8]| publish(b"in", 1, inside, b"x");
    let users = |count: usize| {
        (0..count)
            .flat_map(|n| user(&format!("u{n}"), ""))
            .collect::<Vec<_>>()
    };
    let flood = (1..=5000)
        .flat_map(|n| publish(b"in", n, &event("flood"), b"x"))
        .collect::<Vec<_>>();
    let whole = publish(b"in", 1, &event("half"), &[b'x'; 1000]);
    // Longer than the packet: the properties reach past its end.
    let lying = [field(b"in"), vec![0, 1], vec![0xff, 0xff, 0x7f], user("a", "b")].concat();
    let long_user = [&[0x26, 0xff, 0xff][..], b"short"].concat();
    out.extend([
        case("publish-of-256-mib", Message, HangsUp, boundless(0x32)),
        case(
            "publish-too-large",
            Message,
            HangsUp,
            publish(b"in", 1, &event("large"), &vec![b'x'; 100 << 10]),
        ),
        case("half-a-publish", Message, Leaves, whole[..500].to_vec()),
        case("publish-and-silence", Message, TimesOut, whole[..500].to_vec()),
        case("past-receive-maximum", Message, GoesOn, flood),
        case("topic-no-utf-8", Message, HangsUp, topic(&[0xc3, 0x28])),
        case("topic-surrogate", Message, HangsUp, topic(&[0xed, 0xa0, 0x80])),
        case("topic-with-nul", Message, HangsUp, topic(b"a\0b")),
        case("topic-with-plus", Message, HangsUp, topic(b"in/+")),
        case("topic-with-hash", Message, HangsUp, topic(b"in/#")),
        case("topic-empty", Message, HangsUp, topic(b"")),
        case("alias-0", Message, HangsUp, with(&[0x23, 0, 0])),
        case("alias-too-high", Message, HangsUp, with(&[0x23, 0xff, 0xff])),
        case("qos-3", Message, HangsUp, first(0x36, &body(1))),
        case("packet-id-0", Message, HangsUp, first(0x32, &body(0))),
        case(
            "dup-with-qos-0",
            Message,
            HangsUp,
            first(0x38, &[field(b"in"), properties(&[])].concat()),
        ),
        case("properties-lying", Message, HangsUp, first(0x32, &lying)),
        case("property-unknown", Message, HangsUp, with(&[0x7e, 1])),
        case("property-of-connect", Message, HangsUp, with(&[0x21, 0, 9])),
        case(
            "property-twice",
            Message,
            HangsUp,
            with(&[0x02, 0, 0, 0, 9, 0x02, 0, 0, 0, 9]),
        ),
        case("property-too-long", Message, HangsUp, with(&long_user)),
        case(
            "property-no-utf-8",
            Message,
            HangsUp,
            with(&[0x03, 0, 2, 0xc3, 0x28]),
        ),
        case(
            "user-no-utf-8",
            Message,
            HangsUp,
            with(&[0x26, 0, 2, 0xc3, 0x28, 0, 0]),
        ),
        case("payload-format-9", Message, HangsUp, with(&[0x01, 9])),
        case("users-endless", Message, GoesOn, with(&users(7000))),
        case("suback-again", Message, GoesOn, packet(0x90, &[0x77, 0x77, 0, 1])),
        case("puback-unknown", Message, GoesOn, packet(0x40, &[0x77, 0x77])),
    ]);
}

/// For a broker that is read from.
pub(crate) fn ingress() -> &'static [Case<Stage>] {
    use Stage::Suback;
    use Then::HangsUp;
    let mut all = Vec::new();
    connacks(&mut all);
    strangers(&mut all, Stage::Message);
    messages(&mut all);
    all.extend([
        case("suback-empty", Suback, HangsUp, packet(0x90, &[])),
        case("suback-without-codes", Suback, HangsUp, packet(0x90, &[0, 1, 0])),
        case(
            "suback-with-many-codes",
            Suback,
            HangsUp,
            packet(0x90, &[&[0, 1, 0][..], &[1; 60_000]].concat()),
        ),
        case(
            "suback-refused",
            Suback,
            Then::GoesOn,
            packet(0x90, &[0, 1, 0, 0x87]),
        ),
    ]);
    all.leak()
}

/// For a broker that is written to.
pub(crate) fn egress() -> &'static [Case<Stage>] {
    use Stage::Puback;
    let mut all = Vec::new();
    connacks(&mut all);
    strangers(&mut all, Puback);
    all.extend([
        case(
            "puback-unknown",
            Puback,
            Then::GoesOn,
            packet(0x40, &[0x77, 0x77]),
        ),
        case("pubrec-for-qos-1", Puback, Then::GoesOn, packet(0x50, &[0, 1])),
        case("puback-code-1", Puback, Then::GoesOn, packet(0x40, &[0, 1, 1, 0])),
        case(
            "unasked-publish",
            Puback,
            Then::GoesOn,
            publish(b"in", 1, &event("unasked"), b"x"),
        ),
    ]);
    all.leak()
}
