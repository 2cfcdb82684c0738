//! Attach and detach: names, handles, refusals, crossing frames.

use weft_amqp_wire::condition;
use weft_amqp_wire::machine::Event;
use weft_amqp_wire::performative::*;

use super::script::*;

fn detach(handle: u32) -> Detach {
    Detach {
        handle,
        closed: true,
        error: None,
    }
}

#[test]
fn a_refused_link_is_told_once_with_the_reason() {
    for sends in [false, true] {
        let mut peer = Peer::up();
        let link = match sends {
            true => peer.client.attach_sender(&sender_spec("l")),
            false => peer.client.attach_receiver(&receiver_spec("l")),
        };
        let link = link.unwrap();
        let attach = peer.attach_heard();
        let refusal = Attach {
            source: if sends { attach.source.clone() } else { None },
            target: if sends { None } else { attach.target.clone() },
            ..answer(&attach, HANDLES)
        };
        peer.say(&refusal);
        assert_eq!(peer.events(), []);
        assert!(!peer.client.can_send(link));
        let error = Some(Box::new(Error::new(condition::NOT_FOUND, "no such queue")));
        peer.say(&Detach {
            error: error.clone(),
            ..detach(HANDLES)
        });
        let refused = true;
        assert_eq!(peer.events(), [Event::Detached { link, refused, error }]);
        assert!(
            matches!(peer.hear().as_slice(), [Performative::Detach(ours)] if ours.handle == attach.handle && ours.closed)
        );
    }
}

#[test]
fn a_refusal_that_never_ends_can_be_given_up() {
    let mut peer = Peer::up();
    let link = peer.client.attach_receiver(&receiver_spec("l")).unwrap();
    let attach = peer.attach_heard();
    peer.say(&Attach {
        source: None,
        ..answer(&attach, HANDLES)
    });
    peer.client.detach(link, true);
    assert!(matches!(peer.hear().as_slice(), [Performative::Detach(_)]));
    peer.say(&detach(HANDLES));
    assert_eq!((peer.events(), peer.hear()), (vec![], vec![]));
}

#[test]
fn a_detach_of_the_peer_is_answered_in_kind() {
    for closed in [true, false] {
        let mut peer = Peer::up();
        let link = peer.receiver("l", HANDLES);
        peer.say(&Detach {
            closed,
            ..detach(HANDLES)
        });
        let (refused, error) = (false, None);
        assert_eq!(peer.events(), [Event::Detached { link, refused, error }]);
        assert!(matches!(peer.hear().as_slice(), [Performative::Detach(ours)] if ours.closed == closed));
        // An old id finds nothing.
        peer.client.set_credit(link, 5);
        peer.client.detach(link, true);
        assert_eq!(peer.hear(), []);
    }
}

#[test]
fn nothing_is_told_of_a_link_that_we_detached() {
    let mut peer = Peer::up();
    let receiver = peer.receiver("r", HANDLES);
    let sender = peer.sender("s", HANDLES + 1);
    peer.client.set_credit(receiver, 5);
    assert!(!peer.client.can_send(sender));
    peer.hear();
    // One waits to be taken, and goes with the link.
    peer.transfer(&first(HANDLES, 0), b"taken back");
    peer.client.detach(receiver, false);
    peer.client.detach(sender, true);
    peer.client.detach(sender, true);
    assert_eq!(peer.hear().len(), 2);
    // What crosses the detach on its way.
    peer.transfer(&first(HANDLES, 1), b"whole");
    let part = Transfer {
        more: true,
        ..first(HANDLES, 2)
    };
    peer.transfer(&part, b"half");
    let echo = |handle, count| Flow {
        echo: true,
        ..credit(handle, count, 7)
    };
    peer.say(&echo(HANDLES, 3));
    peer.say(&echo(HANDLES + 1, 0));
    assert_eq!(peer.events(), []);
    for said in peer.hear() {
        assert!(
            matches!(&said, Performative::Flow(flow) if flow.handle.is_none()),
            "{said:?}"
        );
    }
    peer.say(&detach(HANDLES));
    peer.say(&detach(HANDLES + 1));
    assert_eq!((peer.events(), peer.hear()), (vec![], vec![]));
    // The peer goes on counting deliveries on other links.
    let next = peer.receiver("r", HANDLES);
    peer.client.set_credit(next, 1);
    peer.transfer(&first(HANDLES, 3), b"x");
    assert_eq!(peer.events().len(), 1);
}

#[test]
fn detaches_that_cross_end_the_link_once() {
    let mut peer = Peer::up();
    let link = peer.receiver("l", HANDLES);
    peer.client.detach(link, true);
    peer.say(&detach(HANDLES));
    assert_eq!(peer.hear().len(), 1, "ours is the answer");
    assert_eq!(peer.events(), []);
    peer.say(&detach(HANDLES));
    assert_eq!(peer.violated(), condition::UNATTACHED_HANDLE);
}

#[test]
fn a_handle_is_used_again_once_both_sides_have_detached() {
    let mut peer = Peer::up();
    let first = peer.receiver("a", HANDLES);
    peer.client.detach(first, true);
    peer.hear();
    peer.client.attach_receiver(&receiver_spec("b")).unwrap();
    assert_eq!(peer.attach_heard().handle, 1);
    peer.say(&detach(HANDLES));
    let third = peer.client.attach_receiver(&receiver_spec("c")).unwrap();
    assert_eq!(peer.attach_heard().handle, 0);
    assert_ne!(first, third);
}

