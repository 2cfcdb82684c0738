//! The commit thread: writes what all logs have appended, syncs it, and says so; then the same for acknowledgements, and
//! for segments that nobody needs any more ([`crate::settle`]).
//!
//! Owns: the files while the store runs. One round follows the other: what is appended during one is the next, so that a
//! slow disk has large rounds, and a quick one small ones.
//! Invariants
//! - Nobody is told before the sync that covers it.
//! - After the first failed write or sync of a log's file nothing of that log is told, written or synced again (C26).
//! - What finds no room is no failure: it waits, and is tried again (C27).
//!
//! Does not know: what records are, who reads them.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Keeper;
use crate::bell::Bell;
use crate::disk::{Disk, DiskFile};
use crate::log::{Batch, Log};
use crate::settle::Settler;
use crate::write::Writer;

/// How long a log rests before its last record is marked.
const REST: Duration = Duration::from_millis(200);
/// How often the free space is looked at, and what found no room is tried again.
const LOOK: Duration = Duration::from_secs(1);

/// The thread's own.
pub(crate) struct Committer<T> {
    pub(crate) bell: Arc<Bell<T>>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) keeper: Arc<dyn Keeper<T>>,
    pub(crate) writer: Writer,
    pub(crate) settler: Settler<T>,
    /// Tokens are told when written, and files synced so often.
    pub(crate) interval: Option<Duration>,
    /// Logs whose last record is not marked, and since when they rest.
    pub(crate) resting: BTreeMap<u64, (Arc<Log<T>>, Instant)>,
    /// Logs that found no room.
    pub(crate) stuck: Vec<Arc<Log<T>>>,
    /// Files that are written and not synced, with an interval.
    pub(crate) unsynced: Vec<Written<T>>,
    pub(crate) looked: Instant,
    pub(crate) synced: Instant,
}

/// A batch that is written and not synced.
pub(crate) struct Written<T> {
    log: Arc<Log<T>>,
    tokens: Vec<T>,
    newest: u64,
    file: Arc<dyn DiskFile>,
    end: u64,
    next: u64,
}

