//! What a round does besides what was appended: syncs at intervals, marks of logs that rest, segments that go.

use std::sync::Arc;
use std::time::Instant;

use super::{Committer, REST, Unsynced, is_full, sync_all};
use crate::disk::DiskFile;
use crate::log::Log;

impl<T: Send + 'static> Committer<T> {
    pub(super) fn sync_at_intervals(&mut self, stop: bool) {
        let Some(interval) = self.interval else { return };
        let now = self.disk.now();
        if self.unsynced.is_empty() || !(stop || now >= self.synced + interval) {
            return;
        }
        self.synced = now;
        let mut files: Vec<Unsynced<T>> = std::mem::take(&mut self.unsynced).into_values().collect();
        files.retain(|one| !one.log.is_failed());
        let open: Vec<&dyn DiskFile> = files.iter().map(|one| &*one.file).collect();
        let results = sync_all(&self.counters, &open, self.alone);
        for (one, result) in files.iter().zip(&results) {
            if let Err(error) = result {
                self.fail(&one.log, &Arc::from(error.to_string()), Vec::new(), 0);
            }
        }
        for one in files.into_iter().filter(|one| !one.log.is_failed()) {
            let mut state = one.log.lock();
            state.synced = state.synced.max(one.next);
        }
    }

    /// The last record of a log that rests is known to be durable: the next start may take damage for damage.
    pub(super) fn mark_resting(&mut self, stop: bool) {
        let now = self.disk.now();
        let rests = |since: &Instant| stop || now >= *since + REST;
        let due: Vec<_> = self
            .resting
            .extract_if(.., |_, (_, since)| rests(since))
            .collect();
        for (id, (log, _)) in due {
            let state = log.lock();
            let ready = state.synced == state.durable && state.batch.tokens.is_empty();
            drop(state);
            if log.is_failed() {
                continue;
            }
            if !ready {
                self.resting.insert(id, (log, now));
                continue;
            }
            match self.writer.mark(&log) {
                Ok(None) => {}
                Ok(Some(end)) => {
                    let mut state = log.lock();
                    if let Some(held) = state.segments.back_mut() {
                        let more = end - std::mem::replace(&mut held.end, end);
                        state.charge(more);
                    }
                }
                // Without a mark a start takes damage in the last batch for a tear: nothing to give up a log for.
                Err(error) if is_full(&error) => {}
                Err(error) => {
                    let why = Arc::from(format!("marking: {error}"));
                    self.fail(&log, &why, Vec::new(), 0);
                }
            }
        }
    }

    /// Removes what nobody needs any more, of logs of which something was acknowledged, or is old enough.
    pub(super) fn sweep(&mut self, logs: &[Arc<Log<T>>], settled: &[Arc<Log<T>>]) {
        let mut room = false;
        let due = self.retainer.take_due();
        for log in &due {
            if self.retainer.is_idle(log) {
                let sealed = self.writer.seal(log);
                if let Err(error) = sealed.as_ref()
                    && !is_full(error)
                {
                    self.fail(log, &Arc::from(format!("sealing: {error}")), Vec::new(), 0);
                }
            }
        }
        for log in due.iter().chain(logs).chain(settled) {
            room |= self.retainer.sweep(log);
        }
        if room {
            self.note_room();
        }
    }

    /// Logs that were full hear that they are not.
    pub(super) fn note_room(&self) {
        for log in self.bell.logs() {
            let news = log.is_full() && log.note_room(&log.lock());
            if news {
                log.wake();
            }
        }
    }
}
