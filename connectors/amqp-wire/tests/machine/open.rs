//! From the first byte to the last: SASL, open, silence, close.

use std::time::Duration;

use bytes::Bytes;
use weft_amqp_wire::condition;
use weft_amqp_wire::frame::ProtocolHeader;
use weft_amqp_wire::login::{Login, LoginError, Mechanism};
use weft_amqp_wire::machine::{Config, Ended, Event};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::sasl::{Challenge, Code, Outcome, Sasl};

use super::peer::*;

fn with(login: Login) -> Config {
    Config { login, ..config() }
}

/// The client's answer to an offer, or why it has none.
fn choice(login: Login, offer: &[&str]) -> Result<(String, Bytes), Ended> {
    let mut peer = Peer::new(with(login));
    peer.bytes(&ProtocolHeader::SASL.to_bytes());
    peer.skip();
    peer.say_sasl(&mechanisms(offer));
    if peer.client.is_ended() {
        return Err(peer.ended());
    }
    match peer.hear_sasl() {
        Sasl::Init(init) => Ok((
            init.mechanism.as_str().to_owned(),
            init.initial_response.unwrap_or_default(),
        )),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_opens_step_by_step() {
    let mut peer = Peer::new(config());
    assert_eq!(peer.take(), ProtocolHeader::SASL.to_bytes()[..]);
    peer.bytes(&ProtocolHeader::SASL.to_bytes());
    peer.say_sasl(&mechanisms(&["PLAIN", "ANONYMOUS"]));
    assert!(matches!(peer.hear_sasl(), Sasl::Init(init)
        if init.mechanism == "ANONYMOUS" && init.hostname.as_deref() == Some("broker")));
    peer.say_sasl(&outcome(Code::Ok));
    let mut out = peer.take();
    assert_eq!(
        ProtocolHeader::split(&mut out).unwrap(),
        Some(ProtocolHeader::AMQP)
    );
    peer.bytes(&ProtocolHeader::AMQP.to_bytes());
    assert!(peer.client.attach_receiver(&receiver_spec("early")).is_none());
    peer.say(&open());
    let Performative::Begin(begun) = peer.hear_one() else {
        panic!("no begin");
    };
    assert_eq!((begun.remote_channel, begun.incoming_window), (None, 8));
    assert_eq!(peer.events(), []);
    peer.say(&begin());
    assert_eq!(peer.events(), [Event::Opened]);
    assert!(peer.client.attach_receiver(&receiver_spec("now")).is_some());
}

#[test]
fn open_says_who_we_are_and_what_we_bear() {
    let mut peer = Peer::let_in(config());
    let mut out = peer.take();
    // The headers of both layers and the SASL init come before it.
    let header = ProtocolHeader::AMQP.to_bytes();
    let place = out.windows(8).position(|bytes| bytes == header).unwrap();
    let mut open = out.split_off(place + 8);
    let frame = weft_amqp_wire::frame::split(&mut open, 512).unwrap().unwrap();
    let (Performative::Open(open), _) = Performative::decode(&frame.body).unwrap() else {
        panic!("no open");
    };
    assert_eq!(open.container_id, "me");
    assert_eq!(open.hostname.as_deref(), Some("broker"));
    assert_eq!((open.max_frame_size, open.channel_max), (1024, 0));
    // Half of what we bear, since the peer may be late.
    assert_eq!(open.idle_time_out, Some(30_000));
    assert!(open.properties.get("product").is_some());
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut whole = ProtocolHeader::SASL.to_bytes().to_vec();
    weft_amqp_wire::frame::write_sasl(&mut whole, &mechanisms(&["ANONYMOUS"]));
    weft_amqp_wire::frame::write_sasl(&mut whole, &outcome(Code::Ok));
    whole.extend(ProtocolHeader::AMQP.to_bytes());
    weft_amqp_wire::frame::write(&mut whole, CHANNEL, &open());
    weft_amqp_wire::frame::write(&mut whole, CHANNEL, &begin());
    let mut peer = Peer::new(config());
    for (index, byte) in whole.iter().enumerate() {
        assert_eq!(peer.events(), [], "after {index} bytes");
        peer.bytes(&[*byte]);
    }
    assert_eq!(peer.events(), [Event::Opened]);
}

#[test]
fn the_strongest_mechanism_of_the_offer_is_taken() {
    let all = [
        "ANONYMOUS",
        "PLAIN",
        "SCRAM-SHA-1",
        "SCRAM-SHA-512",
        "SCRAM-SHA-256",
        "GSSAPI",
    ];
    for (offer, expected) in [
        (&all[..], "SCRAM-SHA-512"),
        (&["SCRAM-SHA-1", "PLAIN"], "SCRAM-SHA-1"),
        (&["ANONYMOUS", "PLAIN"], "PLAIN"),
    ] {
        assert_eq!(choice(login(None, "u", "p"), offer).unwrap().0, expected);
    }
    assert_eq!(choice(login(None, "", ""), &all).unwrap().0, "ANONYMOUS");
    let named = login(Some(Mechanism::ScramSha256), "u", "p");
    assert_eq!(choice(named, &all).unwrap().0, "SCRAM-SHA-256");
    let plain = choice(login(Some(Mechanism::Plain), "u", "p"), &all).unwrap();
    assert_eq!(plain.1, &b"\0u\0p"[..]);
    let external = choice(login(Some(Mechanism::External), "", ""), &["EXTERNAL"]).unwrap();
    assert_eq!(external, ("EXTERNAL".into(), Bytes::new()));
}

#[test]
fn a_password_is_never_sent_by_a_mechanism_that_was_not_asked_for() {
    let scram = login(Some(Mechanism::ScramSha256), "u", "p");
    for offer in [&["PLAIN", "ANONYMOUS"][..], &[]] {
        let Err(Ended::Login(LoginError::NotOffered { wanted, .. })) = choice(scram.clone(), offer) else {
            panic!("it was taken");
        };
        assert_eq!(wanted, "SCRAM-SHA-256");
    }
    let text = choice(login(None, "", ""), &["PLAIN"]).unwrap_err().to_string();
    assert!(text.contains("PLAIN") && text.contains("ANONYMOUS"), "{text}");
}

#[test]
fn scram_ends_only_with_the_servers_proof() {
    const FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const PROOF: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    for (data, authentic) in [(Some(PROOF), true), (Some("v=AAAA"), false), (None, false)] {
        let mut peer = Peer::new(with(login(None, "user", "pencil")));
        peer.bytes(&ProtocolHeader::SASL.to_bytes());
        peer.say_sasl(&mechanisms(&["SCRAM-SHA-256"]));
        peer.skip();
        peer.say_sasl(&Challenge {
            challenge: Bytes::from_static(FIRST.as_bytes()),
        });
        assert!(matches!(peer.hear_sasl(), Sasl::Response(_)));
        peer.say_sasl(&Outcome {
            code: Code::Ok,
            additional_data: data.map(|data| Bytes::from_static(data.as_bytes())),
        });
        if authentic {
            assert_eq!(peer.events(), []);
            assert!(!peer.client.output().is_empty());
        } else {
            assert!(matches!(peer.ended(), Ended::Login(LoginError::NotAuthentic(_))));
            assert!(peer.client.output().is_empty(), "nothing is said to an impostor");
        }
    }
}

#[test]
fn every_verdict_says_whose_fault_it_is() {
    let verdict = |code| {
        let mut peer = Peer::new(config());
        peer.bytes(&ProtocolHeader::SASL.to_bytes());
        peer.say_sasl(&mechanisms(&["ANONYMOUS"]));
        peer.say_sasl(&outcome(code));
        peer.ended()
    };
    let refused = Ended::Login(LoginError::Refused {
        mechanism: "ANONYMOUS",
    });
    assert_eq!(verdict(Code::Auth), refused);
    assert_eq!(verdict(Code::SysPerm), refused);
    assert_eq!(verdict(Code::Sys), Ended::Login(LoginError::Unavailable));
    assert_eq!(verdict(Code::SysTemp), Ended::Login(LoginError::Unavailable));
}

#[test]
fn challenges_without_end_are_refused() {
    for login in [
        login(Some(Mechanism::Plain), "u", "p"),
        login(Some(Mechanism::External), "", ""),
    ] {
        let mut peer = Peer::new(with(login));
        peer.bytes(&ProtocolHeader::SASL.to_bytes());
        peer.say_sasl(&mechanisms(&["PLAIN", "EXTERNAL"]));
        peer.say_sasl(&Challenge::default());
        assert!(!peer.client.is_ended());
        peer.say_sasl(&Challenge::default());
        assert!(matches!(peer.ended(), Ended::Login(LoginError::Challenge { .. })));
    }
}

#[test]
fn a_peer_of_another_protocol_is_named() {
    for (bytes, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n"[..], "no AMQP"),
        (b"AMQP\0\0\x09\x01", "AMQP 0.9.1"),
        (b"AMQP\x03\x01\x01\0", "AMQP 1.1.0"),
        (b"AMQP\0\x01\0\0", "SASL"),
        (b"\x15\x03\x03\0\x02\x02\x46\0", "no AMQP"),
    ] {
        let mut peer = Peer::new(config());
        peer.bytes(bytes);
        let text = peer.ended().to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn we_beat_at_half_of_the_time_that_the_peer_bears() {
    let mut peer = Peer::up();
    let start = peer.now;
    assert_eq!(peer.client.next_deadline(), Some(start + Duration::from_secs(5)));
    peer.now = start + Duration::from_millis(4_999);
    peer.client.on_time(peer.now);
    assert!(peer.client.output().is_empty());
    peer.now = start + Duration::from_secs(5);
    peer.client.on_time(peer.now);
    assert_eq!(peer.take(), [0, 0, 0, 8, 2, 0, 0, 0][..]);
    assert_eq!(peer.client.next_deadline(), Some(start + Duration::from_secs(10)));
}

#[test]
fn a_beat_that_cannot_be_written_keeps_nobody_busy() {
    let mut peer = Peer::up();
    let start = peer.now;
    peer.client.attach_receiver(&receiver_spec("waits")).unwrap();
    peer.client.written(1, start);
    // The socket takes no more: there is nothing to do until the peer is silent for too long.
    let later = start + Duration::from_secs(20);
    peer.client.on_time(later);
    assert_eq!(peer.client.next_deadline(), Some(start + Duration::from_secs(60)));
    peer.now = later;
    peer.skip();
    assert_eq!(peer.client.next_deadline(), Some(later + Duration::from_secs(5)));
    peer.client.close();
    peer.skip();
    assert_eq!(peer.client.next_deadline(), Some(start + Duration::from_secs(60)));
}

#[test]
fn a_silent_peer_is_given_up_and_any_byte_is_a_sign_of_life() {
    let mut peer = Peer::up();
    let start = peer.now;
    peer.now = start + Duration::from_secs(59);
    peer.bytes(&[0, 0, 0, 8, 2, 0, 0, 0]);
    peer.now = start + Duration::from_secs(118);
    peer.client.on_time(peer.now);
    assert_eq!(peer.events(), []);
    peer.now = start + Duration::from_secs(119);
    peer.client.on_time(peer.now);
    assert_eq!(peer.ended(), Ended::Silent);
    assert_eq!(peer.client.next_deadline(), None);
}

#[test]
fn without_a_time_out_there_is_none() {
    let quiet = Open {
        idle_time_out: Some(0),
        ..open()
    };
    let config = Config {
        idle_timeout: None,
        ..config()
    };
    assert_eq!(Peer::up_as(config, &quiet, &begin()).client.next_deadline(), None);
}

#[test]
fn a_close_is_answered_with_what_was_on_its_way_ignored() {
    let mut peer = Peer::up();
    let link = peer.receiver("a", 5);
    peer.client.close();
    assert!(matches!(peer.hear_one(), Performative::Close(_)));
    peer.delivers(link, 0, b"late");
    assert_eq!(peer.events(), []);
    peer.say(&Close::default());
    assert_eq!(peer.ended(), Ended::Closed);
    assert!(peer.client.output().is_empty());
}

#[test]
fn a_close_before_anything_is_open_is_the_end_at_once() {
    let mut peer = Peer::new(config());
    peer.client.close();
    assert_eq!(peer.ended(), Ended::Closed);
    let mut peer = Peer::let_in(config());
    peer.client.close();
    assert_eq!(peer.ended(), Ended::Closed);
    // We said open, and close behind it.
    let mut peer = Peer::let_in(config());
    peer.bytes(&ProtocolHeader::AMQP.to_bytes());
    peer.client.close();
    assert!(!peer.client.is_ended());
    peer.say(&open());
    peer.say(&Close::default());
    assert_eq!(peer.ended(), Ended::Closed);
}

#[test]
fn the_peers_reason_is_told_and_its_close_answered() {
    let error = Some(Box::new(Error::new(condition::CONNECTION_FORCED, "shutdown")));
    let mut peer = Peer::up();
    peer.say(&Close { error: error.clone() });
    assert!(matches!(peer.hear_one(), Performative::Close(close) if close.error.is_none()));
    assert_eq!(peer.ended(), Ended::ByPeer(error.clone()));

    let mut peer = Peer::up();
    peer.say(&End { error: error.clone() });
    let heard = peer.hear();
    assert!(matches!(
        heard[..],
        [(Performative::End(_), _), (Performative::Close(_), _)]
    ));
    assert_eq!(peer.ended(), Ended::ByPeer(error.clone()));

    // As brokers refuse a virtual host: open and close at once.
    let mut peer = Peer::let_in(config());
    peer.bytes(&ProtocolHeader::AMQP.to_bytes());
    peer.say_on(0, &open());
    peer.say_on(0, &Close { error: error.clone() });
    assert_eq!(peer.ended(), Ended::ByPeer(error));
}

#[test]
fn after_the_end_nothing_happens() {
    let mut peer = Peer::up();
    let receiver = peer.receiver("r", 5);
    let sender = peer.sender("s", 5);
    peer.say(&Close::default());
    peer.events();
    peer.skip();
    peer.delivers(receiver, 0, b"x");
    peer.bytes(b"junk");
    assert!(!peer.client.can_send(sender));
    assert_eq!(peer.client.send(sender, b"x"), None);
    assert!(peer.client.attach_sender(&sender_spec("t")).is_none());
    peer.client.set_credit(receiver, 10);
    peer.client.settle(0, 0, DeliveryState::Accepted);
    peer.client.give_up(0);
    peer.client.hold(false);
    peer.client.detach(receiver, true);
    peer.client.close();
    peer.client.on_time(peer.now + Duration::from_secs(1000));
    assert_eq!(peer.events(), []);
    assert!(peer.client.output().is_empty());
}
