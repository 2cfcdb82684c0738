//! Peers that break the rules (C33): each is told which, and costs a bounded amount of memory and time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use weft_amqp_wire::condition;
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::machine::{Config, Ended, Event, LinkId};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::sasl::Code;
use weft_amqp_wire::value::{Fields, Symbol, Text, Value};

use super::peer::*;

/// A connection with a link each way: the receiver has handle 0, the sender 1.
fn up() -> (Peer, LinkId, LinkId) {
    let mut peer = Peer::up();
    let receiver = peer.receiver("r", 5);
    let sender = peer.sender("s", 5);
    (peer, receiver, sender)
}

/// What the peer breaks, and which condition it is told.
fn breaks(condition: &str, act: impl FnOnce(&mut Peer, LinkId, LinkId)) {
    let (mut peer, receiver, sender) = up();
    act(&mut peer, receiver, sender);
    let Performative::Close(close) = peer.hear_one() else {
        panic!("no close");
    };
    let error = close.error.unwrap();
    assert_eq!(error.condition, condition, "{error}");
    let Ended::Violation {
        condition: told,
        what,
    } = peer.ended()
    else {
        panic!("no violation");
    };
    assert_eq!(told, condition);
    assert_eq!(error.description.as_deref(), Some(&*what));
}

#[test]
fn a_peer_that_breaks_a_rule_is_told_which() {
    use condition::*;
    let nobody = |handle| Transfer {
        handle,
        delivery_id: Some(0),
        ..Transfer::default()
    };
    breaks(UNATTACHED_HANDLE, |peer, _, _| peer.transfer(&nobody(5), b"x"));
    breaks(UNATTACHED_HANDLE, |peer, _, _| {
        peer.say(&Flow {
            handle: Some(u32::MAX),
            ..peer.flow(0, 0)
        });
    });
    breaks(UNATTACHED_HANDLE, |peer, _, _| {
        peer.say(&Detach {
            handle: 7,
            ..Detach::default()
        });
    });
    breaks(NOT_ALLOWED, |peer, _, sender| peer.delivers(sender, 0, b"x"));
    breaks(NOT_ALLOWED, |peer, _, _| {
        peer.say_on(CHANNEL + 1, &Flow::default());
    });
    breaks(NOT_ALLOWED, |peer, _, _| peer.say(&begin()));
    breaks(NOT_ALLOWED, |peer, _, _| peer.say_on(9, &begin()));
    breaks(NOT_ALLOWED, |peer, _, _| {
        peer.say(&Attach::new("unasked", 50, Role::Sender));
    });
    breaks(ILLEGAL_STATE, |peer, _, _| peer.say(&open()));
    breaks(ILLEGAL_STATE, |peer, _, _| peer.say_sasl(&outcome(Code::Ok)));
    breaks(HANDLE_IN_USE, |peer, receiver, _| {
        let handle = peer.handle(receiver);
        peer.say(&Attach::new("r", handle, Role::Sender));
    });
    breaks(INVALID_FIELD, |peer, receiver, _| {
        let anonymous = Transfer {
            delivery_id: None,
            ..peer.first(receiver, 0)
        };
        peer.transfer(&anonymous, b"x");
    });
    for id in [7, 6, 7u32.wrapping_add(1 << 31)] {
        breaks(INVALID_FIELD, |peer, receiver, _| {
            peer.delivers(receiver, 7, b"x");
            peer.delivers(receiver, id, b"x");
        });
    }
    breaks(NOT_ALLOWED, |peer, receiver, _| {
        let first = Transfer {
            more: true,
            ..peer.first(receiver, 0)
        };
        peer.transfer(&first, b"x");
        peer.delivers(receiver, 1, b"x");
    });
    breaks(FRAMING_ERROR, |peer, _, _| peer.bytes(&[0, 0, 4, 1]));
    breaks(FRAMING_ERROR, |peer, _, _| peer.bytes(&[0, 0, 0, 7]));
    breaks(FRAMING_ERROR, |peer, _, _| {
        peer.bytes(&[0, 0, 0, 8, 1, 0, 0, 7]);
    });
    breaks(NOT_IMPLEMENTED, |peer, _, _| {
        peer.bytes(&[0, 0, 0, 12, 2, 0, 0, 7, 0, 0x53, 0x77, 0x45]);
    });
    breaks(DECODE_ERROR, |peer, _, _| {
        peer.bytes(&[0, 0, 0, 9, 2, 0, 0, 7, 0xff]);
    });
    breaks(INVALID_FIELD, |peer, _, _| {
        peer.bytes(&[0, 0, 0, 12, 2, 0, 0, 7, 0, 0x53, 0x14, 0x45]);
    });
}