#[test]
fn a_name_given_up_and_used_again_is_answered_in_order() {
    let mut peer = Peer::up();
    let low = peer.receiver("low", HANDLES);
    let old = peer.client.attach_receiver(&receiver_spec("name")).unwrap();
    let old_attach = peer.attach_heard();
    // The lower handle becomes free before the name is used again.
    peer.client.detach(low, true);
    peer.say(&detach(HANDLES));
    peer.client.detach(old, true);
    let new = peer.client.attach_receiver(&receiver_spec("name")).unwrap();
    peer.hear();
    peer.say(&answer(&old_attach, HANDLES));
    peer.say(&detach(HANDLES));
    assert_eq!(peer.events(), []);
    peer.say(&answer(&old_attach, HANDLES));
    let (link, max_message_size) = (new, None);
    assert_eq!(
        peer.events(),
        [Event::Attached {
            link,
            max_message_size
        }]
    );
}

#[test]
fn both_ends_may_have_links_of_one_name() {
    let mut peer = Peer::up();
    let sender = peer.client.attach_sender(&sender_spec("name")).unwrap();
    let sender_attach = peer.attach_heard();
    let receiver = peer.client.attach_receiver(&receiver_spec("name")).unwrap();
    let receiver_attach = peer.attach_heard();
    peer.say(&answer(&receiver_attach, HANDLES));
    peer.say(&answer(&sender_attach, HANDLES + 1));
    let attached: Vec<_> = peer.events();
    let is = |event: &Event, id| matches!(event, Event::Attached { link, .. } if *link == id);
    assert!(
        is(&attached[0], receiver) && is(&attached[1], sender),
        "{attached:?}"
    );
}

#[test]
fn the_largest_message_is_told_and_zero_is_none() {
    for (said, told) in [(None, None), (Some(0), None), (Some(1000), Some(1000))] {
        let mut peer = Peer::up();
        let link = peer.client.attach_sender(&sender_spec("l")).unwrap();
        let attach = peer.attach_heard();
        peer.say(&Attach {
            max_message_size: said,
            ..answer(&attach, HANDLES)
        });
        let max_message_size = told;
        assert_eq!(
            peer.events(),
            [Event::Attached {
                link,
                max_message_size
            }]
        );
    }
}

#[test]
fn a_peer_that_confuses_its_links_is_disconnected() {
    let attach = |name: &str, handle| Attach {
        source: Some(Source::default()),
        target: Some(Target::default()),
        initial_delivery_count: Some(0),
        ..Attach::new(name, handle, Role::Sender)
    };
    let cases = [
        (written(&attach("unknown", 9)), condition::NOT_ALLOWED),
        (written(&attach("up", 9)), condition::NOT_ALLOWED),
        (written(&attach("asked", HANDLES)), condition::HANDLE_IN_USE),
        (written(&detach(9)), condition::UNATTACHED_HANDLE),
        (written(&detach(u32::MAX)), condition::UNATTACHED_HANDLE),
        (written(&credit(9, 0, 1)), condition::UNATTACHED_HANDLE),
        (written(&first(9, 0)), condition::UNATTACHED_HANDLE),
        (written(&first(HANDLES + 1, 0)), condition::NOT_ALLOWED),
        (written(&first(HANDLES, 0)), condition::TRANSFER_LIMIT_EXCEEDED),
    ];
    for (bytes, expected) in cases {
        let mut peer = Peer::up();
        peer.receiver("up", HANDLES);
        peer.sender("sender", HANDLES + 1);
        peer.client.attach_receiver(&receiver_spec("asked")).unwrap();
        peer.hear();
        peer.bytes(&bytes);
        assert_eq!(peer.violated(), expected);
    }
}

#[test]
fn the_peers_highest_handle_is_kept() {
    let begin = Begin {
        handle_max: 1,
        ..begin()
    };
    let mut peer = Peer::with(config(), &open(), &begin);
    let first = peer.sender("a", HANDLES);
    peer.sender("b", HANDLES + 1);
    assert!(peer.client.attach_sender(&sender_spec("c")).is_none());
    assert!(peer.client.attach_sender(&sender_spec("c")).is_none());
    peer.client.detach(first, true);
    peer.say(&detach(HANDLES));
    peer.hear();
    peer.sender("c", HANDLES);
    assert!(peer.client.attach_sender(&sender_spec("d")).is_none());
}

#[test]
fn as_many_links_as_there_can_be_are_served_in_any_order() {
    const LINKS: u32 = 4096;
    let mut peer = Peer::up();
    let mut links = Vec::new();
    for at in 0..LINKS {
        links.push(
            peer.client
                .attach_receiver(&receiver_spec(&at.to_string()))
                .unwrap(),
        );
    }
    assert!(peer.client.attach_receiver(&receiver_spec("more")).is_none());
    // The peer's own handles run the other way.
    for said in peer.hear() {
        let Performative::Attach(attach) = said else {
            panic!("{said:?}")
        };
        peer.say(&answer(&attach, LINKS - 1 - attach.handle));
    }
    assert_eq!(peer.events().len(), LINKS as usize);
    for (at, link) in (0..).zip(&links) {
        peer.client.set_credit(*link, 1);
        peer.transfer(&first(LINKS - 1 - at, at), b"x");
        assert!(matches!(peer.events().as_slice(), [Event::Delivery(delivery)] if delivery.link == *link));
    }
}
