//! Sending against a model: any schedule of grants, windows, drains, detaches and settlements.
//!
//! The model knows exactly what may be sent at each moment. What it holds after each step: the client can send if, and only
//! if, the model allows it; who could not and can is told; each outcome is told once; nothing exceeds credit or window. At the
//! end the peer grants everything: every message arrives whole and has its outcome.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use weft_amqp_wire::machine::{Config, Event, LinkId};
use weft_amqp_wire::performative::*;

use super::script::*;

const MAX_UNSETTLED: u32 = 12;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// By the link: a message of this many bytes, if it can.
    Send(usize, usize),
    /// The peer reads so many frames of what was written.
    See(usize),
    /// The peer grants so many deliveries from where it has seen the link.
    Grant(usize, u32),
    Drain(usize, u32),
    Window(u32),
    /// From so many numbers before the newest, so many of them, settled or not, in this state.
    Settle(u32, u32, bool, u8),
    Detach(usize, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let link = 0usize..3;
    let step = prop_oneof![
        6 => (link.clone(), prop_oneof![0..40usize, 400..520usize, 0..3000usize]).prop_map(|(link, len)| Step::Send(link, len)),
        3 => (0usize..8).prop_map(Step::See),
        3 => (link.clone(), prop_oneof![0..6u32, Just(u32::MAX)]).prop_map(|(link, credit)| Step::Grant(link, credit)),
        1 => (link.clone(), 0..6u32).prop_map(|(link, credit)| Step::Drain(link, credit)),
        3 => prop_oneof![0..9u32, Just(u32::MAX)].prop_map(Step::Window),
        4 => (0..20u32, 0..12u32, any::<bool>(), 0..5u8).prop_map(|(back, len, settled, state)| Step::Settle(back, len, settled, state)),
        1 => (link, any::<bool>()).prop_map(|(link, ours)| Step::Detach(link, ours)),
    ];
    vec(step, 0..120)
}

struct Link {
    id: LinkId,
    ours: u32,
    theirs: u32,
    /// Deliveries that the peer has seen, and that were sent, or given back.
    seen: u32,
    count: u32,
    credit: u32,
    wants: bool,
}

struct Model {
    peer: Peer,
    links: Vec<Link>,
    names: u32,
    /// Written and not read by the peer yet.
    wire: VecDeque<Written>,
    frames_seen: u32,
    frames: u32,
    window: u32,
    /// Bytes of the message that is half sent, and whose.
    partial: Option<(LinkId, usize)>,
    open: BTreeMap<u32, LinkId>,
    sent: BTreeMap<u32, Vec<u8>>,
    arrived: BTreeMap<u32, Vec<u8>>,
    current: BTreeMap<u32, u32>,
    cut: BTreeSet<u32>,
    next: u32,
}

/// A frame, and the payload that it carries.
type Written = (Performative, Bytes);

impl Model {
    fn new(frame_max: u32) -> Model {
        let config = Config {
            max_unsettled: MAX_UNSETTLED,
            ..config()
        };
        let open = Open {
            max_frame_size: frame_max,
            ..open()
        };
        let begin = Begin {
            incoming_window: 4,
            ..begin()
        };
        let mut model = Model {
            peer: Peer::with(config, &open, &begin),
            links: Vec::new(),
            names: 0,
            wire: VecDeque::new(),
            frames_seen: 0,
            frames: 0,
            window: 4,
            partial: None,
            open: BTreeMap::new(),
            sent: BTreeMap::new(),
            arrived: BTreeMap::new(),
            current: BTreeMap::new(),
            cut: BTreeSet::new(),
            next: 0,
        };
        for at in 0..3 {
            let link = model.attach();
            model.links.insert(at, link);
        }
        model
    }

    fn attach(&mut self) -> Link {
        self.names += 1;
        let theirs = HANDLES + self.names;
        let id = self
            .peer
            .client
            .attach_sender(&sender_spec(&self.names.to_string()))
            .unwrap();
        let attach = self.peer.attach_heard();
        self.peer.say(&answer(&attach, theirs));
        assert!(matches!(self.events().as_slice(), [Event::Attached { .. }]));
        Link {
            id,
            ours: attach.handle,
            theirs,
            seen: 0,
            count: 0,
            credit: 0,
            wants: false,
        }
    }

