//! What hostile messages cost in memory: the most that this process ever has (C33). One test, alone in its process.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::json;
use support::fake::{connack, suback};
use support::packet::{self, Packet, split, variable};
use support::{soon, until};
use weft_api::event::Attributes;
use weft_api::status::Health;
use weft_conformance::harness::IngressDesk;

/// What a few megabytes of buffers, and an allocator that rounds up, may add.
const GROWTH_KIB: u64 = 24 * 1024;

/// The most memory so far, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Serves one connection: CONNECT, SUBSCRIBE, then what `then` writes; and reads on until the end.
fn broker(five: bool, then: impl FnOnce(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = Vec::new();
        next(&mut stream, &mut buffer);
        stream.write_all(&connack(five, false, 0)).unwrap();
        let subscribe = next(&mut stream, &mut buffer);
        stream.write_all(&suback(five, &subscribe, 1)).unwrap();
        let mut reader = stream.try_clone().unwrap();
        std::thread::spawn(move || while reader.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {});
        then(&mut stream);
    });
    url
}

fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Packet {
    loop {
        if let Some(packet) = split(buffer) {
            return packet;
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).unwrap();
        buffer.extend(&chunk[..count]);
    }
}

/// A PUBLISH whose properties are a million bytes of empty user properties.
fn flood(id: u16) -> Vec<u8> {
    let properties: Vec<u8> = std::iter::repeat_n([0x26, 0, 0, 0, 0], 200_000)
        .flatten()
        .collect();
    packet::publish(0x32, "a", id, Some(&properties), b"x")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_and_packets_of_256_mib_cost_a_few_buffers() {
    let before = peak();
    let url = broker(true, |stream| {
        for id in 1..=100 {
            stream.write_all(&flood(id)).unwrap();
        }
        std::thread::park();
    });
    let section = json!({ "url": url, "subscribe": ["a"] });
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let came = soon("all come in", desk.accept(100)).await;
    assert!(came.iter().all(|incoming| incoming.malformed));
    soon("it stops", desk.close()).await.unwrap();
    let floods = peak() - before;
    assert!(floods < GROWTH_KIB, "100 floods of 1 MB: {floods} KiB");

    // 3.1.1 cannot tell the broker a limit: what is too large is passed over as it comes, and kept as malformed.
    let url = broker(false, |stream| {
        let length = 268_435_455;
        stream
            .write_all(&[&[0x32][..], &variable(length)].concat())
            .unwrap();
        stream.write_all(&[0, 1, b'a', 0, 1]).unwrap();
        let chunk = [7; 64 * 1024];
        let mut left = length - 5;
        while left > 0 {
            let count = left.min(chunk.len());
            stream.write_all(&chunk[..count]).unwrap();
            left -= count;
        }
        stream
            .write_all(&packet::publish(0x32, "a", 2, None, b"next"))
            .unwrap();
        std::thread::park();
    });
    let section = json!({ "url": url, "version": "3.1.1", "subscribe": ["a"] });
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    let came = soon("both come in", desk.accept(2)).await;
    assert_eq!([came[0].malformed, came[1].malformed], [true, false]);
    assert_eq!(came[1].event.data().unwrap(), &b"next"[..]);
    assert!(
        came[0]
            .event
            .get("weftreason")
            .unwrap()
            .text
            .contains("268435460 bytes")
    );
    soon("it stops", desk.close()).await.unwrap();

    // Version 5 was told: such a packet is the broker's fault, seen in its first five bytes.
    let url = broker(true, |stream| {
        stream.write_all(&[0x32, 0xff, 0xff, 0xff, 0x7f]).unwrap();
        std::thread::park();
    });
    let section = json!({ "url": url, "subscribe": ["a"] });
    let desk = IngressDesk::start(support::ingress(&section, None), None);
    until(
        "it is told",
        || matches!(desk.health(), Health::Waiting(line) if line.contains("268435460")),
    )
    .await;
    soon("it stops", desk.close()).await.unwrap();
    let all = peak() - before;
    assert!(all < GROWTH_KIB, "with two packets of 256 MiB: {all} KiB");
}