#[test]
fn nothing_may_come_before_open_and_begin() {
    let ready = || {
        let mut peer = Peer::let_in(config());
        peer.bytes(&ProtocolHeader::AMQP.to_bytes());
        peer
    };
    let violation = |mut peer: Peer| match peer.ended() {
        Ended::Violation { condition, .. } => condition,
        other => panic!("{other:?}"),
    };
    let mut peer = ready();
    peer.say(&begin());
    assert_eq!(violation(peer), condition::ILLEGAL_STATE);
    let mut peer = ready();
    peer.say(&open());
    peer.say(&Flow::default());
    assert_eq!(violation(peer), condition::NOT_ALLOWED);
    let mut peer = ready();
    peer.say(&open());
    // A session of its own.
    peer.say(&Begin {
        remote_channel: None,
        ..begin()
    });
    assert_eq!(violation(peer), condition::NOT_ALLOWED);
    let mut peer = ready();
    peer.say(&Open {
        max_frame_size: 511,
        ..open()
    });
    assert_eq!(violation(peer), condition::INVALID_FIELD);
    let mut peer = Peer::new(config());
    peer.bytes(&ProtocolHeader::SASL.to_bytes());
    peer.say_sasl(&outcome(Code::Ok));
    assert_eq!(violation(peer), condition::ILLEGAL_STATE);
    let mut peer = Peer::new(config());
    peer.bytes(&ProtocolHeader::SASL.to_bytes());
    peer.bytes(&[0, 1, 0, 0]);
    assert_eq!(violation(peer), condition::FRAMING_ERROR);
}

#[test]
fn a_flood_of_attaches_and_sessions_ends_with_the_first() {
    let (mut peer, ..) = up();
    for handle in 200..10_000 {
        peer.say(&Attach::new(format!("l{handle}"), handle, Role::Receiver));
    }
    assert!(matches!(peer.ended(), Ended::Violation { .. }));
    assert!(peer.client.output().len() < 300);
    assert_eq!(peer.events(), []);
}

#[test]
fn a_peer_that_asks_and_never_reads_is_given_up() {
    let (mut peer, _, sender) = up();
    let echo = Flow {
        handle: Some(peer.handle(sender)),
        link_credit: Some(1),
        echo: true,
        ..peer.flow(0, 10)
    };
    let mut echoes = Vec::new();
    (0..1000).for_each(|_| frame::write(&mut echoes, CHANNEL, &echo));
    let mut rounds = 0;
    while !peer.client.is_ended() {
        peer.bytes(&echoes);
        rounds += 1;
        assert!(peer.client.output().len() < 9 << 20);
    }
    assert!(rounds > 100, "a few are nobody's harm: {rounds}");
    let ended = peer.ended();
    assert!(
        matches!(
            ended,
            Ended::Violation {
                condition: condition::RESOURCE_LIMIT_EXCEEDED,
                ..
            }
        ),
        "{ended}"
    );
}

#[test]
fn a_peer_that_reads_may_ask_for_ever() {
    let (mut peer, ..) = up();
    let echo = Flow {
        echo: true,
        ..peer.flow(0, 10)
    };
    let mut echoes = Vec::new();
    (0..10_000).for_each(|_| frame::write(&mut echoes, CHANNEL, &echo));
    for _ in 0..100 {
        peer.bytes(&echoes);
        peer.skip();
    }
    assert!(!peer.client.is_ended());
}

