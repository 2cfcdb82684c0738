//! The commit thread: writes what all logs have appended, syncs it, and says so; then the same for acknowledgements
//! ([`crate::settle`]), and for segments that nobody needs any more ([`crate::retain`]).
//!
//! Owns: the files while the store runs. One round follows the other: what is appended during one is the next, so that a
//! slow disk has large rounds, and a quick one small ones.
//! Invariants
//! - Nobody is told before the sync that covers it.
//! - After the first failed write or sync of a log's file nothing of that log is told, written or synced again (C26).
//! - What finds no room is no failure: it waits, and is tried again (C27).
//! - Every token is told, whatever happens here.
//!
//! Does not know: what records are, who reads them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::Keeper;
use crate::bell::Bell;
use crate::disk::{Disk, DiskFile};
use crate::log::{Batch, Log};
use crate::retain::Retainer;
use crate::settle::Settler;
use crate::stats::Counters;
use crate::store::DirectoryLock;
use crate::write::Writer;

mod rest;

/// How long a log rests before its last record is marked.
const REST: Duration = Duration::from_millis(200);
/// How often the free space is looked at, and what found no room is tried again.
const LOOK: Duration = Duration::from_secs(1);
/// What comes in quick succession is one batch: a round waits for its end, for a tenth of a sync within these, ...
const GATHER_MIN: Duration = Duration::from_micros(20);
const GATHER_MAX: Duration = Duration::from_micros(100);
/// ...and it has ended when nothing came for so long.
const QUIET: Duration = Duration::from_micros(3);
/// Where syncs are slow it sleeps first: whoever appends may have lost the processor to this thread by waking it.
const NAP: Duration = Duration::from_micros(20);

/// The thread's own.
pub(crate) struct Committer<T> {
    pub(crate) bell: Arc<Bell<T>>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) keeper: Arc<dyn Keeper<T>>,
    pub(crate) writer: Writer,
    pub(crate) settler: Settler<T>,
    pub(crate) retainer: Retainer<T>,
    pub(crate) counters: Arc<Counters>,
    /// Tokens are told when written, and files synced so often.
    pub(crate) interval: Option<Duration>,
    /// Logs whose last record is not marked, and since when they rest.
    pub(crate) resting: BTreeMap<u64, (Arc<Log<T>>, Instant)>,
    /// Logs that found no room.
    pub(crate) stuck: Vec<Arc<Log<T>>>,
    /// Logs that found no file for a segment, and of which that was said.
    pub(crate) short: BTreeSet<u64>,
    /// What this round has written and nobody was told.
    pub(crate) flying: VecDeque<Written<T>>,
    /// With an interval: by log and file, what is written and not synced.
    pub(crate) unsynced: BTreeMap<(u64, u64), Unsynced<T>>,
    pub(crate) looked: Instant,
    pub(crate) synced: Instant,
    /// How long a round's sync takes, as a mean that follows the last ones.
    pub(crate) usual_sync: Duration,
    /// There are no threads but the one that runs it.
    pub(crate) alone: bool,
    pub(crate) _lock: DirectoryLock,
}

/// A batch that is written.
pub(crate) struct Written<T> {
    log: Arc<Log<T>>,
    tokens: Vec<T>,
    bytes: Vec<u8>,
    newest: u64,
    file: Arc<dyn DiskFile>,
    end: u64,
    next: u64,
}

/// A file that is written and not synced.
pub(crate) struct Unsynced<T> {
    log: Arc<Log<T>>,
    file: Arc<dyn DiskFile>,
    next: u64,
}

