//! One log: what is appended and not yet durable, what is acknowledged and not yet durably so, and its segments.
//!
//! Owns: what callers may do with it. The state behind its lock (`log/state.rs`) is shared by appending tasks, the commit
//! thread and the reader. Nobody waits for a disk with it.
//! Invariants
//! - Sequences are given under the lock, in the order in which records stand in the log, and never again.
//! - Below `durable` everything is on the disk; nothing else is read (with [`crate::Sync::Interval`]: written).
//! - A segment goes only when each of its records is acknowledged.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::bell::Bell;
use crate::record::{self, Kind, PAYLOAD_MAX, Payload, Salt};
use crate::recover::Found;
use crate::space::Space;

mod state;

pub(crate) use state::{Batch, Held, State};

/// What one log may have appended and not written: past it the log is full until the next write.
const OPEN_MAX: usize = 4 << 20;

/// What the file says of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Bytes that its segments may have on the disk.
    pub max_bytes: u64,
    /// Whether those are its own, beside the space that the other logs share.
    pub own_space: bool,
    /// A record that is older is due to be given up; the store only keeps this for whoever reads.
    pub max_age: Option<Duration>,
    /// An acknowledged segment stays until its last record is so old, and less long where its room is needed.
    pub retain: Option<Duration>,
    /// The most records that a crash may repeat: acknowledgements are durable once a quarter of it waits, or soon after.
    pub window: u64,
    /// Into how many segments `max_bytes` is divided, within 256 KiB and 64 MiB each. Space comes back a segment at a time,
    /// so that one record which nobody takes may hold so large a part of it; a segment costs a file that is open.
    pub parts: u64,
}

/// Why a record was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No room now; see [`Log::is_full`].
    #[error("the store is full")]
    Full,
    /// The log takes nothing more in the life of this process (C26).
    #[error("the store failed: {0}; restart when the disk is well")]
    Failed(Arc<str>),
    /// The payload is longer than [`PAYLOAD_MAX`].
    #[error("{0} bytes are too long for a record")]
    TooLong(usize),
    /// The store is being closed.
    #[error("the store is closed")]
    Closed,
    /// Whoever wanted it does not any more.
    #[error("it is not wanted any more")]
    Unwanted,
}

/// Who may use the last of the room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// What comes from outside: its sender can keep it.
    New,
    /// What another log holds already, and can only leave when this one takes it.
    Moved,
}

/// One log; see the module. `T` is what is told once a record is durable.
pub struct Log<T> {
    /// Its name.
    pub name: Arc<str>,
    pub(crate) dir: PathBuf,
    /// Its number, which no other log ever has.
    pub(crate) id: u64,
    bell: Weak<Bell<T>>,
    state: Mutex<State<T>>,
    shared: Arc<Space>,
    /// Where it is when it has a space to itself.
    own: Arc<Space>,
    full: AtomicBool,
    failed: AtomicBool,
    /// What is not acknowledged.
    open: AtomicU64,
}

/// What a log holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holding {
    /// Records that are not acknowledged.
    pub open: u64,
    /// Bytes of records that are not acknowledged, and of what goes with them: whole segments, but the retained ones.
    pub bytes: u64,
    /// Bytes that it may have.
    pub max_bytes: u64,
    /// Bytes of segments that are acknowledged, and stay for a while ([`LogSettings::retain`]).
    pub retained: u64,
    /// Segments.
    pub segments: usize,
    /// Records that are appended and not durable.
    pub unsynced: u64,
    /// Acknowledgements that are not durable.
    pub unwritten: u64,
}

impl<T> Log<T> {
    pub(crate) fn new(
        (name, dir, id): (Arc<str>, PathBuf, u64),
        settings: LogSettings,
        found: Found,
        shared: Arc<Space>,
        bell: Weak<Bell<T>>,
    ) -> Log<T> {
        let nothing = LogSettings {
            max_bytes: 0,
            ..settings.clone()
        };
        let state = State::new(nothing, found, Arc::clone(&shared));
        let log = Log {
            name,
            dir,
            id,
            bell,
            open: AtomicU64::new(state.open_in(0..state.next)),
            state: Mutex::new(state),
            own: Arc::new(shared.beside()),
            shared,
            full: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        };
        log.settle_in(&mut log.lock(), settings);
        log
    }

