//! Receiving: links, credit, windows, messages in parts, settlement.

use bytes::{Bytes, BytesMut};
use weft_amqp_wire::condition;
use weft_amqp_wire::frame;
use weft_amqp_wire::machine::{Config, Connection, Delivery, Ended, Event, LinkId, ReceiverSpec};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::value::{Fields, Symbol, Value};

use super::peer::*;

/// Peer with one receiving link.
fn up(credit: u32) -> (Peer, LinkId) {
    let mut peer = Peer::up();
    let link = peer.receiver("in", credit);
    (peer, link)
}

fn payload(event: Event) -> Bytes {
    match event {
        Event::Delivery(delivery) => delivery.payload,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_link_is_asked_for_as_specified_and_has_no_credit() {
    let mut peer = Peer::up();
    let selector = Value::described(
        Value::Symbol(Symbol::from_static(filter::SELECTOR)),
        "a = 1".into(),
    );
    let source = Source {
        durable: TerminusDurability::UnsettledState,
        expiry_policy: ExpiryPolicy::Never,
        distribution_mode: Some(Symbol::from_static(distribution::COPY)),
        filter: Fields::default().with(filter::SELECTOR, selector),
        capabilities: vec![Symbol::from_static("shared")],
        ..source("news")
    };
    let spec = ReceiverSpec {
        source: source.clone(),
        ..receiver_spec("sub")
    };
    let link = peer.client.attach_receiver(&spec).unwrap();
    let attach = peer.asks(link);
    assert_eq!((&*attach.name, attach.role), ("sub", Role::Receiver));
    assert_eq!(attach.source, Some(source));
    assert_eq!(attach.snd_settle_mode, SenderSettleMode::Unsettled);
    assert_eq!(attach.rcv_settle_mode, ReceiverSettleMode::First);
    assert_eq!(attach.max_message_size, Some(4096));
    peer.client.set_credit(link, 5);
    assert!(peer.client.output().is_empty(), "not attached yet");
    assert_eq!(peer.client.filter(link), None);
    peer.say(&Peer::answer(&attach));
    assert!(peer.client.filter(link).unwrap().get(filter::SELECTOR).is_some());
    assert_eq!(peer.client.credit(link), 0);
}

#[test]
fn a_filter_that_the_peer_does_not_apply_is_seen() {
    let mut peer = Peer::up();
    let spec = ReceiverSpec {
        source: Source {
            filter: Fields::default().with(filter::SELECTOR, "a = 1"),
            ..source("q")
        },
        ..receiver_spec("sub")
    };
    let link = peer.client.attach_receiver(&spec).unwrap();
    let attach = peer.asks(link);
    peer.say(&Attach {
        source: Some(source("q")),
        ..Peer::answer(&attach)
    });
    assert_eq!(peer.client.filter(link), Some(&Fields::default()));
}

#[test]
fn a_refused_link_is_one_event_and_its_place_is_free() {
    let mut peer = Peer::up();
    let link = peer.client.attach_receiver(&receiver_spec("nope")).unwrap();
    let attach = peer.asks(link);
    peer.say(&Attach {
        source: None,
        ..Peer::answer(&attach)
    });
    assert_eq!(peer.events(), []);
    let error = Some(Box::new(Error::new(condition::NOT_FOUND, "no such queue")));
    peer.say(&Detach {
        handle: attach.handle + HANDLES,
        closed: true,
        error: error.clone(),
    });
    let refused = true;
    assert_eq!(peer.event(), Event::Detached { link, refused, error });
    assert!(matches!(peer.hear_one(), Performative::Detach(detach) if detach.closed));
    let again = peer.receiver("nope", 1);
    assert_ne!(again, link);
    peer.delivers(again, 0, b"x");
    assert!(matches!(peer.event(), Event::Delivery(_)));
}

#[test]
fn a_message_in_one_frame_is_not_copied() {
    let (mut peer, link) = up(1);
    let mut out = Vec::new();
    frame::write_transfer(&mut out, CHANNEL, &peer.first(link, 9), b"message", u32::MAX);
    let mut input = BytesMut::from(&out[..]);
    let range = input.as_ptr_range();
    peer.client.feed(&mut input, peer.now);
    let Event::Delivery(delivery) = peer.event() else {
        panic!("no delivery");
    };
    assert!(range.contains(&delivery.payload.as_ptr()));
    let expected = Delivery {
        link,
        delivery_id: 9,
        tag: Bytes::from_static(&[0, 0, 0, 9]),
        settled: false,
        message_format: 0,
        payload: Bytes::from_static(b"message"),
    };
    assert_eq!(delivery, expected);
}

#[test]
fn messages_in_parts_are_put_together_while_others_come_between() {
    let (mut peer, a) = up(2);
    let b = peer.receiver("other", 2);
    let part = |transfer: Transfer, more| Transfer { more, ..transfer };
    let next = |link| Transfer {
        handle: link,
        ..Transfer::default()
    };
    let (first_a, first_b) = (peer.first(a, 1), peer.first(b, 2));
    peer.transfer(&part(first_a, true), b"one ");
    peer.transfer(&part(first_b, true), b"uno ");
    let (handle_a, handle_b) = (peer.handle(a), peer.handle(b));
    // The delivery-id may be said again.
    let again = Transfer {
        delivery_id: Some(1),
        ..next(handle_a)
    };
    peer.transfer(&part(again, true), b"two ");
    peer.transfer(&next(handle_b), b"dos");
    assert_eq!(payload(peer.event()), "uno dos");
    peer.transfer(&part(next(handle_a), true), b"");
    peer.transfer(&next(handle_a), b"three");
    assert_eq!(payload(peer.event()), "one two three");
    assert_eq!((peer.client.credit(a), peer.client.credit(b)), (1, 1));
}

#[test]
fn an_aborted_message_is_nothing_but_used_credit() {
    let (mut peer, link) = up(3);
    let abort = |transfer| Transfer {
        aborted: true,
        ..transfer
    };
    let first = Transfer {
        more: true,
        ..peer.first(link, 0)
    };
    peer.transfer(&first, b"half");
    let handle = peer.handle(link);
    peer.transfer(
        &abort(Transfer {
            handle,
            ..Transfer::default()
        }),
        b"junk",
    );
    let at_once = peer.first(link, 1);
    peer.transfer(&abort(at_once), b"");
    assert_eq!(peer.events(), [Event::Credit { link }, Event::Credit { link }]);
    assert_eq!(peer.client.credit(link), 1);
    peer.delivers(link, 2, b"whole");
    assert_eq!(payload(peer.event()), "whole");
}

#[test]
fn a_message_that_is_too_large_can_be_settled_and_the_link_lives() {
    let (mut peer, link) = up(5);
    let part = vec![0; 900];
    let first = Transfer {
        more: true,
        ..peer.first(link, 0)
    };
    peer.transfer(&first, &part);
    let mut next = Transfer {
        handle: peer.handle(link),
        more: true,
        ..Transfer::default()
    };
    for _ in 0..5 {
        peer.transfer(&next, &part);
    }
    next.more = false;
    peer.transfer(&next, &part);
    let too_large = Event::TooLarge {
        link,
        delivery_id: 0,
        settled: false,
        bytes: 6300,
    };
    assert_eq!(peer.event(), too_large);
    peer.skip();
    peer.delivers(link, 1, b"small");
    assert_eq!(payload(peer.event()), "small");
}

#[test]
fn what_came_settled_says_so_even_if_only_the_last_part_does() {
    let (mut peer, link) = up(2);
    let settled = Transfer {
        settled: Some(true),
        ..peer.first(link, 0)
    };
    peer.transfer(&settled, b"x");
    let more = Transfer {
        more: true,
        ..peer.first(link, 1)
    };
    peer.transfer(&more, b"x");
    let last = Transfer {
        handle: peer.handle(link),
        settled: Some(true),
        ..Transfer::default()
    };
    peer.transfer(&last, b"x");
    let is_settled = |event: Event| matches!(event, Event::Delivery(delivery) if delivery.settled);
    assert!(peer.events().into_iter().all(is_settled));
}

#[test]
fn exactly_the_credit_may_come() {
    let (mut peer, link) = up(3);
    for id in 0..3 {
        assert_eq!(peer.client.credit(link), 3 - id);
        peer.delivers(link, id, b"x");
    }
    assert_eq!(peer.events().len(), 3);
    peer.delivers(link, 3, b"x");
    assert!(matches!(
        peer.ended(),
        Ended::Violation {
            condition: condition::TRANSFER_LIMIT_EXCEEDED,
            ..
        }
    ));
}

#[test]
fn credit_is_absolute_and_what_was_on_its_way_may_come_when_it_is_lowered() {
    let (mut peer, link) = up(3);
    peer.delivers(link, 0, b"x");
    peer.client.set_credit(link, 0);
    let flow = peer.hear_flow();
    // The peer attached with a delivery-count just before the end of the numbers.
    assert_eq!((flow.delivery_count, flow.link_credit), (Some(u32::MAX), Some(0)));
    peer.delivers(link, 1, b"x");
    peer.delivers(link, 2, b"x");
    peer.client.set_credit(link, 7);
    let flow = peer.hear_flow();
    assert_eq!((flow.delivery_count, flow.link_credit), (Some(1), Some(7)));
    assert_eq!(peer.events().len(), 3);
    peer.client.set_credit(link, u32::MAX);
    assert_eq!(peer.hear_flow().link_credit, Some((1 << 31) - 1));
    peer.delivers(link, 3, b"x");
    assert!(!peer.client.is_ended());
}

#[test]
fn a_sender_that_gives_credit_back_has_it_no_more() {
    let (mut peer, link) = up(3);
    let advance = |peer: &mut Peer, count| {
        let flow = Flow {
            handle: Some(peer.handle(link)),
            delivery_count: Some(count),
            link_credit: Some(0),
            ..peer.flow(0, 1000)
        };
        peer.say(&flow);
    };
    advance(&mut peer, 0u32.wrapping_sub(2));
    assert_eq!(peer.client.credit(link), 3, "as it was");
    advance(&mut peer, 0);
    assert_eq!(peer.client.credit(link), 1);
    advance(&mut peer, 5000);
    assert_eq!(peer.client.credit(link), 0, "no more than there was");
    peer.delivers(link, 0, b"x");
    assert!(peer.client.is_ended());
}

#[test]
fn the_window_is_opened_again_when_half_of_it_is_used() {
    let (mut peer, link) = up(100);
    for id in 0..3 {
        peer.delivers(link, id, b"x");
        assert!(peer.client.output().is_empty());
    }
    peer.delivers(link, 3, b"x");
    let flow = peer.hear_flow();
    // The peer's first transfer had the id u32::MAX - 2.
    assert_eq!((flow.next_incoming_id, flow.incoming_window), (Some(1), 8));
    assert_eq!(flow.handle, None);
}

#[test]
fn a_window_that_is_held_runs_down_and_bounds_what_comes() {
    let (mut peer, link) = up(100);
    peer.client.hold(true);
    for id in 0..8 {
        peer.delivers(link, id, b"x");
    }
    peer.client.set_credit(link, 100);
    assert_eq!(peer.hear_flow().incoming_window, 0);
    assert_eq!(peer.events().len(), 8);
    peer.client.hold(false);
    assert_eq!(peer.hear_flow().incoming_window, 8);
    peer.client.hold(true);
    for id in 8..16 {
        peer.delivers(link, id, b"x");
    }
    assert!(!peer.client.is_ended());
    peer.delivers(link, 16, b"x");
    let ended = peer.ended();
    assert!(
        matches!(
            ended,
            Ended::Violation {
                condition: condition::WINDOW_VIOLATION,
                ..
            }
        ),
        "{ended}"
    );
}

#[test]
fn a_range_is_settled_in_one_frame() {
    let (mut peer, _) = up(100);
    peer.client.settle(u32::MAX, 3, DeliveryState::Accepted);
    peer.client.settle(5, 5, DeliveryState::Released);
    let heard: Vec<Performative> = peer.hear().into_iter().map(|(heard, _)| heard).collect();
    let disposition = |first, last, state| {
        Performative::Disposition(Disposition {
            role: Role::Receiver,
            first,
            last,
            settled: true,
            state: Some(state),
            batchable: true,
        })
    };
    let expected = [
        disposition(u32::MAX, Some(3), DeliveryState::Accepted),
        disposition(5, None, DeliveryState::Released),
    ];
    assert_eq!(heard, expected);
}

#[test]
fn what_the_sender_says_of_its_deliveries_is_no_news() {
    let (mut peer, link) = up(1);
    peer.delivers(link, 0, b"x");
    peer.events();
    peer.say(&Disposition {
        role: Role::Sender,
        first: 0,
        last: Some(u32::MAX),
        settled: true,
        state: None,
        batchable: false,
    });
    assert_eq!(peer.events(), []);
    assert!(peer.client.output().is_empty());
}

#[test]
fn numbers_of_deliveries_go_round() {
    let (mut peer, link) = up(4);
    for id in [u32::MAX - 1, u32::MAX, 0, 5] {
        peer.delivers(link, id, b"x");
    }
    assert_eq!(peer.events().len(), 4);
    assert!(!peer.client.is_ended());
}

#[test]
fn the_peers_reason_for_a_detach_is_told() {
    let (mut peer, link) = up(10);
    let error = Some(Box::new(Error::new(condition::LINK_STOLEN, "elsewhere")));
    peer.say(&Detach {
        handle: peer.handle(link),
        closed: true,
        error: error.clone(),
    });
    let refused = false;
    assert_eq!(peer.event(), Event::Detached { link, refused, error });
    assert!(matches!(peer.hear_one(), Performative::Detach(_)));
    // Its handle may be used again at once.
    let other = peer.receiver("other", 1);
    peer.delivers(other, 0, b"x");
    assert_eq!(payload(peer.event()), "x");
}

#[test]
fn there_are_as_many_links_as_the_peer_takes() {
    let mut peer = Peer::up();
    for number in 0..16 {
        peer.receiver(&number.to_string(), 0);
    }
    assert!(peer.client.attach_receiver(&receiver_spec("17")).is_none());
    let few = Begin {
        handle_max: u32::MAX,
        ..begin()
    };
    let mut peer = Peer::up_as(config(), &open(), &few);
    let attach = |client: &mut Connection, n: u32| client.attach_receiver(&receiver_spec(&n.to_string()));
    assert!((0..4096).all(|n| attach(&mut peer.client, n).is_some()));
    assert!(attach(&mut peer.client, 4096).is_none());
}

#[test]
fn frames_up_to_our_own_limit_come_in() {
    let (mut peer, link) = up(10);
    let first = peer.first(link, 0);
    let mut out = Vec::new();
    frame::write_transfer(&mut out, CHANNEL, &first, &[7; 2000], 1024);
    assert_eq!(out.len(), 1024);
    peer.bytes(&out);
    assert!(!peer.client.is_ended());
    let config = Config {
        max_frame_size: 1023,
        ..config()
    };
    let mut peer = Peer::up_as(config, &open(), &begin());
    peer.receiver("in", 1);
    peer.bytes(&out[..4]);
    assert!(peer.ended().to_string().contains("1024"));
}
