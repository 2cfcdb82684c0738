//! Anything at any moment, with a driver that does what events suggest: no panic, an end or a wait, bounded memory (C33).

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use weft_amqp_wire::frame;
use weft_amqp_wire::machine::{Config, Event, LinkId};
use weft_amqp_wire::performative::*;

use super::laws::support;
use super::script::*;

/// A driver as careless as it may be: it does what events suggest, and now and then does not write.
struct Victim {
    peer: Peer,
    links: Vec<LinkId>,
    attached: usize,
    ended: bool,
    input: BytesMut,
}

impl Victim {
    fn new(peer: Peer) -> Victim {
        Victim {
            peer,
            links: Vec::new(),
            attached: 0,
            ended: false,
            input: BytesMut::new(),
        }
    }

    /// With links of both kinds, a message half come and one half sent.
    fn busy() -> Victim {
        let mut peer = Peer::up();
        let receiver = peer.receiver("r", HANDLES);
        let sender = peer.sender("s", HANDLES + 1);
        peer.client.set_credit(receiver, 5);
        peer.transfer(
            &Transfer {
                more: true,
                ..first(HANDLES, 0)
            },
            b"half",
        );
        peer.say(&credit(HANDLES + 1, 0, 50));
        peer.say(&flow(0, 3));
        peer.client.send(sender, b"whole").unwrap();
        peer.client.send(sender, &[0; 5000]).unwrap();
        peer.client.attach_receiver(&receiver_spec("asked")).unwrap();
        let mut victim = Victim::new(peer);
        victim.links = vec![receiver, sender];
        victim
    }

    fn feed(&mut self, bytes: &[u8], writes: bool) {
        self.input.extend_from_slice(bytes);
        let missing = self.peer.client.missing(&self.input);
        assert!(missing <= 4096);
        self.peer.client.feed(&mut self.input, self.peer.now);
        assert!(self.input.len() <= 4096, "no more than a frame is kept");
        let most = bytes.len() + 20;
        let mut events = 0;
        while let Some(event) = self.peer.client.poll_event() {
            events += 1;
            assert!(!self.ended, "the end is the last event: {event:?}");
            self.happened(event);
        }
        assert!(events <= most, "{events} events of {} bytes", bytes.len());
        assert_eq!(self.peer.client.is_ended(), self.ended);
        self.peer.client.on_time(self.peer.now);
        let len = self.peer.client.output().len();
        if writes || len > 1 << 20 {
            self.peer.client.written(len, self.peer.now);
        }
    }

    fn happened(&mut self, event: Event) {
        let client = &mut self.peer.client;
        match event {
            Event::Opened => {
                self.links.extend(client.attach_receiver(&receiver_spec("r")));
                self.links.extend(client.attach_sender(&sender_spec("s")));
            }
            Event::Attached { link, .. } => {
                client.set_credit(link, 5);
                client.send(link, &[1; 3000]);
            }
            Event::Credit { link } => {
                while client.send(link, &[1; 700]).is_some() {}
                client.set_credit(link, 3);
            }
            Event::Delivery(delivery) => {
                assert!(delivery.payload.len() <= 10_000);
                client.settle(
                    delivery.delivery_id,
                    delivery.delivery_id,
                    DeliveryState::Accepted,
                );
                if client.credit(delivery.link) == 0 {
                    client.set_credit(delivery.link, 4);
                }
            }
            Event::TooLarge {
                link, delivery_id, ..
            } => {
                client.settle(delivery_id, delivery_id, DeliveryState::Released);
                client.detach(link, false);
            }
            Event::Outcome { first, last, .. } => {
                assert!(last.wrapping_sub(first) <= 100);
                for link in &self.links {
                    client.can_send(*link);
                }
            }
            Event::Detached { .. } => {
                self.attached += 1;
                if self.attached < 10 {
                    self.links.extend(client.attach_sender(&sender_spec("s")));
                }
            }
            Event::Ended(_) => self.ended = true,
        }
        assert!(self.peer.client.unsettled() <= 100);
    }
}

