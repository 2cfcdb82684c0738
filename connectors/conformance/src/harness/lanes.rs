//! Stream lanes over a list: nothing is matched, every slot waits for the test to settle it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use weft_api::ingress::{Credit, Incoming, LaneEvent, LaneId, LaneSpec, LanesBackend, Settle};
use weft_api::outcome::Outcome;

use super::ingress::{Admitted, Place, World};
use super::locked;

/// One lane's slots.
pub(super) struct Lane {
    pub(super) spec: LaneSpec,
    pub(super) epoch: u32,
    open: bool,
    /// The sequence of the first slot here; in order: the watermark.
    first: u64,
    slots: VecDeque<Slot>,
}

struct Slot {
    bytes: u64,
    outcome: Option<Outcome>,
    told: bool,
}

/// What lanes say and who listens.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) lanes: Vec<Lane>,
    said: VecDeque<(LaneId, LaneEvent)>,
    waker: Option<Waker>,
    epochs: u32,
    /// Deliveries past the credit.
    pub(super) overdelivered: u64,
}

pub(super) struct Backend(pub(super) Arc<World>);

impl Lanes {
    /// Settles a slot; in order, tells the connector only of the contiguous prefix, and rewinds for what was released.
    pub(super) fn settle(&mut self, id: LaneId, sequence: u64, outcome: Outcome) {
        let Some(lane) = self
            .lanes
            .get_mut(id.index as usize)
            .filter(|lane| lane.open && lane.epoch == id.epoch)
        else {
            return;
        };
        let at = usize::try_from(sequence - lane.first).expect("a test's window fits");
        assert!(
            lane.slots[at].outcome.replace(outcome).is_none(),
            "the test settled slot {sequence} twice"
        );
        match lane.spec.settle {
            Settle::Individual => {
                lane.slots[at].told = true;
                let said = LaneEvent::Settled {
                    first: sequence,
                    last: sequence,
                    outcome,
                };
                self.said.push_back((id, said));
                while lane.slots.front().is_some_and(|slot| slot.told) {
                    lane.slots.pop_front();
                    lane.first += 1;
                }
                self.said.push_back((id, LaneEvent::Credit));
            }
            Settle::InOrder => self.settle_prefix(id),
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn settle_prefix(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id.index as usize];
        while let Some(outcome) = lane.slots.front().and_then(|slot| slot.outcome) {
            if matches!(outcome, Outcome::Released(_) | Outcome::Unknown(_)) {
                self.epochs += 1;
                lane.epoch = self.epochs;
                lane.slots.clear();
                let id = LaneId {
                    epoch: lane.epoch,
                    ..id
                };
                self.said.push_back((id, LaneEvent::Rewind { from: lane.first }));
                return;
            }
            self.said.push_back((
                id,
                LaneEvent::Settled {
                    first: lane.first,
                    last: lane.first,
                    outcome,
                },
            ));
            lane.slots.pop_front();
            lane.first += 1;
        }
        self.said.push_back((id, LaneEvent::Credit));
    }
}

impl LanesBackend for Backend {
    fn open(&mut self, mut spec: LaneSpec) -> LaneId {
        let mut lanes = locked(&self.0.lanes);
        if let Some(window) = self.0.window {
            spec.window = window;
        }
        lanes.epochs += 1;
        let epoch = lanes.epochs;
        let index = u32::try_from(lanes.lanes.len()).expect("a test opens few lanes");
        lanes.lanes.push(Lane {
            spec,
            epoch,
            open: true,
            first: 0,
            slots: VecDeque::new(),
        });
        LaneId { index, epoch }
    }

    fn credit(&self, id: LaneId) -> Credit {
        let lanes = locked(&self.0.lanes);
        let lane = lanes
            .lanes
            .get(id.index as usize)
            .filter(|lane| lane.open && lane.epoch == id.epoch);
        lane.map_or(Credit { events: 0, bytes: 0 }, Lane::credit)
    }

    fn deliver(&mut self, id: LaneId, batch: &mut Vec<Incoming>) -> u64 {
        let mut lanes = locked(&self.0.lanes);
        let Some(lane) = lanes
            .lanes
            .get_mut(id.index as usize)
            .filter(|lane| lane.open && lane.epoch == id.epoch)
        else {
            batch.clear();
            return 0;
        };
        let over = lane.over(batch);
        let first = lane.first + lane.slots.len() as u64;
        let name = Arc::clone(&lane.spec.name);
        for (sequence, incoming) in (first..).zip(batch.drain(..)) {
            lane.slots.push_back(Slot {
                bytes: incoming.event.size(),
                outcome: None,
                told: false,
            });
            let place = Place::Slot { lane: id, sequence };
            self.0.admit(Admitted {
                lane: Arc::clone(&name),
                incoming,
                place,
            });
        }
        lanes.overdelivered += over;
        first
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(LaneId, LaneEvent)> {
        let mut lanes = locked(&self.0.lanes);
        if let Some(said) = lanes.said.pop_front() {
            return Poll::Ready(said);
        }
        lanes.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn unsettled(&self) -> u64 {
        locked(&self.0.lanes)
            .lanes
            .iter()
            .filter(|lane| lane.open)
            .map(|lane| lane.unsettled())
            .sum()
    }

    fn close(&mut self, id: LaneId) {
        let mut lanes = locked(&self.0.lanes);
        if let Some(lane) = lanes
            .lanes
            .get_mut(id.index as usize)
            .filter(|lane| lane.epoch == id.epoch)
        {
            lane.open = false;
            lanes.said.retain(|(lane, _)| lane.index != id.index);
        }
    }
}

impl Lane {
    /// How many of the batch are past the credit; an empty lane may take one of any size.
    fn over(&self, batch: &[Incoming]) -> u64 {
        let credit = self.credit();
        let (mut bytes, empty) = (0, self.unsettled() == 0);
        let fits = (0_u32..).zip(batch).take_while(|(at, incoming)| {
            bytes += incoming.event.size();
            *at < credit.events && (bytes <= credit.bytes || empty && *at == 0)
        });
        (batch.len() - fits.count()) as u64
    }

    fn unsettled(&self) -> u64 {
        self.slots.iter().filter(|slot| !slot.told).count() as u64
    }

    fn credit(&self) -> Credit {
        let window = self.spec.window;
        let bytes: u64 = self
            .slots
            .iter()
            .filter(|slot| !slot.told)
            .map(|slot| slot.bytes)
            .sum();
        let events = u64::from(window.events).saturating_sub(self.unsettled());
        let bytes = if self.unsettled() == 0 {
            window.bytes
        } else {
            window.bytes.saturating_sub(bytes)
        };
        Credit {
            events: u32::try_from(events).unwrap_or(u32::MAX),
            bytes,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }
}

pub(super) type Shared = Mutex<Lanes>;
