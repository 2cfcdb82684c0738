//! Bytes from hell: a fake broker that sends what no broker should, at every stage of a connection (C33).
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use support::fake::{Fake, Stage};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::message::MessageWriter;
use weft_amqp_wire::performative::{Performative, Transfer};
use weft_amqp_wire::value::ValueRef;
use weft_api::event::Attributes;
use weft_api::outcome::Outcome;
use weft_api::status::Health;
use weft_conformance::harness::IngressDesk;

const LIMIT: Duration = Duration::from_secs(30);
/// How deep the hostile values are.
const DEEP: usize = 20_000;
/// How much memory a round of hostility may keep.
const KEPT_MAX: u64 = 48 << 20;

const STAGES: [Stage; 7] = [
    Stage::Header,
    Stage::Mechanisms,
    Stage::AmqpHeader,
    Stage::Open,
    Stage::Begin,
    Stage::Attach,
    Stage::Transfer,
];

/// A frame of the kind (0: AMQP, 1: SASL) around a body.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len() + 8).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&[2, kind, 0, 0]);
    frame.extend_from_slice(body);
    frame
}

/// Lists within lists, each with its size, so that only depth is wrong.
fn nested(levels: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(levels * 9 + 1);
    for level in 0..levels {
        let inside = u32::try_from((levels - level - 1) * 9 + 1 + 4).unwrap();
        out.push(0xd0);
        out.extend_from_slice(&inside.to_be_bytes());
        out.extend_from_slice(&1u32.to_be_bytes());
    }
    out.push(0x40);
    out
}

/// What is said in place of the stage's own words.
fn hostilities(stage: Stage) -> Vec<(&'static str, Vec<u8>)> {
    let (kind, code) = match stage {
        Stage::Header | Stage::Mechanisms => (1, 0x40),
        Stage::AmqpHeader | Stage::Open => (0, 0x10),
        Stage::Begin => (0, 0x11),
        Stage::Attach => (0, 0x12),
        Stage::Transfer => (0, 0x14),
    };
    let described = |fields: &[u8]| [&[0x00, 0x53, code], fields].concat();
    let lengths = |constructor: u8| [constructor, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let list_of = |field: &[u8]| {
        let mut list = vec![0xd0];
        list.extend_from_slice(&u32::try_from(field.len() + 4).unwrap().to_be_bytes());
        list.extend_from_slice(&1u32.to_be_bytes());
        list.extend_from_slice(field);
        list
    };
    let mut all = vec![
        ("other words", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("a frame of 4 GiB", vec![0xff, 0xff, 0xff, 0xff, 2, kind, 0, 0]),
        ("a frame too short", vec![0, 0, 0, 4, 2, kind, 0, 0]),
        ("a data offset outside", vec![0, 0, 0, 8, 200, kind, 0, 0]),
        (
            "half a frame",
            framed(kind, &described(&[0xc0, 0x20]))[..9].to_vec(),
        ),
        ("nested lists", framed(kind, &described(&list_of(&nested(DEEP))))),
        (
            "nested descriptors",
            framed(kind, &[[0x00].repeat(DEEP), vec![0x40]].concat()),
        ),
        ("a list of 4 GiB", framed(kind, &described(&lengths(0xd0)))),
        (
            "an array of 4 GiB",
            framed(kind, &described(&list_of(&lengths(0xf0)))),
        ),
        (
            "a binary of 4 GiB",
            framed(kind, &described(&list_of(&lengths(0xb0)))),
        ),
        (
            "a map of 4 GiB",
            framed(kind, &described(&list_of(&lengths(0xd1)))),
        ),
        ("an unknown performative", framed(kind, &[0x00, 0x53, 0x7f, 0x45])),
        (
            "fields of other types",
            framed(kind, &described(&list_of(&[0xa1, 1, b'x']))),
        ),
        ("no field at all", framed(kind, &described(&[0x45]))),
        ("zeros", vec![0; 4096]),
        ("ones", vec![0xff; 4096]),
        ("nothing, and away", Vec::new()),
    ];
    if stage == Stage::Header {
        let mut wrapped = ProtocolHeader::SASL.to_bytes().to_vec();
        wrapped.extend_from_slice(&framed(1, &described(&lengths(0xd0))));
        all.push(("the wrong version", b"AMQP\x03\x00\x09\x01".to_vec()));
        all.push(("a header, then 4 GiB", wrapped));
    }
    if stage == Stage::Transfer {
        let mut aborted = Vec::new();
        for number in 0..3u32 {
            let transfer = Transfer {
                handle: number * 7,
                delivery_id: Some(number),
                delivery_tag: Some(Bytes::from_static(b"t")),
                more: true,
                ..Transfer::default()
            };
            frame::write(&mut aborted, 0, &transfer);
        }
        all.push(("transfers on handles that nobody attached", aborted));
    }
    all
}

fn section(port: u16) -> serde_json::Value {
    json!({ "url": format!("amqp://127.0.0.1:{port}"), "address": "jobs", "idle_timeout": "5s" })
}

/// Resident memory of this process.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {LIMIT:?}"),
    }
}

