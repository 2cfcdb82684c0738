//! What AMQP costs on the hot path: nanoseconds for each operation. Run with `cargo bench -p weft-amqp-wire`.
//!
//! The best of several rounds is what the code costs on an idle core. Nothing here allocates but the growth of the
//! output, which is used again.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use weft_amqp_wire::frame;
use weft_amqp_wire::message::{Body, Header, Message, MessageId, MessageWriter, Properties};
use weft_amqp_wire::performative::{DeliveryState, Disposition, Encode, Flow, Performative, Role, Transfer};
use weft_amqp_wire::value::ValueRef;

const ROUNDS: usize = 15;
const PER_ROUND: u32 = 20_000;

fn measure(name: &str, mut operation: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..PER_ROUND {
            operation();
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(PER_ROUND));
    }
    println!("{name:<52} {best:>9.0} ns");
}

const ATTRIBUTES: [(&str, &str); 8] = [
    ("cloudEvents:specversion", "1.0"),
    ("cloudEvents:id", "A234-1234-1234"),
    ("cloudEvents:source", "https://example.com/plant/7"),
    ("cloudEvents:type", "com.acme.temperature"),
    ("cloudEvents:time", "2026-01-31T12:00:00.123Z"),
    ("cloudEvents:subject", "sensor-12"),
    ("cloudEvents:tenant", "acme"),
    ("cloudEvents:dataschema", "https://example.com/schema"),
];

fn write(out: &mut Vec<u8>, data: &[u8]) {
    let mut message = MessageWriter::new(out);
    message.header(&Header {
        durable: Some(true),
        ..Header::default()
    });
    message.properties(&Properties {
        message_id: Some(MessageId::String("A234-1234-1234")),
        content_type: Some("application/json"),
        group_id: Some("sensor-12"),
        ..Properties::default()
    });
    message.application_properties(|map| {
        for (key, value) in ATTRIBUTES {
            map.put(key, ValueRef::String(value));
        }
    });
    message.data(data);
}

/// All that a connector reads.
fn read(payload: &Bytes) -> (usize, Bytes) {
    let message = Message::decode(payload).unwrap();
    let mut text = 0;
    for entry in message.application_properties.unwrap() {
        let (key, value) = entry.unwrap();
        text += key.len() + value.as_str().unwrap().len();
    }
    let Body::Data(data) = message.body else {
        return (text, Bytes::new());
    };
    (text, data.to_bytes())
}

fn main() {
    let data = vec![b'x'; 256];
    let mut out = Vec::with_capacity(4096);
    write(&mut out, &data);
    let payload = Bytes::from(out.clone());
    println!(
        "a message of {} B: header, 3 properties, 8 application properties, {} B of data",
        payload.len(),
        data.len()
    );
    measure("message encode", || {
        out.clear();
        write(&mut out, black_box(&data));
    });
    measure("message decode, all application properties and data", || {
        _ = black_box(read(black_box(&payload)));
    });
    measure("message decode, sections alone", || {
        _ = black_box(Message::decode(black_box(&payload)).unwrap());
    });

    let transfer = Transfer {
        handle: 1,
        delivery_id: Some(70_000),
        delivery_tag: Some(Bytes::from_static(&[0, 0, 0, 0, 0, 1, 2, 3])),
        message_format: Some(0),
        settled: Some(false),
        ..Transfer::default()
    };
    let disposition = Disposition {
        role: Role::Receiver,
        first: 70_000,
        last: Some(70_063),
        settled: true,
        state: Some(DeliveryState::Accepted),
        batchable: false,
    };
    let flow = Flow {
        next_incoming_id: Some(70_000),
        incoming_window: 2_048,
        next_outgoing_id: 1,
        outgoing_window: 2_048,
        handle: Some(1),
        delivery_count: Some(70_000),
        link_credit: Some(500),
        ..Flow::default()
    };
    let mut stream = Vec::with_capacity(4096);
    measure("transfer frame encode, with the message", || {
        stream.clear();
        frame::write_transfer(&mut stream, 0, black_box(&transfer), &payload, 65_536);
    });
    // As a read buffer holds it: many frames, cut out one by one.
    let frames = stream.repeat(64);
    let mut buffer = BytesMut::new();
    measure("transfer frame split and decode", || {
        if buffer.is_empty() {
            buffer.clear();
            buffer.extend_from_slice(&frames);
        }
        let frame = frame::split(&mut buffer, 65_536).unwrap().unwrap();
        _ = black_box(Performative::decode(&frame.body).unwrap());
    });
    let performatives: [(&str, &dyn Encode); 3] = [
        ("transfer", &transfer),
        ("disposition", &disposition),
        ("flow", &flow),
    ];
    for (name, performative) in performatives {
        let mut out = Vec::with_capacity(128);
        measure(&format!("{name} encode"), || {
            out.clear();
            black_box(performative).encode(&mut out);
        });
        let body = Bytes::from(out);
        measure(&format!("{name} decode"), || {
            _ = black_box(Performative::decode(black_box(&body)).unwrap());
        });
    }
}
