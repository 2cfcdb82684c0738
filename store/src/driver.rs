//! The rounds of a store that has no threads: its caller takes each, on its own thread and in its own time.
//!
//! For who has to know in which order everything happens. A round waits for the disk, and whoever takes it with it.
//! Invariant: nothing is written, synced or told but in a turn.

use std::time::Instant;

use crate::commit::Committer;

/// See the module.
pub struct Driver<T> {
    committer: Committer<T>,
    over: bool,
}

impl<T: Send + 'static> Driver<T> {
    pub(crate) fn new(committer: Committer<T>) -> Driver<T> {
        Driver {
            committer,
            over: false,
        }
    }

    /// Has `told` called whenever there is something to do, from any thread and with locks held: it must only take note.
    pub fn on_ring(&self, told: impl Fn() + Send + Sync + 'static) {
        self.committer.bell.on_ring(Box::new(told));
    }

    /// Does what is to be done now. Says when the next turn is due, though nobody rings; see [`crate::disk::Disk::now`].
    pub fn turn(&mut self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let (logs, stop) = self.committer.bell.look();
        let is_due = self
            .committer
            .due()
            .is_some_and(|due| due <= self.committer.disk.now());
        if stop || is_due || !logs.is_empty() {
            self.committer.round(logs, stop);
        }
        if stop {
            self.committer.close();
            self.over = true;
            return None;
        }
        self.committer.due()
    }

    /// Whether the store was closed, and the last turn was taken.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }
}
