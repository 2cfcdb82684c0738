//! Store and forward (C24-C28): a log as a place for legs.
//!
//! A store changes who holds an event, not where it goes. A leg that comes to a [`DurableQueue`] is appended, and has
//! ended for its ingress once it is durable. What comes out of the log ([`lane`]) is a leg again, at the same place of the
//! same plan, and leaves the log only when the next place has it.
//!
//! Owns: the legs that wait for room in the log, and who is told when there is some. Invariants
//! - Legs of one lane are appended in the order in which they came, those that had to wait before those behind them.
//! - A leg that waits for room, or whose log failed, has not ended: its sender still has it.
//!
//! Does not know: files and bytes (`weft-store`), which routes lead here.

pub mod clock;
pub mod lane;
pub mod letter;
pub mod record;
pub mod replay;
pub mod scan;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use weft_api::crash;
use weft_api::outcome::{Reason, SendError};
use weft_store::{Claim, Keeper, Log, Refused};

use super::end::{End, Ender};
use super::failure;
use super::leg::Leg;
use super::origin::{Origin, Port};
use super::sweep::STALE;
use crate::metrics::LogMetrics;
use crate::routing::plan::LogView;
use clock::WallClock;

#[cfg(test)]
mod tests;

/// What stands behind a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A destination or a group: its lane delivers what is in it.
    Backlog,
    /// The local dead letters: what is in it has arrived, and waits for a person.
    DeadLetters,
}

/// What the file says of a log, as far as delivery cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogRules {
    /// What is older has expired.
    pub max_age: Option<Duration>,
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
    rules: ArcSwap<LogRules>,
    waiting: Mutex<VecDeque<Leg>>,
    /// How many wait; changed with the lock held.
    waits: AtomicUsize,
    failed: AtomicBool,
    blocked: Mutex<Vec<Arc<Port>>>,
    /// Rung when the log has changed.
    bell: Notify,
}