    fn room(&self) -> bool {
        let oldest = self.open.keys().next().copied().unwrap_or(self.next);
        self.window > 0
            && self.partial.is_none()
            && self.open.len() < MAX_UNSETTLED as usize
            && self.next - oldest < MAX_UNSETTLED * 8
    }

    fn flow(&self) -> Flow {
        flow(self.frames_seen, 0)
    }

    /// Takes what was written off the client; checks it against what is allowed.
    fn collect(&mut self) {
        for said in self.peer.hear_all() {
            let Said::Frame(performative, payload) = said else {
                panic!("{said:?}")
            };
            if let Performative::Transfer(_) = &performative {
                assert!(self.window > 0, "a frame beyond the window");
                self.window -= 1;
                self.frames += 1;
                if let Some((_, left)) = &mut self.partial {
                    *left -= payload.len();
                    if *left == 0 {
                        self.partial = None;
                    }
                }
            }
            self.wire.push_back((performative, payload));
        }
    }

    fn see(&mut self) {
        let Some((performative, payload)) = self.wire.pop_front() else {
            return;
        };
        match performative {
            Performative::Transfer(transfer) => {
                self.frames_seen += 1;
                if let Some(id) = transfer.delivery_id {
                    self.arrived.insert(id, Vec::new());
                    assert_eq!(
                        self.current.insert(transfer.handle, id),
                        None,
                        "two at once on a link"
                    );
                    for link in &mut self.links {
                        link.seen += u32::from(link.ours == transfer.handle);
                    }
                }
                let id = self.current[&transfer.handle];
                self.arrived.get_mut(&id).unwrap().extend_from_slice(&payload);
                if !transfer.more {
                    self.current.remove(&transfer.handle);
                }
            }
            Performative::Flow(flow) => {
                let link = self.links.iter_mut().find(|link| Some(link.ours) == flow.handle);
                if let Some(link) = link {
                    link.seen = flow.delivery_count.unwrap();
                }
            }
            Performative::Disposition(ours) => assert!(ours.settled && ours.role == Role::Sender),
            other => panic!("{other:?}"),
        }
    }

    fn state(number: u8) -> Option<DeliveryState> {
        match number {
            0 => Some(DeliveryState::Accepted),
            1 => Some(DeliveryState::Released),
            2 => Some(DeliveryState::Rejected(None)),
            3 => Some(DeliveryState::Received {
                section_number: 0,
                section_offset: 0,
            }),
            _ => None,
        }
    }

    fn send(&mut self, at: usize, len: usize) {
        let allowed = self.room() && self.links[at].credit > 0;
        let id = self.links[at].id;
        assert_eq!(self.peer.client.can_send(id), allowed);
        self.links[at].wants = !allowed;
        let payload: Vec<u8> = (self.next as u8..=255).chain(0..=255).cycle().take(len).collect();
        let sent = self.peer.client.send(id, &payload);
        assert_eq!(sent, allowed.then_some(self.next));
        if allowed {
            self.links[at].count += 1;
            self.links[at].credit -= 1;
            self.open.insert(self.next, id);
            if len > 0 {
                self.partial = Some((id, len));
            }
            self.sent.insert(self.next, payload);
            self.next += 1;
        }
    }

    fn window(&mut self, window: u32) {
        self.peer.say(&Flow {
            incoming_window: window,
            ..self.flow()
        });
        self.window = window.saturating_sub(self.frames - self.frames_seen);
    }

    fn grant(&mut self, at: usize, credit: u32, drain: bool) {
        let window = self.window + (self.frames - self.frames_seen);
        let link = &mut self.links[at];
        let flow = Flow {
            handle: Some(link.theirs),
            delivery_count: Some(link.seen),
            link_credit: Some(credit),
            incoming_window: window,
            drain,
            ..flow(self.frames_seen, 0)
        };
        link.credit = credit.saturating_sub(link.count - link.seen);
        if drain {
            link.count += link.credit;
            link.credit = 0;
        }
        self.peer.say(&flow);
    }

