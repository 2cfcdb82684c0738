//! Links that messages come by: asked for, refused, given up, taken away.

use bytes::Bytes;
use weft_amqp_wire::condition;
use weft_amqp_wire::machine::{Connection, Event, LinkId, ReceiverSpec};
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
fn nothing_is_told_of_a_link_that_we_gave_up() {
    let (mut peer, link) = up(10);
    peer.delivers(link, 0, b"not taken yet");
    peer.client.detach(link, false);
    assert!(matches!(peer.hear_one(), Performative::Detach(detach) if !detach.closed));
    peer.delivers(link, 1, b"on its way");
    peer.client.detach(link, true);
    peer.client.set_credit(link, 5);
    assert!(peer.client.output().is_empty());
    peer.say(&Detach {
        handle: peer.handle(link),
        ..Detach::default()
    });
    assert_eq!(peer.events(), []);
    assert!(peer.client.output().is_empty());
    assert_eq!(peer.client.credit(link), 0);
}

#[test]
fn a_name_that_was_given_up_unanswered_and_asked_for_again_is_the_second_one() {
    let mut peer = Peer::up();
    // The place below is freed in between, so that the second attach has the lower handle.
    let low = peer.receiver("low", 0);
    let first = peer.client.attach_receiver(&receiver_spec("twice")).unwrap();
    let asked_first = peer.asks(first);
    peer.client.detach(first, true);
    peer.client.detach(low, true);
    peer.say(&Detach {
        handle: peer.handle(low),
        closed: true,
        ..Detach::default()
    });
    peer.skip();
    let second = peer.client.attach_receiver(&receiver_spec("twice")).unwrap();
    let asked_second = peer.asks(second);
    assert!(asked_second.handle < asked_first.handle);
    peer.say(&Peer::answer(&asked_first));
    assert_eq!(peer.events(), []);
    peer.say(&Detach {
        handle: peer.handle(first),
        closed: true,
        ..Detach::default()
    });
    peer.say(&Peer::answer(&asked_second));
    assert!(matches!(peer.event(), Event::Attached { link, .. } if link == second));
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