#[test]
fn ranges_of_four_thousand_million_cost_nothing() {
    let (mut peer, _, sender) = up();
    peer.client.send(sender, b"x").unwrap();
    let start = Instant::now();
    for _ in 0..1000 {
        peer.says(0, (1 << 31) - 1, false, Some(DeliveryState::Accepted));
        peer.says(0, u32::MAX, true, None);
        peer.says(1, 0, true, None);
        peer.says(1 << 31, u32::MAX, true, None);
        peer.says(5, u32::MAX - 5, true, Some(DeliveryState::Released));
    }
    assert_eq!(peer.events().len(), 1);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn one_reason_for_thousands_of_deliveries_is_not_copied_with_its_maps() {
    let config = Config {
        max_frame_size: 1 << 20,
        max_unsettled: 8192,
        ..config()
    };
    let mut peer = Peer::up_as(config, &open(), &begin());
    let sender = peer.sender("s", 10_000);
    let wide = peer.flow(0, 10_000);
    peer.say(&wide);
    for id in 0..8192 {
        peer.client.send(sender, b"x").unwrap();
        if id % 2 == 0 {
            peer.says(id, id, true, Some(DeliveryState::Accepted));
        }
    }
    peer.events();
    let entries = (0..30_000).map(|_| (Symbol::from_static(""), Value::Null));
    let error = Error {
        condition: Symbol::from_static("a:b"),
        description: Some(Text::from_static("text")),
        info: entries.collect::<Fields>(),
    };
    peer.says(
        0,
        8191,
        true,
        Some(DeliveryState::Rejected(Some(Box::new(error)))),
    );
    let events = peer.events();
    assert_eq!(events.len(), 4096);
    for event in events {
        let Event::Outcome {
            state: Some(DeliveryState::Rejected(Some(error))),
            ..
        } = event
        else {
            panic!("{event:?}");
        };
        assert_eq!(
            (error.to_string(), error.info.is_empty()),
            ("a:b: text".into(), true)
        );
    }
}

#[test]
fn a_message_without_an_end_keeps_no_more_than_the_largest_that_is_taken() {
    let (mut peer, receiver, _) = up();
    let mut transfer = Transfer {
        more: true,
        ..peer.first(receiver, 0)
    };
    let part = [0; 900];
    for _ in 0..10_000 {
        peer.transfer(&transfer, &part);
        transfer.delivery_id = None;
        peer.skip();
    }
    assert_eq!(peer.events(), []);
    transfer.more = false;
    peer.transfer(&transfer, &part);
    assert!(matches!(peer.event(), Event::TooLarge { bytes: 9_000_900, .. }));
}

#[test]
fn windows_that_lie_open_nothing() {
    let (mut peer, _, sender) = up();
    // It has seen what was never sent.
    let mut flow = peer.flow(1_000_000, 3);
    peer.say(&flow);
    assert!(peer.client.can_send(sender));
    for _ in 0..3 {
        assert!(peer.client.send(sender, b"x").is_some());
    }
    assert!(peer.client.send(sender, b"x").is_none());
    flow.next_incoming_id = Some(0);
    flow.incoming_window = 0;
    peer.say(&flow);
    assert!(!peer.client.can_send(sender));
}

#[test]
fn a_tag_is_whatever_the_peer_likes() {
    let (mut peer, receiver, _) = up();
    for (id, tag) in [
        (0, None),
        (1, Some(Bytes::new())),
        (2, Some(Bytes::from(vec![0; 500]))),
    ] {
        let transfer = Transfer {
            delivery_tag: tag,
            ..peer.first(receiver, id)
        };
        peer.transfer(&transfer, b"x");
        assert!(matches!(peer.event(), Event::Delivery(_)));
    }
}
