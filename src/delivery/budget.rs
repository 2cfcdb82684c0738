//! The byte budget of the whole process: charged at admission, freed at settlement, never taken twice.
//!
//! Nobody may take all of it: whoever holds as much as is left free gets no more (a dynamic threshold, as switches with
//! shared memory have it). One that is stuck ends with half of the budget, two with a third each, and what goes on
//! always finds some.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::origin::Port;

#[cfg(test)]
mod tests;

/// See the module. Counting is one atomic operation; the lock is taken only when somebody waits.
pub struct Budget {
    max: AtomicU64,
    used: AtomicU64,
    waiting: AtomicBool,
    waiters: Mutex<Vec<Arc<Port>>>,
}

impl Budget {
    /// A budget of `max` bytes.
    #[must_use]
    pub fn new(max: u64) -> Arc<Budget> {
        Arc::new(Budget {
            max: AtomicU64::new(max),
            used: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
            waiters: Mutex::new(Vec::new()),
        })
    }

    /// The whole budget.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes it; what is taken stays taken. Whoever waits looks again at the next [`Budget::free`].
    pub fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// What is taken.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    /// What is left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.max().saturating_sub(self.used())
    }

    /// How much more somebody who holds `held` may take: then it holds no more than it leaves free.
    #[must_use]
    pub fn share(&self, held: u64) -> u64 {
        self.left().saturating_sub(held) / 2
    }

    /// [`Budget::share`], but no more than `wanted`. Where it is less, `port` is nudged at the next [`Budget::free`].
    pub fn share_or_wait(&self, held: u64, wanted: u64, port: &Arc<Port>) -> u64 {
        let share = self.share(held);
        if share >= wanted {
            return wanted;
        }
        self.wait(port);
        // What was freed between the look and the registration would nudge nobody: look again.
        self.share(held).min(wanted)
    }

    /// Takes `bytes` if they fit.
    #[must_use]
    pub fn try_charge(&self, bytes: u64) -> bool {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.max());
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fits)
            .is_ok()
    }

    /// Takes `bytes` whether they fit or not: for an in-order lane whose window is empty, which must always be able
    /// to move one event, and for what is already in our hands.
    pub fn charge(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Gives `bytes` back and wakes whoever waits for them.
    pub fn free(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let before = self.used.fetch_sub(bytes, Ordering::SeqCst);
        debug_assert!(before >= bytes, "more freed than was charged");
        if self.waiting.load(Ordering::SeqCst) && self.waiting.swap(false, Ordering::AcqRel) {
            let waiters = std::mem::take(&mut *self.waiters.lock().unwrap_or_else(PoisonError::into_inner));
            for port in waiters {
                port.mailbox.nudge();
            }
        }
    }

    fn wait(&self, port: &Arc<Port>) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiters.iter().any(|known| Arc::ptr_eq(known, port)) {
            waiters.push(Arc::clone(port));
        }
        self.waiting.store(true, Ordering::SeqCst);
    }
}
