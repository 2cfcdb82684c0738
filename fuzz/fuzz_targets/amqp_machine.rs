//! The client's end of a connection, fed by a peer that says anything, with a driver that does what events suggest.
//!
//! The first byte chooses where the connection stands when the input begins and how the input is cut.
#![no_main]

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::login::Login;
use weft_amqp_wire::machine::{Config, Connection, Event, LinkId, ReceiverSpec, SenderSpec};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::sasl::{Code, Mechanisms, Outcome};
use weft_amqp_wire::value::{Fields, Symbol, Text};

const FRAME_MAX: u32 = 4096;
const MESSAGE_MAX: u64 = 10_000;
const UNSETTLED_MAX: u32 = 64;
const LINKS_MAX: usize = 16;
/// Answers may wait unread up to eight mebibytes, senders stop at one.
const OUTPUT_MAX: usize = 10 << 20;

struct Driver {
    client: Connection,
    now: Instant,
    input: BytesMut,
    links: Vec<LinkId>,
    ended: bool,
}

impl Driver {
    fn new(user: &str) -> Driver {
        let now = Instant::now();
        let config = Config {
            container_id: Text::from_static("fuzz"),
            hostname: None,
            max_frame_size: FRAME_MAX,
            max_message_size: MESSAGE_MAX,
            incoming_window: 8,
            max_unsettled: UNSETTLED_MAX,
            idle_timeout: None,
            login: Login {
                mechanism: None,
                user: user.to_owned(),
                password: "pencil".to_owned(),
                nonce: "rOprNGfwEbeRWgbNEkqO".to_owned(),
            },
            properties: Fields::default(),
        };
        Driver {
            client: Connection::new(config, now),
            now,
            input: BytesMut::new(),
            links: Vec::new(),
            ended: false,
        }
    }

    fn feed(&mut self, bytes: &[u8], writes: bool) {
        self.input.extend_from_slice(bytes);
        self.client.feed(&mut self.input, self.now);
        assert!(self.input.len() <= FRAME_MAX as usize);
        assert!(self.client.missing(&self.input) <= FRAME_MAX as usize);
        while let Some(event) = self.client.poll_event() {
            assert!(!self.ended, "the end is the last event");
            self.happened(event);
        }
        assert_eq!(self.client.is_ended(), self.ended);
        assert!(self.client.unsettled() <= UNSETTLED_MAX);
        let waiting = self.client.output().len();
        assert!(waiting <= OUTPUT_MAX);
        if writes {
            self.client.written(waiting, self.now);
        }
    }

    fn happened(&mut self, event: Event) {
        let client = &mut self.client;
        match event {
            Event::Opened => self.attach(),
            Event::Attached { link, .. } => {
                client.set_credit(link, 5);
                client.send(link, &[1; 3000]);
            }
            Event::Credit { link } => {
                client.send(link, &[1; 700]);
                client.set_credit(link, 3);
            }
            Event::Delivery(delivery) => {
                assert!(delivery.payload.len() as u64 <= MESSAGE_MAX);
                client.settle(
                    delivery.delivery_id,
                    delivery.delivery_id,
                    DeliveryState::Accepted,
                );
                if client.credit(delivery.link) == 0 {
                    client.set_credit(delivery.link, 4);
                }
            }
            Event::TooLarge {
                link, delivery_id, ..
            } => {
                client.settle(delivery_id, delivery_id, DeliveryState::Released);
                client.detach(link, false);
            }
            Event::Outcome { first, last, .. } => {
                assert!(last.wrapping_sub(first) <= UNSETTLED_MAX);
                for link in &self.links {
                    client.can_send(*link);
                }
            }
            Event::Detached { .. } => self.attach(),
            Event::Ended(_) => self.ended = true,
        }
    }

    fn attach(&mut self) {
        if self.links.len() < LINKS_MAX {
            self.links.extend(self.client.attach_receiver(&ReceiverSpec {
                name: Text::from_static("r"),
                source: Source::default(),
                snd_settle_mode: SenderSettleMode::Unsettled,
                desired_capabilities: Vec::new(),
            }));
            self.links.extend(self.client.attach_sender(&SenderSpec {
                name: Text::from_static("s"),
                target: Target::default(),
                snd_settle_mode: SenderSettleMode::Unsettled,
                desired_capabilities: Vec::new(),
            }));
        }
    }
}

/// What a friendly peer says first, in steps.
fn welcome() -> [Vec<u8>; 6] {
    let sasl = |step: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        step(&mut out);
        out
    };
    let names = ["ANONYMOUS", "SCRAM-SHA-256"].map(Symbol::from_static).to_vec();
    let mechanisms = Mechanisms {
        sasl_server_mechanisms: names,
    };
    let outcome = Outcome {
        code: Code::Ok,
        additional_data: None,
    };
    let open = Open {
        max_frame_size: 1024,
        ..Open::default()
    };
    let begin = Begin {
        remote_channel: Some(0),
        incoming_window: 16,
        ..Begin::default()
    };
    let attach = |name: &'static str, handle, role| Attach {
        source: Some(Source::default()),
        target: Some(Target::default()),
        initial_delivery_count: Some(0),
        ..Attach::new(Text::from_static(name), handle, role)
    };
    let credit = Flow {
        next_incoming_id: Some(0),
        incoming_window: 16,
        handle: Some(1),
        delivery_count: Some(0),
        link_credit: Some(10),
        ..Flow::default()
    };
    let half = Transfer {
        handle: 0,
        delivery_id: Some(0),
        delivery_tag: Some(Bytes::from_static(b"0")),
        more: true,
        ..Transfer::default()
    };
    [
        ProtocolHeader::SASL.to_bytes().to_vec(),
        sasl(&|out| frame::write_sasl(out, &mechanisms)),
        sasl(&|out| frame::write_sasl(out, &outcome)),
        ProtocolHeader::AMQP.to_bytes().to_vec(),
        sasl(&|out| {
            frame::write(out, 0, &open);
            frame::write(out, 0, &begin);
        }),
        sasl(&|out| {
            frame::write(out, 0, &attach("r", 0, Role::Sender));
            frame::write(out, 0, &attach("s", 1, Role::Receiver));
            frame::write(out, 0, &credit);
            frame::write_transfer(out, 0, &half, b"half", 512);
        }),
    ]
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let mut driver = Driver::new(if choice & 0x80 == 0 { "" } else { "user" });
    for step in welcome().iter().take(usize::from(choice & 7)) {
        driver.feed(step, true);
    }
    let cut = [data.len().max(1), 1, 7, 100][usize::from(choice >> 3 & 3)];
    for part in data.chunks(cut) {
        driver.feed(part, choice & 0x40 == 0);
    }
    driver.client.close();
    driver.feed(&[], true);
});
