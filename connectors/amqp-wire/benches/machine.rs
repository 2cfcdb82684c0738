//! What the client's end of a connection costs: nanoseconds for each message.
//! Run with `cargo bench -p weft-amqp-wire --bench machine`.
//!
//! The peer is a list of frames that were encoded before. What is measured is receiving (split, decode, credit, window,
//! event), settling in batches, sending (encode, cut, books) and outcomes; with payloads of 256 bytes.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::login::Login;
use weft_amqp_wire::machine::{Config, Connection, Event, LinkId, ReceiverSpec, SenderSpec};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::sasl::{Code, Mechanisms, Outcome};
use weft_amqp_wire::value::{Fields, Symbol, Text};

const ROUNDS: usize = 15;
/// Messages between two flows.
const BATCH: u32 = 64;
const BATCHES: u32 = 300;

fn measure(name: &str, mut batch: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        (0..BATCHES).for_each(|_| batch());
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH * BATCHES));
    }
    println!("{name:<52} {best:>9.0} ns a message");
}

struct Bench {
    client: Connection,
    now: Instant,
    input: BytesMut,
}

impl Bench {
    fn up() -> Bench {
        let now = Instant::now();
        let config = Config {
            container_id: Text::from_static("bench"),
            hostname: None,
            max_frame_size: 65_536,
            max_message_size: 1 << 20,
            incoming_window: 2048,
            max_unsettled: 4096,
            idle_timeout: Some(Duration::from_secs(60)),
            login: Login {
                mechanism: None,
                user: String::new(),
                password: String::new(),
                nonce: String::new(),
            },
            properties: Fields::default(),
        };
        let mut bench = Bench {
            client: Connection::new(config, now),
            now,
            input: BytesMut::new(),
        };
        let mut out = ProtocolHeader::SASL.to_bytes().to_vec();
        let mechanisms = Mechanisms {
            sasl_server_mechanisms: vec![Symbol::from_static("ANONYMOUS")],
        };
        frame::write_sasl(&mut out, &mechanisms);
        let outcome = Outcome {
            code: Code::Ok,
            additional_data: None,
        };
        frame::write_sasl(&mut out, &outcome);
        out.extend(ProtocolHeader::AMQP.to_bytes());
        frame::write(&mut out, 0, &Open::default());
        let begin = Begin {
            remote_channel: Some(0),
            incoming_window: u32::MAX,
            ..Begin::default()
        };
        frame::write(&mut out, 0, &begin);
        bench.feed(&out);
        assert_eq!(bench.client.poll_event(), Some(Event::Opened));
        bench
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.client.feed(&mut self.input, self.now);
    }

    fn attach(&mut self, link: LinkId, role: Role, name: &'static str, handle: u32) -> LinkId {
        let attach = Attach {
            source: Some(Source::default()),
            target: Some(Target::default()),
            initial_delivery_count: Some(0),
            ..Attach::new(Text::from_static(name), handle, role)
        };
        let mut out = Vec::new();
        frame::write(&mut out, 0, &attach);
        self.feed(&out);
        assert!(matches!(self.client.poll_event(), Some(Event::Attached { .. })));
        link
    }

    fn flush(&mut self) -> usize {
        let bytes = black_box(self.client.output()).len();
        self.client.written(bytes, self.now);
        bytes
    }
}

/// Frames of `BATCH` messages over `links` links in turn, whose numbers are set in place.
fn receive(name: &str, links: u32, settle_each: bool) {
    let mut bench = Bench::up();
    let ids: Vec<LinkId> = (0..links)
        .map(|handle| {
            let name: &'static str = String::leak(format!("l{handle}"));
            let spec = ReceiverSpec {
                name: Text::from_static(name),
                source: Source::default(),
                snd_settle_mode: SenderSettleMode::Unsettled,
                desired_capabilities: Vec::new(),
            };
            let link = bench.client.attach_receiver(&spec).unwrap();
            bench.attach(link, Role::Sender, name, handle)
        })
        .collect();
    let payload = [b'x'; 256];
    let mut next = 0u32;
    let mut stream = Vec::new();
    measure(name, || {
        for link in &ids {
            bench.client.set_credit(*link, BATCH);
        }
        stream.clear();
        let first = next;
        for _ in 0..BATCH {
            let transfer = Transfer {
                handle: next % links,
                delivery_id: Some(next),
                delivery_tag: Some(Bytes::from_static(b"tag-")),
                message_format: Some(0),
                settled: Some(false),
                ..Transfer::default()
            };
            frame::write_transfer(&mut stream, 0, &transfer, &payload, 65_536);
            next = next.wrapping_add(1);
        }
        bench.feed(&stream);
        while let Some(event) = bench.client.poll_event() {
            if let Event::Delivery(delivery) = black_box(event)
                && settle_each
            {
                let id = delivery.delivery_id;
                bench.client.settle(id, id, DeliveryState::Accepted);
            }
        }
        if !settle_each {
            bench
                .client
                .settle(first, next.wrapping_sub(1), DeliveryState::Accepted);
        }
        bench.flush();
    });
}

fn send(name: &str, payload: usize, range: bool) {
    let mut bench = Bench::up();
    let spec = SenderSpec {
        name: Text::from_static("s"),
        target: Target::default(),
        snd_settle_mode: SenderSettleMode::Unsettled,
        desired_capabilities: Vec::new(),
    };
    let link = bench.client.attach_sender(&spec).unwrap();
    bench.attach(link, Role::Receiver, "s", 0);
    let payload = vec![b'x'; payload];
    let mut stream = Vec::new();
    let mut next = 0u32;
    measure(name, || {
        stream.clear();
        let flow = Flow {
            next_incoming_id: None,
            incoming_window: u32::MAX,
            handle: Some(0),
            delivery_count: Some(next),
            link_credit: Some(BATCH),
            ..Flow::default()
        };
        frame::write(&mut stream, 0, &flow);
        bench.feed(&stream);
        let first = next;
        for _ in 0..BATCH {
            // Large ones are more than may wait at a time.
            if bench.client.output().len() > 512 << 10 {
                bench.flush();
            }
            next = bench
                .client
                .send(link, black_box(&payload))
                .unwrap()
                .wrapping_add(1);
        }
        bench.flush();
        stream.clear();
        let mut disposition = Disposition {
            role: Role::Receiver,
            first,
            last: Some(next.wrapping_sub(1)),
            settled: true,
            state: Some(DeliveryState::Accepted),
            batchable: false,
        };
        if range {
            frame::write(&mut stream, 0, &disposition);
        } else {
            for id in first..next {
                disposition.first = id;
                disposition.last = None;
                frame::write(&mut stream, 0, &disposition);
            }
        }
        bench.feed(&stream);
        while let Some(event) = bench.client.poll_event() {
            _ = black_box(event);
        }
        assert_eq!(bench.client.unsettled(), 0);
    });
}

fn main() {
    receive("receive (peer's encoding included), settled in a range", 1, false);
    receive("receive, each settled alone", 1, true);
    receive("receive over 256 links in turn", 256, false);
    send("send, outcomes in a range", 256, true);
    send("send, an outcome each (peer's encoding included)", 256, false);
    send("send 100 KiB, outcomes in a range", 100 << 10, true);
    send("send 2 MiB over several frames", 2 << 20, true);
}