    /// Appends a record, whose payload comes in parts. `token` is told when it is durable, or that it never will be.
    /// `wanted` is asked last, under the lock: what it says yes to is appended. Returns the record's sequence.
    ///
    /// # Errors
    /// It was not appended, and `token` comes back.
    pub fn append(
        self: &Arc<Self>,
        parts: &[&[u8]],
        (token, claim): (T, Claim),
        now_ms: u64,
        wanted: impl FnOnce(&T) -> bool,
    ) -> Result<u64, (T, Refused)> {
        let length = parts.iter().map(|part| part.len()).sum();
        if length > PAYLOAD_MAX {
            return Err((token, Refused::TooLong(length)));
        }
        // The long part, before anybody has to wait for it.
        let (span, payload) = (record::span(length), Payload::new(parts));
        let mut state = self.lock();
        if let Some(why) = &state.failed {
            let why = Arc::clone(why);
            return Err((token, Refused::Failed(why)));
        }
        if state.closed {
            return Err((token, Refused::Closed));
        }
        if !self.has_room(&state, span, claim) {
            self.turn_full(state);
            return Err((token, Refused::Full));
        }
        if !wanted(&token) {
            return Err((token, Refused::Unwanted));
        }
        let (sequence, mark) = (state.next, state.synced);
        let salt = Salt::new(self.id);
        record::write(
            &mut state.batch.bytes,
            Kind::Data,
            (sequence, mark),
            salt,
            payload,
        );
        state.batch.tokens.push(token);
        state.batch.newest = now_ms;
        state.next += 1;
        state.charge(span);
        self.open.fetch_add(1, Ordering::Relaxed);
        self.list(state);
        Ok(sequence)
    }

    /// Whether a record of ordinary size would be refused for want of room. Once it is so, it stays so until a tenth of the
    /// room is free again.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Whether its disk has less left than it should: nothing from outside is taken, whether anybody has tried or not.
    #[must_use]
    pub fn is_disk_low(&self) -> bool {
        self.shared.is_low()
    }

    /// Whether a record of so many bytes from outside would find room now. Where it would not, the log is full.
    #[must_use]
    pub fn takes(self: &Arc<Self>, length: usize) -> bool {
        let state = self.lock();
        let has_room = self.has_room(&state, record::span(length), Claim::New);
        if !has_room {
            self.turn_full(state);
        }
        has_room
    }

    /// When the newest record came that is still there, in milliseconds since 1970.
    #[must_use]
    pub fn newest_ms(&self) -> Option<u64> {
        self.lock().segments.iter().map(|held| held.newest).max()
    }

    /// Records that are not acknowledged.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Whether this record is not acknowledged.
    #[must_use]
    pub fn has_open(&self, sequence: u64) -> bool {
        self.lock().open_in(sequence..sequence.saturating_add(1)) > 0
    }

