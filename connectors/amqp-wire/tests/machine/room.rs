//! Room to send: credit, window, books and output, and who is told when there is some again.

use weft_amqp_wire::machine::{Config, Event, LinkId};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::value::Value;

use super::script::*;

fn with_credit(given: u32) -> (Peer, LinkId) {
    let mut peer = Peer::up();
    let link = peer.sender("l", HANDLES);
    peer.say(&credit(HANDLES, 0, given));
    assert_eq!(peer.events(), [], "nobody has asked");
    (peer, link)
}

fn sends(peer: &mut Peer, link: LinkId, message: &[u8]) -> u32 {
    let mut sent = 0;
    while peer.client.send(link, message).is_some() {
        sent += 1;
    }
    sent
}

#[test]
fn as_many_deliveries_go_as_there_is_credit_and_the_next_grant_wakes() {
    let (mut peer, link) = with_credit(3);
    assert_eq!(sends(&mut peer, link, b"x"), 3);
    assert_eq!(peer.transfers().len(), 3);
    // The peer has seen two of three: its four are three more.
    peer.say(&credit(HANDLES, 2, 4));
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert_eq!(sends(&mut peer, link, b"x"), 3);
    peer.say(&credit(HANDLES, 6, 0));
    assert_eq!(peer.events(), []);
    peer.say(&credit(HANDLES, 6, 1));
    peer.say(&credit(HANDLES, 6, 2));
    assert_eq!(peer.events(), [Event::Credit { link }], "told once");
}

#[test]
fn who_asked_before_the_link_was_up_is_told_too() {
    let mut peer = Peer::up();
    let link = peer.client.attach_sender(&sender_spec("l")).unwrap();
    assert!(!peer.client.can_send(link));
    let attach = peer.attach_heard();
    peer.say(&answer(&attach, HANDLES));
    peer.say(&credit(HANDLES, 0, 1));
    assert!(matches!(
        peer.events().as_slice(),
        [Event::Attached { .. }, Event::Credit { .. }]
    ));
}

#[test]
fn a_peer_that_has_seen_nothing_counts_from_the_start() {
    let mut peer = Peer::up();
    let link = peer.sender("l", HANDLES);
    peer.say(&Flow {
        next_incoming_id: None,
        delivery_count: None,
        ..credit(HANDLES, 0, 2)
    });
    assert_eq!(sends(&mut peer, link, b"x"), 2);
    peer.say(&Flow {
        next_incoming_id: None,
        delivery_count: None,
        ..credit(HANDLES, 0, 3)
    });
    assert_eq!(sends(&mut peer, link, b"x"), 1);
}

#[test]
fn windows_and_credit_may_be_as_large_as_numbers_are() {
    let (mut peer, link) = with_credit(1);
    peer.client.send(link, b"x").unwrap();
    peer.say(&Flow {
        next_incoming_id: Some(0),
        incoming_window: u32::MAX,
        ..credit(HANDLES, 0, u32::MAX)
    });
    assert_eq!(sends(&mut peer, link, b"x"), 99, "up to those without an outcome");
    assert_eq!(peer.client.credit(link), u32::MAX - 100);
}

#[test]
fn the_peers_window_is_kept_to_the_frame() {
    let (mut peer, link) = with_credit(100);
    peer.say(&flow(0, 3));
    assert_eq!(sends(&mut peer, link, b"x"), 3);
    // One of three seen: a window of three is one more.
    peer.say(&flow(1, 3));
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert_eq!(sends(&mut peer, link, b"x"), 1);
    peer.say(&flow(1, 3));
    assert_eq!(peer.events(), []);
    peer.say(&flow(4, 2));
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert_eq!(peer.transfers().len(), 4);
}

