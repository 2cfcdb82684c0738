//! What may come in which phase, and closing in each of them.

use bytes::BytesMut;
use weft_amqp_wire::condition;
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::machine::{Ended, Event};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::sasl::Code;
use weft_amqp_wire::value::Fields;

use super::script::*;

fn sasl_ok() -> Vec<u8> {
    [mechanisms(), outcome(Code::Ok)].concat()
}

fn header() -> [u8; 8] {
    ProtocolHeader::AMQP.to_bytes()
}

#[test]
fn an_open_may_be_larger_than_512_bytes() {
    let properties = Fields::default().with("product", "x".repeat(3000).as_str());
    Peer::with(config(), &Open { properties, ..open() }, &begin());
}

#[test]
fn open_and_close_together_tell_the_reason() {
    let mut peer = Peer::start(config());
    let error = Error::new(condition::NOT_FOUND, "no such host");
    let close = Close {
        error: Some(Box::new(error.clone())),
    };
    peer.bytes(&[&sasl_ok()[..], &header(), &written(&open()), &written(&close)].concat());
    assert_eq!(peer.ended(), Ended::ByPeer(Some(Box::new(error))));
    assert!(matches!(
        peer.hear().last(),
        Some(Performative::Close(Close { error: None }))
    ));
}

#[test]
fn a_session_that_is_refused_tells_the_reason() {
    let mut peer = Peer::start(config());
    let error = Error::new(condition::UNAUTHORIZED_ACCESS, "no");
    let end = End {
        error: Some(Box::new(error.clone())),
    };
    peer.bytes(&[&sasl_ok()[..], &header(), &written(&open()), &written(&end)].concat());
    assert_eq!(peer.ended(), Ended::ByPeer(Some(Box::new(error))));
    let said = peer.hear();
    assert!(
        matches!(
            said.as_slice(),
            [.., Performative::End(_), Performative::Close(_)]
        ),
        "{said:?}"
    );
}

#[test]
fn sasl_out_of_order_ends_the_connection_without_a_word() {
    for bytes in [
        [ProtocolHeader::SASL.to_bytes().to_vec(), outcome(Code::Ok)].concat(),
        [mechanisms(), mechanisms()[8..].to_vec()].concat(),
        [mechanisms(), written(&open())].concat(),
    ] {
        let mut peer = Peer::start(config());
        peer.bytes(&bytes);
        assert!(matches!(
            peer.ended(),
            Ended::Violation {
                condition: condition::ILLEGAL_STATE,
                ..
            }
        ));
        assert!(!peer.hear_all().iter().any(|said| matches!(said, Said::Frame(..))));
    }
}

#[test]
fn an_open_connection_has_one_open_and_one_session() {
    let up = || Peer::up();
    let opening = || {
        let mut peer = Peer::start(config());
        peer.bytes(&[&sasl_ok()[..], &header()].concat());
        peer
    };
    let beginning = || {
        let mut peer = opening();
        peer.say(&open());
        peer
    };
    let small = Open {
        max_frame_size: 511,
        ..open()
    };
    let foreign = Begin {
        remote_channel: None,
        ..begin()
    };
    for (mut peer, bytes, expected) in [
        (up(), written(&open()), condition::ILLEGAL_STATE),
        (up(), written(&begin()), condition::NOT_ALLOWED),
        (up(), outcome(Code::Ok), condition::ILLEGAL_STATE),
        (opening(), written(&begin()), condition::ILLEGAL_STATE),
        (opening(), written(&small), condition::INVALID_FIELD),
        (beginning(), written(&foreign), condition::NOT_ALLOWED),
        (beginning(), written(&flow(0, 1)), condition::NOT_ALLOWED),
        (beginning(), written(&open()), condition::ILLEGAL_STATE),
    ] {
        peer.hear();
        peer.bytes(&bytes);
        assert_eq!(peer.violated(), expected);
    }
    let mut peer = up();
    let mut elsewhere = Vec::new();
    frame::write(&mut elsewhere, CHANNEL + 1, &flow(0, 1));
    peer.bytes(&elsewhere);
    assert_eq!(peer.violated(), condition::NOT_ALLOWED);
}

#[test]
fn a_close_in_any_phase_waits_for_the_peers_own() {
    let all = [header().to_vec(), written(&open()), written(&begin())];
    for heard in 1..=all.len() {
        let mut peer = Peer::start(config());
        peer.bytes(&[sasl_ok(), all[..heard].concat()].concat());
        peer.events();
        peer.client.close();
        peer.client.close();
        let closes = peer
            .hear()
            .iter()
            .filter(|said| matches!(said, Performative::Close(_)))
            .count();
        assert_eq!(closes, 1, "after {heard} steps");
        // The peer had not heard of it yet.
        peer.bytes(&all[heard..].concat());
        assert_eq!(peer.events(), [], "after {heard} steps");
        assert_eq!(peer.hear(), []);
        peer.say(&Close::default());
        assert_eq!(peer.events(), [Event::Ended(Ended::Closed)]);
        assert_eq!(peer.hear(), []);
    }
}

#[test]
fn a_close_of_the_peer_is_answered_and_is_the_last_event() {
    let mut peer = Peer::up();
    let link = peer.sender("s", HANDLES);
    peer.bytes(&[written(&Close::default()), written(&credit(HANDLES, 0, 5))].concat());
    assert_eq!(peer.events(), [Event::Ended(Ended::ByPeer(None))]);
    assert!(matches!(peer.hear().as_slice(), [Performative::Close(_)]));
    // Nothing happens any more.
    peer.client.set_credit(link, 5);
    peer.client.settle(0, 1, DeliveryState::Accepted);
    peer.client.detach(link, true);
    peer.client.close();
    peer.client.hold(false);
    assert_eq!(peer.client.send(link, b"x"), None);
    assert!(peer.client.attach_sender(&sender_spec("t")).is_none());
    peer.say(&flow(0, 1));
    peer.wait(1_000_000);
    assert_eq!((peer.events(), peer.hear_all()), (vec![], vec![]));
}

#[test]
fn what_follows_an_end_is_not_kept() {
    let mut peer = Peer::up();
    let mut input = BytesMut::from(&[written(&Close::default()), vec![0; 1000]].concat()[..]);
    peer.client.feed(&mut input, peer.now);
    assert!(input.is_empty());
}
