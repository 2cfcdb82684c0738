//! The entry of events into a stream lane: a slot, its legs into queues, and those that no route takes into limbo.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;
use weft_api::ingress::Incoming;
use weft_api::outcome::Outcome;

use super::StreamLanes;
use crate::delivery::forward::forward;
use crate::delivery::origin::{LanePort, LastResort, Origin};
use crate::lane::admit::{Gate, Owed, Owing};
use crate::lane::books;
use crate::lane::limbo::Parked;
use crate::routing::plan::{Steps, Target};

impl StreamLanes {
    /// Admits one event.
    pub(super) fn admit_one(
        &mut self,
        index: usize,
        incoming: Incoming,
        gate: &Gate,
        now: Instant,
        now_ms: u64,
    ) -> u64 {
        let bytes = incoming.event.size();
        let metrics = Arc::clone(&self.port.metrics);
        metrics.events.inc();
        metrics.bytes.inc_by(bytes);
        metrics.malformed.inc_by(u64::from(incoming.malformed));
        let malformed = incoming.malformed;
        let (owed, _) = gate.admit(incoming, now, &mut self.scratch);
        let Some(lane) = self.lanes[index].as_mut() else {
            return 0;
        };
        let epoch = lane.shared.epoch();
        self.budget.charge(bytes);
        match owed {
            Owed::Legs(legs) => {
                let count = u32::try_from(legs.len()).unwrap_or(u32::MAX);
                let seq = lane.ledger.admit(bytes, count, Outcome::Accepted, now_ms);
                let shared = Arc::clone(&lane.shared);
                books::obligations(&self.port, count);
                self.queue(&shared, epoch, seq, legs, gate, now);
                seq
            }
            Owed::Nothing { event, outcome, why } => {
                books::without_legs(&self.port, outcome, why);
                let held =
                    matches!(outcome, Outcome::Rejected(_)) && lane.shared.last_resort() == LastResort::Hold;
                if held {
                    // Nobody may be told that it was refused: it waits for a route, or for a reload that brings one.
                    let seq = lane.ledger.admit(bytes, 1, Outcome::Accepted, now_ms);
                    lane.shared.hold();
                    let incoming = Incoming { event, malformed };
                    let parked = Parked {
                        lane: index,
                        epoch,
                        seq,
                        incoming,
                        tries: 0,
                    };
                    self.limbo.park(parked, now);
                    return seq;
                }
                let seq = lane.ledger.admit(bytes, 0, outcome, now_ms);
                self.settle_ready(index, seq);
                seq
            }
        }
    }

    fn queue(
        &mut self,
        lane: &Arc<LanePort>,
        epoch: u32,
        seq: u64,
        legs: SmallVec<[Owing; 2]>,
        gate: &Gate,
        now: Instant,
    ) {
        for owing in legs {
            let mut steps = Steps::new();
            let target = gate.target(&owing, &mut steps);
            let origin = Origin::Slot {
                lane: Arc::clone(lane),
                epoch,
                seq,
            };
            let leg = owing.into_leg(origin, &gate.wiring, steps, now);
            match target {
                Target::To(id) => {
                    let destination = gate.wiring.destination(id);
                    match self
                        .outgoing
                        .iter_mut()
                        .find(|(known, _)| Arc::ptr_eq(known, destination))
                    {
                        Some((_, legs)) => legs.push(leg),
                        None => self.outgoing.push((Arc::clone(destination), vec![leg])),
                    }
                }
                Target::All(_) => {
                    // What was admitted before it may owe the same destinations, and goes first (C20).
                    self.flush(lane.index as usize);
                    forward(leg, target);
                }
            }
        }
    }

    /// Hands what was gathered to the destinations: one lock each.
    pub(super) fn flush(&mut self, index: usize) {
        for (destination, legs) in &mut self.outgoing {
            if destination.push(legs, Some(&self.port))
                && let Some(lane) = &mut self.lanes[index]
                && !lane.full.iter().any(|known| Arc::ptr_eq(known, destination))
            {
                lane.full.push(Arc::clone(destination));
            }
        }
        // The vectors are kept for the next batch; destinations that a reload took away are not.
        if self.outgoing.len() > 16 {
            self.outgoing.clear();
        }
    }

    /// Looks again at events that no route took, or that could not become what a route asks for.
    pub(super) fn try_parked(&mut self, now: Instant) {
        let gate = self.gate.load_full();
        while let Some(mut parked) = self.limbo.due(now) {
            let (owed, _) = gate.admit(parked.incoming.clone(), now, &mut self.scratch);
            let Some(lane) = self.lanes[parked.lane].as_mut() else {
                continue;
            };
            match owed {
                Owed::Legs(legs) => {
                    let count = u32::try_from(legs.len()).unwrap_or(u32::MAX);
                    lane.ledger.add_legs(parked.seq, count.saturating_sub(1));
                    lane.shared.unhold();
                    let shared = Arc::clone(&lane.shared);
                    books::obligations(&self.port, count);
                    self.queue(&shared, parked.epoch, parked.seq, legs, &gate, now);
                    self.flush(parked.lane);
                }
                Owed::Nothing {
                    outcome: Outcome::Rejected(_),
                    ..
                } => {
                    parked.tries += 1;
                    self.limbo.park(parked, now);
                }
                Owed::Nothing { outcome, why, .. } => {
                    lane.shared.unhold();
                    books::without_legs(&self.port, outcome, why);
                    if lane.ledger.end_leg(parked.seq, outcome) {
                        self.settle_ready(parked.lane, parked.seq);
                    }
                }
            }
        }
    }
}
