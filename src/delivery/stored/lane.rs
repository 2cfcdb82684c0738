//! The lane of a log: its records become legs again, and leave the log once they have ended.
//!
//! One task a log. Like any lane it has a window, and a mailbox through which outcomes come back; unlike a stream lane it
//! matches nothing, since a record knows where it belongs, and it never rewinds: what came back undelivered is handed out
//! again from memory, and the log is read again only after a crash.
//!
//! Owns: what is read and not settled. Invariants
//! - A place in the window is free once the acknowledgement is durable, so that a crash repeats one window at most (C4).
//! - Records are handed out in the order of the log (C20). No worker of the runtime waits for the disk.
//! - Nothing that cannot be read leaves the log, unless that is purged.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use smallvec::SmallVec;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use weft_api::crash;
use weft_api::event::EventBuilder;
use weft_api::outcome::Outcome;
use weft_store::{Most, Reader};

use super::record;
use super::taken::Taken;
use super::{DurableQueue, LOOK_EVERY};
use crate::delivery::breaker::backoff;
use crate::delivery::destination::Destination;
use crate::delivery::end::{End, Ender};
use crate::delivery::forward::{forward, go_on};
use crate::delivery::leg::Leg;
use crate::delivery::origin::{Claim, LanePort, Origin, Port, Settled};
use crate::delivery::wiring::Wiring;
use crate::routing::plan::{LogId, Target};

mod later;

/// How much is read in one go.
const READ_BYTES: u64 = 256 * 1024;
/// The first and the longest wait before a leg that came back is handed out again, or a read is tried again.
const AGAIN_INITIAL: Duration = Duration::from_millis(100);
const AGAIN_MAX: Duration = Duration::from_secs(30);

/// What a lane may have under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// In records; as many may come again after a crash.
    pub records: u64,
    /// In bytes of events.
    pub bytes: u64,
}

/// What a lane is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Read and deliver.
    Run,
    /// Read, drop and count.
    Purge,
    /// Read nothing more; settle what comes back.
    Drain,
    /// Settle what has come back, and end.
    Stop,
}

/// See the module.
pub struct LogLane {
    queue: Arc<DurableQueue>,
    wiring: Arc<ArcSwap<Wiring>>,
    port: Arc<LanePort>,
    epoch: u32,
    claim: Claim,
    window: Window,
    /// `None` while it reads.
    reader: Option<Reader<Leg>>,
    reading: Option<Reading>,
    /// Below this everything was read.
    read_to: u64,
    /// How many reads failed in a row, and when the next one is due.
    failures: u32,
    not_before: Option<Instant>,
    open: HashMap<u64, Taken>,
    open_bytes: u64,
    /// What came back, and when it is handed out again.
    again: BinaryHeap<Reverse<(Instant, u64)>>,
    full: SmallVec<[Arc<Destination>; 1]>,
    inbox: Vec<Settled>,
    builder: EventBuilder,
    damaged: u64,
    purging: bool,
    /// It has passed records that this version cannot read.
    passed: bool,
    published: Instant,
}

type Read = (Reader<Leg>, Vec<weft_store::Record>, std::io::Result<()>);

struct Reading {
    task: JoinHandle<Read>,
    /// Records below this were there when it began.
    to: u64,
    records: usize,
}

impl LogLane {
    /// The lane of `queue`, which reads through `reader`. `wiring`: the one in force.
    #[must_use]
    pub fn new(
        queue: Arc<DurableQueue>,
        port: &Arc<Port>,
        reader: Reader<Leg>,
        wiring: Arc<ArcSwap<Wiring>>,
        window: Window,
    ) -> LogLane {
        let epoch = port.take_epoch();
        let lane = LanePort::new(Arc::clone(port), Arc::clone(&queue.name), 0, epoch, true);
        LogLane {
            claim: port.mailbox.claim(),
            port: Arc::new(lane),
            queue,
            wiring,
            epoch,
            window,
            reader: Some(reader),
            reading: None,
            read_to: 0,
            failures: 0,
            not_before: None,
            open: HashMap::new(),
            open_bytes: 0,
            again: BinaryHeap::new(),
            full: SmallVec::new(),
            inbox: Vec::new(),
            builder: EventBuilder::new(),
            damaged: 0,
            purging: false,
            passed: false,
            published: Instant::now(),
        }
    }

