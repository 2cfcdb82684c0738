//! Credit that we give: what uses it, and what goes wrong with it.

use bytes::Bytes;
use weft_amqp_wire::condition;
use weft_amqp_wire::machine::{Delivery, Event, LinkId};
use weft_amqp_wire::performative::*;

use super::script::*;

fn with_credit(credit: u32) -> (Peer, LinkId) {
    let mut peer = Peer::up();
    let link = peer.receiver("l", HANDLES);
    peer.client.set_credit(link, credit);
    peer.hear();
    (peer, link)
}

fn part(id: u32, more: bool) -> Transfer {
    Transfer {
        more,
        ..first(HANDLES, id)
    }
}

fn delivery(link: LinkId, id: u32, payload: &[u8]) -> Event {
    Event::Delivery(Delivery {
        link,
        delivery_id: id,
        tag: Bytes::copy_from_slice(&id.to_be_bytes()),
        settled: false,
        message_format: 0,
        payload: Bytes::copy_from_slice(payload),
    })
}

#[test]
fn credit_that_is_lowered_may_have_been_used_already() {
    let (mut peer, link) = with_credit(3);
    peer.client.set_credit(link, 0);
    for id in 0..3 {
        peer.transfer(&part(id, false), b"x");
    }
    assert_eq!((peer.events().len(), peer.client.credit(link)), (3, 0));
    peer.client.set_credit(link, 1);
    let said = peer.hear();
    let Some(Performative::Flow(flow)) = said.last() else {
        panic!("{said:?}")
    };
    assert_eq!((flow.delivery_count, flow.link_credit), (Some(3), Some(1)));
    peer.transfer(&part(3, false), b"x");
    assert_eq!(peer.events().len(), 1);
    peer.transfer(&part(4, false), b"x");
    assert_eq!(peer.violated(), condition::TRANSFER_LIMIT_EXCEEDED);
}

#[test]
fn any_credit_can_be_given() {
    let (mut peer, link) = with_credit(u32::MAX);
    peer.transfer(&part(0, false), b"x");
    assert_eq!(peer.events(), [delivery(link, 0, b"x")]);
}

#[test]
fn a_held_window_runs_down_and_opens_at_once_when_let_go() {
    let (mut peer, link) = with_credit(100);
    peer.client.hold(true);
    for id in 0..8 {
        peer.transfer(&part(id, false), b"x");
    }
    assert_eq!(peer.hear(), []);
    // Credit is given with the window as it is.
    peer.client.set_credit(link, 50);
    let said = peer.hear();
    assert!(
        matches!(said.as_slice(), [Performative::Flow(flow)] if flow.incoming_window == 0),
        "{said:?}"
    );
    peer.client.hold(false);
    let said = peer.hear();
    assert!(
        matches!(said.as_slice(), [Performative::Flow(flow)] if flow.incoming_window == 8),
        "{said:?}"
    );
    peer.client.hold(true);
    (8..16).for_each(|id| peer.transfer(&part(id, false), b"x"));
    peer.transfer(&part(16, false), b"x");
    assert_eq!(peer.violated(), condition::WINDOW_VIOLATION);
}

#[test]
fn parts_are_put_together_while_other_links_go_on() {
    let (mut peer, link) = with_credit(5);
    let other = peer.receiver("other", HANDLES + 1);
    peer.client.set_credit(other, 5);
    peer.transfer(&part(0, true), b"one ");
    peer.transfer(&first(HANDLES + 1, 1), b"whole");
    // The id may be said again, or not.
    peer.transfer(&part(0, true), b"two ");
    let last = Transfer {
        handle: HANDLES,
        ..Transfer::default()
    };
    peer.transfer(&last, b"three");
    assert_eq!(
        peer.events(),
        [delivery(other, 1, b"whole"), delivery(link, 0, b"one two three")]
    );
    assert_eq!(peer.client.credit(link), 4);
}

#[test]
fn a_delivery_that_is_taken_back_uses_credit_and_says_so() {
    let (mut peer, link) = with_credit(2);
    peer.transfer(&part(0, true), b"half");
    let aborted = |id| Transfer {
        aborted: true,
        ..part(id, false)
    };
    peer.transfer(&aborted(0), b"");
    peer.transfer(&aborted(1), b"");
    assert_eq!(peer.events(), [Event::Credit { link }, Event::Credit { link }]);
    assert_eq!(peer.client.credit(link), 0);
    peer.client.set_credit(link, 1);
    peer.transfer(&part(2, false), b"whole");
    assert_eq!(peer.events(), [delivery(link, 2, b"whole")]);
}

#[test]
fn credit_that_the_peer_gives_back_is_told_and_no_more_than_it_had() {
    let (mut peer, link) = with_credit(3);
    peer.say(&credit(HANDLES, 2, 1));
    assert_eq!(
        (peer.events(), peer.client.credit(link)),
        (vec![Event::Credit { link }], 1)
    );
    peer.say(&credit(HANDLES, 2, 1));
    peer.say(&credit(HANDLES, 0, 1));
    assert_eq!(peer.events(), []);
    peer.say(&credit(HANDLES, 1000, 0));
    assert_eq!(
        (peer.events(), peer.client.credit(link)),
        (vec![Event::Credit { link }], 0)
    );
    peer.client.set_credit(link, 1);
    peer.transfer(&part(0, false), b"x");
    assert_eq!(peer.events(), [delivery(link, 0, b"x")]);
}

#[test]
fn numbers_of_deliveries_rise_and_go_round() {
    let (mut peer, _) = with_credit(8);
    for id in [u32::MAX - 1, u32::MAX, 0, 5] {
        peer.transfer(&part(id, false), b"x");
    }
    assert_eq!(peer.events().len(), 4);
    peer.transfer(&part(5, false), b"x");
    assert_eq!(peer.violated(), condition::INVALID_FIELD);
    for (transfers, expected) in [
        (
            vec![Transfer {
                delivery_id: None,
                ..part(0, false)
            }],
            condition::INVALID_FIELD,
        ),
        (vec![part(0, true), part(1, false)], condition::NOT_ALLOWED),
        (vec![part(7, false), part(6, false)], condition::INVALID_FIELD),
    ] {
        let (mut peer, _) = with_credit(8);
        transfers
            .iter()
            .for_each(|transfer| peer.transfer(transfer, b"x"));
        assert_eq!(peer.violated(), expected);
    }
}
