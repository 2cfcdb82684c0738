//! Stream lanes (Kafka, MQTT, AMQP): what stands behind [`weft_api::ingress::Lanes`].
//!
//! Owned by the connector's task. Legs report through the ingress' mailbox; `poll_next` applies what came back.

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::{Instant, Sleep};
use weft_api::crash;
use weft_api::ingress::{Credit, Incoming, LaneEvent, LaneId, LaneSpec, LanesBackend, Settle};

use super::admit::{CurrentGate, Scratch};
use super::books::{self, Pulse, now_ms};
use super::ledger::{Ledger, Run, Step};
use super::limbo::Limbo;
use crate::delivery::breaker::backoff;
use crate::delivery::budget::Budget;
use crate::delivery::destination::Destination;
use crate::delivery::leg::Leg;
use crate::delivery::origin::{Claim, LanePort, Port, Settled};

mod entry;
mod lane;
#[cfg(test)]
mod tests;

use lane::{Lane, NONE, Told};

/// The first and the longest wait before an in-order lane starts again.
const REWIND_INITIAL: Duration = Duration::from_millis(100);
const REWIND_MAX: Duration = Duration::from_secs(30);

/// All stream lanes of one ingress.
pub struct StreamLanes {
    port: Arc<Port>,
    claim: Claim,
    gate: CurrentGate,
    budget: Arc<Budget>,
    pulse: Arc<Pulse>,
    lanes: Vec<Option<Lane>>,
    free: Vec<u32>,
    said: VecDeque<(LaneId, LaneEvent)>,
    limbo: Limbo,
    rng: fastrand::Rng,
    timer: Pin<Box<Sleep>>,
    inbox: Vec<Settled>,
    scratch: Scratch,
    /// Legs on their way into queues, by destination; empty between calls.
    outgoing: Vec<(Arc<Destination>, Vec<Leg>)>,
    /// What it has added to the pulse.
    published: u64,
}

impl StreamLanes {
    /// Lanes without a lane.
    #[must_use]
    pub fn new(
        port: Arc<Port>,
        gate: CurrentGate,
        budget: Arc<Budget>,
        pulse: Arc<Pulse>,
        seed: u64,
    ) -> StreamLanes {
        StreamLanes {
            claim: port.mailbox.claim(),
            port,
            gate,
            budget,
            pulse,
            lanes: Vec::new(),
            free: Vec::new(),
            said: VecDeque::new(),
            limbo: Limbo::default(),
            rng: fastrand::Rng::with_seed(seed),
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            inbox: Vec::new(),
            scratch: Scratch::default(),
            outgoing: Vec::new(),
            published: 0,
        }
    }

    fn lane(&self, id: LaneId) -> Option<&Lane> {
        self.lanes
            .get(id.index as usize)?
            .as_ref()
            .filter(|lane| lane.shared.epoch() == id.epoch)
    }

    /// Tells the connector what is settled by slot `seq`.
    fn settle_ready(&mut self, index: usize, seq: u64) {
        loop {
            let Some(lane) = self.lanes[index].as_mut() else {
                return;
            };
            let id = LaneId {
                index: lane.shared.index,
                epoch: lane.shared.epoch(),
            };
            let (step, freed) = lane.ledger.ready(seq);
            match step {
                Step::Nothing => return,
                Step::Settled(run) => {
                    lane.rewinds = 0;
                    books::settled(&self.port, run.outcome, run.last - run.first + 1);
                    let individual = !lane.in_order;
                    self.say_settled(id, run);
                    self.budget.free(freed);
                    if individual {
                        return;
                    }
                }
                Step::Rewind(from) => {
                    self.start_rewind(index, from);
                    return;
                }
            }
        }
    }

