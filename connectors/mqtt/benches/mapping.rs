//! What a message costs between MQTT and an event, in nanoseconds, without any socket.
//!
//! Prints one line a measurement: the best of several rounds, since other work on the machine only ever adds.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use weft_api::config::{Key, Node, Span, Value};
use weft_api::connector::{EgressSettings, IngressSettings};
use weft_mqtt::bench::Bench;

const ROUNDS: u32 = 30;
const TURNS: u32 = 20_000;

const USER: &[(&str, &str)] = &[
    ("specversion", "1.0"),
    ("id", "0b0c9f5e-6f0c-4d8b-9c9d-0a1b2c3d4e5f"),
    ("source", "/sensors/paris/7"),
    ("type", "com.acme.temperature"),
    ("subject", "plant-7"),
    ("time", "2026-01-31T12:00:00.123Z"),
    (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
];

fn section(entries: &[(&str, Value)]) -> Node {
    let span = Span {
        file: Arc::from("bench"),
        line: 1,
        column: 1,
    };
    let node = |value| Node {
        value,
        span: span.clone(),
        path: Arc::from("mqtt"),
        secret: false,
    };
    let entry = |(name, value): &(&str, Value)| {
        let key = Key {
            name: (*name).to_owned(),
            span: span.clone(),
        };
        (key, node(value.clone()))
    };
    node(Value::Map(entries.iter().map(entry).collect()))
}

fn bench(more: &[(&str, Value)]) -> Bench {
    let text = |text: &str| Value::Text(text.to_owned());
    let url = ("url", text("mqtt://127.0.0.1"));
    let filter = Value::List(vec![Node {
        value: text("#"),
        ..section(&[])
    }]);
    let ingress = section(&[url.clone(), ("subscribe", filter)]);
    let mut destination = vec![url, ("topic", text("plant/{subject}/temperature"))];
    destination.extend(more.iter().cloned());
    let name: Arc<str> = Arc::from("bench");
    Bench::new(
        (
            &ingress,
            &IngressSettings {
                name: name.clone(),
                node: name.clone(),
                cluster: name.clone(),
                accept: None,
                event: None,
                window: None,
                event_max: 1 << 20,
                client_memory: 1 << 20,
                log: false,
            },
        ),
        (
            &section(&destination),
            &EgressSettings {
                name: name.clone(),
                node: name.clone(),
                cluster: name,
                event_max: 1 << 20,
                client_memory: 1 << 20,
                lossy: false,
                log: false,
            },
        ),
    )
}

fn measure(what: &str, mut turn: impl FnMut()) {
    let round = |turn: &mut dyn FnMut()| {
        let began = Instant::now();
        for _ in 0..TURNS {
            turn();
        }
        began.elapsed().as_nanos() as f64 / f64::from(TURNS)
    };
    let best = (0..ROUNDS)
        .map(|_| round(&mut turn))
        .fold(f64::INFINITY, f64::min);
    println!("{what}: {best:.0} ns");
}

fn main() {
    let payload = Bytes::from(vec![b'x'; 256]);
    let json = Bytes::from(format!("{{\"temp\":21.5,\"pad\":\"{}\"}}", "x".repeat(230)));
    let media = Some("application/json");
    let mut binary = bench(&[]);
    let structured = bench(&[("mode", Value::Text("structured".to_owned()))]);
    let event = binary.read("plant/7/temperature", media, USER, &payload);
    measure("in, binary, 7 properties, 256 B", || {
        black_box(binary.read("plant/7/temperature", media, USER, &payload));
    });
    measure("in, plain, 256 B of JSON without a content type", || {
        black_box(binary.read("plant/7/temperature", None, &[], &json));
    });
    measure("out, binary, topic from a template", || {
        black_box(binary.write(&event));
    });
    measure("out, structured, topic from a template", || {
        black_box(structured.write(&event));
    });
    let mut out = Vec::new();
    measure("out, binary, as a packet", || {
        out.clear();
        binary.send(&event, 7, &mut out);
    });
    let many: Vec<u8> = std::iter::repeat_n(out, 100).flatten().collect();
    let (mut acknowledgements, mut received) = (Vec::new(), 0);
    measure(
        "in, binary, a packet to an event and its PUBACK, 100 a read",
        || {
            received += 1;
            // One read in a hundred turns.
            if received % 100 == 0 {
                acknowledgements.clear();
                let mut buffer = BytesMut::from(&many[..]);
                black_box(binary.receive(&mut buffer, &mut acknowledgements));
            }
        },
    );
}
