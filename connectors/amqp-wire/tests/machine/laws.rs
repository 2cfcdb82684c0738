//! Laws that hold whatever happens: for any bytes, for any frames in any order, for any pace of a peer that plays fair.

#[path = "../support/mod.rs"]
pub(crate) mod support;

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use weft_amqp_wire::frame::{self, ProtocolHeader};
use weft_amqp_wire::login::Mechanism;
use weft_amqp_wire::machine::{Config, Event, LinkId};
use weft_amqp_wire::performative::*;

use super::peer::*;

/// A connection after so many steps of its handshake, with links in the last.
fn after(steps: usize, mechanism: Mechanism) -> Peer {
    let mut peer = Peer::new(Config {
        login: login(Some(mechanism), "user", "pencil"),
        ..config()
    });
    let say: [&dyn Fn(&mut Peer); 6] = [
        &|peer| peer.bytes(&ProtocolHeader::SASL.to_bytes()),
        &|peer| peer.say_sasl(&mechanisms(&["PLAIN", "SCRAM-SHA-256"])),
        &|peer| peer.say_sasl(&super::peer::outcome(weft_amqp_wire::sasl::Code::Ok)),
        &|peer| peer.bytes(&ProtocolHeader::AMQP.to_bytes()),
        &|peer| peer.say(&open()),
        &|peer| peer.say(&begin()),
    ];
    say.iter().take(steps).for_each(|say| say(&mut peer));
    peer.events();
    peer.skip();
    if steps == 7 {
        peer.receiver("r", 5);
        let sender = peer.sender("s", 5);
        peer.client.send(sender, b"x");
    }
    peer
}

/// Bytes in frames, or as they are.
fn junk() -> BoxedStrategy<Vec<u8>> {
    let framed = (0..3u8, any::<u16>(), vec(any::<u8>(), 0..60)).prop_map(|(kind, channel, body)| {
        let mut frame = u32::try_from(body.len() + 8).unwrap().to_be_bytes().to_vec();
        frame.extend([2, kind % 2]);
        frame.extend(channel.to_be_bytes());
        frame.extend(body);
        frame
    });
    prop_oneof![vec(any::<u8>(), 0..60), framed].boxed()
}