    fn settle(&mut self, back: u32, len: u32, settled: bool, state: u8) {
        let first = self.next.saturating_sub(back);
        let last = first + len;
        let state = Model::state(state);
        self.peer.say(&disposition(first, last, settled, state.clone()));
        let due =
            settled || matches!(state, Some(ref state) if !matches!(state, DeliveryState::Received { .. }));
        let mut expected: Vec<u32> = Vec::new();
        if due {
            expected = self.open.range(first..=last).map(|(id, _)| *id).collect();
            self.open.retain(|id, _| !(first..=last).contains(id));
        }
        let mut told = Vec::new();
        for event in self.events() {
            let Event::Outcome {
                first,
                last,
                state: of,
            } = event
            else {
                panic!("{event:?}")
            };
            assert_eq!(of, state);
            told.extend(first..=last);
        }
        assert_eq!(told, expected, "each once, none else");
    }

    /// The events but for credit, which is noted.
    fn events(&mut self) -> Vec<Event> {
        let mut rest = Vec::new();
        for event in self.peer.events() {
            match event {
                Event::Credit { link } => {
                    let link = self.links.iter_mut().find(|known| known.id == link).unwrap();
                    assert!(std::mem::replace(&mut link.wants, false), "nobody asked");
                }
                event => rest.push(event),
            }
        }
        rest
    }

    fn detach(&mut self, at: usize, ours: bool) {
        // Everything is read first: what is cut off by a detach is seen as such by the peer.
        self.collect();
        while !self.wire.is_empty() {
            self.see();
        }
        let link = &self.links[at];
        let (id, handle, theirs) = (link.id, link.ours, link.theirs);
        let detach = Detach {
            handle: theirs,
            closed: true,
            error: None,
        };
        if ours {
            self.peer.client.detach(id, true);
            assert!(matches!(self.peer.hear().as_slice(), [Performative::Detach(_)]));
            self.peer.say(&detach);
        } else {
            self.peer.say(&detach);
            assert!(matches!(self.peer.hear().as_slice(), [Performative::Detach(_)]));
        }
        self.open.retain(|_, link| *link != id);
        self.partial = self.partial.filter(|(link, _)| *link != id);
        self.cut.extend(self.current.remove(&handle));
        let detached = self
            .events()
            .iter()
            .filter(|event| matches!(event, Event::Detached { .. }))
            .count();
        assert_eq!(detached, usize::from(!ours));
        let link = self.attach();
        self.links[at] = link;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send(link, len) => self.send(link, len),
            Step::See(frames) => (0..frames).for_each(|_| self.see()),
            Step::Grant(link, credit) => self.grant(link, credit, false),
            Step::Drain(link, credit) => self.grant(link, credit, true),
            Step::Window(window) => self.window(window),
            Step::Settle(back, len, settled, state) => self.settle(back, len, settled, state),
            Step::Detach(link, ours) => self.detach(link, ours),
        }
        self.collect();
        assert_eq!(self.events(), []);
        assert_eq!(self.peer.client.unsettled() as usize, self.open.len());
        let room = self.room();
        for link in &self.links {
            assert_eq!(self.peer.client.credit(link.id), link.credit);
            assert!(!(link.wants && room && link.credit > 0), "a sender was forgotten");
        }
    }

    /// The peer grants everything.
    fn finish(&mut self) {
        for at in 0..self.links.len() {
            self.links[at].wants |= !self.peer.client.can_send(self.links[at].id);
        }
        self.step(Step::Window(u32::MAX));
        self.step(Step::See(10_000));
        for at in 0..self.links.len() {
            self.step(Step::Grant(at, 10));
        }
        self.step(Step::Settle(u32::MAX, self.next, true, 0));
        for at in 0..self.links.len() {
            assert!(!self.links[at].wants, "nothing is in the way of link {at}");
            self.step(Step::Send(at, 600));
        }
        self.step(Step::See(10_000));
        self.step(Step::Settle(u32::MAX, self.next, true, 0));
        assert_eq!(self.peer.client.unsettled(), 0);
        self.sent.retain(|id, _| !self.cut.contains(id));
        self.arrived.retain(|id, _| !self.cut.contains(id));
        assert!(self.sent == self.arrived, "every message whole");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn under_any_schedule_the_laws_of_sending_hold(steps in steps(), frame_max in 512u32..1200) {
        let mut model = Model::new(frame_max);
        for step in steps {
            model.step(step);
        }
        model.finish();
    }
}