thread_local! {
    /// Where a record is put together; kept, so that an event costs no allocation.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
/// How often what waits is looked at, whether the log has changed or not.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How much scratch is kept.
const SCRATCH_MAX: usize = 64 * 1024;

/// Why a leg that a log shall take is still here.
enum Left {
    /// It waits for room.
    Waits,
    /// Nobody wants it any more.
    Stale,
    /// The log has failed, or is closed.
    Failed(Arc<str>),
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
        clock: Arc<WallClock>,
    ) -> Arc<DurableQueue> {
        metrics.found.inc_by(log.open());
        let queue = Arc::new(DurableQueue {
            name,
            metrics,
            log,
            kind,
            clock,
            rules: ArcSwap::from_pointee(rules),
            waiting: Mutex::default(),
            waits: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            blocked: Mutex::default(),
            bell: Notify::new(),
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
        if self.waits.load(Ordering::Acquire) > 0 {
            let mut waiting = self.waiting();
            if !waiting.is_empty() {
                self.wait(&mut waiting, leg);
                return self.is_full_for(port);
            }
        }
        if let Err((leg, left)) = self.append(leg) {
            self.refuse(leg, left);
        }
        self.is_full_for(port)
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
    /// need not wait for a log that failed. Called when the log has changed, and now and then.
    pub fn look(self: &Arc<Self>) {
        if self.waits.load(Ordering::Acquire) > 0 {
            self.sweep();
            self.append_waiting();
        }
        if !self.is_full() {
            let blocked = std::mem::take(&mut *self.blocked.lock().unwrap_or_else(PoisonError::into_inner));
            for port in blocked {
                port.mailbox.nudge();
            }
        }
    }

    /// Brings its gauges up to date, for a scrape.
    pub fn publish(&self) {
        let holding = self.log.holding();
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.bytes.set(gauge(holding.bytes));
        self.metrics.pending.set(gauge(holding.open));
        self.metrics
            .waiting
            .set(gauge(self.waits.load(Ordering::Acquire) as u64));
        self.metrics.full.set(i64::from(self.is_full()));
    }

    /// Looks after what waits, for a log that has no lane.
    pub async fn watch(self: Arc<Self>, mut orders: watch::Receiver<lane::Order>) {
        loop {
            self.look();
            if *orders.borrow_and_update() == lane::Order::Stop {
                return;
            }
            tokio::select! {
                changed = orders.changed() => if changed.is_err() { return },
                () = self.bell.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Gives back everything that waits for room: the router stops.
    pub fn give_back(&self, reason: Reason) {
        let mut ender = Ender::default();
        for leg in self.take_waiting(|_| true) {
            failure::give_back(leg, reason, &mut ender);
        }
    }

    /// The time at which something that came at `stored_ms` is too old to be delivered.
    fn too_old_at(&self, stored_ms: u64) -> Option<Instant> {
        let max_age = self.rules.load().max_age?;
        self.clock.end_of(stored_ms, max_age)
    }

    fn append(self: &Arc<Self>, leg: Leg) -> Result<(), (Leg, Left)> {
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
                Ok(_) => Ok(()),
                Err((leg, Refused::Full)) => Err((leg, Left::Waits)),
                Err((leg, Refused::Unwanted)) => Err((leg, Left::Stale)),
                Err((leg, Refused::TooLong(_))) => Err((leg, Left::TooLong)),
                Err((leg, refused @ (Refused::Failed(_) | Refused::Closed))) => {
                    Err((leg, Left::Failed(Arc::from(refused.to_string()))))
                }
            }
        })
    }

    fn refuse(self: &Arc<Self>, leg: Leg, left: Left) {
        match left {
            Left::Waits => self.wait(&mut self.waiting(), leg),
            Left::Stale => Ender::default().end(leg.duty, STALE),
            Left::TooLong => {
                let error = SendError::event(Reason::TooLarge, "the event is too large for the store");
                failure::not_stored(self, leg, &error);
            }
            Left::Failed(why) => {
                self.metrics.refused.inc();
                failure::not_stored(self, leg, &SendError::destination(Reason::StoreFailed, &*why));
            }
        }
    }

    /// Lets a leg wait here, behind those that do already.
    pub(super) fn keep_waiting(&self, leg: Leg) {
        self.wait(&mut self.waiting(), leg);
    }

    fn wait(&self, waiting: &mut VecDeque<Leg>, leg: Leg) {
        waiting.push_back(leg);
        self.waits.store(waiting.len(), Ordering::Release);
    }

    /// Appends what waits, as far as there is room. The lock is held all the while: nothing that comes gets past.
    fn append_waiting(self: &Arc<Self>) {
        if let Some(why) = self.log.failure() {
            let error = SendError::destination(Reason::StoreFailed, &*why);
            for leg in self.take_waiting(|_| true) {
                failure::not_stored(self, leg, &error);
            }
            return;
        }
        let mut refused = Vec::new();
        {
            let mut waiting = self.waiting();
            while let Some(leg) = waiting.pop_front() {
                match self.append(leg) {
                    Ok(()) => {}
                    Err((leg, Left::Waits)) => {
                        waiting.push_front(leg);
                        break;
                    }
                    Err(left) => refused.push(left),
                }
            }
            self.waits.store(waiting.len(), Ordering::Release);
        }
        for (leg, left) in refused {
            self.refuse(leg, left);
        }
    }

    fn sweep(&self) {
        let now = Instant::now();
        let mut ender = Ender::default();
        let expired = |leg: &Leg| leg.duty.expires.is_some_and(|at| at <= now);
        for leg in self.take_waiting(|leg| leg.duty.is_stale() || expired(leg)) {
            let end = if leg.duty.is_stale() { STALE } else { End::Expired };
            ender.end(leg.duty, end);
        }
    }

    fn take_waiting(&self, takes: impl Fn(&Leg) -> bool) -> Vec<Leg> {
        let mut waiting = self.waiting();
        let (gone, stay): (VecDeque<Leg>, VecDeque<Leg>) =
            std::mem::take(&mut *waiting).into_iter().partition(takes);
        *waiting = stay;
        self.waits.store(waiting.len(), Ordering::Release);
        gone.into()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Leg>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears of all logs of the store what has become durable, on the thread that writes them.
#[derive(Default)]
pub struct Clerk(RwLock<BTreeMap<Arc<str>, Arc<DurableQueue>>>);

impl Clerk {
    /// From now on it answers for this one, too.
    pub fn add(&self, queue: &Arc<DurableQueue>) {
        let mut queues = self.0.write().unwrap_or_else(PoisonError::into_inner);
        queues.insert(Arc::clone(&queue.log.name), Arc::clone(queue));
    }

    fn queue(&self, log: &Log<Leg>) -> Option<Arc<DurableQueue>> {
        let queues = self.0.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(&log.name).cloned()
    }
}

impl Keeper<Leg> for Clerk {
    fn stored(&self, log: &Arc<Log<Leg>>, legs: Vec<Leg>) {
        let Some(queue) = self.queue(log) else { return };
        queue.metrics.appended.inc_by(legs.len() as u64);
        let mut ender = Ender::default();
        for leg in legs {
            let end = match queue.kind {
                Kind::Backlog => End::Stored,
                Kind::DeadLetters => End::DeadLettered,
            };
            ender.end(leg.duty, end);
        }
        drop(ender);
        crash::point("store.told");
    }

    fn failed(&self, log: &Arc<Log<Leg>>, legs: Vec<Leg>, why: &Arc<str>) {
        let Some(queue) = self.queue(log) else { return };
        queue.failed.store(true, Ordering::Release);
        queue.metrics.failed.set(1);
        queue.metrics.refused.inc_by(legs.len() as u64);
        // It may be on the disk all the same, and come out of it after the next start.
        let error = SendError::destination(Reason::StoreFailed, &**why).maybe_delivered();
        for leg in legs {
            failure::not_stored(&queue, leg, &error);
        }
    }

    fn point(&self, name: &str) {
        crash::point(name);
    }
}
