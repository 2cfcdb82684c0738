//! The space that logs have in common: how much of it is taken, and by how much anyone may grow.
//!
//! Logs whose bounds fit into it together have what they were promised. Where they do not, nobody may hold more than is
//! left free, so that one that is stuck ends with half of it, and what goes on always finds some (ADR 0013). A log may have
//! a space of its own, which is the same with one log in it.
//!
//! What is only retained takes no room from anybody: it is counted apart, and goes when the room is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Space {
    max: AtomicU64,
    used: AtomicU64,
    /// What the bounds of all logs come to.
    promised: AtomicU64,
    /// Beyond `max`, for what another log gives away so as to have room itself.
    reserve: AtomicU64,
    /// What is acknowledged and stays as long as nobody needs the room.
    retained: AtomicU64,
    /// The file system, which all spaces share, has less left than it should.
    disk_low: Arc<AtomicBool>,
}

impl Space {
    /// Another space on the same file system, for one log, and with a reserve as large.
    pub(crate) fn beside(&self) -> Space {
        Space {
            reserve: AtomicU64::new(self.reserve.load(Ordering::Relaxed)),
            disk_low: Arc::clone(&self.disk_low),
            ..Space::default()
        }
    }

    /// Of one log only.
    pub(crate) fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    pub(crate) fn configure(&self, max: u64, reserve: u64) {
        self.max.store(max, Ordering::Relaxed);
        self.reserve.store(reserve, Ordering::Relaxed);
    }

    /// A log has another bound.
    pub(crate) fn promise(&self, old: u64, new: u64) {
        // So large a bound is none; the sum of all must fit.
        let bound = |bytes: u64| bytes.min(1 << 48);
        self.promised.fetch_add(bound(new), Ordering::Relaxed);
        self.promised.fetch_sub(bound(old), Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What was taken is only retained from now on.
    pub(crate) fn retain(&self, bytes: u64) {
        self.give(bytes);
        self.retained.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was retained is gone.
    pub(crate) fn release(&self, bytes: u64) {
        self.retained.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How much of what is retained has to go.
    pub(crate) fn excess(&self) -> u64 {
        let retained = self.retained.load(Ordering::Relaxed);
        (self.used() + retained).saturating_sub(self.max()).min(retained)
    }

    /// Whether somebody who holds `held` may hold `more`.
    pub(crate) fn has_room(&self, held: u64, more: u64) -> bool {
        let (max, used) = (self.max(), self.used());
        let left = max.saturating_sub(used);
        let promised = self.promised.load(Ordering::Relaxed) <= max;
        !self.is_low() && more <= left && (promised || held + more <= left)
    }

    /// Whether so much more finds room at the expense of the reserve, for somebody who holds `held` of its own `max`.
    pub(crate) fn has_reserve(&self, held: u64, max: u64, more: u64) -> bool {
        let reserve = self.reserve.load(Ordering::Relaxed);
        self.used() + more <= self.max().saturating_add(reserve) && held + more <= max.saturating_add(reserve)
    }

    /// Whether the file system is short of space. Returns whether that is news.
    pub(crate) fn set_low(&self, low: bool) -> bool {
        self.disk_low.swap(low, Ordering::Relaxed) != low
    }

    pub(crate) fn is_low(&self) -> bool {
        self.disk_low.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(max: u64, promised: u64) -> Space {
        let space = Space::default();
        space.configure(max, 10);
        space.promise(0, promised);
        space
    }

    #[test]
    fn who_was_promised_room_has_all_of_it() {
        let space = space(100, 100);
        space.take(60);
        assert!(space.has_room(60, 40));
        assert!(!space.has_room(60, 41));
    }

    #[test]
    fn where_more_is_promised_than_there_is_nobody_holds_more_than_is_left() {
        let space = space(100, 200);
        space.take(40);
        assert!(space.has_room(40, 20));
        assert!(!space.has_room(40, 21));
        assert!(space.has_room(0, 60));
    }

    #[test]
    fn what_is_retained_takes_no_room_and_goes_when_it_is_needed() {
        let space = space(100, 100);
        space.take(60);
        space.retain(50);
        assert_eq!((space.used(), space.excess()), (10, 0));
        assert!(space.has_room(10, 90));
        space.take(80);
        assert_eq!(space.excess(), 40);
        space.release(40);
        assert_eq!(space.excess(), 0);
    }

    #[test]
    fn the_reserve_is_beyond_the_rest_and_a_low_disk_leaves_it() {
        let space = space(100, 100);
        space.take(100);
        assert!(!space.has_room(0, 1));
        assert!(space.has_reserve(0, u64::MAX, 10));
        assert!(!space.has_reserve(0, u64::MAX, 11));
        // A log has the reserve once, not all the room of the others.
        assert!(!space.has_reserve(100, 95, 10) && space.has_reserve(95, 95, 10));
        space.give(50);
        assert!(space.set_low(true));
        assert!(!space.set_low(true));
        assert!(!space.has_room(0, 1));
        assert!(space.has_reserve(0, u64::MAX, 10));
    }
}
