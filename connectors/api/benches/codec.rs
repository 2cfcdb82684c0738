//! What an event costs on the hot path: nanoseconds for each operation. Run with `cargo bench -p weft-api`.
//!
//! Own loop instead of a framework: the best of several rounds is what the code costs on an idle core, and
//! that is the number that moves with the code. Allocations are counted from outside (`valgrind`, since a
//! counting allocator needs unsafe code): decoding an event costs one, its block; a copy of small data out of
//! a large input is a second one.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use weft_api::event::{Attributes, Event, EventBuilder, header, json};
use weft_api::mapping::PlainMapping;
use weft_api::template::{Inputs, Scope, Template};

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
    println!("{name:<44} {best:>9.0} ns");
}

fn six(builder: &mut EventBuilder) -> Event {
    builder
        .id("A234-1234-1234")
        .source("https://example.com/plant/7")
        .ty("com.acme.temperature");
    builder
        .time("2026-01-31T12:00:00.123Z")
        .datacontenttype("application/json")
        .subject("sensor-12");
    builder.build().unwrap()
}

struct Body(Bytes);

impl Inputs for Body {
    fn data(&self) -> Option<&Bytes> {
        Some(&self.0)
    }
}

fn main() {
    let data = format!(
        "{{\"temp\":21.5,\"unit\":\"C\",\"note\":\"{}\"}}",
        "n".repeat(210)
    );
    let mut builder = EventBuilder::new();
    let event = six(&mut builder)
        .edit()
        .extension("tenant", "acme")
        .data(Bytes::from(data.clone()))
        .build()
        .unwrap();
    let mut out = Vec::new();
    json::encode(&event, &mut out);
    let text = Bytes::from(out.clone());
    let parsed = json::decode(&text).unwrap();
    assert_eq!(parsed, event);

    println!(
        "an event of {} B with 7 attributes, JSON text {} B",
        data.len(),
        text.len()
    );
    measure("json decode", || {
        _ = black_box(json::decode(black_box(&text)).unwrap())
    });
    measure("json encode, decoded before", || {
        out.clear();
        json::encode(black_box(&parsed), &mut out);
    });
    measure("json encode, data to be checked", || {
        out.clear();
        json::encode(black_box(&event), &mut out);
    });
    measure("build from 6 attributes", || _ = black_box(six(&mut builder)));
    measure("edit: add one extension", || {
        _ = black_box(event.edit().extension("added", "x").build().unwrap())
    });
    measure("load and add one extension", || {
        _ = black_box(builder.load(&event).extension("added", "x").build().unwrap())
    });
    measure("clone", || _ = black_box(black_box(&event).clone()));
    measure("get a core attribute", || {
        _ = black_box(black_box(&event).get("subject"))
    });
    measure("get an extension", || {
        _ = black_box(black_box(&event).get("tenant"))
    });
    measure("header encode and decode, plain", || {
        let encoded = header::encode_value(black_box("https://example.com/plant/7"));
        _ = black_box(header::decode_value(encoded.as_bytes()).unwrap());
    });

    let topic = Template::parse("acme/{type}/{tenant | else none}", &Scope::EGRESS).unwrap();
    let mut rendered = String::new();
    measure("render a template of two attributes", || {
        rendered.clear();
        topic.render(black_box(&event), &mut rendered).unwrap();
    });
    let section = [
        ("type", "t"),
        ("source", "/s"),
        ("id", "{data.unit}"),
        ("celsius", "{data.temp | round}"),
    ];
    let defaults = weft_api::mapping::PlainDefaults {
        ty: "t",
        source: "/s",
        id: "{uuid}",
    };
    let mapping = PlainMapping::compile(section, defaults, &Scope::HTTP_INGRESS).unwrap();
    let body = Body(Bytes::from(data));
    measure("map a plain message, two data paths", || {
        let event = mapping.apply(
            &body,
            Some(body.0.clone()),
            Some("application/json"),
            &mut builder,
        );
        _ = black_box(event.unwrap());
    });

    let large = Bytes::from(format!("{{\"x\":\"{}\"}}", "y".repeat(65_536)));
    let large = six(&mut builder).edit().data(large).build().unwrap();
    out.clear();
    json::encode(&large, &mut out);
    let text = Bytes::from(out);
    measure("json decode, 64 KiB", || {
        _ = black_box(json::decode(black_box(&text)).unwrap())
    });
}
