//! The ingress over stream lanes: in order like a log's partitions, or one by one like a queue's link.
//!
//! Owns: which slot of a lane is which message of the feed.
//! Invariants: nothing is delivered past the credit; a life starts at what is committed (in order) or with everything
//! that is not settled (one by one), so that a crash, a revoke or a rewind repeats messages and never skips one.
//! Must not know: routes, destinations, the router's ledger.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until};
use weft_api::ingress::{
    Incoming, Ingress, IngressContext, IngressError, LaneEvent, LaneId, LaneSpec, Lanes, Settle, Window,
};
use weft_api::outcome::Outcome;
use weft_api::status::Health;

use crate::feed::{Crash, Feed, Happening};
use crate::hub::locked;

pub(crate) struct StreamIngress {
    pub(crate) feed: Feed,
    pub(crate) lanes: u32,
    pub(crate) window: Window,
    pub(crate) settle: Settle,
    /// When a message that was released or is unknown is offered again.
    pub(crate) redeliver_after: Duration,
}

/// One lane in its present life.
struct Open {
    id: LaneId,
    /// In order: the offset of sequence 0, and the next offset to deliver.
    base: u64,
    next: u64,
    /// In order: the first offset that is not settled, whatever the remote has heard of it.
    settled: u64,
    /// One by one: which message each unsettled slot is.
    slots: HashMap<u64, u64>,
}

#[async_trait]
impl Ingress for StreamIngress {
    async fn run(self: Box<Self>, mut cx: IngressContext) -> Result<(), IngressError> {
        let mut changes = self.feed.changes();
        let mut open = BTreeMap::new();
        let mut draining = false;
        cx.report.health(Health::Ready);
        loop {
            self.crash(&open)?;
            let mut wake = None;
            if !draining {
                self.assign(&mut cx.lanes, &mut open);
                wake = self.fill(&mut cx.lanes, &mut open);
            }
            // Settlements first: they make room for what the others bring.
            tokio::select! {
                biased;
                (id, event) = cx.lanes.next() => self.apply(&mut open, id, event),
                () = cx.stop.stopped() => break,
                () = cx.stop.draining(), if !draining => draining = true,
                () = changes.changed() => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
        }
        for (number, lane) in open {
            cx.lanes.close(lane.id);
            self.feed.record(number, Happening::Revoked);
        }
        Ok(())
    }

    async fn probe(&self) -> Result<(), IngressError> {
        Ok(())
    }
}

impl StreamIngress {
    fn crash(&self, open: &BTreeMap<u32, Open>) -> Result<(), IngressError> {
        let crash = locked(&self.feed.state).crash.take();
        if crash.is_some() {
            let lanes = open.keys();
            lanes.for_each(|number| self.feed.record(*number, Happening::Revoked));
        }
        match crash {
            None => Ok(()),
            Some(Crash::Error) => Err(IngressError("inproc: the script ended this ingress".to_owned())),
            Some(Crash::Panic) => panic!("inproc: the script makes this ingress panic"),
        }
    }

    /// Opens lanes that are assigned and closes those that are not.
    fn assign(&self, lanes: &mut Lanes, open: &mut BTreeMap<u32, Open>) {
        for number in 0..self.lanes {
            let (assigned, committed) = {
                let mut state = locked(&self.feed.state);
                let log = state.lane(number);
                if log.assigned && !open.contains_key(&number) {
                    log.offer_unsettled();
                }
                (log.assigned, log.committed)
            };
            if assigned && !open.contains_key(&number) {
                let name = format!("lane/{number}").into();
                let id = lanes.open(LaneSpec {
                    name,
                    window: self.window,
                    settle: self.settle,
                });
                open.insert(
                    number,
                    Open {
                        id,
                        base: committed,
                        next: committed,
                        settled: committed,
                        slots: HashMap::new(),
                    },
                );
                self.feed.record(number, Happening::Opened { from: committed });
            } else if !assigned && let Some(lane) = open.remove(&number) {
                lanes.close(lane.id);
                self.feed.record(number, Happening::Revoked);
            }
        }
    }

    /// Delivers what there is, as far as the credit goes; says when there will be more to take.
    fn fill(&self, lanes: &mut Lanes, open: &mut BTreeMap<u32, Open>) -> Option<Instant> {
        let mut wake: Option<Instant> = None;
        for number in 0..self.lanes {
            let Some(lane) = open.get_mut(&number) else {
                continue;
            };
            // Again and again: a lane may be given credit for one event at a time.
            loop {
                let (offsets, mut batch, later) = self.take(number, lane, lanes);
                if !batch.is_empty() {
                    self.deliver(number, lane, lanes, offsets, &mut batch);
                    continue;
                }
                wake = [wake, later].into_iter().flatten().min();
                break;
            }
        }
        wake
    }

