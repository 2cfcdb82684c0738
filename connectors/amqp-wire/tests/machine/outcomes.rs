//! Outcomes of what we sent: told once, in ranges, and only where they are due.

use weft_amqp_wire::condition;
use weft_amqp_wire::machine::Event;
use weft_amqp_wire::performative::*;
use weft_amqp_wire::value::{Fields, Symbol, Value};

use super::peer::*;
use super::sending::{sends, with_credit};

fn outcome(first: u32, last: u32, state: Option<DeliveryState>) -> Event {
    Event::Outcome { first, last, state }
}

#[test]
fn each_outcome_is_told_once_and_only_of_what_was_sent() {
    let (mut peer, link) = with_credit(10);
    (0..6).for_each(|_| _ = peer.client.send(link, b"x"));
    peer.hear();
    let accepted = || Some(DeliveryState::Accepted);
    peer.say(&disposition(2, 3, true, accepted()));
    peer.say(&disposition(0, u32::MAX / 4, true, Some(DeliveryState::Released)));
    peer.say(&disposition(0, 5, true, accepted()));
    peer.say(&disposition(6, 9, true, accepted()));
    peer.say(&disposition(9, 3, true, accepted()));
    assert_eq!(
        peer.events(),
        [
            outcome(2, 3, accepted()),
            outcome(0, 1, Some(DeliveryState::Released)),
            outcome(4, 5, Some(DeliveryState::Released)),
        ]
    );
    assert_eq!((peer.client.unsettled(), peer.hear()), (0, vec![]));
}

#[test]
fn an_outcome_that_is_not_settled_is_settled_by_us() {
    let (mut peer, link) = with_credit(10);
    (0..4).for_each(|_| _ = peer.client.send(link, b"x"));
    peer.hear();
    peer.say(&disposition(0, 3, false, Some(DeliveryState::Accepted)));
    assert_eq!(peer.events(), [outcome(0, 3, Some(DeliveryState::Accepted))]);
    let said = peer.hear();
    let [Performative::Disposition(ours)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(
        (ours.role, ours.first, ours.last, ours.settled),
        (Role::Sender, 0, Some(3), true)
    );
    peer.say(&disposition(0, 3, true, Some(DeliveryState::Accepted)));
    assert_eq!((peer.events(), peer.hear()), (vec![], vec![]));
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

#[test]
fn a_large_map_in_an_outcome_is_not_multiplied() {
    let (mut peer, link) = with_credit(100);
    (0..100).for_each(|_| _ = peer.client.send(link, b"x"));
    (0..100)
        .step_by(2)
        .for_each(|id| peer.say(&disposition(id, id, true, Some(DeliveryState::Accepted))));
    peer.events();
    let error = |info| Error {
        info,
        ..Error::new(condition::NOT_FOUND, "no")
    };
    let info = Fields(
        (0..50)
            .map(|at| (Symbol::from_static("key"), Value::Uint(at)))
            .collect(),
    );
    peer.say(&disposition(
        0,
        99,
        true,
        Some(DeliveryState::Rejected(Some(Box::new(error(info))))),
    ));
    let events = peer.events();
    assert_eq!(events.len(), 50);
    let state = DeliveryState::Rejected(Some(Box::new(error(Fields::default()))));
    assert_eq!(events[49], outcome(99, 99, Some(state)));
}

#[test]
fn outcomes_of_a_link_that_ended_are_not_told() {
    let (mut peer, link) = with_credit(10);
    let other = peer.sender("other", HANDLES + 1);
    peer.say(&credit(HANDLES + 1, 0, 10));
    for at in [link, other, link, other] {
        peer.client.send(at, b"x").unwrap();
    }
    peer.client.detach(link, true);
    peer.hear();
    peer.say(&disposition(0, 3, true, Some(DeliveryState::Accepted)));
    let told = |id| outcome(id, id, Some(DeliveryState::Accepted));
    assert_eq!(peer.events(), [told(1), told(3)]);
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
fn a_link_that_sends_settled_waits_for_nothing() {
    let mut peer = Peer::up();
    let spec = weft_amqp_wire::machine::SenderSpec {
        snd_settle_mode: SenderSettleMode::Settled,
        ..sender_spec("l")
    };
    let link = peer.client.attach_sender(&spec).unwrap();
    let attach = peer.attach_heard();
    peer.say(&answer(&attach, HANDLES));
    peer.say(&credit(HANDLES, 0, 500));
    assert_eq!(sends(&mut peer, link, b"x"), 500);
    assert_eq!(peer.client.unsettled(), 0);
    let frames = peer.transfers();
    assert!(frames.iter().all(|(transfer, _)| transfer.settled == Some(true)));
}
