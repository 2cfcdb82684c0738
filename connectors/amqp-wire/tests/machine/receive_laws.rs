//! Receiving against a model: any schedule of credit, holds, parts, aborts, detaches and settlements.
//!
//! The peer sends only what it has been allowed by the flows that it has read, in frames of any size, links interleaved. What
//! holds after each step: each message comes once, in its link's order and whole; credit is what the model says; settlements
//! reach the peer as they were said. At the end the client holds nothing: the peer is never stuck.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::collection::vec;
use proptest::prelude::*;
use weft_amqp_wire::machine::{Config, Event, LinkId};
use weft_amqp_wire::performative::*;

use super::script::*;

const WINDOW: u32 = 5;
const MESSAGE_MAX: u64 = 1000;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The peer begins a message on this link if it may.
    Begin(usize, usize),
    /// It goes on with so many bytes, at most.
    Part(usize, usize),
    Abort(usize),
    /// It reads what the client wrote.
    Read,
    Credit(usize, u32),
    Hold(bool),
    /// From so many numbers behind the oldest that is open, so many.
    Settle(usize, usize, bool),
    Detach(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let link = 0usize..3;
    let step = prop_oneof![
        6 => (link.clone(), prop_oneof![0..50usize, 900..1100usize]).prop_map(|(link, len)| Step::Begin(link, len)),
        8 => (link.clone(), 0..500usize).prop_map(|(link, len)| Step::Part(link, len)),
        1 => link.clone().prop_map(Step::Abort),
        4 => Just(Step::Read),
        4 => (link.clone(), 0..6u32).prop_map(|(link, credit)| Step::Credit(link, credit)),
        1 => any::<bool>().prop_map(Step::Hold),
        3 => (0..5usize, 1..6usize, any::<bool>()).prop_map(|(skip, len, accept)| Step::Settle(skip, len, accept)),
        1 => (link, any::<bool>()).prop_map(|(link, ours)| Step::Detach(link, ours)),
    ];
    vec(step, 0..150)
}

struct Link {
    id: LinkId,
    ours: u32,
    theirs: u32,
    name: u32,
    /// Deliveries that the peer has begun, and how many it may.
    count: u32,
    allowed: u32,
    /// As the client counts.
    credit: u32,
    /// The message that is under way: its number, its bytes, what of them is sent.
    current: Option<(u32, Vec<u8>, usize)>,
    /// The client has detached, and the peer has not read it yet.
    left: bool,
}

struct Model {
    peer: Peer,
    links: Vec<Link>,
    names: u32,
    next: u32,
    frames: u32,
    /// The transfer-id up to which the peer may send.
    window_end: u32,
    held: bool,
    expected: VecDeque<Event>,
    /// Deliveries that the client has, and has not settled.
    open: BTreeSet<u32>,
    settled: BTreeMap<u32, bool>,
    /// What the peer has read of settlements.
    read: BTreeMap<u32, bool>,
}

impl Model {
    fn new() -> Model {
        let config = Config {
            incoming_window: WINDOW,
            max_message_size: MESSAGE_MAX,
            ..config()
        };
        let mut model = Model {
            peer: Peer::with(config, &open(), &begin()),
            links: Vec::new(),
            names: 0,
            next: u32::MAX - 5,
            frames: 0,
            window_end: WINDOW,
            held: false,
            expected: VecDeque::new(),
            open: BTreeSet::new(),
            settled: BTreeMap::new(),
            read: BTreeMap::new(),
        };
        for _ in 0..3 {
            let link = model.attach();
            model.links.push(link);
        }
        model
    }

    fn attach(&mut self) -> Link {
        self.names += 1;
        let theirs = HANDLES + self.names;
        self.hear();
        let id = self.peer.receiver(&self.names.to_string(), theirs);
        Link {
            id,
            // Handles are used again at once, since detaches are answered at once.
            ours: 0,
            theirs,
            name: self.names,
            count: 0,
            allowed: 0,
            credit: 0,
            current: None,
            left: false,
        }
    }

