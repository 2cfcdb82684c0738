//! Brokers that break the rules: each ends with a line that says so, costs the process nothing, and is tried again (C33).
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::json;
use support::fake::{Fake, Reply, connack, good, suback};
use support::packet::{packet, publish, text};
use support::{soon, until};
use weft_api::event::Event;
use weft_api::outcome::{Fault, Reason};
use weft_api::status::Health;
use weft_conformance::events::{plain, with_data};
use weft_conformance::harness::{EgressDesk, IngressDesk};

fn ingress(fake: &Fake, five: bool) -> IngressDesk {
    let version = if five { "5" } else { "3.1.1" };
    let section = json!({ "url": fake.url(), "version": version, "subscribe": ["a"] });
    IngressDesk::start(support::ingress(&section, None), None)
}

fn egress(fake: &Fake, five: bool, qos: u8) -> EgressDesk {
    let version = if five { "5" } else { "3.1.1" };
    let section = json!({ "url": fake.url(), "version": version, "topic": "a", "qos": qos, "timeout": "2s" });
    EgressDesk::start(support::egress(&section))
}

fn waiting(health: Health) -> String {
    match health {
        Health::Waiting(line) => line,
        _ => String::new(),
    }
}

/// The ingress says `expected`, tries again, delivers nothing, and goes on living.
async fn tells(name: &str, desk: IngressDesk, fake: &Fake, expected: &str) {
    until(&format!("{name}: it is told"), || {
        waiting(desk.health()).contains(expected)
    })
    .await;
    let line = waiting(desk.health());
    assert!(
        line.starts_with(&fake.url()) && !line.contains('\n'),
        "{name}: {line}"
    );
    let before = fake.connections();
    until(&format!("{name}: it is tried again"), || {
        fake.connections() > before
    })
    .await;
    assert!(desk.try_next().await.is_none(), "{name}: nothing is delivered");
    soon(name, desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_that_breaks_a_rule_ends_the_connection_with_a_line() {
    let user = [&[0x26][..], &text("n"), &[0, 9, b'x']].concat();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "256 MiB",
            vec![0x32, 0xff, 0xff, 0xff, 0x7f, 0, 1, b'a'],
            "a packet of 268435460 bytes, and `max_packet` allows 1114112",
        ),
        (
            "five bytes of length",
            vec![0x32, 0xff, 0xff, 0xff, 0xff, 0x01],
            "malformed packet",
        ),
        ("kind 0", vec![0x00, 0], "a packet that no broker sends"),
        (
            "a client's packet",
            vec![0x82, 0],
            "a packet that no broker sends",
        ),
        ("reserved flags", vec![0x60, 2, 0, 1], "reserved flags"),
        (
            "QoS 3",
            publish(0x36, "a", 1, Some(&[]), b""),
            "quality of service is 3",
        ),
        (
            "DUP with QoS 0",
            publish(0x38, "a", 1, Some(&[]), b""),
            "QoS 0 and DUP",
        ),
        (
            "wildcard",
            publish(0x32, "a/#", 1, Some(&[]), b""),
            "topic has a wildcard (PUBLISH)",
        ),
        (
            "no UTF-8",
            packet(0x32, &[0, 1, 0xff, 0, 1, 0]),
            "a string is not UTF-8 (PUBLISH)",
        ),
        ("NUL", packet(0x32, &[0, 1, 0, 0, 1, 0]), "a string has a NUL"),
        (
            "empty topic",
            publish(0x32, "", 1, Some(&[]), b""),
            "its topic is empty",
        ),
        (
            "identifier 0",
            publish(0x32, "a", 0, Some(&[]), b""),
            "packet identifier is zero",
        ),
        (
            "topic alias",
            publish(0x32, "a", 1, Some(&[0x23, 0, 1]), b""),
            "a topic alias, and none was allowed",
        ),
        (
            "unknown property",
            publish(0x32, "a", 1, Some(&[0x7f, 0]), b""),
            "a property that it may not have",
        ),
        (
            "property twice",
            publish(0x32, "a", 1, Some(&[1, 1, 1, 1]), b""),
            "a property comes twice",
        ),
        (
            "property cut",
            publish(0x32, "a", 1, Some(&user), b""),
            "ends too early",
        ),
        (
            "properties longer than the packet",
            packet(0x32, &[0, 1, b'a', 0, 1, 0xff, 0x7f]),
            "ends too early",
        ),
        ("PUBACK to a subscriber", vec![0x40, 2, 0, 1], "(PUBACK)"),
        (
            "PUBREL without identifier",
            vec![0x62, 0],
            "ends too early (PUBREL)",
        ),
        (
            "SUBACK to nothing",
            vec![0x90, 4, 0, 9, 0, 0],
            "it answers no SUBSCRIBE of ours (SUBACK)",
        ),
        ("CONNACK again", connack(true, false, 0), "(CONNACK)"),
        ("AUTH", vec![0xf0, 0], "(AUTH)"),
        (
            "DISCONNECT with a property of PUBLISH",
            vec![0xe0, 4, 0, 2, 1, 1],
            "(DISCONNECT)",
        ),
    ];
    for (name, bytes, expected) in cases {
        let fake = Fake::start(move |_, packet| good(true, packet, &bytes)).await;
        tells(name, ingress(&fake, true), &fake, expected).await;
        // It is told in the protocol's own word, and the session is left as it is.
        let goodbye = fake.packets().into_iter().find(|(_, packet)| packet.kind() == 14);
        let code = goodbye.map(|(_, packet)| packet.body);
        assert!(
            matches!(code.as_deref(), Some([0x81 | 0x82 | 0x94 | 0x95])),
            "{name}: DISCONNECT {code:x?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_closes_or_talks_something_else_is_told_and_tried_again() {
    let cases: Vec<(&str, Reply, &str)> = vec![
        (
            "closes at once",
            Reply {
                bytes: vec![],
                close: true,
            },
            "the broker closed the connection",
        ),
        (
            "HTTP",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec().into(),
            "malformed packet",
        ),
        (
            "SSH",
            b"SSH-2.0-OpenSSH_9.2\r\n".to_vec().into(),
            "malformed packet",
        ),
        (
            "PINGRESP",
            vec![0xd0, 0].into(),
            "it answers CONNECT with PINGRESP",
        ),
        (
            "half a CONNACK",
            Reply {
                bytes: vec![0x20, 3, 0],
                close: true,
            },
            "the broker closed the connection",
        ),
        ("short CONNACK", vec![0x20, 1, 0].into(), "CONNACK"),
        ("reserved flags", vec![0x20, 3, 2, 0, 0].into(), "CONNACK"),
        (
            "Receive Maximum 0",
            vec![0x20, 6, 0, 0, 3, 0x21, 0, 0].into(),
            "Receive Maximum is zero",
        ),
    ];
    for (name, reply, expected) in cases {
        let fake = Fake::start(move |_, _| reply.clone()).await;
        tells(name, ingress(&fake, true), &fake, expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_says_whose_fault_it_is_and_what_to_do() {
    for (five, code, expected, reason) in [
        (true, 0x84, "set `version`", Reason::Misconfigured),
        (true, 0x85, "set `client_id`", Reason::Misconfigured),
        (
            true,
            0x86,
            "bad user name or password (0x86); correct `auth`",
            Reason::Unauthorised,
        ),
        (
            true,
            0x87,
            "not authorised (0x87); allow this user",
            Reason::Unauthorised,
        ),
        (true, 0x88, "server unavailable", Reason::Unavailable),
        (true, 0x89, "server busy", Reason::Overloaded),
        (true, 0x8a, "banned", Reason::Unauthorised),
        (true, 0x9c, "set `url` to the other broker", Reason::Misconfigured),
        (false, 1, "set `version`", Reason::Misconfigured),
        (false, 2, "set `client_id`", Reason::Misconfigured),
        (false, 3, "server unavailable", Reason::Unavailable),
        (false, 4, "correct `auth`", Reason::Unauthorised),
        (false, 5, "allow this user", Reason::Unauthorised),
        (false, 77, "unknown reason", Reason::Unavailable),
    ] {
        let fake = Fake::start(move |_, _| connack(five, false, code).into()).await;
        tells("refused", ingress(&fake, five), &fake, expected).await;
        let desk = egress(&fake, five, 1);
        let fates = soon("it is settled", desk.send(&[plain("1")])).await;
        let error = fates[0].error();
        assert_eq!(
            (error.fault, error.reason, error.maybe_delivered),
            (Fault::Destination, reason, false),
            "{code}: {error}"
        );
        assert!(error.detail.contains(expected), "{error}");
        soon("it stops", desk.stop()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_is_not_misled_by_answers_to_nothing() {
    let cases: Vec<(&str, u8, Vec<u8>, &str)> = vec![
        (
            "PUBACK of another",
            1,
            vec![0x40, 2, 0, 9],
            "a message that was not sent (PUBACK)",
        ),
        (
            "PUBREC of another",
            1,
            vec![0x50, 2, 0xff, 0xff],
            "a message that was not sent (PUBREC)",
        ),
        ("PUBCOMP too early", 2, vec![0x70, 2, 0, 1], "(PUBCOMP)"),
        ("PUBACK 0", 1, vec![0x40, 2, 0, 0], "packet identifier is zero"),
        (
            "a message",
            1,
            publish(0x30, "a", 0, Some(&[]), b""),
            "only publishes (PUBLISH)",
        ),
        (
            "256 MiB",
            1,
            vec![0x30, 0xff, 0xff, 0xff, 0x7f],
            "a packet of 268435460 bytes",
        ),
    ];
    for (name, qos, bytes, expected) in cases {
        let fake = Fake::start(move |_, packet| match packet.kind() {
            3 => bytes.clone().into(),
            _ => good(true, packet, &[]),
        })
        .await;
        let desk = egress(&fake, true, qos);
        let fates = soon("it is settled", desk.send(&[plain("1")])).await;
        let error = fates[0].error();
        assert_eq!(error.fault, Fault::Destination, "{name}: {error}");
        assert!(error.maybe_delivered, "{name}: {error}");
        // With QoS 2 the session goes on, and the time-out tells.
        assert!(qos == 2 || error.detail.contains(expected), "{name}: {error}");
        until("it is tried again", || fake.connections() > 1).await;
        soon("it stops", desk.stop()).await.unwrap();
    }
}

/// A 3.1.1 broker closes at a message that it cannot bear, and does not say which.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_the_broker_cannot_bear_is_found_and_costs_no_other_an_attempt() {
    let fake = Fake::start(|_, packet| match packet.kind() {
        3 if packet.body.len() > 10_000 => Reply {
            bytes: vec![],
            close: true,
        },
        3 => {
            let message = support::packet::message(false, packet);
            let [high, low] = message.id.to_be_bytes();
            vec![0x40, 2, high, low].into()
        }
        _ => good(false, packet, &[]),
    })
    .await;
    let desk = egress(&fake, false, 1);
    let poison = with_data("poison", "text/plain", vec![b'x'; 20_000].into());
    let mut open: Vec<Event> = vec![poison, plain("1"), plain("2")];
    let mut blamed = 0;
    for _ in 0..50 {
        let fates = soon("all are settled", desk.send(&open)).await;
        let mut again = Vec::new();
        for (event, fate) in open.into_iter().zip(fates) {
            if fate.is_accepted() {
                assert_ne!(event.id(), "poison");
                continue;
            }
            match (event.id(), fate.error().fault) {
                ("poison", Fault::Attempt) => blamed += 1,
                (_, Fault::Destination) => {}
                (id, fault) => panic!("{id}: {fault:?}"),
            }
            // The router would give up at some attempt.
            if event.id() != "poison" || blamed < 3 {
                again.push(event);
            }
        }
        open = again;
        if open.is_empty() {
            break;
        }
    }
    assert!(open.is_empty() && blamed == 3, "{blamed}, {} left", open.len());
    soon("it stops", desk.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_not_granted_is_named() {
    for (five, code, expected) in [
        (true, 0x87, "`a`: not authorised (0x87)"),
        (true, 0x9e, "`a`: shared subscriptions not supported (0x9e)"),
        (false, 0x80, "`a`: refused"),
    ] {
        let fake = Fake::start(move |_, packet| match packet.kind() {
            8 => suback(five, packet, code).into(),
            _ => good(five, packet, &[]),
        })
        .await;
        let desk = ingress(&fake, five);
        until("it is told", || waiting(desk.health()).contains(expected)).await;
        until("it is asked for again", || fake.count(8) > 1).await;
        assert_eq!(fake.connections(), 1, "the connection goes on");
        soon("it stops", desk.close()).await.unwrap();
    }
}