#[test]
fn output_that_is_not_written_stops_senders_and_wakes_them() {
    let (mut peer, link) = with_credit(1000);
    peer.say(&flow(0, 10_000));
    let sent = sends(&mut peer, link, &[7; 30_000]);
    assert!((30..40).contains(&sent), "a mebibyte of output: {sent} messages");
    let len = peer.client.output().len();
    peer.client.written(len - len / 4, peer.now);
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert_eq!(peer.client.output().len(), len / 4);
}

#[test]
fn a_message_that_is_larger_than_the_window_goes_on_when_it_opens() {
    let (mut peer, link) = with_credit(10);
    let other = peer.sender("other", HANDLES + 1);
    peer.say(&credit(HANDLES + 1, 0, 10));
    peer.say(&flow(0, 2));
    let message: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let id = peer.client.send(link, &message).unwrap();
    assert!(!peer.client.can_send(link) && !peer.client.can_send(other));
    assert_eq!(peer.transfers().len(), 2);
    peer.say(&flow(2, 2));
    assert_eq!((peer.transfers().len(), peer.events()), (2, vec![]));
    peer.say(&flow(4, 2));
    assert_eq!(peer.transfers().len(), 1);
    assert_eq!(
        peer.events(),
        [Event::Credit { link }, Event::Credit { link: other }]
    );
    peer.say(&disposition(id, id, true, Some(DeliveryState::Accepted)));
    assert_eq!(peer.events(), [outcome(id, id, Some(DeliveryState::Accepted))]);
}

#[test]
fn a_detach_in_the_middle_of_a_message_needs_no_window() {
    for ours in [true, false] {
        let (mut peer, link) = with_credit(10);
        let other = peer.sender("other", HANDLES + 1);
        peer.say(&credit(HANDLES + 1, 0, 10));
        peer.say(&flow(0, 1));
        peer.client.send(link, &[0; 5000]).unwrap();
        assert!(!peer.client.can_send(other));
        assert_eq!(peer.transfers().len(), 1);
        if ours {
            peer.client.detach(link, true);
        } else {
            peer.say(&Detach {
                handle: HANDLES,
                closed: true,
                error: None,
            });
        }
        assert!(matches!(peer.hear().as_slice(), [Performative::Detach(_)]));
        assert_eq!(peer.client.unsettled(), 0);
        peer.events();
        peer.say(&flow(1, 5));
        assert_eq!(
            (peer.events(), peer.hear()),
            (vec![Event::Credit { link: other }], vec![])
        );
        assert!(peer.client.can_send(other));
    }
}

#[test]
fn room_that_a_detach_makes_wakes_the_others() {
    let (mut peer, link) = with_credit(1000);
    let other = peer.sender("other", HANDLES + 1);
    peer.say(&credit(HANDLES + 1, 0, 10));
    assert_eq!(sends(&mut peer, link, b"x"), 100);
    assert!(!peer.client.can_send(other));
    peer.client.detach(link, true);
    peer.hear();
    assert_eq!(peer.events(), [Event::Credit { link: other }]);
}

#[test]
fn a_drain_gives_credit_back_at_once_also_while_a_message_is_half_sent() {
    let (mut peer, link) = with_credit(10);
    peer.say(&flow(0, 1));
    peer.client.send(link, &[0; 5000]).unwrap();
    peer.hear();
    for (credit_given, count) in [(10, 10), (10, 10), (12, 12)] {
        peer.say(&Flow {
            drain: true,
            ..Flow {
                incoming_window: 1,
                ..credit(HANDLES, 0, credit_given)
            }
        });
        let said = peer.hear();
        let [Performative::Flow(flow)] = said.as_slice() else {
            panic!("{said:?}")
        };
        assert_eq!(
            (flow.handle, flow.delivery_count, flow.link_credit),
            (Some(0), Some(count), Some(0))
        );
    }
    assert!(!peer.client.can_send(link));
    peer.say(&credit(HANDLES, 12, 1));
    assert_eq!(peer.events(), [Event::Credit { link }]);
    peer.client.send(link, b"x").unwrap();
}

