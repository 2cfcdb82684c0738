//! The room of a destination: how much is pending there, within which bounds, and who waits for some of it; and of a log,
//! as far as lanes wait for it.
//!
//! Bounds are those of its own queue, and a share of what it has in common with others: the process' byte budget, and
//! the windows of request lanes ([`Visit`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::destination::{Destination, State, unlock};
use super::leg::Leg;
use super::origin::Port;
use super::stored::DurableQueue;

/// A place at which a lane waits for room.
#[derive(Clone)]
pub enum Place {
    /// A destination's queue.
    Destination(Arc<Destination>),
    /// A log.
    Log(Arc<DurableQueue>),
}

impl Place {
    /// Whether it has no room now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Place::Destination(destination) => destination.is_full(),
            Place::Log(queue) => queue.is_full(),
        }
    }

    /// The same; if it has none, `port` is nudged once there is.
    pub fn is_full_for(&self, port: &Arc<Port>) -> bool {
        match self {
            Place::Destination(destination) => destination.is_full_for(port),
            Place::Log(queue) => queue.is_full_for(Some(port)),
        }
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Destination(a), Place::Destination(b)) => Arc::ptr_eq(a, b),
            (Place::Log(a), Place::Log(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// A leg of a request at a destination; dropped when the leg leaves or ends.
pub struct Visit(Arc<Destination>);

impl Visit {
    pub(super) fn new(destination: &Arc<Destination>) -> Visit {
        destination.requests.fetch_add(1, Ordering::Relaxed);
        Visit(Arc::clone(destination))
    }

    /// Where it is.
    pub(super) fn at(&self) -> &Arc<Destination> {
        &self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Destination {
    /// Legs of requests that are pending here.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Its queue has reached its bounds.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Whether its queue is at its bounds; if it is, `port` is nudged once there is room again.
    pub fn is_full_for(&self, port: &Arc<Port>) -> bool {
        if !self.is_full() {
            return false;
        }
        let mut state = self.lock();
        let full = self.is_full();
        if full {
            state.block(port);
        }
        full
    }

    /// Reserves room for one event of this size within the bounds of the queue; [`Destination::push_reserved`] or a
    /// direct send uses the reservation up. `own`: events and bytes that the same event has reserved here already, through
    /// another plan; they do not stand in its way, or it could never be taken.
    #[must_use]
    pub fn try_reserve(&self, bytes: u64, own: (u64, u64)) -> bool {
        let bounds = self.settings.load().queue;
        let event = |now: u64| (now < bounds.events.saturating_add(own.0)).then_some(now + 1);
        if self
            .pending_events
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, event)
            .is_err()
        {
            return false;
        }
        // Within its share of the process' budget, too; one event of any size fits by itself.
        let max = bounds
            .bytes
            .min(self.budget.left())
            .max(bytes)
            .saturating_add(own.1);
        let size = |now: u64| now.checked_add(bytes).filter(|sum| *sum <= max);
        if self
            .pending_bytes
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, size)
            .is_err()
        {
            self.pending_events.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        true
    }

    /// Gives a reservation back.
    pub fn unreserve(&self, bytes: u64) {
        let mut state = self.lock();
        self.discharge(&mut state, 1, bytes);
        unlock(state);
    }

    /// Queues one leg for which `reserved` bytes are reserved; a dead letter is larger than the event was.
    pub fn push_reserved(self: &Arc<Self>, leg: Leg, reserved: u64) {
        self.enqueue([leg], None, (1, reserved));
    }

    pub(super) fn charge(&self, events: u64, bytes: u64) {
        self.pending_events.fetch_add(events, Ordering::Relaxed);
        self.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn discharge(&self, state: &mut State, events: u64, bytes: u64) {
        self.pending_events.fetch_sub(events, Ordering::Relaxed);
        self.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.note_fullness(state);
    }

    /// Full at the bounds, and where it holds more of the process' budget than is left free; room again at three
    /// quarters of both, so that lanes do not stop and go with every event.
    pub(super) fn note_fullness(&self, state: &mut State) {
        let bounds = self.settings.load().queue;
        let events = self.pending_events.load(Ordering::Relaxed);
        let bytes = self.pending_bytes.load(Ordering::Relaxed);
        let left = self.budget.left();
        if events >= bounds.events || bytes >= bounds.bytes || bytes > left {
            self.full.store(true, Ordering::Release);
        } else if events <= bounds.events / 4 * 3 && bytes <= bounds.bytes.min(left) / 4 * 3 && self.is_full()
        {
            self.full.store(false, Ordering::Release);
            state.unblock();
        }
    }
}
