//! Sending: credit, windows, frames, outcomes.

use bytes::Bytes;
use weft_amqp_wire::condition;
use weft_amqp_wire::frame;
use weft_amqp_wire::machine::{Config, Event, LinkId, SenderSpec};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::value::{Fields, Value};

use super::peer::*;

fn up(credit: u32) -> (Peer, LinkId) {
    let mut peer = Peer::up();
    let link = peer.sender("out", credit);
    (peer, link)
}

fn transfers(peer: &mut Peer) -> Vec<(Transfer, Bytes)> {
    peer.hear()
        .into_iter()
        .map(|(heard, payload)| match heard {
            Performative::Transfer(transfer) => (transfer, payload),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn outcomes(peer: &mut Peer) -> Vec<(u32, u32)> {
    peer.events()
        .into_iter()
        .map(|event| match event {
            Event::Outcome { first, last, .. } => (first, last),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_link_is_asked_for_as_specified_and_the_peers_limit_told() {
    let mut peer = Peer::up();
    let link = peer.client.attach_sender(&sender_spec("out")).unwrap();
    let attach = peer.asks(link);
    assert_eq!(
        (attach.role, attach.initial_delivery_count),
        (Role::Sender, Some(0))
    );
    assert_eq!(attach.target, Some(target("queue")));
    assert_eq!(attach.source, Some(Source::default()));
    peer.say(&Attach {
        max_message_size: Some(77),
        ..Peer::answer(&attach)
    });
    let max_message_size = Some(77);
    assert_eq!(
        peer.event(),
        Event::Attached {
            link,
            max_message_size
        }
    );
}

#[test]
fn nothing_is_sent_without_credit_and_credit_is_told_once() {
    let (mut peer, link) = up(0);
    assert!(!peer.client.can_send(link));
    assert_eq!(peer.client.send(link, b"x"), None);
    assert!(peer.client.output().is_empty());
    peer.credit(link, 0, 2);
    peer.credit(link, 0, 2);
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert_eq!(peer.client.send(link, b"x"), Some(0));
    assert_eq!(peer.client.send(link, b"y"), Some(1));
    assert_eq!(peer.client.send(link, b"z"), None);
    let sent = transfers(&mut peer);
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].0.delivery_id, &sent[0].1[..]), (Some(0), &b"x"[..]));
    assert_ne!(sent[0].0.delivery_tag, sent[1].0.delivery_tag);
    assert_eq!(sent[1].0.settled, Some(false));
    // The peer has seen one: two more on top of it are one more.
    peer.credit(link, 1, 2);
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert_eq!(peer.client.credit(link), 1);
}

#[test]
fn credit_is_not_told_to_those_who_did_not_ask() {
    let (mut peer, asked) = up(0);
    let other = peer.sender("other", 0);
    peer.client.can_send(asked);
    peer.credit(other, 0, 5);
    assert_eq!(peer.events(), []);
    peer.credit(asked, 0, 5);
    assert_eq!(peer.events(), [Event::Credit { link: asked }]);
}

#[test]
fn a_message_is_cut_to_the_peers_frames() {
    let (mut peer, link) = up(5);
    let message: Vec<u8> = (0..2000u32).map(|n| n as u8).collect();
    assert_eq!(peer.client.send(link, &message), Some(0));
    let out = peer.client.output().to_vec();
    let sent = transfers(&mut peer);
    assert!(sent.len() > 3);
    let (last, most) = sent.split_last().unwrap();
    assert!(most.iter().all(|(transfer, _)| transfer.more));
    assert!(!last.0.more);
    let whole: Vec<u8> = sent.iter().flat_map(|(_, payload)| payload.to_vec()).collect();
    assert_eq!(whole, message);
    let mut rest = &out[..];
    while !rest.is_empty() {
        let size = u32::from_be_bytes(*rest.first_chunk().unwrap()) as usize;
        assert!(size <= 512);
        rest = &rest[size..];
    }
}

#[test]
fn the_peers_window_is_kept_and_the_rest_goes_when_it_opens() {
    let narrow = Begin {
        incoming_window: 2,
        ..begin()
    };
    let mut peer = Peer::up_as(config(), &open(), &narrow);
    let link = peer.client.attach_sender(&sender_spec("out")).unwrap();
    peer.attaches(link);
    let flow = |peer: &Peer, seen, window| Flow {
        handle: Some(peer.handle(link)),
        delivery_count: Some(0),
        link_credit: Some(10),
        ..peer.flow(seen, window)
    };
    let two = flow(&peer, 0, 2);
    peer.say(&two);
    let message = vec![1; 2000];
    assert_eq!(peer.client.send(link, &message), Some(0));
    assert!(!peer.client.can_send(link), "half of one is on its way");
    let mut sent = transfers(&mut peer);
    assert_eq!(sent.len(), 2);
    assert_eq!(peer.events(), []);
    // The peer has seen one of the two.
    let more = flow(&peer, 1, 2);
    peer.say(&more);
    sent.extend(transfers(&mut peer));
    assert_eq!(sent.len(), 3);
    let most = flow(&peer, 3, 100);
    peer.say(&most);
    sent.extend(transfers(&mut peer));
    assert!(!sent.last().unwrap().0.more);
    let whole: usize = sent.iter().map(|(_, payload)| payload.len()).sum();
    assert_eq!(whole, 2000);
    assert_eq!(peer.events(), [Event::Credit { link }]);
}

#[test]
fn windows_and_credit_may_be_as_large_as_there_are_numbers() {
    for size in [(1 << 31) - 1, 1 << 31, u32::MAX] {
        let wide = Begin {
            incoming_window: size,
            ..begin()
        };
        let mut peer = Peer::up_as(config(), &open(), &wide);
        let link = peer.sender("out", 0);
        let flow = Flow {
            handle: Some(peer.handle(link)),
            delivery_count: Some(0),
            link_credit: Some(size),
            ..peer.flow(0, size)
        };
        peer.say(&flow);
        assert_eq!(peer.client.send(link, b"x"), Some(0), "{size}");
        peer.say(&flow);
        assert_eq!(peer.client.send(link, b"x"), Some(1), "{size}");
        assert_eq!(peer.client.credit(link), size - 2);
    }
}

#[test]
fn each_delivery_has_one_outcome_whatever_the_ranges_say() {
    let (mut peer, link) = up(100);
    for id in 0..10 {
        assert_eq!(peer.client.send(link, b"x"), Some(id));
    }
    assert_eq!(peer.client.unsettled(), 10);
    peer.says(2, 3, true, Some(DeliveryState::Accepted));
    peer.says(0, 5, true, Some(DeliveryState::Accepted));
    peer.says(0, u32::MAX, true, None);
    peer.says(u32::MAX - 5, 7, true, Some(DeliveryState::Released));
    peer.says(7, 4, true, Some(DeliveryState::Released));
    peer.says(50, 60, true, Some(DeliveryState::Released));
    peer.says(8, 1_000_000, true, Some(DeliveryState::Accepted));
    assert_eq!(outcomes(&mut peer), [(2, 3), (0, 1), (4, 5), (6, 7), (8, 9)]);
    assert_eq!(peer.client.unsettled(), 0);
}

#[test]
fn an_outcome_that_is_not_settled_is_settled_by_us() {
    let (mut peer, link) = up(100);
    for _ in 0..3 {
        peer.client.send(link, b"x");
    }
    peer.skip();
    peer.says(0, 1, false, Some(DeliveryState::Accepted));
    let Performative::Disposition(settled) = peer.hear_one() else {
        panic!("no disposition");
    };
    assert_eq!((settled.role, settled.settled), (Role::Sender, true));
    assert_eq!((settled.first, settled.last), (0, Some(1)));
    // Not outcomes: where it is, and what a transaction would say.
    let received = DeliveryState::Received {
        section_number: 0,
        section_offset: 0,
    };
    peer.says(2, 2, false, Some(received));
    peer.says(2, 2, false, Some(DeliveryState::Other(Box::new(Value::Null))));
    peer.says(2, 2, false, None);
    assert_eq!(outcomes(&mut peer), [(0, 1)]);
    peer.says(2, 2, true, None);
    assert!(matches!(peer.event(), Event::Outcome { state: None, .. }));
}

#[test]
fn an_outcome_says_why() {
    let (mut peer, link) = up(100);
    let error = Error {
        info: Fields::default().with("big", "map"),
        ..Error::new(condition::PRECONDITION_FAILED, "no")
    };
    peer.client.send(link, b"x");
    peer.says(
        0,
        0,
        true,
        Some(DeliveryState::Rejected(Some(Box::new(error.clone())))),
    );
    let told = Error {
        info: Fields::default(),
        ..error
    };
    let state = Some(DeliveryState::Rejected(Some(Box::new(told))));
    let (first, last) = (0, 0);
    assert_eq!(peer.event(), Event::Outcome { first, last, state });
}

#[test]
fn as_many_as_agreed_are_without_an_outcome() {
    let (mut peer, link) = up(100);
    let sent = std::iter::from_fn(|| peer.client.send(link, b"x")).count();
    assert_eq!(sent, 16);
    peer.says(3, 3, true, Some(DeliveryState::Accepted));
    let events = peer.events();
    assert!(matches!(
        events[..],
        [Event::Outcome { first: 3, .. }, Event::Credit { .. }]
    ));
    assert_eq!(peer.client.send(link, b"x"), Some(16));
    assert!(!peer.client.can_send(link));
}

#[test]
fn one_that_never_has_its_outcome_can_be_given_up() {
    let (mut peer, link) = up(1000);
    assert_eq!(peer.client.send(link, b"stuck"), Some(0));
    let mut next = 1;
    while let Some(id) = peer.client.send(link, b"x") {
        assert_eq!(id, next);
        next += 1;
        peer.says(id, id, true, Some(DeliveryState::Accepted));
    }
    assert_eq!(next, 16 * 8, "the books are bounded");
    peer.events();
    peer.skip();
    peer.client.give_up(0);
    peer.client.give_up(0);
    let Performative::Disposition(given_up) = peer.hear_one() else {
        panic!("no disposition");
    };
    assert_eq!(
        (given_up.role, given_up.settled, given_up.first),
        (Role::Sender, true, 0)
    );
    assert_eq!(peer.events(), [Event::Credit { link }]);
    peer.says(0, 0, true, Some(DeliveryState::Accepted));
    assert_eq!(peer.events(), [], "too late");
    assert_eq!(peer.client.send(link, b"x"), Some(next));
}

#[test]
fn what_is_sent_settled_has_no_outcome() {
    let mut peer = Peer::up();
    let spec = SenderSpec {
        snd_settle_mode: SenderSettleMode::Settled,
        ..sender_spec("out")
    };
    let link = peer.client.attach_sender(&spec).unwrap();
    peer.attaches(link);
    peer.credit(link, 0, 100);
    for _ in 0..50 {
        assert!(peer.client.send(link, b"x").is_some());
    }
    assert_eq!(peer.client.unsettled(), 0);
    assert!(
        transfers(&mut peer)
            .iter()
            .all(|(transfer, _)| transfer.settled == Some(true))
    );
    peer.says(0, 49, true, Some(DeliveryState::Accepted));
    assert_eq!(peer.events(), []);
}

#[test]
fn a_detach_takes_the_deliveries_of_its_link_and_no_others() {
    let (mut peer, a) = up(10);
    let b = peer.sender("other", 10);
    let sent: Vec<u32> = [a, b, a, b]
        .into_iter()
        .map(|link| peer.client.send(link, b"x").unwrap())
        .collect();
    assert_eq!(sent, [0, 1, 2, 3]);
    peer.skip();
    let error = Some(Box::new(Error::new(condition::DETACH_FORCED, "deleted")));
    peer.say(&Detach {
        handle: peer.handle(a),
        closed: true,
        error,
    });
    assert!(matches!(peer.event(), Event::Detached { link, refused: false, .. } if link == a));
    assert_eq!(peer.client.unsettled(), 2);
    peer.says(0, 3, true, Some(DeliveryState::Accepted));
    assert_eq!(outcomes(&mut peer), [(1, 1), (3, 3)]);
    assert_eq!(peer.client.send(a, b"x"), None);
}

#[test]
fn drained_credit_is_given_back_at_once() {
    let (mut peer, link) = up(10);
    peer.client.send(link, b"x");
    peer.skip();
    let drain = Flow {
        handle: Some(peer.handle(link)),
        delivery_count: Some(0),
        link_credit: Some(10),
        drain: true,
        ..peer.flow(1, 1000)
    };
    peer.say(&drain);
    let flow = peer.hear_flow();
    assert_eq!((flow.delivery_count, flow.link_credit), (Some(10), Some(0)));
    assert!(!peer.client.can_send(link));
    peer.credit(link, 10, 1);
    assert!(peer.client.can_send(link));
}

#[test]
fn an_echo_is_answered_with_how_things_stand() {
    let (mut peer, link) = up(10);
    let echo = Flow {
        echo: true,
        ..peer.flow(0, 1000)
    };
    peer.say(&echo);
    assert_eq!(peer.hear_flow().handle, None);
    let echo = Flow {
        handle: Some(peer.handle(link)),
        delivery_count: Some(0),
        link_credit: Some(4),
        ..echo
    };
    peer.say(&echo);
    let flow = peer.hear_flow();
    assert_eq!((flow.delivery_count, flow.link_credit), (Some(0), Some(4)));
    assert!(!flow.echo);
}

#[test]
fn a_driver_that_cannot_write_is_told_to_wait() {
    let config = Config {
        max_unsettled: 1 << 20,
        ..config()
    };
    let mut peer = Peer::up_as(config, &open(), &begin());
    let link = peer.sender("out", 1 << 20);
    let wide = peer.flow(0, 1 << 20);
    peer.say(&wide);
    let message = vec![0; 400];
    while peer.client.send(link, &message).is_some() {}
    let full = peer.client.output().len();
    assert!((1 << 20..(1 << 20) + 1000).contains(&full), "{full}");
    peer.client.written(full / 4, peer.now);
    assert_eq!(peer.events(), [], "not for every byte");
    peer.client.written(full / 2, peer.now);
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert!(peer.client.can_send(link));
}

#[test]
fn what_is_written_in_pieces_comes_out_whole() {
    let (mut peer, link) = up(1000);
    let mut written = Vec::new();
    let mut expected = 0u32;
    for round in 0..200u32 {
        let id = peer.client.send(link, &round.to_be_bytes()).unwrap();
        peer.says(id, id, true, Some(DeliveryState::Accepted));
        let part = peer.client.output().len() * 2 / 3;
        written.extend_from_slice(&peer.client.output()[..part]);
        peer.client.written(part, peer.now);
    }
    written.extend_from_slice(&peer.take());
    let mut written = bytes::BytesMut::from(&written[..]);
    while let Some(frame) = frame::split(&mut written, 512).unwrap() {
        let (_, payload) = Performative::decode(&frame.body).unwrap();
        assert_eq!(payload, &expected.to_be_bytes()[..]);
        expected += 1;
    }
    assert_eq!(expected, 200);
}