    /// Runs until it is told to stop. Dropped before, what is under way is stale, and comes out of the log again.
    pub async fn run(mut self, mut orders: watch::Receiver<Order>) {
        loop {
            self.settle();
            self.publish();
            self.queue.look();
            let order = *orders.borrow_and_update();
            if order == Order::Stop {
                self.settle_last();
                return;
            }
            let due = self.turn(order);
            let (mailbox, claim) = (&self.port.port.mailbox, self.claim);
            let inbox = &mut self.inbox;
            let read = async {
                match &mut self.reading {
                    Some(reading) => (&mut reading.task).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Outcomes first: what they free is what everything else waits for.
                biased;
                () = std::future::poll_fn(|cx| mailbox.poll_take(claim, inbox, cx)) => {}
                changed = orders.changed() => if changed.is_err() { return },
                read = read => self.take(read),
                () = self.queue.bell.notified() => {}
                // Now and then for what waits in memory, and may have expired.
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    /// Hands out what is due, and reads on where there is room. Returns when to look again.
    fn turn(&mut self, order: Order) -> Instant {
        let now = Instant::now();
        while let Some(Reverse((due, sequence))) = self.again.peek().copied() {
            if due > now {
                break;
            }
            self.again.pop();
            self.hand_out_again(sequence);
        }
        let port = &self.port.port;
        self.full.retain(|destination| destination.is_full_for(port));
        self.purging = order == Order::Purge;
        self.go_back();
        if matches!(order, Order::Run | Order::Purge)
            && self.full.is_empty()
            && self.not_before.is_none_or(|at| at <= now)
        {
            self.not_before = None;
            self.read();
        }
        let again = self.again.peek().map(|Reverse((due, _))| *due);
        let due = [again, self.not_before].into_iter().flatten().min();
        // Now and then for what waits in memory, and may have expired.
        let look = now + LOOK_EVERY;
        due.map_or(look, |due| due.min(look))
    }

    /// Begins a read, if there is something to read and room for it.
    fn read(&mut self) {
        let to = self.queue.log.durable();
        let taken = self.open.len() as u64 + self.queue.log.unwritten();
        let room = self.window.records.saturating_sub(taken);
        let bytes = self.window.bytes.saturating_sub(self.open_bytes);
        if to <= self.read_to || room == 0 || bytes == 0 && !self.open.is_empty() {
            return;
        }
        let Some(mut reader) = self.reader.take() else {
            return;
        };
        let most = Most {
            records: usize::try_from(room).unwrap_or(usize::MAX),
            bytes: bytes.clamp(1, READ_BYTES),
        };
        let task = self.queue.work.run(move || {
            let mut records = Vec::new();
            let result = reader.read(most, &mut records);
            (reader, records, result)
        });
        self.reading = Some(Reading {
            task,
            to,
            records: most.records,
        });
    }

    /// Takes what was read.
    fn take(&mut self, read: Result<Read, tokio::task::JoinError>) {
        let Some(reading) = self.reading.take() else {
            return;
        };
        let (reader, records, result) = match read {
            Ok(read) => read,
            // The reader is lost: another lane has another.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends.
            Err(_) => return,
        };
        let damaged = reader.damaged();
        self.queue.metrics.damaged.inc_by(damaged - self.damaged);
        self.damaged = damaged;
        self.reader = Some(reader);
        let last = records.last().map(|record| record.sequence + 1);
        match result {
            Ok(()) if records.is_empty() => self.read_to = self.read_to.max(reading.to),
            Ok(()) => self.failures = 0,
            Err(error) => {
                let wait = backoff(AGAIN_INITIAL, AGAIN_MAX, self.failures, 0.5);
                self.failures = self.failures.saturating_add(1);
                self.not_before = Some(Instant::now() + wait);
                tracing::error!(log = %self.queue.name, %error, "reading the store: it is tried again");
            }
        }
        self.read_to = self.read_to.max(last.unwrap_or(0));
        debug_assert!(records.len() <= reading.records);
        self.hand_out(records);
    }

    fn hand_out(&mut self, records: Vec<weft_store::Record>) {
        let wiring = self.wiring.load_full();
        let Some(log) = wiring.log_of(&self.queue) else {
            return;
        };
        let mut legs: Vec<(Arc<Destination>, Vec<Leg>)> = Vec::new();
        let mut ender = Ender::default();
        let mut count = 0u64;
        for raw in records {
            let sequence = raw.sequence;
            if self.open.contains_key(&sequence) {
                continue;
            }
            let Some(record) = record::read(raw.payload, &mut self.builder) else {
                self.unreadable(sequence);
                continue;
            };
            let taken = Taken::new(record, &wiring, log, &self.queue);
            let leg = taken.leg(origin(&self.port, self.epoch, sequence));
            count += 1;
            self.open_bytes += taken.event.size();
            self.open.insert(sequence, taken);
            if leg.duty.expires.is_some_and(|at| at <= Instant::now()) {
                ender.end(leg.duty, End::Expired);
                continue;
            }
            if self.purging {
                ender.end(leg.duty, End::Dropped(Outcome::Accepted));
                continue;
            }
            match start(leg, log) {
                (leg, Target::To(id)) => {
                    let destination = wiring.destination(id);
                    match legs.iter_mut().find(|(known, _)| Arc::ptr_eq(known, destination)) {
                        Some((_, legs)) => legs.push(leg),
                        None => legs.push((Arc::clone(destination), vec![leg])),
                    }
                }
                (leg, target) => {
                    // What was handed out before it may owe the same destinations, and goes first (C20).
                    self.flush(&mut legs);
                    forward(leg, target);
                }
            }
        }
        self.flush(&mut legs);
        self.count(count);
        crash::point("store.read");
    }

    fn flush(&mut self, legs: &mut Vec<(Arc<Destination>, Vec<Leg>)>) {
        for (destination, mut legs) in legs.drain(..) {
            let full = destination.push(&mut legs, Some(&self.port.port));
            if full && !self.full.iter().any(|known| Arc::ptr_eq(known, &destination)) {
                self.full.push(destination);
            }
        }
    }

    fn count(&self, legs: u64) {
        let metrics = &self.port.port.metrics;
        metrics.obligations.inc_by(legs);
        metrics.books.pending.add(i64::try_from(legs).unwrap_or(i64::MAX));
    }

    fn hand_out_again(&mut self, sequence: u64) {
        let wiring = self.wiring.load_full();
        let (Some(log), Some(taken)) = (wiring.log_of(&self.queue), self.open.get_mut(&sequence)) else {
            return;
        };
        if !Arc::ptr_eq(&taken.wiring, &wiring) {
            taken.rewire(&wiring, log);
        }
        let origin = origin(&self.port, self.epoch, sequence);
        let (leg, target) = start(taken.leg(origin), log);
        self.count(1);
        forward(leg, target);
    }

    /// Applies what came back.
    fn settle(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut done = Vec::new();
        for settled in inbox.drain(..) {
            if settled.epoch != self.epoch {
                continue;
            }
            match settled.outcome {
                Outcome::Accepted => {
                    if let Some(taken) = self.open.remove(&settled.seq) {
                        self.open_bytes -= taken.event.size();
                        done.push(settled.seq);
                    }
                }
                Outcome::Rejected(_) | Outcome::Released(_) | Outcome::Unknown(_) => {
                    self.came_back(settled.seq, settled.outcome);
                }
            }
        }
        self.inbox = inbox;
        done.sort_unstable();
        for run in runs(&done) {
            self.queue.log.acknowledge(run);
        }
    }

    /// Shows the age of what it has waited for longest; a look at all of it, so not often.
    fn publish(&mut self) {
        if self.published.elapsed() >= LOOK_EVERY {
            self.published = Instant::now();
            self.queue.clock.look();
            let oldest = self.open.values().map(|taken| taken.since).min();
            let age = oldest.map_or(0.0, |since| since.elapsed().as_secs_f64());
            self.queue.metrics.oldest.set(age);
        }
    }

    /// Applies what came back since it was woken last.
    fn settle_last(&mut self) {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = self
            .port
            .port
            .mailbox
            .poll_take(self.claim, &mut self.inbox, &mut cx);
        self.settle();
    }

    fn came_back(&mut self, sequence: u64, outcome: Outcome) {
        let Some(taken) = self.open.get_mut(&sequence) else {
            return;
        };
        taken.maybe_delivered |= matches!(outcome, Outcome::Unknown(_));
        let wait = backoff(AGAIN_INITIAL, AGAIN_MAX, taken.returns, 1.0);
        taken.returns = taken.returns.saturating_add(1);
        self.again.push(Reverse((Instant::now() + wait, sequence)));
    }
}

impl Drop for LogLane {
    fn drop(&mut self) {
        // Legs of this life are nobody's now; what they stood for is still in the log.
        self.port.set_epoch(self.port.port.take_epoch());
        self.queue.metrics.oldest.set(0.0);
    }
}

/// A record as the origin of a leg.
fn origin(lane: &Arc<LanePort>, epoch: u32, sequence: u64) -> Origin {
    Origin::Slot {
        lane: Arc::clone(lane),
        epoch,
        seq: sequence,
    }
}

/// Where a leg out of a log goes.
fn start(mut leg: Leg, log: LogId) -> (Leg, Target) {
    let wiring = Arc::clone(&leg.duty.wiring);
    let target = go_on(&mut leg, wiring.table.below(log));
    (leg, target)
}

/// Sorted sequences as runs.
fn runs(sorted: &[u64]) -> Vec<std::ops::Range<u64>> {
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    for sequence in sorted {
        match runs.last_mut() {
            Some(run) if run.end == *sequence => run.end += 1,
            _ => runs.push(*sequence..*sequence + 1),
        }
    }
    runs
}