/// Where a connection may be when it becomes strange.
fn stages() -> Vec<Victim> {
    let welcome = welcome(&open(), &begin());
    let sasl = mechanisms().len();
    let mut stages = vec![Victim::busy()];
    for upto in [
        0,
        8,
        sasl,
        sasl + 28,
        sasl + 36,
        welcome.len() - 40,
        welcome.len(),
    ] {
        let mut victim = Victim::new(Peer::start(config()));
        victim.feed(&welcome[..upto.min(welcome.len())], true);
        stages.push(victim);
    }
    stages
}

/// Numbers that mean something, or nearly.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => 0..6u32,
        4 => HANDLES - 1..HANDLES + 4,
        1 => select(vec![u32::MAX, u32::MAX - 1, 1 << 31, (1 << 31) - 1, 4095, 4096, NEXT, 1000]),
    ]
}

fn optional() -> impl Strategy<Value = Option<u32>> {
    proptest::option::weighted(0.8, number())
}

prop_compose! {
    fn any_flow()(
        numbers in (optional(), number(), number(), number()),
        link in (optional(), optional(), optional()),
        drain in any::<bool>(),
        echo in any::<bool>(),
    ) -> Vec<u8> {
        written(&Flow {
            next_incoming_id: numbers.0,
            incoming_window: numbers.1,
            next_outgoing_id: numbers.2,
            outgoing_window: numbers.3,
            handle: link.0.map(|handle| if handle < 6 { HANDLES + handle % 3 } else { handle }),
            delivery_count: link.1,
            link_credit: link.2,
            drain,
            echo,
            ..Flow::default()
        })
    }
}

prop_compose! {
    fn any_transfer()(
        handle in prop_oneof![4 => Just(HANDLES), 1 => number()],
        delivery_id in optional(),
        flags in any::<[bool; 4]>(),
        payload in vec(any::<u8>(), 0..200),
    ) -> Vec<u8> {
        let transfer = Transfer {
            delivery_id,
            settled: Some(flags[0]),
            more: flags[1],
            aborted: flags[2] && flags[3],
            ..first(handle, 0)
        };
        let mut bytes = Vec::new();
        frame::write_transfer(&mut bytes, CHANNEL, &transfer, &payload, u32::MAX);
        bytes
    }
}

/// What a peer may well say, in no order.
fn plausible() -> impl Strategy<Value = Vec<u8>> {
    let name = select(vec!["r", "s", "asked", "unknown"]);
    prop_oneof![
        4 => any_flow(),
        4 => any_transfer(),
        3 => (number(), number(), any::<bool>(), support::outcome()).prop_map(|(first, last, settled, state)| {
            written(&disposition(first, last, settled, Some(state)))
        }),
        1 => (name, number(), any::<bool>(), any::<bool>()).prop_map(|(name, handle, sends, terminus)| {
            written(&Attach {
                source: terminus.then(Source::default),
                target: terminus.then(Target::default),
                initial_delivery_count: Some(handle),
                ..Attach::new(name, handle, if sends { Role::Sender } else { Role::Receiver })
            })
        }),
        1 => (number(), any::<bool>()).prop_map(|(handle, closed)| written(&Detach { handle, closed, error: None })),
        1 => support::performative().prop_map(|performative| written(&performative)),
        1 => Just(vec![0, 0, 0, 8, 2, 0, 0, 0]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_phase_are_an_end_or_a_wait(bytes in vec(any::<u8>(), 0..200), framed in any::<bool>()) {
        let mut bytes = bytes;
        if framed {
            let size = u32::try_from(bytes.len() + 8).unwrap().to_be_bytes();
            bytes.splice(..0, size.into_iter().chain([2, 0, 0, 7]));
        }
        for mut victim in stages() {
            victim.feed(&bytes, true);
        }
    }

    #[test]
    fn any_frames_in_any_order_are_an_end_or_a_wait(
        frames in vec((plausible(), any::<bool>()), 0..60),
        stage in 0..8usize,
    ) {
        let mut victim = stages().swap_remove(stage);
        for (frame, writes) in frames {
            victim.feed(&frame, writes);
        }
        victim.peer.client.close();
        while victim.peer.client.poll_event().is_some() {}
    }

    #[test]
    fn a_conversation_with_a_wrong_byte_is_an_end_or_a_wait(
        wrong in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..4),
        chunk in 1..300usize,
    ) {
        let mut bytes = conversation();
        for (at, byte, how) in wrong {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ => _ = bytes.remove(at),
            }
        }
        let mut victim = Victim::new(Peer::start(config()));
        for chunk in bytes.chunks(chunk) {
            victim.feed(chunk, true);
        }
    }

    #[test]
    fn how_bytes_are_cut_changes_nothing(cuts in vec(any::<prop::sample::Index>(), 0..12)) {
        let bytes = conversation();
        let whole = told(&bytes, Vec::new());
        prop_assert_eq!(whole.len(), 1 + 2 + 12 + 12 + 1 + 1);
        prop_assert_eq!(&told(&bytes, cuts.iter().map(|cut| cut.index(bytes.len())).collect()), &whole);
        prop_assert_eq!(&told(&bytes, (0..bytes.len()).collect()), &whole);
    }
}

