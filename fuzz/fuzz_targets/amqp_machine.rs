//! The client's end of a connection: the first byte says how far its handshake has gone, the rest is what the peer sends.
//! What is fed comes in two pieces, and the driver reacts to what it is told.
#![no_main]

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::login::{Login, Mechanism};
use weft_amqp_wire::machine::{Config, Connection, Event, ReceiverSpec, SenderSpec};
use weft_amqp_wire::performative::{
    Attach, Begin, DeliveryState, Flow, Open, Role, SenderSettleMode, Source, Target,
};
use weft_amqp_wire::sasl::{Code, Mechanisms, Outcome};
use weft_amqp_wire::value::{Fields, Symbol, Text};

fn config(mechanism: Mechanism) -> Config {
    Config {
        container_id: Text::from_static("fuzz"),
        hostname: None,
        max_frame_size: 4096,
        max_message_size: 8192,
        incoming_window: 16,
        max_unsettled: 32,
        idle_timeout: Some(Duration::from_secs(60)),
        login: Login {
            mechanism: Some(mechanism),
            user: "user".into(),
            password: "pencil".into(),
            nonce: "0123456789abcdef".into(),
        },
        properties: Fields::default(),
    }
}

fn handshake(steps: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for step in 0..steps {
        match step {
            0 => out.extend(ProtocolHeader::SASL.to_bytes()),
            1 => {
                let names = ["PLAIN", "SCRAM-SHA-1"].map(Symbol::from_static);
                let sasl_server_mechanisms = names.to_vec();
                frame::write_sasl(
                    &mut out,
                    &Mechanisms {
                        sasl_server_mechanisms,
                    },
                );
            }
            2 => {
                let (code, additional_data) = (Code::Ok, None);
                frame::write_sasl(
                    &mut out,
                    &Outcome {
                        code,
                        additional_data,
                    },
                );
            }
            3 => out.extend(ProtocolHeader::AMQP.to_bytes()),
            4 => frame::write(&mut out, 0, &Open::default()),
            _ => {
                let begin = Begin {
                    remote_channel: Some(0),
                    incoming_window: 100,
                    ..Begin::default()
                };
                frame::write(&mut out, 0, &begin);
            }
        }
    }
    out
}

fn attach(out: &mut Vec<u8>, name: &'static str, handle: u32, role: Role) {
    let attach = Attach {
        source: Some(Source::default()),
        target: Some(Target::default()),
        initial_delivery_count: Some(0),
        ..Attach::new(Text::from_static(name), handle, role)
    };
    frame::write(out, 0, &attach);
}

fuzz_target!(|data: &[u8]| {
    let Some((&stage, data)) = data.split_first() else {
        return;
    };
    let scram = stage & 0x80 != 0;
    let steps = (stage & 7).min(if scram { 2 } else { 6 });
    let now = Instant::now();
    let mechanism = if scram {
        Mechanism::ScramSha1
    } else {
        Mechanism::Plain
    };
    let mut client = Connection::new(config(mechanism), now);
    let mut input = BytesMut::from(&handshake(steps)[..]);
    client.feed(&mut input, now);
    let mut links = Vec::new();
    let mut sent = HashSet::new();
    let mut credit = 0;
    if steps == 6 {
        let source = Source::default();
        let (snd_settle_mode, desired_capabilities) = (SenderSettleMode::Unsettled, Vec::new());
        let spec = ReceiverSpec {
            name: Text::from_static("r"),
            source,
            snd_settle_mode,
            desired_capabilities,
        };
        let receiver = client.attach_receiver(&spec).expect("the session is there");
        let (target, desired_capabilities) = (Target::default(), Vec::new());
        let spec = SenderSpec {
            name: Text::from_static("s"),
            target,
            snd_settle_mode,
            desired_capabilities,
        };
        let sender = client.attach_sender(&spec).expect("the session is there");
        links = vec![receiver, sender];
        let mut out = Vec::new();
        attach(&mut out, "r", 0, Role::Sender);
        attach(&mut out, "s", 1, Role::Receiver);
        let flow = Flow {
            incoming_window: 100,
            handle: Some(1),
            delivery_count: Some(0),
            link_credit: Some(100),
            ..Flow::default()
        };
        frame::write(&mut out, 0, &flow);
        input.extend_from_slice(&out);
        client.feed(&mut input, now);
        client.set_credit(receiver, 10);
        credit = 10;
        sent.extend(client.send(sender, &[0; 5000]));
    }
    let (first, second) = data.split_at(data.len() / 2);
    let mut over = false;
    for piece in [first, second] {
        input.extend_from_slice(piece);
        client.feed(&mut input, now);
        while let Some(event) = client.poll_event() {
            assert!(!over, "something after the end");
            match event {
                Event::Delivery(delivery) => {
                    assert!(credit > 0, "more than the credit");
                    credit -= 1;
                    if !delivery.settled {
                        client.settle(
                            delivery.delivery_id,
                            delivery.delivery_id,
                            DeliveryState::Accepted,
                        );
                    }
                }
                Event::Outcome { first, last, .. } => {
                    for id in first..=last {
                        assert!(sent.remove(&id), "an outcome of what has none open");
                    }
                }
                Event::Detached { link, .. } if links.get(1) == Some(&link) => sent.clear(),
                Event::Ended(_) => over = true,
                _ => {}
            }
        }
        assert_eq!(over, client.is_ended());
        if let Some(&sender) = links.get(1) {
            sent.extend(client.send(sender, b"message"));
        }
        assert!(client.output().len() < 16_384 + 16 * data.len());
    }
    client.on_time(now + Duration::from_secs(61));
    client.close();
});