    /// Whether each of its records is acknowledged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open() == 0
    }

    /// Whether it takes nothing more in the life of this process; see [`Log::failure`].
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// What it holds.
    #[must_use]
    pub fn holding(&self) -> Holding {
        let state = self.lock();
        Holding {
            open: self.open(),
            bytes: state.charged(),
            max_bytes: state.settings.max_bytes,
            retained: state.retained(),
            segments: state.segments.len(),
            unsynced: state.next - state.durable,
            unwritten: state.unwritten_count,
        }
    }

    /// Why it takes nothing more.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<str>> {
        self.lock().failed.clone()
    }

    /// Changes its settings.
    pub fn configure(self: &Arc<Self>, settings: LogSettings) {
        let mut state = self.lock();
        self.settle_in(&mut state, settings);
        self.note_room(&state);
        self.list(state);
    }

    /// Takes its place in the space that its settings say.
    fn settle_in(&self, state: &mut State<T>, settings: LogSettings) {
        let promised = |settings: &LogSettings| if settings.own_space { 0 } else { settings.max_bytes };
        self.shared
            .promise(promised(&state.settings), promised(&settings));
        self.own.set_max(settings.max_bytes);
        state.move_to(if settings.own_space {
            &self.own
        } else {
            &self.shared
        });
        state.settings = settings;
    }

    /// Acknowledges a run of sequences: they are not wanted any more. Durable some time later; until then a crash
    /// brings them again. What is acknowledged already, or was never appended, is passed over.
    pub fn acknowledge(self: &Arc<Self>, run: Range<u64>) {
        let mut state = self.lock();
        let run = run.start..run.end.min(state.next);
        let new = state.open_in(run.clone());
        if new == 0 {
            return;
        }
        state.acked.add(run.clone());
        match state.unwritten.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => state.unwritten.push(run),
        }
        state.unwritten_count += new;
        self.open.fetch_sub(new, Ordering::Relaxed);
        self.list(state);
    }

    /// One more than the last sequence that a reader may find.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.lock().durable
    }

    /// Acknowledgements that are not durable.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.lock().unwritten_count
    }

    /// `wake` is called when something is durable, or has become so of what was acknowledged, or there is room again, or the
    /// log has failed: never with the lock held.
    pub fn on_change(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.lock().wake = Some(wake);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, state: &State<T>, span: u64, claim: Claim) -> bool {
        if state.batch.bytes.len() >= OPEN_MAX {
            return false;
        }
        let held = state.charged();
        claim == Claim::Moved && state.space.has_reserve(held, state.settings.max_bytes, span)
            || held + span <= state.settings.max_bytes && state.space.has_room(held, span)
    }

    /// What waits to be written, and the sequence behind it; nothing of a log that has failed.
    pub(crate) fn take_batch(&self) -> Option<(Batch<T>, u64)> {
        let mut state = self.lock();
        state.listed = false;
        if state.failed.is_some() || state.batch.tokens.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut state.buffer);
        let next = Batch {
            bytes,
            ..Batch::default()
        };
        Some((std::mem::replace(&mut state.batch, next), state.next))
    }

    /// A batch that found no room goes back to where it was.
    pub(crate) fn give_back(&self, mut batch: Batch<T>) {
        let mut state = self.lock();
        let later = std::mem::take(&mut state.batch);
        batch.bytes.extend_from_slice(&later.bytes);
        batch.tokens.extend(later.tokens);
        batch.newest = batch.newest.max(later.newest);
        state.batch = batch;
        if !self.full.swap(true, Ordering::AcqRel) {
            self.count_full(1);
        }
    }

    /// Nothing more is taken (C26), and what is not durable will not be: `bytes` that were taken out of the batch, and the
    /// batch, whose tokens come back. Whether it is news.
    pub(crate) fn fail(&self, why: &Arc<str>, bytes: u64) -> (Vec<T>, bool) {
        let mut state = self.lock();
        let news = state.failed.is_none();
        state.failed.get_or_insert_with(|| Arc::clone(why));
        self.failed.store(true, Ordering::Release);
        let batch = std::mem::take(&mut state.batch);
        state.discharge(bytes + batch.bytes.len() as u64);
        // Their senders have them again: nobody is to wait for them here.
        let lost = state.durable..state.next;
        self.open
            .fetch_sub(state.open_in(lost.clone()), Ordering::Relaxed);
        state.acked.add(lost);
        (batch.tokens, news)
    }

    /// Looks whether there is room again, once it was full. Says whether that is news.
    pub(crate) fn note_room(&self, state: &State<T>) -> bool {
        let (held, max) = (state.charged(), state.settings.max_bytes);
        let more = max.min(state.space.max()) / 10;
        let room = held <= max / 10 * 9
            && state.batch.bytes.len() < OPEN_MAX / 2
            && state.space.has_room(held, more);
        let news = room && self.full.swap(false, Ordering::AcqRel);
        if news {
            self.count_full(-1);
        }
        news
    }

    /// The commit thread looks every now and then whether it still is: nothing else may ever happen to this log.
    fn turn_full(self: &Arc<Self>, state: MutexGuard<'_, State<T>>) {
        if self.full.swap(true, Ordering::AcqRel) {
            return;
        }
        self.count_full(1);
        self.list(state);
    }

    fn count_full(&self, more: isize) {
        if let Some(bell) = self.bell.upgrade() {
            bell.count_full(more);
        }
    }

    pub(crate) fn wake(&self) {
        let wake = self.lock().wake.clone();
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Has the commit thread look at it.
    pub(crate) fn list(self: &Arc<Self>, mut state: MutexGuard<'_, State<T>>) {
        let listed = std::mem::replace(&mut state.listed, true);
        drop(state);
        if !listed && let Some(bell) = self.bell.upgrade() {
            bell.ring(Arc::clone(self));
        }
    }
}