/// The events of a conversation that comes in parts. It is cut where the peer waits for us, too: once the session is up, links
/// are asked for; once they are attached, credit is given and messages are sent.
fn told(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<Event> {
    let opened = welcome(&open(), &begin()).len();
    let attached = opened + attaches().len();
    cuts.extend([0, opened, attached, bytes.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    let mut peer = Peer::start(Config {
        incoming_window: 10_000,
        ..config()
    });
    let mut links = Vec::new();
    let mut told = Vec::new();
    let mut input = BytesMut::new();
    for cut in cuts.windows(2) {
        input.extend_from_slice(&bytes[cut[0]..cut[1]]);
        peer.client.feed(&mut input, peer.now);
        told.extend(peer.events());
        if cut[1] == opened {
            links.extend(peer.client.attach_receiver(&receiver_spec("r")));
            links.extend(peer.client.attach_sender(&sender_spec("s")));
        }
        if cut[1] == attached {
            peer.client.set_credit(links[0], 100);
            (0..12).for_each(|_| _ = peer.client.send(links[1], b"x"));
        }
    }
    told
}

fn attaches() -> Vec<u8> {
    let attach = |name: &str, handle, role| {
        written(&Attach {
            source: Some(Source::default()),
            target: Some(Target::default()),
            initial_delivery_count: (role == Role::Sender).then_some(0),
            ..Attach::new(name, handle, role)
        })
    };
    let sender = attach("s", HANDLES + 1, Role::Receiver);
    [
        attach("r", HANDLES, Role::Sender),
        sender,
        written(&credit(HANDLES + 1, 0, 12)),
    ]
    .concat()
}

/// All that a peer says in a connection that goes well.
fn conversation() -> Vec<u8> {
    let mut bytes = [welcome(&open(), &begin()), attaches()].concat();
    for id in 0..12 {
        let transfer = Transfer {
            aborted: id % 5 == 4,
            ..first(HANDLES, id)
        };
        frame::write_transfer(&mut bytes, CHANNEL, &transfer, &[7; 100], 400);
        bytes.extend(written(&disposition(
            id,
            id,
            id % 2 == 0,
            Some(DeliveryState::Accepted),
        )));
        bytes.extend([0, 0, 0, 8, 2, 0, 0, 0]);
    }
    bytes.extend(written(&Detach {
        handle: HANDLES,
        closed: true,
        error: None,
    }));
    bytes.extend(written(&Close::default()));
    bytes
}
