//! One log: what is appended and not yet durable, what is acknowledged and not yet durably so, and its segments.
//!
//! Owns: the state behind the log's lock, which appending tasks, the commit thread and the reader share. Nobody waits for a
//! disk with it.
//! Invariants
//! - Sequences are given under the lock, in the order in which records stand in the log, and never again.
//! - Below `durable` everything is on the disk; nothing else is read (with [`crate::Sync::Interval`]: written).
//! - A segment goes only when each of its sequences is durably acknowledged.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::acked::Acked;
use crate::bell::Bell;
use crate::record::{self, Kind, PAYLOAD_MAX, Salt};
use crate::segment::Segment;
use crate::space::Space;

/// What one log may have appended and not written: past it the log is full until the next write.
const OPEN_MAX: usize = 4 << 20;

/// What the file says of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Bytes that its segments may have on the disk.
    pub max_bytes: u64,
    /// A record that is older is due to be given up.
    pub max_age: Option<Duration>,
    /// Acknowledged segments stay for so long.
    pub retain: Option<Duration>,
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
    pub(crate) space: Arc<Space>,
    bell: Weak<Bell<T>>,
    state: Mutex<State<T>>,
    full: AtomicBool,
    /// What is not acknowledged.
    open: AtomicU64,
}

pub(crate) struct State<T> {
    pub(crate) settings: LogSettings,
    pub(crate) batch: Batch<T>,
    /// The next record's sequence.
    pub(crate) next: u64,
    /// Everything below is written, and durable unless [`crate::Sync::Interval`] says otherwise.
    pub(crate) durable: u64,
    /// Everything below is durable.
    pub(crate) synced: u64,
    /// Acknowledged, durable or not.
    pub(crate) acked: Acked,
    /// Acknowledged, and not yet in the journal.
    pub(crate) unwritten: Vec<Range<u64>>,
    /// How many those are.
    pub(crate) unwritten_count: u64,
    pub(crate) segments: VecDeque<Held>,
    pub(crate) failed: Option<Arc<str>>,
    pub(crate) closed: bool,
    /// It stands among those that the commit thread has to look at.
    pub(crate) listed: bool,
    /// Called when something is durable, or acknowledged durably, or the log has failed.
    pub(crate) wake: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// What waits to be written.
pub(crate) struct Batch<T> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tokens: Vec<T>,
    /// When the last of it was appended, in milliseconds since 1970.
    pub(crate) newest: u64,
}

/// A segment of the log.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) segment: Segment,
    /// Where its records end.
    pub(crate) end: u64,
    /// One more than its last sequence.
    pub(crate) next: u64,
    /// When its last record came, in milliseconds since 1970.
    pub(crate) newest: u64,
    pub(crate) sealed: bool,
}

impl<T> Default for Batch<T> {
    fn default() -> Batch<T> {
        Batch {
            bytes: Vec::new(),
            tokens: Vec::new(),
            newest: 0,
        }
    }
}

/// What a log holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holding {
    /// Records that are not acknowledged.
    pub open: u64,
    /// Bytes of its segments.
    pub bytes: u64,
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
        (acked, next): (Acked, u64),
        segments: VecDeque<Held>,
        space: Arc<Space>,
        bell: Weak<Bell<T>>,
    ) -> Log<T> {
        let open = segments.iter().map(|held| open_in(held, &acked)).sum();
        let log = Log {
            name,
            dir,
            id,
            space,
            bell,
            state: Mutex::new(State {
                settings,
                batch: Batch::default(),
                next,
                durable: next,
                synced: next,
                acked,
                unwritten: Vec::new(),
                unwritten_count: 0,
                segments,
                failed: None,
                closed: false,
                listed: false,
                wake: None,
            }),
            full: AtomicBool::new(false),
            open: AtomicU64::new(open),
        };
        log.space.take(log.lock().bytes());
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
        let span = record::span(length);
        let mut state = self.lock();
        if let Some(why) = &state.failed {
            let why = Arc::clone(why);
            return Err((token, Refused::Failed(why)));
        }
        if state.closed {
            return Err((token, Refused::Closed));
        }
        if !self.has_room(&state, span, claim) {
            self.full.store(true, Ordering::Release);
            return Err((token, Refused::Full));
        }
        if !wanted(&token) {
            return Err((token, Refused::Unwanted));
        }
        let (sequence, mark) = (state.next, state.synced);
        let salt = Salt::new(self.id);
        record::write(&mut state.batch.bytes, Kind::Data, (sequence, mark), salt, parts);
        state.batch.tokens.push(token);
        state.batch.newest = now_ms;
        state.next += 1;
        self.space.take(span);
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

    /// Records that are not acknowledged.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// What it holds.
    #[must_use]
    pub fn holding(&self) -> Holding {
        let state = self.lock();
        Holding {
            open: self.open(),
            bytes: state.bytes(),
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
        state.settings = settings;
        self.note_room(&mut state);
        self.list(state);
    }

    /// Acknowledges a run of sequences: they are not wanted any more. Durable some time later; until then a crash
    /// brings them again.
    pub fn acknowledge(self: &Arc<Self>, run: Range<u64>) {
        let mut state = self.lock();
        let new = (run.end.saturating_sub(run.start)) - state.acked.count(run.clone());
        state.acked.add(run.clone());
        state.unwritten.push(run);
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

    /// `wake` is called when something is durable, or has become so of what was acknowledged, or the log has failed: never
    /// with the lock held.
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
        let held = state.bytes();
        claim == Claim::Moved && self.space.has_reserve(span)
            || held + span <= state.settings.max_bytes && self.space.has_room(held, span)
    }

    /// A batch that found no room goes back to where it was.
    pub(crate) fn give_back(&self, mut batch: Batch<T>) {
        let mut state = self.lock();
        let later = std::mem::take(&mut state.batch);
        batch.bytes.extend_from_slice(&later.bytes);
        batch.tokens.extend(later.tokens);
        batch.newest = batch.newest.max(later.newest);
        state.batch = batch;
        self.full.store(true, Ordering::Release);
    }

    /// Looks whether there is room again, once it was full.
    pub(crate) fn note_room(&self, state: &mut State<T>) {
        let (held, max) = (state.bytes(), state.settings.max_bytes);
        let room = held <= max / 10 * 9
            && state.batch.bytes.len() < OPEN_MAX / 2
            && self.space.has_room(held, max / 10);
        if room {
            self.full.store(false, Ordering::Release);
        }
    }

    /// Has the commit thread look at it.
    fn list(self: &Arc<Self>, mut state: MutexGuard<'_, State<T>>) {
        let listed = std::mem::replace(&mut state.listed, true);
        drop(state);
        if !listed && let Some(bell) = self.bell.upgrade() {
            bell.ring(Arc::clone(self));
        }
    }
}

impl<T> State<T> {
    /// What it has on the disk and in memory on the way there.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|held| held.end).sum::<u64>() + self.batch.bytes.len() as u64
    }
}

/// Sequences of a segment that are not acknowledged.
pub(crate) fn open_in(held: &Held, acked: &Acked) -> u64 {
    let all = held.segment.title.first..held.next;
    (all.end - all.start) - acked.count(all)
}
