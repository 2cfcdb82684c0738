//! Store and forward (C24-C28): a log as a place for legs.
//!
//! A store changes who holds an event, not where it goes. A leg that comes to a [`DurableQueue`] is appended, and has
//! ended for its ingress once it is durable. What comes out of the log ([`lane`]) is a leg again, at the same place of the
//! same plan, and leaves the log only when the next place has it.
//!
//! Does not know: files and bytes (`weft-store`), which routes lead here.
//! Owns: who is told when there is room in the log; the legs that wait for it stand in `waiting.rs`. Invariants
//! - Legs of one lane are appended in the order in which they came, those that had to wait before those behind them.
//! - A leg that waits for room, or whose log failed, has not ended: its sender still has it.

mod clerk;
pub mod clock;
mod disk_work;
pub mod lane;
pub mod letters;
pub mod record;
pub mod replay;
mod taken;
mod waiting;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::Instant;
use weft_api::crash;
use weft_api::outcome::{Outcome, Reason, SendError};
use weft_store::{Claim, Log, Refused};

use super::end::{End, Ender};
use super::failure;
use super::leg::Leg;
use super::origin::{Origin, Port};
use super::sweep::STALE;
use crate::metrics::LogMetrics;
use crate::routing::plan::LogView;
pub use clerk::Clerk;
use clock::WallClock;
pub use disk_work::DiskWork;

#[cfg(test)]
mod tests;

/// What stands behind a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A destination or a group: its lane delivers what is in it.
    Backlog,
    /// The local dead letters: what is in it has arrived, and waits for a person.
    DeadLetters,
    /// What came in by an ingress (`retain:`): nothing is owed any more, and it stays as long as its segment does.
    Kept,
}

/// What the file says of a log, as far as delivery cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogRules {
    /// What is older has expired.
    pub max_age: Option<Duration>,
    /// `when_full: move`: what finds no room goes on in its plan.
    pub full_moves: bool,
}

/// See the module.
pub struct DurableQueue {
    /// The destination's or group's name, or that of the dead letters.
    pub name: Arc<str>,
    /// Its counters.
    pub metrics: Arc<LogMetrics>,
    /// The log.
    pub log: Arc<Log<Leg>>,
    /// What is behind it.
    pub kind: Kind,
    clock: Arc<WallClock>,
    /// Who reads the log.
    pub work: DiskWork,
    opened: Instant,
    /// How long before that its newest record had come; the longest time for one that came out of the future.
    rested_ms: Option<u64>,
    rules: ArcSwap<LogRules>,
    waiting: Mutex<VecDeque<Leg>>,
    /// How many wait; changed with the lock held.
    waits: AtomicUsize,
    failed: AtomicBool,
    blocked: Mutex<Vec<Arc<Port>>>,
    /// When what waits was looked over last.
    swept: Mutex<Instant>,
    /// Rung when the log has changed.
    bell: Notify,
    /// An operator's jobs that are at work on it.
    jobs: AtomicUsize,
    /// The file does not have its place, and nobody delivers what is in it.
    orphan: AtomicBool,
}

