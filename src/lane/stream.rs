//! Stream lanes (Kafka, MQTT, AMQP): what stands behind [`weft_api::ingress::Lanes`].
//!
//! Owned by the connector's task. Legs report through the ingress' mailbox; `poll_next` applies what came back.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::{Instant, Sleep};
use weft_api::ingress::{Credit, Incoming, LaneEvent, LaneId, LaneSpec, LanesBackend, Settle};
use weft_api::outcome::Outcome;

use super::admit::{CurrentGate, Gate, NoLegs, Owed, Owing, Scratch};
use super::budget::Budget;
use super::ledger::{Ledger, Step};
use super::limbo::{Limbo, Parked};
use crate::delivery::breaker::backoff;
use crate::delivery::destination::Destination;
use crate::delivery::failure;
use crate::delivery::leg::Leg;
use crate::delivery::origin::{LanePort, LastResort, Origin, Port, Settled};
use crate::routing::plan::{Steps, Target};

/// The first and the longest wait before an in-order lane starts again.
const REWIND_INITIAL: Duration = Duration::from_millis(100);
const REWIND_MAX: Duration = Duration::from_secs(30);

/// All stream lanes of one ingress.
pub struct StreamLanes {
    port: Arc<Port>,
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
}

/// What a scrape may ask of an ingress' lanes without touching them.
#[derive(Default)]
pub struct Pulse {
    /// Unsettled events.
    pub unsettled: AtomicU64,
    /// When the oldest unsettled event was admitted: milliseconds of the process' clock, plus one; 0 for none.
    pub oldest_ms: AtomicU64,
}

impl Pulse {
    /// How long the oldest unsettled event has been here; zero for none, and for requests, which have a deadline.
    #[must_use]
    pub fn oldest(&self) -> Duration {
        match self.oldest_ms.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(now_ms().saturating_sub(since - 1)),
        }
    }
}