    /// Settlements that follow each other are told as one.
    fn say_settled(&mut self, id: LaneId, run: Run) {
        match self.said.back_mut() {
            Some((known, LaneEvent::Settled { last, outcome, .. }))
                if *known == id && *outcome == run.outcome && *last + 1 == run.first =>
            {
                *last = run.last;
            }
            _ => {
                let said = LaneEvent::Settled {
                    first: run.first,
                    last: run.last,
                    outcome: run.outcome,
                };
                self.said.push_back((id, said));
            }
        }
    }

    /// The lane's life is over; the connector hears of it once the backoff has passed.
    fn start_rewind(&mut self, index: usize, from: u64) {
        let epoch = self.port.take_epoch();
        let jitter = self.rng.f64();
        let Some(lane) = self.lanes[index].as_mut() else {
            return;
        };
        let wait = backoff(REWIND_INITIAL, REWIND_MAX, lane.rewinds, jitter);
        lane.rewinds = lane.rewinds.saturating_add(1);
        lane.shared.set_epoch(epoch);
        lane.rewind_at = Some(Instant::now() + wait);
        let freed = lane.ledger.restart(from);
        let name = Arc::clone(&lane.shared.name);
        self.port.metrics.rewinds.inc();
        tracing::warn!(ingress = %self.port.name, lane = %name, from, "lane starts again at its watermark");
        let lines = self.limbo.remove_lane(index);
        if let Some(lane) = &self.lanes[index] {
            (0..lines).for_each(|_| lane.shared.unhold());
        }
        self.budget.free(freed);
        self.sweep_stale();
    }

    fn apply(&mut self, settled: Settled) {
        let index = settled.lane as usize;
        let Some(lane) = self.lanes.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        if lane.shared.epoch() != settled.epoch || lane.rewind_at.is_some() {
            return;
        }
        if lane.ledger.end_leg(settled.seq, settled.outcome) {
            self.settle_ready(index, settled.seq);
        }
    }