thread_local! {
    /// Where a record is put together; kept, so that an event costs no allocation.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
/// How often what waits is looked at, whether the log has changed or not.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How much scratch is kept.
const SCRATCH_MAX: usize = 64 * 1024;

/// What a sender hears of a full log.
const NO_ROOM: &str = "the log of this destination is full";

/// Why a leg that a log shall take is still here.
enum Left {
    /// It waits for room.
    Waits,
    /// Nobody wants it any more.
    Stale,
    /// The log has failed, or is closed.
    Failed,
    /// It is too long for a record.
    TooLong,
}

impl DurableQueue {
    /// The place of legs that `log` keeps.
    #[must_use]
    pub fn new(
        name: Arc<str>,
        kind: Kind,
        log: Arc<Log<Leg>>,
        rules: LogRules,
        metrics: Arc<LogMetrics>,
        (clock, work): (Arc<WallClock>, DiskWork),
    ) -> Arc<DurableQueue> {
        metrics.found.inc_by(log.open());
        let now = clock.now_ms();
        let rested_ms = log
            .newest_ms()
            .map(|newest| now.checked_sub(newest).unwrap_or(u64::MAX));
        let queue = Arc::new(DurableQueue {
            name,
            metrics,
            log,
            kind,
            clock,
            work,
            opened: Instant::now(),
            rested_ms,
            rules: ArcSwap::from_pointee(rules),
            waiting: Mutex::default(),
            waits: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            blocked: Mutex::default(),
            swept: Mutex::new(Instant::now()),
            bell: Notify::new(),
            jobs: AtomicUsize::new(0),
            orphan: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&queue);
        queue.log.on_change(Arc::new(move || {
            if let Some(queue) = weak.upgrade() {
                queue.bell.notify_one();
            }
        }));
        queue
    }

    /// Changes what the file says.
    pub fn configure(&self, rules: LogRules) {
        self.rules.store(Arc::new(rules));
    }

    /// Takes a leg. Returns whether there is no room: then `port` is nudged once there is some.
    pub fn push(self: &Arc<Self>, mut leg: Leg, port: Option<&Arc<Port>>) -> bool {
        // It is nobody's request at any destination while it is here.
        leg.duty.visit = None;
        leg.duty.arrived = Instant::now();
        if let Some(leg) = self.behind_those_that_wait(leg)
            && let Some((leg, left)) = self.append(leg)
        {
            self.refuse(leg, left);
        }
        // What finds no room here goes elsewhere: its lane need not wait.
        let moves = self.rules.load().full_moves && self.waits.load(Ordering::Acquire) == 0;
        !moves && self.is_full_for(port)
    }

    /// How it stands, for plans.
    #[must_use]
    pub fn view(&self) -> LogView {
        LogView {
            pending: self.pending(),
            full: self.is_full(),
            failed: self.failed.load(Ordering::Acquire),
        }
    }

    /// Legs in it, or on their way into it.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.log.open() + self.waits.load(Ordering::Acquire) as u64
    }

    /// It has no room now: lanes stop, and requests are refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        // One that failed and is empty is passed by.
        let dead = self.failed.load(Ordering::Acquire) && self.log.open() > 0;
        dead || self.log.is_full() || self.waits.load(Ordering::Acquire) > 0
    }

    /// Whether an event of so many bytes would find room now; asked for one that has to be answered at once.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        !self.is_full() && self.log.takes(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// The same; if it has none, `port` is nudged once there is.
    pub fn is_full_for(&self, port: Option<&Arc<Port>>) -> bool {
        if !self.is_full() {
            return false;
        }
        if let Some(port) = port {
            let mut blocked = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
            if !blocked.iter().any(|known| Arc::ptr_eq(known, port)) {
                blocked.push(Arc::clone(port));
            }
        }
        // Room that came between the look and the registration would nudge nobody.
        self.is_full()
    }

    /// Looks after what waits: appends what there is room for now, ends what is stale or has expired, sends on what
    /// need not wait for a log that failed. Called when the log has changed, and now and then, by one task.
    pub fn look(self: &Arc<Self>) {
        if self.waits.load(Ordering::Acquire) > 0 {
            if self.is_time_to_sweep() {
                self.sweep();
            }
            if self.failed.load(Ordering::Acquire) {
                self.send_on();
            } else {
                self.append_waiting();
            }
        }
        if !self.is_full() {
            let blocked = std::mem::take(&mut *self.blocked.lock().unwrap_or_else(PoisonError::into_inner));
            for port in blocked {
                port.mailbox.nudge();
            }
        }
    }

    /// What waits is looked over now and then only: all of it each time that a record is written would be too much.
    fn is_time_to_sweep(&self) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let due = swept.elapsed() >= LOOK_EVERY;
        if due {
            *swept = Instant::now();
        }
        due
    }

    /// Brings its gauges up to date, for a scrape.
    pub fn publish(&self) {
        let holding = self.log.holding();
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.bytes.set(gauge(holding.bytes));
        self.metrics.max_bytes.set(gauge(holding.max_bytes));
        self.metrics.pending.set(gauge(holding.open));
        self.metrics
            .waiting
            .set(gauge(self.waits.load(Ordering::Acquire) as u64));
        let full = self.is_full() || self.log.is_disk_low();
        self.metrics.full.set(i64::from(full));
        let orphaned = if self.is_orphan() { holding.open } else { 0 };
        self.metrics.orphaned.set(gauge(orphaned));
    }

    /// Whether the file has its place, or somebody still delivers what is in it.
    pub fn set_orphan(&self, orphan: bool) {
        self.orphan.store(orphan, Ordering::Release);
    }

    /// Whether nobody delivers what is in it, since the file does not have its place.
    #[must_use]
    pub fn is_orphan(&self) -> bool {
        self.orphan.load(Ordering::Acquire)
    }

    /// Drops what is in a log from which nobody reads, and counts it. Returns how much that was.
    pub fn purge(&self) -> u64 {
        let before = self.log.open();
        self.log.acknowledge(0..self.log.durable());
        let purged = before.saturating_sub(self.log.open());
        self.metrics.purged.inc_by(purged);
        purged
    }

    /// Its log has failed, and these legs with it: whether they are on the disk nobody knows, and the next start may find
    /// them there. They wait before all others, and only then plans hear of it, so that nothing gets past them.
    fn has_failed(&self, legs: Vec<Leg>, why: &Arc<str>) {
        let error = SendError::destination(Reason::StoreFailed, &**why).maybe_delivered();
        self.metrics.failed.set(1);
        self.metrics.refused.inc_by(legs.len() as u64);
        if self.kind == Kind::Kept {
            legs.into_iter().for_each(|leg| self.without_copy(leg));
        } else {
            let mut waiting = self.waiting();
            for mut leg in legs.into_iter().rev() {
                leg.duty.note(&error);
                waiting.push_front(leg);
            }
            self.waits.store(waiting.len(), Ordering::Release);
        }
        self.failed.store(true, Ordering::Release);
        self.bell.notify_one();
    }

    /// Gives back everything that waits for room: the router stops.
    pub fn give_back(&self, reason: Reason) {
        let mut ender = Ender::default();
        for leg in self.take_waiting(|_| true) {
            failure::give_back(leg, reason, &mut ender);
        }
    }

    /// Appends a leg; it comes back where it was not.
    fn append(self: &Arc<Self>, leg: Leg) -> Option<(Leg, Left)> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            scratch.shrink_to(SCRATCH_MAX);
            let now_ms = self.clock.now_ms();
            record::write(&leg, (Instant::now(), now_ms), scratch);
            // A count of its own: what is appended is not the leg's any more.
            let data = leg.event.data().cloned().unwrap_or_default();
            let claim = if leg.duty.is_stored() {
                Claim::Moved
            } else {
                Claim::New
            };
            let wanted = |leg: &Leg| leg.duty.origin().is_some_and(Origin::dispatch);
            crash::point("store.appending");
            match self.log.append(&[scratch, &data], (leg, claim), now_ms, wanted) {
                Ok(_) => None,
                Err((leg, Refused::Full)) => Some((leg, Left::Waits)),
                Err((leg, Refused::Unwanted)) => Some((leg, Left::Stale)),
                Err((leg, Refused::TooLong(_))) => Some((leg, Left::TooLong)),
                Err((leg, Refused::Failed(_) | Refused::Closed)) => Some((leg, Left::Failed)),
            }
        })
    }

    fn refuse(self: &Arc<Self>, leg: Leg, left: Left) {
        match left {
            Left::Stale => Ender::default().end(leg.duty, STALE),
            Left::TooLong => {
                let error = SendError::event(Reason::TooLarge, "the event is too large for the store");
                failure::not_stored(self, leg, &error);
            }
            Left::Waits | Left::Failed if self.kind == Kind::Kept => self.without_copy(leg),
            Left::Waits if self.rules.load().full_moves => {
                failure::not_stored(self, leg, &SendError::destination(Reason::Overloaded, NO_ROOM));
            }
            // Somebody waits for an answer, and has one in time: not here, not now (C21).
            Left::Waits if leg.duty.is_request() => {
                failure::give_back(leg, Reason::Overloaded, &mut Ender::default());
            }
            Left::Waits => self.keep_waiting(leg),
            Left::Failed => {
                self.metrics.refused.inc();
                // Behind those that the log had taken and did not write.
                self.keep_waiting(leg);
                self.bell.notify_one();
            }
        }
    }

    /// A copy that cannot be kept holds nobody up: it is dropped, and counted.
    fn without_copy(&self, leg: Leg) {
        self.metrics.refused.inc();
        Ender::default().end(leg.duty, End::Dropped(Outcome::Accepted));
    }
}