/// Any performative, about links and deliveries that there are, mostly.
fn frame() -> BoxedStrategy<Performative> {
    let handle = || prop_oneof![4 => 99..103u32, 1 => any::<u32>()];
    let id = || prop_oneof![4 => 0..8u32, 1 => any::<u32>()];
    (support::performative(), handle(), id(), id())
        .prop_map(|(mut performative, handle, id, last)| {
            match &mut performative {
                Performative::Attach(attach) => attach.handle = handle,
                Performative::Flow(flow) => flow.handle = flow.handle.map(|_| handle),
                Performative::Transfer(transfer) => {
                    transfer.handle = handle;
                    transfer.delivery_id = transfer.delivery_id.map(|_| id);
                }
                Performative::Disposition(disposition) => {
                    disposition.first = id;
                    disposition.last = disposition.last.map(|_| last);
                }
                Performative::Detach(detach) => detach.handle = handle,
                _ => {}
            }
            performative
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_any_time_are_an_error_or_nothing(
        steps in 0..8usize,
        scram in any::<bool>(),
        pieces in vec(junk(), 0..8),
    ) {
        let mechanism = if scram { Mechanism::ScramSha256 } else { Mechanism::Plain };
        // SCRAM has no success without a proof.
        let steps = if scram { steps.min(2) } else { steps };
        let mut peer = after(steps, mechanism);
        for piece in pieces {
            peer.bytes(&piece);
            prop_assert!(peer.client.output().len() < 4096);
        }
        let events = peer.events();
        let end = events.iter().position(|event| matches!(event, Event::Ended(_)));
        prop_assert_eq!(end.is_some(), peer.client.is_ended());
        prop_assert!(end.is_none_or(|end| end == events.len() - 1), "{:?}", events);
    }

    #[test]
    fn any_frames_in_any_order_break_no_promise(frames in vec((frame(), vec(any::<u8>(), 0..9)), 0..12)) {
        let mut peer = Peer::up();
        let receiver = peer.receiver("r", 5);
        let sender = peer.sender("s", 5);
        let mut deliveries = 0;
        let mut open: HashSet<u32> = HashSet::new();
        for (performative, payload) in frames {
            open.extend(peer.client.send(sender, b"x"));
            match performative {
                Performative::Transfer(transfer) => peer.transfer(&transfer, &payload),
                other => peer.say(&other),
            }
            for event in peer.events() {
                match event {
                    Event::Delivery(delivery) => {
                        prop_assert_eq!(delivery.link, receiver);
                        deliveries += 1;
                    }
                    Event::Outcome { first, last, .. } => {
                        prop_assert!(last >= first && last - first < 12);
                        for id in first..=last {
                            prop_assert!(open.remove(&id), "an outcome of {} again", id);
                        }
                    }
                    Event::Detached { link, .. } if link == sender => open.clear(),
                    _ => {}
                }
            }
            if !peer.client.is_ended() {
                prop_assert_eq!(peer.client.unsettled() as usize, open.len());
            }
        }
        prop_assert!(deliveries <= 5);
    }

    #[test]
    fn a_fair_peer_at_any_pace_is_served_in_full(steps in vec(step(), 1..80)) {
        let mut fair = Fair::new();
        for step in steps {
            fair.step(step)?;
        }
        fair.finish()?;
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The driver sends by a link.
    Send(usize, usize),
    /// The driver gives credit.
    Credit(usize, u32),
    /// The driver holds the window.
    Hold(bool),
    /// The peer reads what the client wrote.
    Read,
    /// The peer gives credit.
    Grant(usize, u32),
    /// The peer opens its window.
    Window(u32),
    /// The peer settles some of what it has.
    Settle(u32, u32, bool),
    /// The peer sends a message in so many parts, as far as it may.
    Deliver(usize, u32),
}

fn step() -> BoxedStrategy<Step> {
    prop_oneof![
        4 => (0..2usize, prop_oneof![0..20usize, 400..1600usize]).prop_map(|(link, bytes)| Step::Send(link, bytes)),
        2 => (0..2usize, 0..6u32).prop_map(|(link, credit)| Step::Credit(link, credit)),
        1 => any::<bool>().prop_map(Step::Hold),
        4 => Just(Step::Read),
        2 => (0..2usize, 0..6u32).prop_map(|(link, credit)| Step::Grant(link, credit)),
        2 => (0..6u32).prop_map(Step::Window),
        2 => (0..20u32, 0..6u32, any::<bool>()).prop_map(|(first, more, settled)| Step::Settle(first, more, settled)),
        4 => (0..2usize, 1..4u32).prop_map(|(link, parts)| Step::Deliver(link, parts)),
    ]
    .boxed()
}

/// A peer that keeps to what it has read, and the books of both sides.
struct Fair {
    peer: Peer,
    senders: [LinkId; 2],
    receivers: [LinkId; 2],
    /// What the driver sent by a link and the peer has not read in full, and what of the first it has.
    sent: [VecDeque<Vec<u8>>; 2],
    parts: [Vec<u8>; 2],
    /// Deliveries and frames that the peer read, and the most that it allowed.
    read: [u32; 2],
    granted: [u32; 2],
    frames: u32,
    window: u32,
    /// Deliveries without an outcome, as the driver knows; the next one.
    open: HashSet<u32>,
    next: u32,
    /// What the peer may send, as it has read: transfer-ids, and delivery-counts of each link.
    next_transfer: u32,
    transfers: u32,
    counts: [u32; 2],
    limits: [u32; 2],
    next_delivery: u32,
    expected: VecDeque<(LinkId, u32, Vec<u8>)>,
}

impl Fair {
    fn new() -> Fair {
        let narrow = Begin {
            incoming_window: 3,
            ..begin()
        };
        let mut peer = Peer::up_as(config(), &open(), &narrow);
        let senders = ["a", "b"].map(|name| {
            let link = peer.client.attach_sender(&sender_spec(name)).unwrap();
            peer.attaches(link);
            link
        });
        let receivers = ["c", "d"].map(|name| peer.receiver(name, 0));
        Fair {
            peer,
            senders,
            receivers,
            sent: Default::default(),
            parts: Default::default(),
            read: [0; 2],
            granted: [0; 2],
            frames: 0,
            window: 3,
            open: HashSet::new(),
            next: 0,
            next_transfer: u32::MAX - 2,
            transfers: 8,
            counts: [u32::MAX - 1; 2],
            limits: [0; 2],
            next_delivery: u32::MAX - 3,
            expected: VecDeque::new(),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Send(link, bytes) => self.send(link, bytes),
            Step::Credit(link, credit) => self.peer.client.set_credit(self.receivers[link], credit),
            Step::Hold(held) => self.peer.client.hold(held),
            Step::Read => self.read()?,
            Step::Grant(link, credit) => {
                let (seen, frames) = (self.read[link], self.frames);
                self.granted[link] = self.granted[link].max(seen + credit);
                let window = self.window - frames;
                let flow = Flow {
                    handle: Some(self.peer.handle(self.senders[link])),
                    delivery_count: Some(seen),
                    link_credit: Some(credit),
                    ..self.peer.flow(frames, window)
                };
                self.peer.say(&flow);
            }
            Step::Window(window) => {
                // Never less than it said before: what it said may be used already.
                self.window = self.window.max(self.frames + window);
                let flow = self.peer.flow(self.frames, self.window - self.frames);
                self.peer.say(&flow);
            }
            Step::Settle(first, more, settled) => {
                let state = Some(DeliveryState::Accepted);
                self.peer.says(first, first + more, settled, state);
            }
            Step::Deliver(link, parts) => self.deliver(link, parts),
        }
        self.events()
    }

    fn send(&mut self, link: usize, bytes: usize) {
        let message = vec![self.next as u8; bytes];
        if let Some(id) = self.peer.client.send(self.senders[link], &message) {
            assert_eq!(id, self.next);
            self.next += 1;
            self.open.insert(id);
            self.sent[link].push_back(message);
        }
    }

    fn deliver(&mut self, link: usize, parts: u32) {
        let id = self.receivers[link];
        let room = self.transfers;
        if room < parts || self.limits[link] == 0 {
            return;
        }
        let mut message = Vec::new();
        for part in 0..parts {
            let mut transfer = Transfer {
                handle: self.peer.handle(id),
                ..Transfer::default()
            };
            if part == 0 {
                transfer = self.peer.first(id, self.next_delivery);
            }
            transfer.more = part + 1 < parts;
            let payload = [self.next_delivery as u8, part as u8];
            message.extend(payload);
            self.peer.transfer(&transfer, &payload);
        }
        self.next_transfer = self.next_transfer.wrapping_add(parts);
        self.transfers -= parts;
        self.limits[link] -= 1;
        self.counts[link] = self.counts[link].wrapping_add(1);
        self.expected.push_back((id, self.next_delivery, message));
        self.next_delivery = self.next_delivery.wrapping_add(1);
    }

    fn read(&mut self) -> Result<(), TestCaseError> {
        for (heard, payload) in self.peer.hear() {
            match heard {
                Performative::Transfer(transfer) => self.transfer(&transfer, &payload)?,
                Performative::Flow(flow) => self.flow(&flow),
                Performative::Disposition(disposition) => {
                    prop_assert!(disposition.settled);
                }
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
        Ok(())
    }

    fn transfer(&mut self, transfer: &Transfer, payload: &Bytes) -> Result<(), TestCaseError> {
        let link = (0..2)
            .find(|link| self.peer.handle(self.senders[*link]) == transfer.handle + HANDLES)
            .unwrap();
        self.frames += 1;
        prop_assert!(self.frames <= self.window, "past the window");
        self.parts[link].extend_from_slice(payload);
        if transfer.delivery_id.is_some() {
            self.read[link] += 1;
            prop_assert!(self.read[link] <= self.granted[link], "without credit");
        }
        if !transfer.more {
            let whole = self.sent[link].pop_front();
            prop_assert_eq!(Some(std::mem::take(&mut self.parts[link])), whole);
        }
        Ok(())
    }

    fn flow(&mut self, flow: &Flow) {
        let seen = flow.next_incoming_id.unwrap();
        let on_the_way = self.next_transfer.wrapping_sub(seen);
        self.transfers = flow.incoming_window.saturating_sub(on_the_way);
        for link in 0..2 {
            let handle = self.peer.handle(self.receivers[link]) - HANDLES;
            if flow.handle == Some(handle) {
                let on_the_way = self.counts[link].wrapping_sub(flow.delivery_count.unwrap());
                self.limits[link] = flow.link_credit.unwrap().saturating_sub(on_the_way);
            }
        }
    }

    fn events(&mut self) -> Result<(), TestCaseError> {
        for event in self.peer.events() {
            match event {
                Event::Delivery(delivery) => {
                    let told = (delivery.link, delivery.delivery_id, delivery.payload.to_vec());
                    prop_assert_eq!(Some(told), self.expected.pop_front());
                }
                Event::Outcome { first, last, .. } => {
                    for id in first..=last {
                        prop_assert!(self.open.remove(&id), "{} has its outcome twice", id);
                    }
                }
                Event::Credit { link } => prop_assert!(self.peer.client.can_send(link)),
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
        prop_assert!(self.expected.is_empty());
        prop_assert_eq!(self.peer.client.unsettled() as usize, self.open.len());
        Ok(())
    }

    /// The peer takes everything and settles it: nothing is left.
    fn finish(mut self) -> Result<(), TestCaseError> {
        self.step(Step::Window(1000))?;
        self.step(Step::Read)?;
        prop_assert!(self.sent.iter().all(VecDeque::is_empty));
        self.step(Step::Settle(0, 1000, true))?;
        prop_assert!(self.open.is_empty());
        self.step(Step::Grant(0, 5))?;
        prop_assert!(self.peer.client.can_send(self.senders[0]));
        self.step(Step::Hold(false))?;
        for link in 0..2 {
            self.step(Step::Credit(link, 3))?;
            self.step(Step::Read)?;
            prop_assert_eq!(self.limits[link], 3);
            self.step(Step::Deliver(link, 3))?;
        }
        Ok(())
    }
}

#[test]
fn a_handshake_is_never_understood_in_another_order() {
    // Every prefix of a good handshake, then each of its steps: only the right one goes on.
    let whole: Vec<BytesMut> = (0..6)
        .map(|step| {
            let mut out = Vec::new();
            match step {
                0 => out.extend(ProtocolHeader::SASL.to_bytes()),
                1 => frame::write_sasl(&mut out, &mechanisms(&["PLAIN"])),
                2 => frame::write_sasl(&mut out, &super::peer::outcome(weft_amqp_wire::sasl::Code::Ok)),
                3 => out.extend(ProtocolHeader::AMQP.to_bytes()),
                4 => frame::write(&mut out, CHANNEL, &open()),
                _ => frame::write(&mut out, CHANNEL, &begin()),
            }
            BytesMut::from(&out[..])
        })
        .collect();
    let counted: HashMap<(usize, usize), bool> = (0..6)
        .flat_map(|done| (0..6).map(move |next| (done, next)))
        .map(|(done, next)| {
            let mut peer = after(done, Mechanism::Plain);
            peer.bytes(&whole[next]);
            ((done, next), peer.client.is_ended())
        })
        .collect();
    for ((done, next), ended) in counted {
        assert_eq!(ended, done != next, "step {next} after {done} steps");
    }
}
