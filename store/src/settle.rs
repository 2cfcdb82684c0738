//! Acknowledgements on their way into the journal, and segments that go once theirs are there.
//!
//! Owns: the journal while the store runs, on the commit thread.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bell::Bell;
use crate::disk::Disk;
use crate::journal::{Journal, Known};
use crate::log::{Log, open_in};
use crate::write::now_ms;

/// How soon acknowledgements become durable, unless there are many before.
const SOON: Duration = Duration::from_millis(25);
const MANY: u64 = 1024;
/// How soon a journal is begun anew that could not be written.
const AGAIN: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Settler<T> {
    bell: Arc<Bell<T>>,
    /// What was known at the start: of logs that are not open, it still is, and is kept for whoever opens them.
    others: Arc<Mutex<Known>>,
    journal: Journal,
    /// Since when the journal cannot be written.
    broken: Option<Instant>,
    /// Logs with something to note, or to remove.
    waiting: BTreeMap<u64, Arc<Log<T>>>,
    since: Option<Instant>,
}

impl<T> Settler<T> {
    pub(crate) fn new(bell: Arc<Bell<T>>, others: Arc<Mutex<Known>>, journal: Journal) -> Settler<T> {
        Settler {
            bell,
            others,
            journal,
            broken: None,
            waiting: BTreeMap::new(),
            since: None,
        }
    }

    /// This log may have something to note.
    pub(crate) fn look(&mut self, log: &Arc<Log<T>>) {
        if log.lock().unwritten_count > 0 {
            self.waiting.insert(log.id, Arc::clone(log));
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// When it is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.broken {
            Some(since) => Some(since + AGAIN),
            None => self.since.map(|since| since + SOON),
        }
    }

    /// Writes what is due.
    pub(crate) fn settle(&mut self, disk: &dyn Disk, now: bool) {
        let many = || self.waiting.values().map(|log| log.unwritten()).sum::<u64>() >= MANY;
        let due = self.due().is_some_and(|due| due <= Instant::now());
        if self.since.is_none() || !(now || due || (self.broken.is_none() && many())) {
            return;
        }
        let mut counts = Vec::new();
        for log in self.waiting.values() {
            let mut state = log.lock();
            for run in std::mem::take(&mut state.unwritten) {
                self.journal.note(log.id, run);
            }
            counts.push(state.unwritten_count);
        }
        let written = match self.broken {
            None => self.journal.write(),
            // A file whose write or sync failed says nothing any more: another one says all.
            Some(_) => Ok(()),
        };
        let replaced = match &written {
            Ok(()) if self.broken.is_none() && !self.journal.is_grown() => Ok(()),
            _ => self.journal.replace(&self.known()),
        };
        if let Err(error) = written.as_ref().and(replaced.as_ref()) {
            let grown_only = written.is_ok() && self.broken.is_none();
            if self.broken.is_none() && !grown_only {
                tracing::error!(%error, "acknowledgements in the store are not durable: logs stop at their window until they are");
            }
            if !grown_only && replaced.is_err() {
                self.broken = Some(Instant::now());
                return;
            }
        }
        self.broken = None;
        self.since = None;
        for (log, count) in std::mem::take(&mut self.waiting).into_values().zip(counts) {
            settled(disk, &log, count);
        }
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

/// So many acknowledgements of this log are durable.
fn settled<T>(disk: &dyn Disk, log: &Arc<Log<T>>, count: u64) {
    let mut gone = Vec::new();
    let wake = {
        let mut state = log.lock();
        state.unwritten_count -= count;
        let old = state.settings.retain.map(|retain| {
            let retain = u64::try_from(retain.as_millis()).unwrap_or(u64::MAX);
            now_ms().saturating_sub(retain)
        });
        // What was acknowledged since is not durable: the segments that it is the last of go the next time.
        if state.unwritten_count == 0 {
            let mut index = 0;
            while index < state.segments.len() {
                let held = &state.segments[index];
                let kept = old.is_some_and(|old| held.newest > old);
                if held.sealed && !kept && open_in(held, &state.acked) == 0 {
                    gone.extend(state.segments.remove(index));
                } else {
                    index += 1;
                }
            }
            if let Some(first) = state.segments.front().map(|held| held.segment.title.first) {
                state.acked.raise(first);
            }
        }
        for held in &gone {
            log.space.give(held.end);
        }
        log.note_room(&mut state);
        state.wake.clone()
    };
    for held in gone {
        // It may come back after a power cut; all of it is acknowledged, so that it goes again.
        if let Err(error) = disk.remove(&held.segment.path) {
            tracing::warn!(path = %held.segment.path.display(), %error, "removing a segment");
        }
    }
    if let Some(wake) = wake {
        wake();
    }
}
