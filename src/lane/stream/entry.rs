//! The entry of events into a stream lane: a slot, its legs into queues, and those that no route takes into limbo.

use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;
use weft_api::ingress::Incoming;
use weft_api::outcome::Outcome;

use super::StreamLanes;
use crate::delivery::forward::forward;
use crate::delivery::origin::{LanePort, LastResort, Origin};
use crate::delivery::room::Place;
use crate::lane::admit::{Gate, Owed, Owing};
use crate::lane::books;
use crate::lane::limbo::{LineId, Parked};
use crate::lane::shared;
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
        if !malformed && self.limbo.holds(index) {
            return self.park(index, incoming, bytes, false, now, now_ms);
        }
        let (owed, _) = gate.admit(incoming, now, &mut self.scratch);
        let Some(lane) = self.lanes[index].as_mut() else {
            return 0;
        };
        match owed {
            Owed::Legs(legs) => {
                self.budget.charge(bytes);
                let count = u32::try_from(legs.len()).unwrap_or(u32::MAX);
                let seq = lane.ledger.admit(bytes, count, Outcome::Accepted, now_ms);
                let (shared, epoch) = (Arc::clone(&lane.shared), lane.shared.epoch());
                books::obligations(&self.port, count);
                self.queue(&shared, epoch, seq, legs, gate, now);
                seq
            }
            Owed::Nothing { event, outcome, why } => {
                books::without_legs(&self.port, outcome, why);
                if refuses_to_say(&lane.shared, outcome) {
                    // Nobody may be told that it was refused: it waits for a route, or for a reload that brings one.
                    return self.park(index, Incoming { event, malformed }, bytes, true, now, now_ms);
                }
                self.budget.charge(bytes);
                let seq = lane.ledger.admit(bytes, 0, outcome, now_ms);
                self.settle_ready(index, seq);
                seq
            }
        }
    }

    /// Gives an event its slot, and lets it wait in limbo.
    fn park(
        &mut self,
        index: usize,
        incoming: Incoming,
        bytes: u64,
        refused: bool,
        now: Instant,
        now_ms: u64,
    ) -> u64 {
        let Some(lane) = self.lanes[index].as_mut() else {
            return 0;
        };
        self.budget.charge(bytes);
        let seq = lane.ledger.admit(bytes, 1, Outcome::Accepted, now_ms);
        let complaint = self.port.is_log.then(|| shared::complaint(&incoming)).flatten();
        let id = complaint.is_some().then(|| incoming.event.id().to_owned());
        let parked = Parked {
            epoch: lane.shared.epoch(),
            seq,
            incoming,
            refused,
        };
        if self.limbo.park(index, parked, now) {
            lane.shared.hold();
            if let Some(why) = complaint {
                // Of what is no event the id says where it is: topic, partition and offset.
                tracing::error!(ingress = %self.port.name, lane = %lane.shared.name, id, "a record of a store cannot be read: {why}");
            }
        }
        seq
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
                Target::Log(id) => {
                    let queue = gate.wiring.log(id);
                    if queue.push(leg, Some(&self.port))
                        && let Some(lane) = &mut self.lanes[lane.index as usize]
                    {
                        lane.wait_for(Place::Log(Arc::clone(queue)));
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
            {
                lane.wait_for(Place::Destination(Arc::clone(destination)));
            }
        }
        // The vectors are kept for the next batch; destinations that a reload took away are not.
        if self.outgoing.len() > 16 {
            self.outgoing.clear();
        }
    }

    /// Looks again at events that no route took, or that could not become what a route asks for, and at what waits
    /// behind them.
    pub(super) fn try_parked(&mut self, now: Instant) {
        let gate = self.gate.load_full();
        while let Some((line, index)) = self.limbo.due(now) {
            while self.try_first(line, index, &gate, now) {}
            self.flush(index);
        }
    }

    /// Whether the first event of a line has left, and another one waits behind it.
    fn try_first(&mut self, line: LineId, index: usize, gate: &Gate, now: Instant) -> bool {
        let Some(lane) = self.lanes[index].as_mut() else {
            self.limbo.remove_lane(index);
            return false;
        };
        let Some(parked) = self.limbo.first(line) else {
            return false;
        };
        let (epoch, seq, known) = (parked.epoch, parked.seq, parked.refused);
        let (owed, _) = gate.admit(parked.incoming.clone(), now, &mut self.scratch);
        if let Owed::Nothing { outcome, why, .. } = owed
            && refuses_to_say(&lane.shared, outcome)
        {
            if !known {
                books::without_legs(&self.port, outcome, why);
                parked.refused = true;
            }
            self.limbo.refused(line, now);
            return false;
        }
        let last = self.limbo.leave(line);
        if last {
            lane.shared.unhold();
        }
        match owed {
            Owed::Legs(legs) => {
                let count = u32::try_from(legs.len()).unwrap_or(u32::MAX);
                lane.ledger.add_legs(seq, count.saturating_sub(1));
                let shared = Arc::clone(&lane.shared);
                books::obligations(&self.port, count);
                self.queue(&shared, epoch, seq, legs, gate, now);
            }
            Owed::Nothing { outcome, why, .. } => {
                if !known || !matches!(outcome, Outcome::Rejected(_)) {
                    books::without_legs(&self.port, outcome, why);
                }
                if lane.ledger.end_leg(seq, outcome) {
                    self.settle_ready(index, seq);
                }
            }
        }
        !last
    }
}

/// Whether an event that ended like this has to stay, since its lane may tell nobody that it was refused.
fn refuses_to_say(lane: &LanePort, outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Rejected(_)) && lane.last_resort() == LastResort::Hold
}
