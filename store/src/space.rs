//! The space that logs have in common: how much of it is taken, and by how much anyone may grow.
//!
//! Logs whose bounds fit into it together have what they were promised. Where they do not, nobody may hold more than is
//! left free, so that one that is stuck ends with half of it, and what goes on always finds some (ADR 0013).

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
    /// The file system has less left than it should.
    disk_low: AtomicBool,
}

impl Space {
    pub(crate) fn configure(&self, max: u64, promised: u64, reserve: u64) {
        self.max.store(max, Ordering::Relaxed);
        self.promised.store(promised, Ordering::Relaxed);
        self.reserve.store(reserve, Ordering::Relaxed);
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether somebody who holds `held` may hold `more`.
    pub(crate) fn has_room(&self, held: u64, more: u64) -> bool {
        let (max, used) = (self.max.load(Ordering::Relaxed), self.used());
        let left = max.saturating_sub(used);
        let promised = self.promised.load(Ordering::Relaxed) <= max;
        !self.is_low() && more <= left && (promised || held + more <= left)
    }

    /// Whether so much more finds room at the expense of the reserve.
    pub(crate) fn has_reserve(&self, more: u64) -> bool {
        let max = self.max.load(Ordering::Relaxed) + self.reserve.load(Ordering::Relaxed);
        self.used() + more <= max
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
        space.configure(max, promised, 10);
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
    fn the_reserve_is_beyond_the_rest_and_a_low_disk_leaves_it() {
        let space = space(100, 100);
        space.take(100);
        assert!(!space.has_room(0, 1));
        assert!(space.has_reserve(10));
        assert!(!space.has_reserve(11));
        space.give(50);
        assert!(space.set_low(true));
        assert!(!space.set_low(true));
        assert!(!space.has_room(0, 1));
        assert!(space.has_reserve(10));
    }
}
