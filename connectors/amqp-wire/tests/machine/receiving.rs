//! Messages that come: credit, windows, parts, settlements.

use bytes::Bytes;
use weft_amqp_wire::condition;
use weft_amqp_wire::machine::{Delivery, Event, LinkId};
use weft_amqp_wire::performative::*;

use super::peer::*;

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
fn as_many_deliveries_come_as_there_is_credit_and_no_more() {
    let (mut peer, link) = with_credit(3);
    for id in 0..3 {
        peer.transfer(&part(id, false), b"x");
        assert_eq!(peer.events(), [delivery(link, id, b"x")]);
        assert_eq!(peer.client.credit(link), 2 - id);
    }
    peer.transfer(&part(3, false), b"x");
    assert_eq!(peer.violated(), condition::TRANSFER_LIMIT_EXCEEDED);
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
fn the_window_is_opened_again_at_its_half_and_never_exceeded() {
    let (mut peer, _) = with_credit(100);
    for id in 0..4 {
        assert_eq!(peer.hear(), [], "before delivery {id}");
        peer.transfer(&part(id, false), b"x");
    }
    let said = peer.hear();
    let [Performative::Flow(flow)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(
        (flow.next_incoming_id, flow.incoming_window),
        (Some(NEXT.wrapping_add(4)), 8)
    );
    // Eight frames at once are what there is room for; nine are not.
    let frames: Vec<u8> = (4..13).flat_map(|id| written(&part(id, false))).collect();
    let eight = frames.len() / 9 * 8;
    peer.bytes(&frames[..eight]);
    assert_eq!(peer.events().len(), 12);
    let ninth = &frames[eight..];
    peer.bytes(&[ninth.repeat(1), Vec::new()].concat());
    assert_eq!(peer.events().len(), 1, "the window was opened after the eighth");
    let (mut peer, _) = with_credit(100);
    peer.bytes(
        &(0..9)
            .flat_map(|id| written(&part(id, false)))
            .collect::<Vec<u8>>(),
    );
    assert_eq!(peer.violated(), condition::WINDOW_VIOLATION);
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
fn a_delivery_may_settle_with_its_last_part() {
    let (mut peer, _) = with_credit(5);
    peer.transfer(&part(0, true), b"x");
    let last = Transfer {
        settled: Some(true),
        ..part(0, false)
    };
    peer.transfer(&last, b"");
    assert!(matches!(peer.events().as_slice(), [Event::Delivery(delivery)] if delivery.settled));
}

#[test]
fn a_message_that_is_too_large_waits_for_its_settlement_without_its_bytes() {
    let (mut peer, link) = with_credit(5);
    let too_large = |delivery_id, bytes| Event::TooLarge {
        link,
        delivery_id,
        settled: false,
        bytes,
    };
    for at in 0..4 {
        peer.transfer(&part(0, at < 3), &[0; 3000]);
    }
    assert_eq!(peer.events(), [too_large(0, 12_000)]);
    // As large as it may be.
    for at in 0..4 {
        peer.transfer(&part(1, at < 3), &[0; 2500]);
    }
    assert!(
        matches!(peer.events().as_slice(), [Event::Delivery(delivery)] if delivery.payload.len() == 10_000)
    );
    let small = weft_amqp_wire::machine::Config {
        max_message_size: 4,
        ..config()
    };
    let mut peer = Peer::with(small, &open(), &begin());
    let link = peer.receiver("l", HANDLES);
    peer.client.set_credit(link, 2);
    peer.transfer(&part(0, false), b"12345");
    peer.transfer(&part(1, false), b"1234");
    assert!(matches!(
        peer.events().as_slice(),
        [Event::TooLarge { bytes: 5, .. }, Event::Delivery(_)]
    ));
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

#[test]
fn settlements_are_one_frame_a_range() {
    let (mut peer, _) = with_credit(8);
    (0..5).for_each(|id| peer.transfer(&part(id, false), b"x"));
    assert_eq!((peer.events().len(), peer.hear().len()), (5, 1));
    peer.client.settle(1, 3, DeliveryState::Released);
    peer.client.settle(4, 4, DeliveryState::Accepted);
    let settled = |first, last, state| {
        Performative::Disposition(Disposition {
            batchable: true,
            ..disposition(first, last, true, Some(state))
        })
    };
    assert_eq!(
        peer.hear(),
        [
            settled(1, 3, DeliveryState::Released),
            settled(4, 4, DeliveryState::Accepted)
        ]
    );
    // The sender's word on what we have settled is no news.
    peer.say(&Disposition {
        role: Role::Sender,
        ..disposition(0, 4, true, None)
    });
    assert_eq!((peer.events(), peer.hear()), (vec![], vec![]));
}

#[test]
fn an_echo_is_answered_with_the_state_of_the_link() {
    let (mut peer, _) = with_credit(5);
    peer.transfer(&part(0, false), b"x");
    peer.say(&Flow {
        echo: true,
        link_credit: None,
        delivery_count: None,
        ..credit(HANDLES, 0, 0)
    });
    let said = peer.hear();
    let [Performative::Flow(flow)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(
        (flow.handle, flow.delivery_count, flow.link_credit),
        (Some(0), Some(1), Some(4))
    );
    assert!(!flow.echo, "no ping-pong");
}
