//! From the first byte to a session, and the ways that it may fail.

use bytes::{Bytes, BytesMut};
use weft_amqp_wire::condition;
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::login::LoginError;
use weft_amqp_wire::machine::{Ended, Event};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::sasl::{Challenge, Code, Sasl};
use weft_amqp_wire::value::{Fields, Text};

use super::peer::*;

fn sasl_ok() -> Vec<u8> {
    [mechanisms(), outcome(Code::Ok)].concat()
}

fn header() -> [u8; 8] {
    ProtocolHeader::AMQP.to_bytes()
}

#[test]
fn each_step_waits_for_the_peers() {
    let mut peer = Peer::start(config());
    assert_eq!(peer.hear_all(), [Said::Header(ProtocolHeader::SASL)]);
    peer.bytes(&mechanisms());
    let said = peer.hear_all();
    assert!(matches!(said.as_slice(), [Said::Sasl(Sasl::Init(init))] if init.mechanism == "ANONYMOUS"));
    peer.bytes(&outcome(Code::Ok));
    let said = peer.hear_all();
    let [
        Said::Header(ProtocolHeader::AMQP),
        Said::Frame(Performative::Open(open), _),
    ] = said.as_slice()
    else {
        panic!("{said:?}");
    };
    assert_eq!((open.max_frame_size, open.channel_max), (4096, 0));
    assert!(peer.client.attach_sender(&sender_spec("early")).is_none());
    peer.bytes(&header());
    peer.say(&super::peer::open());
    assert!(matches!(peer.hear().as_slice(), [Performative::Begin(begin)] if begin.incoming_window == 8));
    assert_eq!(peer.events(), []);
    peer.say(&begin());
    assert_eq!(peer.events(), [Event::Opened]);
    assert_eq!(peer.hear_all(), []);
}

#[test]
fn bytes_that_come_one_by_one_are_the_same_as_all_at_once() {
    let mut peer = Peer::start(config());
    let mut input = BytesMut::new();
    for byte in welcome(&open(), &begin()) {
        input.extend_from_slice(&[byte]);
        peer.client.feed(&mut input, peer.now);
    }
    assert!(input.is_empty());
    assert_eq!(peer.events(), [Event::Opened]);
    assert_eq!(peer.hear_all().len(), 5);
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
fn what_is_no_amqp_1_0_is_named() {
    for (bytes, text) in [
        (
            &b"AMQP\0\0\x09\x01"[..],
            "the peer speaks AMQP 0.9.1 (protocol 0); AMQP 1.0 is needed",
        ),
        (
            b"AMQP\0\x01\0\0",
            "the peer does not want SASL, without which nobody is let in here",
        ),
    ] {
        let mut peer = Peer::start(config());
        peer.bytes(bytes);
        assert_eq!(peer.ended(), Ended::Protocol(text.into()));
        assert_eq!(
            peer.hear_all(),
            [Said::Header(ProtocolHeader::SASL)],
            "nothing more is said"
        );
    }
    let mut peer = Peer::start(config());
    peer.bytes(b"HTTP/1.1 400 Bad Request");
    assert!(matches!(
        peer.ended(),
        Ended::Violation {
            condition: condition::FRAMING_ERROR,
            ..
        }
    ));
}

#[test]
fn who_is_not_let_in_hears_whose_fault_it_is() {
    let mechanism = "ANONYMOUS";
    for (code, error) in [
        (Code::Auth, LoginError::Refused { mechanism }),
        (Code::SysPerm, LoginError::Refused { mechanism }),
        (Code::Sys, LoginError::Unavailable),
        (Code::SysTemp, LoginError::Unavailable),
    ] {
        let mut peer = Peer::start(config());
        peer.bytes(&[mechanisms(), outcome(code)].concat());
        assert_eq!(peer.ended(), Ended::Login(error));
    }
    let mut wanted = config();
    wanted.login.mechanism = Some(weft_amqp_wire::login::Mechanism::External);
    let mut peer = Peer::start(wanted);
    peer.bytes(&mechanisms());
    assert_eq!(
        peer.ended().to_string(),
        "the broker offers ANONYMOUS, PLAIN, and not EXTERNAL"
    );
}

#[test]
fn challenges_have_an_end() {
    let mut peer = Peer::start(config());
    peer.bytes(&mechanisms());
    let mut challenge = Vec::new();
    frame::write_sasl(
        &mut challenge,
        &Challenge {
            challenge: Bytes::new(),
        },
    );
    peer.bytes(&challenge);
    assert_eq!(peer.events(), []);
    assert!(matches!(
        peer.hear_all().last(),
        Some(Said::Sasl(Sasl::Response(_)))
    ));
    peer.bytes(&challenge);
    assert!(matches!(peer.ended(), Ended::Login(LoginError::Challenge { .. })));
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
fn a_close_before_anything_is_open_is_the_end() {
    for bytes in [Vec::new(), ProtocolHeader::SASL.to_bytes().to_vec(), mechanisms()] {
        let mut peer = Peer::start(config());
        peer.bytes(&bytes);
        peer.client.close();
        assert_eq!(peer.events(), [Event::Ended(Ended::Closed)]);
    }
}

#[test]
fn a_close_in_any_phase_waits_for_the_peers_own() {
    let all = [header().to_vec(), written(&open()), written(&begin())];
    for heard in 0..=all.len() {
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

#[test]
fn a_description_is_that_of_the_peer() {
    let error = Error {
        condition: weft_amqp_wire::value::Symbol::from_static("amqp:internal-error"),
        description: Some(Text::from_static("disk full")),
        info: Fields::default(),
    };
    let text = Ended::ByPeer(Some(Box::new(error))).to_string();
    assert!(
        text.starts_with("the broker closed the connection: ") && text.contains("disk full"),
        "{text}"
    );
}