/// Milliseconds since the first call in this process.
fn now_ms() -> u64 {
    static BORN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(BORN.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

struct Lane {
    shared: Arc<LanePort>,
    ledger: Ledger,
    in_order: bool,
    window_empty_bytes: u64,
    /// Destinations whose bounds this lane has reached; it has no credit while one of them is full.
    full: SmallVec<[Arc<Destination>; 1]>,
    /// It was told that it has no credit, and wants to hear when it has.
    starved: std::cell::Cell<bool>,
    rewind_at: Option<Instant>,
    rewinds: u32,
}

impl StreamLanes {
    /// Lanes without a lane.
    #[must_use]
    pub fn new(port: Arc<Port>, gate: CurrentGate, budget: Arc<Budget>, pulse: Arc<Pulse>, seed: u64) -> StreamLanes {
        StreamLanes {
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
        }
    }

    fn lane(&self, id: LaneId) -> Option<&Lane> {
        self.lanes.get(id.index as usize)?.as_ref().filter(|lane| lane.shared.epoch() == id.epoch)
    }

    /// Admits one event into slot `seq`, or a new one.
    fn admit_one(&mut self, index: usize, incoming: Incoming, gate: &Gate, now: Instant, now_ms: u64) -> u64 {
        let bytes = incoming.event.size();
        let metrics = Arc::clone(&self.port.metrics);
        metrics.events.inc();
        metrics.bytes.inc_by(bytes);
        metrics.malformed.inc_by(u64::from(incoming.malformed));
        let malformed = incoming.malformed;
        let (owed, _) = gate.admit(incoming, now, &mut self.scratch);
        let Some(lane) = self.lanes[index].as_mut() else { return 0 };
        let epoch = lane.shared.epoch();
        self.budget.charge(bytes);
        match owed {
            Owed::Legs(legs) => {
                let count = u32::try_from(legs.len()).unwrap_or(u32::MAX);
                let seq = lane.ledger.admit(bytes, count, Outcome::Accepted, now_ms);
                let shared = Arc::clone(&lane.shared);
                count_obligations(&self.port, count);
                self.queue(&shared, epoch, seq, legs, gate, now);
                seq
            }
            Owed::Nothing { event, outcome, why } => {
                count_without_legs(&self.port, outcome, why);
                let held = matches!(outcome, Outcome::Rejected(_)) && lane.shared.last_resort() == LastResort::Hold;
                if held {
                    // Nobody may be told that it was refused: it waits for a route, or for a reload that brings one.
                    let seq = lane.ledger.admit(bytes, 1, Outcome::Accepted, now_ms);
                    lane.shared.hold();
                    let incoming = Incoming { event, malformed };
                    let parked = Parked { lane: index, epoch, seq, incoming, tries: 0 };
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
            let origin = Origin::Slot { lane: Arc::clone(lane), epoch, seq };
            let leg = owing.into_leg(origin, &gate.wiring, steps, now);
            match target {
                Target::To(id) => {
                    let destination = gate.wiring.destination(id);
                    match self.outgoing.iter_mut().find(|(known, _)| Arc::ptr_eq(known, destination)) {
                        Some((_, legs)) => legs.push(leg),
                        None => self.outgoing.push((Arc::clone(destination), vec![leg])),
                    }
                }
                Target::All(_) => failure::forward(leg, target),
            }
        }
    }

    /// Hands what was gathered to the destinations: one lock each.
    fn flush(&mut self, index: usize) {
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

    /// Tells the connector what is settled by slot `seq`.
    fn settle_ready(&mut self, index: usize, seq: u64) {
        loop {
            let Some(lane) = self.lanes[index].as_mut() else { return };
            let id = LaneId { index: lane.shared.index, epoch: lane.shared.epoch() };
            let (step, freed) = lane.ledger.ready(seq);
            match step {
                Step::Nothing => return,
                Step::Settled(run) => {
                    lane.rewinds = 0;
                    let metrics = &self.port.metrics;
                    metrics.settled(run.outcome).inc_by(run.last - run.first + 1);
                    let said = LaneEvent::Settled { first: run.first, last: run.last, outcome: run.outcome };
                    let individual = !lane.in_order;
                    self.said.push_back((id, said));
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

    /// The lane's life is over; the connector hears of it once the backoff has passed.
    fn start_rewind(&mut self, index: usize, from: u64) {
        let epoch = self.port.take_epoch();
        let jitter = self.rng.f64();
        let Some(lane) = self.lanes[index].as_mut() else { return };
        let wait = backoff(REWIND_INITIAL, REWIND_MAX, lane.rewinds, jitter);
        lane.rewinds = lane.rewinds.saturating_add(1);
        lane.shared.set_epoch(epoch);
        lane.rewind_at = Some(Instant::now() + wait);
        let freed = lane.ledger.restart(from);
        let name = Arc::clone(&lane.shared.name);
        self.port.metrics.rewinds.inc();
        tracing::warn!(ingress = %self.port.name, lane = %name, from, "lane starts again at its watermark");
        self.end_life(index, freed);
    }

    /// What a life leaves behind when it ends: parked events, legs in queues, bytes.
    fn end_life(&mut self, index: usize, freed: u64) {
        let parked = self.limbo.remove_lane(index);
        if let Some(lane) = &self.lanes[index] {
            (0..parked).for_each(|_| lane.shared.unhold());
        }
        self.budget.free(freed);
        for destination in &self.gate.load().wiring.destinations {
            destination.sweep_stale();
        }
    }

    fn apply(&mut self, settled: Settled) {
        let index = settled.lane as usize;
        let Some(lane) = self.lanes.get_mut(index).and_then(Option::as_mut) else { return };
        if lane.shared.epoch() != settled.epoch || lane.rewind_at.is_some() {
            return;
        }
        if lane.ledger.end_leg(settled.seq, settled.outcome) {
            self.settle_ready(index, settled.seq);
        }
    }

    /// Looks again at events that no route took, or that could not become what a route asks for.
    fn try_parked(&mut self, now: Instant) {
        let gate = self.gate.load_full();
        while let Some(mut parked) = self.limbo.due(now) {
            let (owed, _) = gate.admit(parked.incoming.clone(), now, &mut self.scratch);
            let Some(lane) = self.lanes[parked.lane].as_mut() else { continue };
            match owed {
                Owed::Legs(legs) => {
                    let count = u32::try_from(legs.len()).unwrap_or(u32::MAX);
                    lane.ledger.add_legs(parked.seq, count.saturating_sub(1));
                    lane.shared.unhold();
                    let shared = Arc::clone(&lane.shared);
                    count_obligations(&self.port, count);
                    self.queue(&shared, parked.epoch, parked.seq, legs, &gate, now);
                    self.flush(parked.lane);
                }
                Owed::Nothing { outcome: Outcome::Rejected(_), .. } => {
                    parked.tries += 1;
                    self.limbo.park(parked, now);
                }
                Owed::Nothing { outcome, why, .. } => {
                    lane.shared.unhold();
                    count_without_legs(&self.port, outcome, why);
                    if lane.ledger.end_leg(parked.seq, outcome) {
                        self.settle_ready(parked.lane, parked.seq);
                    }
                }
            }
        }
    }

    /// Rewinds whose time has come, and lanes that have credit again.
    fn look_at_lanes(&mut self, now: Instant) {
        for lane in self.lanes.iter_mut().flatten() {
            let id = LaneId { index: lane.shared.index, epoch: lane.shared.epoch() };
            if lane.rewind_at.is_some_and(|at| at <= now) {
                lane.rewind_at = None;
                self.said.push_back((id, LaneEvent::Rewind { from: lane.ledger.watermark() }));
            }
            if lane.starved.get() && lane.credit(&self.budget, &self.port).events > 0 {
                lane.starved.set(false);
                self.said.push_back((id, LaneEvent::Credit));
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let rewind = self.lanes.iter().flatten().filter_map(|lane| lane.rewind_at).min();
        match (rewind, self.limbo.next_due()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn publish(&self) {
        let oldest = self.lanes.iter().flatten().filter_map(|lane| lane.ledger.oldest_ms()).min();
        self.pulse.oldest_ms.store(oldest.map_or(0, |ms| ms + 1), Ordering::Relaxed);
        let unsettled = self.lanes.iter().flatten().map(|lane| lane.ledger.unsettled()).sum();
        self.pulse.unsettled.store(unsettled, Ordering::Relaxed);
    }
}

impl Lane {
    fn credit(&self, budget: &Budget, port: &Arc<Port>) -> Credit {
        const NONE: Credit = Credit { events: 0, bytes: 0 };
        if self.rewind_at.is_some() || self.full.iter().any(|destination| destination.is_full()) {
            return NONE;
        }
        let (events, bytes) = self.ledger.room();
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        if self.ledger.unsettled() == 0 && budget.left() < self.window_empty_bytes {
            // One event always moves, or lanes would wait for memory in a circle; a whole window of them would not fit.
            return Credit { events: events.min(1), bytes: self.window_empty_bytes };
        }
        let bytes = bytes.min(budget.left());
        if bytes == 0 && budget.left() == 0 {
            budget.wait(port);
        }
        if events == 0 || bytes == 0 { NONE } else { Credit { events, bytes } }
    }
}

impl LanesBackend for StreamLanes {
    fn open(&mut self, spec: LaneSpec) -> LaneId {
        let epoch = self.port.take_epoch();
        let index = self.free.pop().unwrap_or_else(|| {
            self.lanes.push(None);
            u32::try_from(self.lanes.len() - 1).expect("a connector does not have four thousand million lanes")
        });
        let in_order = spec.settle == Settle::InOrder;
        let shared = Arc::new(LanePort::new(Arc::clone(&self.port), spec.name, index, epoch, in_order));
        self.lanes[index as usize] = Some(Lane {
            shared,
            ledger: Ledger::new(spec.settle, spec.window, 0),
            in_order,
            window_empty_bytes: spec.window.bytes,
            full: SmallVec::new(),
            starved: std::cell::Cell::new(false),
            rewind_at: None,
            rewinds: 0,
        });
        LaneId { index, epoch }
    }

    fn credit(&self, lane: LaneId) -> Credit {
        let Some(lane) = self.lane(lane) else { return Credit { events: 0, bytes: 0 } };
        let credit = lane.credit(&self.budget, &self.port);
        if credit.events == 0 {
            lane.starved.set(true);
        }
        credit
    }

    fn deliver(&mut self, id: LaneId, batch: &mut Vec<Incoming>) -> u64 {
        let index = id.index as usize;
        let Some(lane) = self.lane(id).filter(|lane| lane.rewind_at.is_none()) else {
            // Of a life that is over: nothing is promised for it, and it will come again.
            batch.clear();
            return 0;
        };
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
        first
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(LaneId, LaneEvent)> {
        loop {
            if let Some(said) = self.said.pop_front() {
                return Poll::Ready(said);
            }
            let mut inbox = std::mem::take(&mut self.inbox);
            let came = self.port.mailbox.poll_take(&mut inbox, cx);
            for settled in inbox.drain(..) {
                self.apply(settled);
            }
            self.inbox = inbox;
            let now = Instant::now();
            self.try_parked(now);
            for lane in self.lanes.iter_mut().flatten() {
                lane.full.retain(|destination| destination.wait_for_room(&self.port));
            }
            self.look_at_lanes(now);
            self.publish();
            if !self.said.is_empty() || came.is_ready() {
                continue;
            }
            let Some(due) = self.next_due() else { return Poll::Pending };
            self.timer.as_mut().reset(due);
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn unsettled(&self) -> u64 {
        self.lanes.iter().flatten().map(|lane| lane.ledger.unsettled()).sum()
    }

    fn close(&mut self, id: LaneId) {
        if self.lane(id).is_none() {
            return;
        }
        let epoch = self.port.take_epoch();
        let index = id.index as usize;
        let Some(lane) = self.lanes[index].as_mut() else { return };
        lane.shared.set_epoch(epoch);
        let freed = lane.ledger.restart(0);
        self.end_life(index, freed);
        self.lanes[index] = None;
        self.said.retain(|(lane, _)| lane.index != id.index);
        self.free.push(id.index);
        self.publish();
    }
}

impl Drop for StreamLanes {
    fn drop(&mut self) {
        for index in 0..self.lanes.len() {
            if let Some(lane) = &self.lanes[index] {
                let id = LaneId { index: lane.shared.index, epoch: lane.shared.epoch() };
                self.close(id);
            }
        }
    }
}

/// Counts obligations in; they are pending until [`crate::delivery::end::Ender`] counts them out.
pub(super) fn count_obligations(port: &Port, legs: u32) {
    port.metrics.obligations.inc_by(u64::from(legs));
    port.metrics.pending.add(i64::from(legs));
}

/// Counts what owes nothing.
pub(super) fn count_without_legs(port: &Port, outcome: Outcome, why: NoLegs) {
    let metrics = &port.metrics;
    match why {
        NoLegs::Unmatched => metrics.unmatched.inc(),
        NoLegs::Expired => {
            metrics.obligations.inc();
            metrics.expired.inc();
        }
        NoLegs::Malformed if outcome == Outcome::Accepted => metrics.dropped_by_rule("malformed").inc(),
        NoLegs::Malformed | NoLegs::Refused => {}
    }
    if let Some(reason) = outcome.reason() {
        metrics.refused(reason).inc();
    }
}