#[test]
fn what_is_written_does_not_pile_up_behind_what_is_not() {
    let (mut peer, link) = with_credit(u32::MAX);
    // There is always something left to write.
    for id in 0..20_000 {
        peer.say(&Flow {
            next_incoming_id: Some(id),
            ..credit(HANDLES, id, 1000)
        });
        peer.client.send(link, &[1; 500]).unwrap();
        peer.say(&disposition(id, id, true, Some(DeliveryState::Accepted)));
        let len = peer.client.output().len();
        peer.client.written(len - 100, peer.now);
        assert_eq!(peer.client.output().len(), 100);
    }
    peer.events();
}

#[test]
fn no_one_is_told_twice_and_none_is_forgotten_among_many() {
    let mut peer = Peer::with(
        Config {
            max_unsettled: 1,
            ..config()
        },
        &open(),
        &begin(),
    );
    let links: Vec<LinkId> = (0..50)
        .map(|at| peer.sender(&at.to_string(), HANDLES + at))
        .collect();
    for at in 0..50 {
        peer.say(&credit(HANDLES + at, 0, 10));
    }
    peer.client.send(links[0], b"x").unwrap();
    for link in &links {
        assert!(!peer.client.can_send(*link) && !peer.client.can_send(*link));
    }
    // There is room for one at a time: all have their turn.
    for at in 0..50 {
        peer.say(&disposition(at, at, true, Some(DeliveryState::Accepted)));
        let woken: Vec<LinkId> = peer
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Credit { link } => Some(link),
                _ => None,
            })
            .collect();
        assert_eq!(woken.len(), 50);
        assert!(peer.client.send(links[(at as usize + 1) % 50], b"x").is_some());
        for link in woken {
            assert!(!peer.client.can_send(link));
        }
    }
}

fn outcome(first: u32, last: u32, state: Option<DeliveryState>) -> Event {
    Event::Outcome { first, last, state }
}

#[test]
fn deliveries_without_an_outcome_are_bounded() {
    let (mut peer, link) = with_credit(1000);
    assert_eq!(sends(&mut peer, link, b"x"), 100);
    assert_eq!(peer.client.unsettled(), 100);
    peer.say(&disposition(10, 19, true, Some(DeliveryState::Accepted)));
    assert_eq!(
        peer.events(),
        [
            outcome(10, 19, Some(DeliveryState::Accepted)),
            Event::Credit { link }
        ]
    );
    assert_eq!(sends(&mut peer, link, b"x"), 10);
}

#[test]
fn one_that_never_has_an_outcome_keeps_the_books_bounded() {
    let (mut peer, link) = with_credit(5000);
    peer.say(&flow(0, 5000));
    let mut sent = 0;
    loop {
        let more = sends(&mut peer, link, b"x");
        if more == 0 {
            break;
        }
        sent += more;
        peer.say(&disposition(1, sent - 1, true, Some(DeliveryState::Accepted)));
        peer.events();
    }
    assert_eq!((sent, peer.client.unsettled()), (800, 1));
    peer.say(&disposition(0, 0, true, Some(DeliveryState::Released)));
    assert!(peer.client.can_send(link));
}

#[test]
fn a_state_that_is_no_outcome_waits_for_one() {
    let (mut peer, link) = with_credit(10);
    peer.client.send(link, b"x").unwrap();
    let received = DeliveryState::Received {
        section_number: 0,
        section_offset: 0,
    };
    peer.say(&disposition(0, 0, false, Some(received)));
    peer.say(&disposition(0, 0, false, None));
    peer.say(&disposition(
        0,
        0,
        false,
        Some(DeliveryState::Other(Box::new(Value::described(
            Value::Ulong(0x34),
            Value::Null,
        )))),
    ));
    assert_eq!((peer.events(), peer.client.unsettled()), (vec![], 1));
    peer.say(&disposition(0, 0, true, None));
    assert_eq!(peer.events(), [outcome(0, 0, None)]);
}
