//! What a binary-mode message costs between HTTP and an event, in nanoseconds, without any socket.
//!
//! Prints one line a measurement: the best of several rounds, since other work on the machine only ever adds.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use weft_api::event::Event;
use weft_http::mapping::{binary, structured};

const ROUNDS: u32 = 30;
const TURNS: u32 = 20_000;

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "127.0.0.1:8080"),
        ("user-agent", "bench/1.0"),
        ("accept", "*/*"),
        ("ce-specversion", "1.0"),
        ("ce-id", "0b0c9f5e-6f0c-4d8b-9c9d-0a1b2c3d4e5f"),
        ("ce-source", "/sensors/paris/7"),
        ("ce-type", "com.acme.temperature"),
        ("ce-subject", "plant-7"),
        ("ce-time", "2026-01-31T12:00:00.123Z"),
        (
            "ce-traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("content-type", "application/json"),
        ("content-length", "256"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
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
    let headers = headers();
    let body = Bytes::from(vec![b'x'; 256]);
    let decode = || binary::decode(&headers, body.clone()).expect("a valid event");
    let event: Event = decode();
    measure("decode binary, 7 attributes, 256 B", || drop(black_box(decode())));
    measure("encode binary, 7 attributes, 256 B", || {
        let mut out = HeaderMap::with_capacity(16);
        black_box(binary::encode(black_box(&event), &mut out));
        drop(black_box(out));
    });
    measure("encode structured, 256 B", || {
        let mut out = HeaderMap::with_capacity(16);
        black_box(structured::encode(black_box(&event), &mut out));
    });
}