/// One ingress that meets some of a stage's hostilities, connection after connection.
async fn endure(stage: Stage, words: Vec<(&'static str, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let desk = IngressDesk::start(support::ingress(&section(port), None), None);
    for (name, bytes) in &words {
        let what = format!("{stage:?}: {name}");
        let mut fake = within(&what, Fake::accept(&listener)).await;
        within(&what, fake.behave(stage)).await;
        fake.write(bytes).await;
        let _ = fake.stream.shutdown().await;
    }
    // One more connection, and a clear line: it lives, and comes back.
    let _last = within(&format!("{stage:?}: it comes back"), Fake::accept(&listener)).await;
    let Health::Waiting(why) = desk.health() else {
        panic!("{stage:?}: {:?}", desk.health());
    };
    assert!(
        why.contains("127.0.0.1") && !why.contains('\n') && why.len() < 500,
        "{stage:?}: {why}"
    );
    assert!(!desk.has_ended());
    within("the close", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_broker_gets_nowhere_at_any_stage() {
    let before = resident();
    let mut all = tokio::task::JoinSet::new();
    for stage in STAGES {
        let words = hostilities(stage);
        // The waits between tries grow: a few for each ingress.
        for some in words.chunks(4) {
            all.spawn(endure(stage, some.to_vec()));
        }
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    let kept = resident().saturating_sub(before);
    assert!(kept < KEPT_MAX, "{kept} bytes are kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_message_is_malformed_and_disturbs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let desk = IngressDesk::start(support::ingress(&section(port), None), None);
    let mut fake = within("a connection", Fake::accept(&listener)).await;
    within("a link", fake.behave(Stage::Transfer)).await.unwrap();
    let value = |inside: &[u8]| [&[0x00, 0x53, 0x77], inside].concat();
    let mut bad = vec![
        value(&nested(DEEP)),
        value(&[[0x00].repeat(DEEP), vec![0x40]].concat()),
        value(&[0xd0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        vec![0x00, 0x53, 0x75, 0xb0, 0xff, 0xff, 0xff, 0xff],
        // Application properties whose map lies about its count.
        vec![0x00, 0x53, 0x74, 0xd1, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff],
        vec![0xde, 0xad, 0xbe, 0xef],
    ];
    let mut good = Vec::new();
    let mut writer = MessageWriter::new(&mut good);
    writer.value(ValueRef::String("good"));
    bad.push(good);
    let count = bad.len();
    for (number, payload) in bad.iter().enumerate() {
        fake.send(u32::try_from(number).unwrap(), false, payload, 16 << 10)
            .await;
    }
    for (number, bytes) in bad.iter().enumerate() {
        let admitted = within("it comes in", desk.next()).await;
        let last = number + 1 == count;
        assert_eq!(admitted.incoming.malformed, !last, "{number}");
        let event = &admitted.incoming.event;
        if last {
            assert_eq!(event.data().unwrap(), "good");
        } else {
            assert!(!event.get("weftreason").unwrap().text.is_empty());
            assert_eq!(event.data().unwrap(), bytes, "the bytes are kept");
        }
        desk.settle(admitted, Outcome::Accepted);
    }
    // All are answered on the same connection.
    let mut answered = 0;
    while answered < count {
        let Some(Performative::Disposition(said)) = within("an answer", fake.until("disposition")).await
        else {
            panic!("the connection is gone");
        };
        answered += (said.last.unwrap_or(said.first) - said.first) as usize + 1;
    }
    assert_eq!(desk.health(), Health::Ready);
    drop(fake);
    within("the close", desk.close()).await.unwrap();
}
