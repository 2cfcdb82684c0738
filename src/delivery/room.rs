//! The room of a destination: how much is pending there, within which bounds, and who waits for some of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::destination::{Destination, State, unlock};
use super::leg::Leg;
use super::origin::Port;

impl Destination {
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
    /// direct send uses the reservation up.
    #[must_use]
    pub fn try_reserve(&self, bytes: u64) -> bool {
        let bounds = self.settings.load().queue;
        let event = |now: u64| (now < bounds.events).then_some(now + 1);
        if self
            .pending_events
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, event)
            .is_err()
        {
            return false;
        }
        let size = |now: u64| {
            now.checked_add(bytes)
                .filter(|sum| *sum <= bounds.bytes.max(bytes))
        };
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

    /// Full at the bounds; room again at three quarters of them, so that lanes do not stop and go with every event.
    pub(super) fn note_fullness(&self, state: &mut State) {
        let bounds = self.settings.load().queue;
        let events = self.pending_events.load(Ordering::Relaxed);
        let bytes = self.pending_bytes.load(Ordering::Relaxed);
        if events >= bounds.events || bytes >= bounds.bytes {
            self.full.store(true, Ordering::Release);
        } else if events <= bounds.events / 4 * 3 && bytes <= bounds.bytes / 4 * 3 && self.is_full() {
            self.full.store(false, Ordering::Release);
            state.unblock();
        }
    }
}