impl<T: Send + 'static> Committer<T> {
    /// Runs until the bell says stop.
    pub(crate) fn run(mut self) {
        let ended = catch_unwind(AssertUnwindSafe(|| self.rounds()));
        self.bell.mark_round(false);
        if ended.is_err() {
            let why: Arc<str> = Arc::from("the thread that writes has ended, which is a fault of Weft's");
            for log in self.bell.logs() {
                self.fail(&log, &why, Vec::new());
            }
        }
    }

    fn rounds(&mut self) {
        loop {
            let (logs, stop) = self.bell.wait(self.due());
            self.bell.mark_round(true);
            self.round(logs, stop);
            self.bell.mark_round(false);
            if stop {
                self.close();
                return;
            }
        }
    }

    /// `all`: what is due some time is done now.
    pub(crate) fn round(&mut self, mut logs: Vec<Arc<Log<T>>>, all: bool) {
        if all || self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.writer.look_at_space(&*self.disk, &self.bell.logs());
            logs.append(&mut self.stuck);
        }
        self.append(&logs);
        self.sync_at_intervals(all);
        self.mark_resting(all);
        for log in logs {
            self.settler.look(&log);
        }
        self.settler.settle(&*self.disk, all);
    }

    /// When the next round is due, whatever is appended.
    fn due(&self) -> Option<Instant> {
        let rest = self.resting.values().map(|(_, since)| *since + REST).min();
        let look = (!self.stuck.is_empty() || self.writer.is_low()).then_some(self.looked + LOOK);
        let sync = self
            .interval
            .filter(|_| !self.unsynced.is_empty())
            .map(|interval| self.synced + interval);
        [rest, look, sync, self.settler.due()].into_iter().flatten().min()
    }

    /// Writes what these logs have, and syncs it.
    fn append(&mut self, logs: &[Arc<Log<T>>]) {
        let mut written = Vec::new();
        for log in logs {
            let (batch, next) = {
                let mut state = log.lock();
                state.listed = false;
                if state.failed.is_some() {
                    continue;
                }
                (std::mem::take(&mut state.batch), state.next)
            };
            if !batch.tokens.is_empty() {
                written.extend(self.write(log, batch, next));
            }
        }
        if written.is_empty() {
            return;
        }
        if self.interval.is_some() {
            for one in &mut written {
                let tokens = std::mem::take(&mut one.tokens);
                self.publish(one);
                self.keeper.stored(&one.log, tokens);
            }
            self.unsynced.append(&mut written);
            return;
        }
        self.sync(written);
    }

    fn write(&mut self, log: &Arc<Log<T>>, batch: Batch<T>, next: u64) -> Option<Written<T>> {
        match self.writer.write(&*self.disk, log, &batch, next) {
            Ok((file, end)) => Some(Written {
                log: Arc::clone(log),
                tokens: batch.tokens,
                newest: batch.newest,
                file,
                end,
                next,
            }),
            Err(error) if is_full(&error) => {
                self.writer.found_no_room(log, &error);
                log.give_back(batch);
                self.stuck.push(Arc::clone(log));
                None
            }
            Err(error) => {
                let why = Arc::from(format!("writing: {error}"));
                self.fail(log, &why, batch.tokens);
                None
            }
        }
    }

    /// Several files are synced side by side: the disk is asked to flush once, not once for each.
    fn sync(&mut self, written: Vec<Written<T>>) {
        let results: Vec<io::Result<()>> = match &written[..] {
            [one] => vec![one.file.sync()],
            several => std::thread::scope(|scope| {
                let files = several.iter().map(|one| &*one.file);
                let threads: Vec<_> = files.map(|file| scope.spawn(|| file.sync())).collect();
                let panicked = |_| Err(io::Error::other("a thread that syncs has ended"));
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(panicked))
                    .collect()
            }),
        };
        for (mut one, result) in written.into_iter().zip(results) {
            let tokens = std::mem::take(&mut one.tokens);
            match result {
                Ok(()) => {
                    self.keeper.point("store.synced");
                    one.log.lock().synced = one.next;
                    self.publish(&one);
                    if !tokens.is_empty() {
                        self.keeper.stored(&one.log, tokens);
                    }
                }
                Err(error) => {
                    let why = Arc::from(format!("syncing: {error}"));
                    self.fail(&one.log, &why, tokens);
                }
            }
        }
    }

    /// What was written may be read.
    fn publish(&mut self, one: &Written<T>) {
        let wake = {
            let mut state = one.log.lock();
            state.durable = state.durable.max(one.next);
            if let Some(held) = state.segments.back_mut() {
                held.end = one.end;
                held.next = one.next;
                held.newest = held.newest.max(one.newest);
            }
            one.log.note_room(&mut state);
            state.wake.clone()
        };
        self.resting
            .insert(one.log.id, (Arc::clone(&one.log), Instant::now()));
        if let Some(wake) = wake {
            wake();
        }
    }

    fn sync_at_intervals(&mut self, stop: bool) {
        let Some(interval) = self.interval else { return };
        if !self.unsynced.is_empty() && (stop || self.synced.elapsed() >= interval) {
            self.synced = Instant::now();
            let mut files = BTreeMap::new();
            for one in std::mem::take(&mut self.unsynced) {
                files.insert((one.log.id, Arc::as_ptr(&one.file).cast::<()>() as usize), one);
            }
            self.sync(files.into_values().collect());
        }
    }

    /// The last record of a log that rests is known to be durable: the next start may take damage for damage.
    fn mark_resting(&mut self, stop: bool) {
        let due: Vec<u64> = self
            .resting
            .iter()
            .filter(|(_, (_, since))| stop || since.elapsed() >= REST)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some((log, _)) = self.resting.remove(&id) else {
                continue;
            };
            let state = log.lock();
            let (failed, synced) = (state.failed.is_some(), state.synced == state.durable);
            drop(state);
            if failed {
                continue;
            }
            if !synced {
                self.resting.insert(id, (log, Instant::now()));
                continue;
            }
            match self.writer.mark(&log) {
                Ok(end) => {
                    if let Some(held) = log.lock().segments.back_mut() {
                        log.space.take(end - held.end);
                        held.end = end;
                    }
                }
                // Without a mark a start takes damage in the last batch for a tear: nothing to give up a log for.
                Err(error) if is_full(&error) => {}
                Err(error) => {
                    let why = Arc::from(format!("marking: {error}"));
                    self.fail(&log, &why, Vec::new());
                }
            }
        }
    }

    /// C26: what waited for this log will not be durable here, as far as anyone knows.
    fn fail(&mut self, log: &Arc<Log<T>>, why: &Arc<str>, mut tokens: Vec<T>) {
        let wake = {
            let mut state = log.lock();
            let news = state.failed.is_none();
            state.failed.get_or_insert_with(|| Arc::clone(why));
            tokens.append(&mut std::mem::take(&mut state.batch).tokens);
            if news {
                tracing::error!(
                    log = %log.name,
                    error = %why,
                    "the store failed: it takes nothing more before a restart; what it holds is still delivered"
                );
            }
            state.wake.clone()
        };
        self.keeper.failed(log, tokens, why);
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Everything that can be is sealed.
    pub(crate) fn close(&mut self) {
        for log in self.bell.logs() {
            let state = log.lock();
            let healthy = state.failed.is_none();
            drop(state);
            if healthy && let Err(error) = self.writer.seal(&log) {
                tracing::warn!(log = %log.name, %error, "sealing; the next start looks through the last segment");
            }
        }
        self.writer.spares.close();
    }
}

/// Whether this is want of room rather than a disk that fails.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
