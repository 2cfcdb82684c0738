//! Drains that we ask for, and what the peer says of itself and of a source.

use weft_amqp_wire::condition;
use weft_amqp_wire::machine::{Event, LinkId};
use weft_amqp_wire::performative::*;
use weft_amqp_wire::value::{Fields, Symbol};

use super::script::*;

fn with_link() -> (Peer, LinkId) {
    let mut peer = Peer::up();
    let link = peer.receiver("l", HANDLES);
    peer.hear();
    (peer, link)
}

fn flow_of(peer: &mut Peer) -> Flow {
    match peer.hear().pop() {
        Some(Performative::Flow(flow)) => flow,
        other => panic!("{other:?}"),
    }
}

fn part(id: u32, more: bool) -> Transfer {
    Transfer {
        more,
        ..first(HANDLES, id)
    }
}

#[test]
fn a_drain_is_over_when_what_is_not_used_was_given_back() {
    let (mut peer, link) = with_link();
    peer.client.drain(link, 5);
    let flow = flow_of(&mut peer);
    assert_eq!(
        (flow.delivery_count, flow.link_credit, flow.drain),
        (Some(0), Some(5), true)
    );
    peer.transfer(&part(0, false), b"x");
    assert_eq!((peer.events().len(), peer.client.credit(link)), (1, 4));
    // Asked in between, we say the same.
    peer.say(&Flow {
        echo: true,
        ..credit(HANDLES, 1, 4)
    });
    let flow = flow_of(&mut peer);
    assert_eq!((flow.link_credit, flow.drain), (Some(4), true));
    peer.say(&credit(HANDLES, 5, 0));
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert_eq!(
        (peer.client.credit(link), peer.client.is_half_way(link)),
        (0, false)
    );
    peer.client.set_credit(link, 1);
    let flow = flow_of(&mut peer);
    assert_eq!(
        (flow.delivery_count, flow.link_credit, flow.drain),
        (Some(5), Some(1), false)
    );
}

#[test]
fn more_than_what_was_drained_for_ends_the_connection() {
    let (mut peer, link) = with_link();
    peer.client.drain(link, 1);
    peer.transfer(&part(0, false), b"x");
    peer.transfer(&part(1, false), b"x");
    assert_eq!(peer.violated(), condition::TRANSFER_LIMIT_EXCEEDED);
    let (mut peer, link) = with_link();
    peer.client.drain(link, 3);
    peer.say(&credit(HANDLES, 3, 0));
    peer.client.drain(link, 1);
    peer.transfer(&part(0, false), b"x");
    peer.transfer(&part(1, false), b"x");
    assert_eq!(peer.violated(), condition::TRANSFER_LIMIT_EXCEEDED);
}

#[test]
fn a_message_whose_credit_was_taken_back_goes_on_and_counts_are_one_again() {
    let (mut peer, link) = with_link();
    peer.client.drain(link, 5);
    peer.transfer(&part(0, true), b"half ");
    peer.say(&credit(HANDLES, 5, 0));
    assert_eq!(peer.events(), [Event::Credit { link }]);
    assert!(peer.client.is_half_way(link));
    peer.hear();
    peer.client.go_on(link);
    let flow = flow_of(&mut peer);
    // The peer counts the message when it ends.
    assert_eq!(
        (flow.delivery_count, flow.link_credit, flow.drain),
        (Some(5), Some(1), false)
    );
    peer.transfer(&part(0, false), b"whole");
    assert_eq!(peer.events().len(), 1);
    assert_eq!(
        (peer.client.credit(link), peer.client.is_half_way(link)),
        (0, false)
    );
    peer.client.drain(link, 2);
    assert_eq!(flow_of(&mut peer).delivery_count, Some(6));
    peer.transfer(&part(1, false), b"x");
    peer.transfer(&part(2, false), b"x");
    assert_eq!((peer.events().len(), peer.client.credit(link)), (2, 0));
    // Without a message half way, or with credit, there is nothing to go on with.
    peer.hear();
    peer.client.go_on(link);
    assert_eq!(peer.hear(), []);
}

#[test]
fn a_peer_that_counts_as_it_should_may_use_what_a_message_was_given_to_go_on() {
    let (mut peer, link) = with_link();
    peer.client.drain(link, 2);
    peer.transfer(&part(0, true), b"half ");
    peer.say(&credit(HANDLES, 2, 0));
    peer.client.go_on(link);
    peer.transfer(&part(0, false), b"whole");
    peer.transfer(&part(1, false), b"x");
    assert_eq!(peer.events().len(), 3);
    peer.client.drain(link, 1);
    peer.transfer(&part(2, false), b"x");
    assert_eq!(peer.events().len(), 1);
}

#[test]
fn what_the_peer_says_of_itself_and_of_the_source_can_be_asked() {
    let mut open = open();
    open.properties = Fields::default().with("product", "other");
    let mut peer = Peer::with(config(), &open, &begin());
    let product = peer.client.peer().get("product").and_then(|value| value.as_str());
    assert_eq!(product, Some("other"));
    let plain = peer.receiver("plain", HANDLES);
    assert_eq!(peer.client.distribution(plain), None);
    assert!(!peer.client.sends_settled(plain));
    let mut spec = receiver_spec("copy");
    spec.source.distribution_mode = Some(Symbol::from_static(distribution::COPY));
    let link = peer.client.attach_receiver(&spec).unwrap();
    assert_eq!(peer.client.distribution(link), None, "it is not attached");
    let Some(Performative::Attach(asked)) = peer.hear().pop() else {
        panic!("no attach")
    };
    let mut answer = Attach::new(asked.name.clone(), HANDLES + 1, Role::Sender);
    answer.source = asked.source.clone();
    answer.snd_settle_mode = SenderSettleMode::Settled;
    answer.initial_delivery_count = Some(0);
    peer.say(&answer);
    assert_eq!(
        peer.client.distribution(link).map(Symbol::as_str),
        Some(distribution::COPY)
    );
    assert!(peer.client.sends_settled(link));
}
