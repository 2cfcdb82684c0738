//! What stands behind a log's lock.
//!
//! Owns: the accounts. Invariants: what is charged to the log's space is what its segments hold, but for those that are only
//! retained, and what is on the way there; every sequence below `next` is acknowledged, or a record.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::LogSettings;
use crate::acked::Acked;
use crate::recover::Found;
use crate::segment::Segment;
use crate::space::Space;

/// See the module.
pub(crate) struct State<T> {
    pub(crate) settings: LogSettings,
    pub(crate) batch: Batch<T>,
    /// An empty buffer for the next batch.
    pub(crate) buffer: Vec<u8>,
    /// The next record's sequence.
    pub(crate) next: u64,
    /// Everything below is written, and durable unless [`crate::Sync::Interval`] says otherwise.
    pub(crate) durable: u64,
    /// Everything below is durable.
    pub(crate) synced: u64,
    /// Acknowledged, durable or not, and what was never there.
    pub(crate) acked: Acked,
    /// Acknowledged, and not yet in the journal.
    pub(crate) unwritten: Vec<Range<u64>>,
    /// How many those are, and those that are being written.
    pub(crate) unwritten_count: u64,
    pub(crate) segments: VecDeque<Held>,
    /// The next segment's number: none is given twice.
    pub(crate) number: u64,
    pub(crate) failed: Option<Arc<str>>,
    pub(crate) closed: bool,
    /// It stands among those that the commit thread has to look at.
    pub(crate) listed: bool,
    /// Called when something is durable, or acknowledged durably, or there is room again, or the log has failed.
    pub(crate) wake: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) space: Arc<Space>,
    /// What it has taken of the space.
    charged: u64,
    /// What its segments hold that are only retained.
    retained: u64,
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
    /// Each of its records is acknowledged.
    pub(crate) retained: bool,
}

impl Held {
    /// Its sequences.
    pub(crate) fn range(&self) -> Range<u64> {
        self.segment.title.first..self.next
    }
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

impl<T> State<T> {
    pub(crate) fn new(settings: LogSettings, found: Found, space: Arc<Space>) -> State<T> {
        let held = found.segments.iter().map(|held| held.end).sum();
        let mut state = State {
            settings,
            batch: Batch::default(),
            buffer: Vec::new(),
            next: found.next,
            durable: found.next,
            synced: found.next,
            acked: found.acked,
            unwritten: Vec::new(),
            unwritten_count: 0,
            segments: found.segments,
            number: found.number,
            failed: None,
            closed: false,
            listed: false,
            wake: None,
            space,
            charged: 0,
            retained: 0,
        };
        state.charge(held);
        state
    }

    /// What it takes of the space.
    pub(crate) fn charged(&self) -> u64 {
        self.charged
    }

    /// What it only retains.
    pub(crate) fn retained(&self) -> u64 {
        self.retained
    }

    pub(crate) fn charge(&mut self, bytes: u64) {
        self.charged += bytes;
        self.space.take(bytes);
    }

    pub(crate) fn discharge(&mut self, bytes: u64) {
        self.charged -= bytes;
        self.space.give(bytes);
    }

    /// A segment at this index is only retained from now on.
    pub(crate) fn retain(&mut self, index: usize) {
        let held = &mut self.segments[index];
        if !held.retained {
            held.retained = true;
            self.charged -= held.end;
            self.retained += held.end;
            self.space.retain(held.end);
        }
    }

    /// A segment leaves the log.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Held> {
        let held = self.segments.remove(index)?;
        if held.retained {
            self.retained -= held.end;
            self.space.release(held.end);
        } else {
            self.discharge(held.end);
        }
        if let Some(first) = self.segments.front().map(|held| held.segment.title.first) {
            self.acked.raise(first);
        }
        Some(held)
    }

    /// All of it is in another space from now on.
    pub(crate) fn move_to(&mut self, space: &Arc<Space>) {
        self.space.give(self.charged);
        self.space.release(self.retained);
        space.take(self.charged + self.retained);
        space.retain(self.retained);
        self.space = Arc::clone(space);
    }

    /// Sequences of a range that are not acknowledged.
    pub(crate) fn open_in(&self, range: Range<u64>) -> u64 {
        (range.end.saturating_sub(range.start)) - self.acked.count(range)
    }

    /// Whether nobody needs a segment any more: each of its records is acknowledged. The last one holds the place of the
    /// next sequence, and goes only when that is durably so.
    pub(crate) fn is_done(&self, index: usize) -> bool {
        let last = index + 1 == self.segments.len();
        let held = &self.segments[index];
        held.sealed && !(last && self.unwritten_count > 0) && self.open_in(held.range()) == 0
    }
}