    fn deliver(
        &self,
        number: u32,
        lane: &mut Open,
        lanes: &mut Lanes,
        offsets: Vec<u64>,
        batch: &mut Vec<Incoming>,
    ) {
        // Recorded first: the router may settle a message while it is being delivered.
        for offset in &offsets {
            self.feed.record(
                number,
                Happening::Delivered {
                    offset: *offset,
                    epoch: lane.id.epoch,
                },
            );
        }
        let first = lanes.deliver(lane.id, batch);
        match self.settle {
            Settle::InOrder => {
                if first != lane.next - lane.base {
                    self.feed.violated(
                        number,
                        "sequences must follow one another",
                        (first, lane.next, lane.base),
                    );
                }
                lane.next += offsets.len() as u64;
            }
            Settle::Individual => lane.slots.extend((first..).zip(offsets)),
        }
    }

    /// The messages that fit the credit, and when the next one becomes ready if it is not yet.
    fn take(&self, number: u32, lane: &Open, lanes: &Lanes) -> (Vec<u64>, Vec<Incoming>, Option<Instant>) {
        let credit = lanes.credit(lane.id);
        let mut state = locked(&self.feed.state);
        let log = state.lane(number);
        let empty = match self.settle {
            Settle::InOrder => lane.next == lane.settled,
            Settle::Individual => lane.slots.is_empty(),
        };
        let (mut offsets, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
        while (batch.len() as u64) < u64::from(credit.events) {
            let offset = match self.settle {
                Settle::InOrder => lane.next + batch.len() as u64,
                Settle::Individual => match log.ready.first() {
                    Some((at, offset)) if *at <= Instant::now() => *offset,
                    Some((at, _)) => return (offsets, batch, Some(*at)),
                    None => break,
                },
            };
            let Some(message) = log.messages.get(offset as usize) else {
                break;
            };
            bytes += message.incoming.event.size();
            if bytes > credit.bytes && !(empty && batch.is_empty()) {
                break;
            }
            offsets.push(offset);
            batch.push(message.incoming.clone());
            if self.settle == Settle::Individual {
                log.ready.pop_first();
            }
        }
        (offsets, batch, None)
    }

    fn apply(&self, open: &mut BTreeMap<u32, Open>, id: LaneId, event: LaneEvent) {
        let found = open.iter_mut().find(|(_, lane)| lane.id.index == id.index);
        let Some((&number, lane)) = found else {
            return self
                .feed
                .violated(id.index, "nothing is reported after a close", (id, event));
        };
        match event {
            LaneEvent::Credit => {}
            LaneEvent::Rewind { from } => self.rewind(number, lane, id, from),
            LaneEvent::Settled { .. } if id != lane.id => {
                self.feed
                    .violated(number, "a settlement of another epoch", (id, lane.id, event));
            }
            LaneEvent::Settled { first, last, outcome } => match self.settle {
                Settle::InOrder => self.commit(number, lane, first, last, outcome),
                Settle::Individual => self.settle_each(number, lane, first, last, outcome),
            },
        }
    }

    fn rewind(&self, number: u32, lane: &mut Open, id: LaneId, from: u64) {
        let committed = lane.settled;
        if self.settle == Settle::Individual || id.epoch <= lane.id.epoch || lane.base + from != committed {
            self.feed.violated(
                number,
                "a rewind goes to the watermark under a new epoch",
                (id, lane.id, from, committed),
            );
        }
        lane.id = id;
        lane.next = lane.base + from;
        self.feed.record(number, Happening::Rewound { from: lane.next });
    }

    fn commit(&self, number: u32, lane: &mut Open, first: u64, last: u64, outcome: Outcome) {
        let (first, last) = (lane.base + first, lane.base + last);
        let committed = lane.settled;
        if first != committed || last < first || last >= lane.next {
            let found = (first, last, committed, lane.next);
            return self
                .feed
                .violated(number, "what is settled is a contiguous prefix", found);
        }
        if !matches!(outcome, Outcome::Accepted | Outcome::Rejected(_)) {
            return self.feed.violated(
                number,
                "an open in-order lane settles nothing as released",
                (first, outcome),
            );
        }
        lane.settled = last + 1;
        {
            let mut state = locked(&self.feed.state);
            // A commit that is lost is made good by the next one; until then a new life starts before it.
            if !state.deaf {
                state.lane(number).committed = last + 1;
            }
        }
        for offset in first..=last {
            self.feed.record(number, Happening::Settled { offset, outcome });
        }
    }

    fn settle_each(&self, number: u32, lane: &mut Open, first: u64, last: u64, outcome: Outcome) {
        for sequence in first..=last {
            let Some(offset) = lane.slots.remove(&sequence) else {
                self.feed
                    .violated(number, "a slot settles exactly once", (sequence, outcome));
                continue;
            };
            self.feed.record(number, Happening::Settled { offset, outcome });
            if self.feed.unheard(number, offset)
                || matches!(outcome, Outcome::Released(_) | Outcome::Unknown(_))
            {
                let again = Instant::now() + self.redeliver_after;
                locked(&self.feed.state)
                    .lane(number)
                    .ready
                    .insert((again, offset));
            }
        }
    }
}
