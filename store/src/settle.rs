//! Acknowledgements on their way into the journal.
//!
//! Owns: the journal while the store runs, on the commit thread. Where it cannot be written, logs stop at their windows
//! until it can: it is tried again, in another file.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::disk::Disk;
use crate::journal::{Journal, Known};
use crate::log::Log;
use crate::room::Room;

/// How soon acknowledgements become durable, unless a quarter of a window waits before.
const SOON: Duration = Duration::from_millis(25);
/// How soon a journal is begun anew that could not be.
const AGAIN: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Settler<T> {
    bell: Arc<Bell<T>>,
    disk: Arc<dyn Disk>,
    /// What was known at the start: of logs that are not open, it still is, and is kept for whoever opens them.
    others: Arc<Mutex<Known>>,
    journal: Journal,
    /// The journal's file failed, and says nothing any more.
    broken: bool,
    /// When another file could not be begun.
    tried: Option<Instant>,
    room: Arc<Room>,
    /// Logs with something to note.
    waiting: BTreeMap<u64, Arc<Log<T>>>,
    since: Option<Instant>,
}

impl<T> Settler<T> {
    pub(crate) fn new(
        bell: Arc<Bell<T>>,
        disk: Arc<dyn Disk>,
        others: Arc<Mutex<Known>>,
        journal: Journal,
        room: Arc<Room>,
    ) -> Settler<T> {
        Settler {
            bell,
            disk,
            others,
            journal,
            broken: false,
            tried: None,
            room,
            waiting: BTreeMap::new(),
            since: None,
        }
    }

    /// This log may have something to note.
    pub(crate) fn look(&mut self, log: &Arc<Log<T>>) {
        if log.unwritten() > 0 {
            self.waiting.insert(log.id, Arc::clone(log));
            self.since.get_or_insert_with(|| self.disk.now());
        }
    }

    /// When it is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        let since = self.since?;
        let again = self.tried.filter(|_| self.broken).map(|tried| tried + AGAIN);
        Some(again.unwrap_or(since + SOON))
    }

    /// Writes what is due. Returns the logs that it was due for, whether or not it could be written.
    pub(crate) fn settle(&mut self, now: bool) -> Vec<Arc<Log<T>>> {
        let due = self.due().is_some_and(|due| due <= self.disk.now());
        let many = || !self.broken && self.waiting.values().any(|log| is_many(log));
        if self.since.is_none() || !(now || due || many()) {
            return Vec::new();
        }
        let mut counts = Vec::new();
        for log in self.waiting.values() {
            let mut state = log.lock();
            for run in std::mem::take(&mut state.unwritten) {
                self.journal.note(log.id, run);
            }
            counts.push(state.unwritten_count);
        }
        if let Err(error) = self.write() {
            if !self.broken {
                tracing::error!(%error, "acknowledgements are not durable: logs stop at their windows until they are");
            }
            self.broken = true;
            self.tried = Some(self.disk.now());
            return self.waiting.values().cloned().collect();
        }
        if std::mem::take(&mut self.broken) {
            tracing::info!("acknowledgements are durable again");
        }
        self.since = None;
        let settled = std::mem::take(&mut self.waiting).into_values();
        let settled = settled.zip(counts).map(|(log, count)| {
            log.lock().unwritten_count -= count;
            log
        });
        settled.collect()
    }

    /// Has the journal say what was noted, in this file or another.
    fn write(&mut self) -> io::Result<()> {
        if self.broken {
            // All that is known is more than what was noted.
            return self.replace();
        }
        if let Err(error) = self.journal.write() {
            tracing::warn!(%error, "the journal of acknowledgements: another one is begun");
            return self.replace();
        }
        let rests = self.tried.is_some_and(|tried| tried + AGAIN > self.disk.now());
        if self.journal.is_grown() && !rests {
            self.tried = None;
            // It grows on: there is no more to it than its length.
            let known = self.known();
            if let Err(error) = self.journal.replace(&known) {
                tracing::warn!(%error, "beginning another journal of acknowledgements");
                self.tried = Some(self.disk.now());
            }
        }
        Ok(())
    }

    /// Begins another journal. On a full disk what frees some of it must not wait for room.
    fn replace(&mut self) -> io::Result<()> {
        let known = self.known();
        let Settler {
            journal, room, disk, ..
        } = self;
        room.with(&**disk, || journal.replace(&known))
    }

    /// What is known of all logs.
    fn known(&self) -> Known {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = others.clone();
        for log in self.bell.logs() {
            known.insert(log.id, log.lock().acked.clone());
        }
        known
    }
}

/// Whether a quarter of its window waits.
fn is_many<T>(log: &Log<T>) -> bool {
    let state = log.lock();
    state.unwritten_count >= (state.settings.window / 4).max(1)
}
