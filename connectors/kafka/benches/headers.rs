//! What an event's six attributes cost as headers, in and out, beside bare librdkafka headers. No broker.
//!
//! `cargo bench -p weft-kafka --bench headers`; the aim is at most 1 us on top of the bare figures.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Instant;

use rdkafka::message::{Header, Headers, OwnedHeaders};
use weft_api::event::{Event, EventBuilder};
use weft_kafka::bench::{Reader, write};

const ROUNDS: u32 = 200_000;

const SIX: [(&str, &str); 7] = [
    ("ce_specversion", "1.0"),
    ("ce_id", "6e8bc430-9c3a-11d9-9669-0800200c9a66"),
    ("ce_source", "/cloudevents/spec/pull/123"),
    ("ce_type", "com.github.pull_request.opened"),
    ("ce_time", "2026-01-31T08:00:00.120Z"),
    ("content-type", "application/json"),
    ("ce_tenant", "acme"),
];

fn main() {
    let value = vec![b'x'; 256];
    let event = event(&value);
    let mut reader = Reader::default();
    let headers = bare_out();
    assert_eq!(
        reader.read(&headers, &value),
        event,
        "the bench does not measure what it says"
    );
    let out = measure("bare headers out", || black_box(bare_out()).count());
    let ours = measure("event to headers", || black_box(write(black_box(&event))).count());
    println!("{:>28}: {:6} ns", "on top", ours - out);
    let bare = measure("bare headers in", || {
        (0..headers.count())
            .map(|i| black_box(headers.get(i)).key.len())
            .sum()
    });
    let ours = measure("headers to event", || {
        black_box(reader.read(black_box(&headers), &value)).id().len()
    });
    println!("{:>28}: {:6} ns", "on top", ours - bare);
}

fn event(value: &[u8]) -> Event {
    let mut builder = EventBuilder::new();
    for (name, text) in &SIX[1..] {
        let name = if *name == "content-type" {
            "datacontenttype"
        } else {
            &name[3..]
        };
        builder.set(name, weft_api::event::AttrKind::String, text);
    }
    builder
        .data(bytes::Bytes::copy_from_slice(value))
        .build()
        .unwrap()
}

fn bare_out() -> OwnedHeaders {
    SIX.iter()
        .fold(OwnedHeaders::new_with_capacity(10), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(*value),
            })
        })
}

/// The best of five runs, in nanoseconds a round.
fn measure(name: &str, mut round: impl FnMut() -> usize) -> i64 {
    let run = |round: &mut dyn FnMut() -> usize| {
        let began = Instant::now();
        (0..ROUNDS).for_each(|_| _ = black_box(round()));
        i64::try_from(began.elapsed().as_nanos()).unwrap() / i64::from(ROUNDS)
    };
    let best = (0..5).map(|_| run(&mut round)).min().unwrap();
    println!("{name:>28}: {best:6} ns");
    best
}