    /// The peer reads.
    fn hear(&mut self) {
        for performative in self.peer.hear() {
            match performative {
                Performative::Flow(flow) => {
                    let seen = flow.next_incoming_id.unwrap().wrapping_sub(NEXT);
                    self.window_end = seen + flow.incoming_window;
                    assert!(self.window_end - self.frames <= WINDOW);
                    let count = flow.delivery_count.unwrap_or(0);
                    // A link's handle is told by its place: the newest with this handle is meant.
                    let link = self
                        .links
                        .iter_mut()
                        .find(|link| Some(link.ours) == flow.handle && !link.left);
                    if let Some(link) = link {
                        link.allowed = count + flow.link_credit.unwrap();
                    }
                }
                Performative::Disposition(said) => {
                    assert!(said.settled && said.role == Role::Receiver);
                    let accepted = said.state == Some(DeliveryState::Accepted);
                    let mut id = said.first;
                    loop {
                        assert_eq!(self.read.insert(id, accepted), None);
                        if id == said.last.unwrap_or(said.first) {
                            break;
                        }
                        id = id.wrapping_add(1);
                    }
                }
                Performative::Detach(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn begin(&mut self, at: usize, len: usize) {
        let link = &mut self.links[at];
        if link.current.is_some() || link.count >= link.allowed || self.frames == self.window_end {
            return;
        }
        let payload: Vec<u8> = (self.next as u8..=255).chain(0..=255).cycle().take(len).collect();
        link.current = Some((self.next, payload, 0));
        link.count += 1;
        link.credit = link.credit.saturating_sub(1);
        self.part(at, 30);
        self.next = self.next.wrapping_add(1);
    }

    fn part(&mut self, at: usize, len: usize) {
        let link = &mut self.links[at];
        if self.frames == self.window_end {
            return;
        }
        let Some((id, payload, sent)) = &mut link.current else {
            return;
        };
        let end = (*sent + len).min(payload.len());
        let more = end < payload.len();
        let transfer = Transfer {
            more,
            ..first(link.theirs, *id)
        };
        self.frames += 1;
        self.peer.transfer(&transfer, &payload[*sent..end]);
        *sent = end;
        if more {
            return;
        }
        let (id, payload, _) = link.current.take().unwrap();
        self.open.insert(id);
        self.expected.push_back(if payload.len() as u64 > MESSAGE_MAX {
            Event::TooLarge {
                link: link.id,
                delivery_id: id,
                settled: false,
                bytes: payload.len() as u64,
            }
        } else {
            Event::Delivery(weft_amqp_wire::machine::Delivery {
                link: link.id,
                delivery_id: id,
                tag: id.to_be_bytes().to_vec().into(),
                settled: false,
                message_format: 0,
                payload: payload.into(),
            })
        });
    }

    fn abort(&mut self, at: usize) {
        let link = &mut self.links[at];
        if self.frames < self.window_end
            && let Some((id, ..)) = link.current.take()
        {
            self.frames += 1;
            let aborted = Transfer {
                aborted: true,
                ..first(link.theirs, id)
            };
            self.peer.transfer(&aborted, b"");
            self.expected.push_back(Event::Credit { link: link.id });
        }
    }

    fn settle(&mut self, skip: usize, len: usize, accept: bool) {
        let ids: Vec<u32> = self.open.iter().copied().skip(skip).take(len).collect();
        let state = if accept {
            DeliveryState::Accepted
        } else {
            DeliveryState::Released
        };
        let runs = ids.chunk_by(|a, b| *b == a.wrapping_add(1));
        for run in runs {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            self.peer.client.settle(*first, *last, state.clone());
        }
        for id in ids {
            self.open.remove(&id);
            self.settled.insert(id, accept);
        }
    }

    fn detach(&mut self, at: usize, ours: bool) {
        let link = &mut self.links[at];
        let (id, theirs) = (link.id, link.theirs);
        if ours {
            self.peer.client.detach(id, true);
            // What the peer sends before it has read that is not told.
            let told = self.expected.len();
            self.links[at].left = true;
            let (open, count) = (self.open.clone(), self.links[at].count);
            for _ in 0..3 {
                self.part(at, 100);
            }
            assert_eq!(self.links[at].count, count);
            self.open = open;
            self.expected.truncate(told);
        }
        self.peer.say(&Detach {
            handle: theirs,
            closed: true,
            error: None,
        });
        if !ours {
            let (link, refused, error) = (id, false, None);
            self.expected.push_back(Event::Detached { link, refused, error });
        }
        self.links[at].left = true;
        self.check();
        let mut link = self.attach();
        link.ours = u32::try_from(at).unwrap();
        self.links[at] = link;
    }

    fn check(&mut self) {
        let expected: Vec<Event> = self.expected.drain(..).collect();
        assert_eq!(self.peer.events(), expected);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Begin(link, len) => self.begin(link, len),
            Step::Part(link, len) => self.part(link, len),
            Step::Abort(link) => self.abort(link),
            Step::Read => self.hear(),
            Step::Credit(at, credit) => {
                let link = &mut self.links[at];
                link.credit = credit;
                self.peer.client.set_credit(link.id, credit);
            }
            Step::Hold(held) => {
                self.held = held;
                self.peer.client.hold(held);
            }
            Step::Settle(skip, len, accept) => self.settle(skip, len, accept),
            Step::Detach(link, ours) => self.detach(link, ours),
        }
        self.check();
        for link in &self.links {
            assert_eq!(
                self.peer.client.credit(link.id),
                link.credit,
                "link {}",
                link.name
            );
        }
    }

    fn finish(&mut self) {
        self.step(Step::Hold(false));
        for at in 0..self.links.len() {
            for _ in 0..50 {
                self.step(Step::Read);
                assert!(self.frames < self.window_end, "the peer is stuck");
                self.step(Step::Part(at, 200));
            }
            assert!(self.links[at].current.is_none());
            self.step(Step::Credit(at, 2));
            self.step(Step::Read);
            let next = self.next;
            self.step(Step::Begin(at, 10));
            assert_ne!(self.next, next, "credit was given");
        }
        self.step(Step::Settle(0, usize::MAX, true));
        self.hear();
        assert_eq!(self.read, self.settled);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_any_schedule_the_laws_of_receiving_hold(steps in steps()) {
        let mut model = Model::new();
        for (at, link) in (0..).zip(&mut model.links) {
            link.ours = at;
        }
        for step in steps {
            model.step(step);
        }
        model.finish();
    }
}