impl<T: Send + 'static> Committer<T> {
    /// Runs until the bell says stop.
    pub(crate) fn run(mut self) {
        // Naps of microseconds; where the system does not allow it, they are longer.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1_000));
        let ended = catch_unwind(AssertUnwindSafe(|| self.rounds()));
        self.bell.mark_round(false);
        if ended.is_err() {
            let why: Arc<str> = Arc::from("the thread that writes has ended, which is a fault of Weft's");
            while let Some(one) = self.flying.pop_front() {
                self.fail(&one.log, &why, one.tokens, one.bytes.len());
            }
            // First said, then looked: a log that is opened meanwhile hears it in one of both ways.
            self.bell.set_dead(&why);
            for log in self.bell.logs() {
                self.fail(&log, &why, Vec::new(), 0);
            }
        }
    }

    fn rounds(&mut self) {
        loop {
            let (mut logs, stop) = self.bell.wait(self.due());
            self.bell.mark_round(true);
            if !stop && !logs.is_empty() {
                gather(&logs, self.usual_sync);
                logs.append(&mut self.bell.take());
            }
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
        self.counters.round();
        let now = self.disk.now();
        if all || now >= self.looked + LOOK {
            self.looked = now;
            let short = self.writer.look_at_space(&*self.disk);
            self.retainer.free(short);
            self.note_room();
            logs.append(&mut self.stuck);
        }
        // Once each: what comes to a log while its batch is written is the next round's.
        let mut seen = BTreeSet::new();
        logs.retain(|log| seen.insert(log.id));
        self.retainer.trim();
        self.append(&logs);
        self.sync_at_intervals(all);
        self.mark_resting(all);
        for log in &logs {
            self.settler.look(log);
        }
        let settled = self.settler.settle(all);
        self.sweep(&logs, &settled);
        for log in settled {
            log.wake();
        }
    }

    /// When the next round is due, whatever is appended.
    pub(crate) fn due(&self) -> Option<Instant> {
        let rest = self.resting.values().map(|(_, since)| *since + REST).min();
        let looks = !self.stuck.is_empty() || self.writer.is_low() || self.bell.is_any_full();
        let look = looks.then_some(self.looked + LOOK);
        let sync = self
            .interval
            .filter(|_| !self.unsynced.is_empty())
            .map(|interval| self.synced + interval);
        [rest, look, sync, self.settler.due(), self.retainer.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Writes what these logs have, and syncs it.
    fn append(&mut self, logs: &[Arc<Log<T>>]) {
        for log in logs {
            if let Some((batch, next)) = log.take_batch() {
                self.write(log, batch, next);
            }
        }
        if self.interval.is_none() {
            self.sync();
            return;
        }
        while let Some(one) = self.flying.pop_front() {
            let unsynced = Unsynced {
                log: Arc::clone(&one.log),
                file: Arc::clone(&one.file),
                next: one.next,
            };
            let place = (one.log.id, Arc::as_ptr(&one.file).cast::<()>() as u64);
            self.unsynced.insert(place, unsynced);
            self.tell(one);
        }
    }

    fn write(&mut self, log: &Arc<Log<T>>, batch: Batch<T>, next: u64) {
        debug_assert!(
            self.flying.iter().all(|one| one.log.id != log.id),
            "one batch a log and round"
        );
        let mut written = self.writer.write(&*self.disk, log, &batch, next);
        if written.as_ref().is_err_and(is_full) && self.retainer.free(batch.bytes.len() as u64) > 0 {
            written = self.writer.write(&*self.disk, log, &batch, next);
        }
        match written {
            Ok((file, end)) => {
                if self.short.remove(&log.id) {
                    tracing::info!(log = %log.name, "there are files again");
                }
                self.flying.push_back(Written {
                    log: Arc::clone(log),
                    tokens: batch.tokens,
                    bytes: batch.bytes,
                    newest: batch.newest,
                    file,
                    end,
                    next,
                });
            }
            Err(error) if is_full(&error) || is_short(&error) => {
                let news = self.stuck.iter().all(|known| known.id != log.id);
                if is_full(&error) {
                    self.writer.found_no_room(log, &error);
                } else if news && self.short.insert(log.id) {
                    tracing::error!(
                        log = %log.name,
                        %error,
                        "no file for a segment: the log takes nothing before there is one; raise the limit of open files"
                    );
                }
                log.give_back(batch);
                if news {
                    self.stuck.push(Arc::clone(log));
                }
            }
            Err(error) => {
                let why = Arc::from(format!("writing: {error}"));
                self.fail(log, &why, batch.tokens, batch.bytes.len());
            }
        }
    }

    /// Syncs what this round has written, and tells it.
    fn sync(&mut self) {
        let files: Vec<&dyn DiskFile> = self.flying.iter().map(|one| &*one.file).collect();
        if files.is_empty() {
            return;
        }
        let began = Instant::now();
        let results = sync_all(&self.counters, &files, self.alone);
        self.usual_sync = (self.usual_sync * 7 + began.elapsed()) / 8;
        for result in results {
            let Some(one) = self.flying.pop_front() else {
                return;
            };
            match result {
                Ok(()) => {
                    self.keeper.point("store.synced");
                    one.log.lock().synced = one.next;
                    self.tell(one);
                }
                Err(error) => {
                    let why = Arc::from(error.to_string());
                    self.fail(&one.log, &why, one.tokens, one.bytes.len());
                }
            }
        }
    }

    /// What was written may be read, and its senders hear of it.
    fn tell(&mut self, one: Written<T>) {
        let mut buffer = one.bytes;
        buffer.clear();
        {
            let mut state = one.log.lock();
            state.durable = one.next;
            if let Some(held) = state.segments.back_mut() {
                held.end = one.end;
                held.next = one.next;
                held.newest = held.newest.max(one.newest);
            }
            if buffer.capacity() <= BUFFER_MAX {
                state.buffer = buffer;
            }
            one.log.note_room(&state);
        }
        self.resting
            .insert(one.log.id, (Arc::clone(&one.log), self.disk.now()));
        let first = one.next - one.tokens.len() as u64;
        self.keeper.stored(&one.log, first, one.tokens);
        one.log.wake();
    }

    /// C26: what waited for this log will not be durable here, as far as anyone knows.
    fn fail(&mut self, log: &Arc<Log<T>>, why: &Arc<str>, mut tokens: Vec<T>, bytes: usize) {
        let (more, news) = log.fail(why, bytes as u64);
        tokens.extend(more);
        if news {
            tracing::error!(
                log = %log.name,
                error = %why,
                "the store failed: it takes nothing more before a restart; what it holds is still delivered"
            );
        }
        if news || !tokens.is_empty() {
            self.keeper.failed(log, tokens, why);
        }
        log.wake();
    }

    /// Everything that can be is sealed. What found no room until now finds none any more.
    pub(crate) fn close(&mut self) {
        for log in self.bell.logs() {
            if !log.is_failed()
                && let Err(error) = self.writer.seal(&log)
            {
                tracing::warn!(log = %log.name, %error, "sealing; the next start looks through the last segment");
            }
            self.retainer.sweep(&log);
            let waits = !log.lock().batch.tokens.is_empty();
            if waits {
                self.fail(
                    &log,
                    &Arc::from("the store is closed, and had no room"),
                    Vec::new(),
                    0,
                );
            }
        }
        self.writer.spares.close();
    }
}

/// How many threads sync at once.
const SYNCS_MAX: usize = 8;
/// A buffer that is larger is not kept for the next batch.
const BUFFER_MAX: usize = 256 << 10;

/// Waits while more comes to these logs: half a batch costs a sync of its own. To yield was turned down: on a busy machine
/// that gives a whole turn away.
fn gather<T>(logs: &[Arc<Log<T>>], sync: Duration) {
    let count = || logs.iter().map(|log| log.open()).fold(0, u64::wrapping_add);
    let budget = (sync / 10).clamp(GATHER_MIN, GATHER_MAX);
    let began = Instant::now();
    if budget >= 2 * NAP {
        std::thread::sleep(NAP);
    }
    let (mut seen, mut since) = (count(), Instant::now());
    loop {
        std::hint::spin_loop();
        let (now, found) = (Instant::now(), count());
        if found != seen {
            (seen, since) = (found, now);
        }
        if now - since >= QUIET || now - began >= budget {
            return;
        }
    }
}

/// Several files are synced side by side: the disk is asked to flush once, not once for each. `alone`: one after another.
fn sync_all(counters: &Counters, files: &[&dyn DiskFile], alone: bool) -> Vec<io::Result<()>> {
    match files {
        [] => Vec::new(),
        one_by_one if alone || one_by_one.len() == 1 => {
            one_by_one.iter().map(|file| counters.sync(*file)).collect()
        }
        several => std::thread::scope(|scope| {
            let each = several.len().div_ceil(SYNCS_MAX);
            let sync = |files: &[&dyn DiskFile]| -> Vec<io::Result<()>> {
                files.iter().map(|file| counters.sync(*file)).collect()
            };
            let mut chunks = several.chunks(each);
            let own = chunks.next().unwrap_or_default();
            let spawn = |files| std::thread::Builder::new().spawn_scoped(scope, move || sync(files));
            let threads: Vec<_> = chunks.map(|files| (files, spawn(files))).collect();
            let panicked = |count: usize| {
                let ended = || Err(io::Error::other("a thread that syncs has ended"));
                std::iter::repeat_with(ended).take(count).collect()
            };
            let mut results = sync(own);
            for (files, thread) in threads {
                results.extend(match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|_| panicked(files.len())),
                    // The system gives no thread: one after another goes as well.
                    Err(_) => sync(files),
                });
            }
            results
        }),
    }
}

/// Whether the system is short of files or memory for one: that passes, and says nothing of the disk.
pub(crate) fn is_short(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM))
}

/// Whether this is want of room rather than a disk that fails.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
