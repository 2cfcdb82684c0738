//! What a request lane may have unsettled: a place in its window, and bytes of the process' budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weft_api::ingress::Window;

use crate::delivery::budget::Budget;
use crate::delivery::origin::Charge;
use crate::lane::books::Pulse;

/// The lane's window and the process' budget, charged together.
pub(super) struct Allowance {
    window: Window,
    events: AtomicU64,
    bytes: AtomicU64,
    budget: Arc<Budget>,
    pulse: Arc<Pulse>,
}

impl Allowance {
    /// All of it is free.
    pub(super) fn new(window: Window, budget: Arc<Budget>, pulse: Arc<Pulse>) -> Allowance {
        Allowance {
            window,
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            budget,
            pulse,
        }
    }

    /// Places that are free.
    pub(super) fn free_events(&self) -> u64 {
        u64::from(self.window.events).saturating_sub(self.events.load(Ordering::Relaxed))
    }

    /// Whether an event of this size would get a place.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.events.load(Ordering::Relaxed) < u64::from(self.window.events)
            && self.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= self.window.bytes.max(bytes)
            && self.budget.left() >= bytes
    }

    /// Takes a place for an event of this size, if there is one.
    pub(super) fn try_take(&self, bytes: u64) -> bool {
        let fits = |events: u64| (events < u64::from(self.window.events)).then_some(events + 1);
        if !self.has_room(bytes)
            || self
                .events
                .fetch_update(Ordering::AcqRel, Ordering::Relaxed, fits)
                .is_err()
        {
            return false;
        }
        if !self.budget.try_charge(bytes) {
            self.events.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        self.bytes.fetch_add(bytes, Ordering::AcqRel);
        self.pulse.unsettled.fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl Charge for Allowance {
    fn release(&self, bytes: u64) {
        self.events.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.pulse.unsettled.fetch_sub(1, Ordering::Relaxed);
        self.budget.free(bytes);
    }
}