    /// Rewinds whose time has come, and lanes that have credit again.
    fn look_at_lanes(&mut self, now: Instant) {
        for lane in self.lanes.iter_mut().flatten() {
            let id = LaneId {
                index: lane.shared.index,
                epoch: lane.shared.epoch(),
            };
            if lane.rewind_at.is_some_and(|at| at <= now) {
                lane.rewind_at = None;
                self.said.push_back((
                    id,
                    LaneEvent::Rewind {
                        from: lane.ledger.watermark(),
                    },
                ));
            }
            if lane.has_more(&self.budget, &self.port) {
                self.said.push_back((id, LaneEvent::Credit));
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let rewind = self
            .lanes
            .iter()
            .flatten()
            .filter_map(|lane| lane.rewind_at)
            .min();
        match (rewind, self.limbo.next_due()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn publish(&mut self) {
        let oldest = self
            .lanes
            .iter()
            .flatten()
            .filter_map(|lane| lane.ledger.oldest_ms())
            .min();
        self.pulse
            .oldest_ms
            .store(oldest.map_or(0, |ms| ms + 1), Ordering::Relaxed);
        let unsettled = self.unsettled();
        // Request lanes of the same ingress count there, too.
        self.pulse
            .unsettled
            .fetch_add(unsettled.wrapping_sub(self.published), Ordering::Relaxed);
        self.published = unsettled;
    }

    /// Ends a lane's life and forgets it; returns the bytes that are free now.
    fn drop_lane(&mut self, index: usize) -> u64 {
        let epoch = self.port.take_epoch();
        let Some(mut lane) = self.lanes[index].take() else {
            return 0;
        };
        lane.shared.set_epoch(epoch);
        for _ in 0..self.limbo.remove_lane(index) {
            lane.shared.unhold();
        }
        lane.ledger.restart(0)
    }

    fn sweep_stale(&self) {
        for destination in &self.gate.load().wiring.destinations {
            destination.sweep_stale();
        }
    }
}

impl LanesBackend for StreamLanes {
    fn open(&mut self, spec: LaneSpec) -> LaneId {
        let epoch = self.port.take_epoch();
        let index = self.free.pop().unwrap_or_else(|| {
            self.lanes.push(None);
            u32::try_from(self.lanes.len() - 1)
                .expect("a connector does not have four thousand million lanes")
        });
        let in_order = spec.settle == Settle::InOrder;
        let shared = Arc::new(LanePort::new(
            Arc::clone(&self.port),
            spec.name,
            index,
            epoch,
            in_order,
        ));
        self.lanes[index as usize] = Some(Lane {
            shared,
            ledger: Ledger::new(spec.settle, spec.window, 0),
            in_order,
            opened: epoch,
            window_bytes: spec.window.bytes,
            full: SmallVec::new(),
            told: Cell::new(Told::All),
            rewind_at: None,
            rewinds: 0,
        });
        LaneId { index, epoch }
    }

    fn credit(&self, lane: LaneId) -> Credit {
        self.lane(lane)
            .map_or(NONE, |lane| lane.tell_credit(&self.budget, &self.port))
    }

    fn deliver(&mut self, id: LaneId, batch: &mut Vec<Incoming>) -> u64 {
        let index = id.index as usize;
        let Some(lane) = self.lane(id).filter(|lane| lane.rewind_at.is_none()) else {
            // Of a life that is over: nothing is promised for it, and it will come again.
            batch.clear();
            return 0;
        };
        crash::point("ingress.received");
        let first = lane.ledger.next_seq();
        let (room, _) = lane.ledger.room();
        if batch.len() as u64 > room {
            self.port.metrics.overdelivered.inc_by(batch.len() as u64 - room);
        }
        let gate = self.gate.load_full();
        let (now, now_ms) = (Instant::now(), now_ms());
        for incoming in batch.drain(..) {
            self.admit_one(index, incoming, &gate, now, now_ms);
        }
        self.flush(index);
        self.publish();
        crash::point("ingress.queued");
        first
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(LaneId, LaneEvent)> {
        loop {
            if let Some(said) = self.said.pop_front() {
                if matches!(said.1, LaneEvent::Settled { .. }) {
                    crash::point("ingress.settled");
                }
                return Poll::Ready(said);
            }
            let mut inbox = std::mem::take(&mut self.inbox);
            let came = self.port.mailbox.poll_take(self.claim, &mut inbox, cx);
            for settled in inbox.drain(..) {
                self.apply(settled);
            }
            self.inbox = inbox;
            let now = Instant::now();
            self.try_parked(now);
            for lane in self.lanes.iter_mut().flatten() {
                // Full again is waited for again: the nudge that told of room was the only one.
                lane.full.retain(|place| place.is_full_for(&self.port));
            }
            self.look_at_lanes(now);
            self.publish();
            if !self.said.is_empty() || came.is_ready() {
                continue;
            }
            let Some(due) = self.next_due() else {
                return Poll::Pending;
            };
            self.timer.as_mut().reset(due);
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn unsettled(&self) -> u64 {
        self.lanes
            .iter()
            .flatten()
            .map(|lane| lane.ledger.unsettled())
            .sum()
    }

    fn close(&mut self, id: LaneId) {
        let index = id.index as usize;
        // While the lane waits for its rewind, the connector knows it by its former epoch only.
        let is_its =
            |lane: &Lane| id.epoch.wrapping_sub(lane.opened) <= lane.shared.epoch().wrapping_sub(lane.opened);
        if !self.lanes.get(index).and_then(Option::as_ref).is_some_and(is_its) {
            return;
        }
        let freed = self.drop_lane(index);
        self.budget.free(freed);
        self.sweep_stale();
        self.said.retain(|(lane, _)| lane.index != id.index);
        self.free.push(id.index);
        self.publish();
    }
}

impl Drop for StreamLanes {
    fn drop(&mut self) {
        let freed = (0..self.lanes.len()).map(|index| self.drop_lane(index)).sum();
        self.budget.free(freed);
        self.sweep_stale();
        self.publish();
    }
}
